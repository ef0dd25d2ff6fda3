#pragma once

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <mutex>

// The generator that operations on a device use by default; -1 is the processor.
inline at::Generator generator_of(int32_t device)
{
    auto const kind = device < 0 ? at::kCPU : at::kCUDA;
    return at::globalContext().defaultGenerator(
        device < 0 ? at::Device(kind) : at::Device(kind, static_cast<c10::DeviceIndex>(device)));
}

inline at::Tensor state_of(at::Generator generator)
{
    std::lock_guard const lock(generator.mutex());
    return generator.get_state();
}

inline void set_state(at::Generator generator, at::Tensor const& state)
{
    std::lock_guard const lock(generator.mutex());
    generator.set_state(state);
}
