// Runs of an engine.
#pragma once

#include "abi.h"
#include "build.hpp"
#include "engine.hpp"
#include "guard.hpp"

#include <NvInferRuntime.h>

#include <cuda_runtime_api.h>

#include <algorithm>
#include <string>

namespace {

nvinfer1::IExecutionContext* executed(Context* handle) noexcept
{
    return reinterpret_cast<nvinfer1::IExecutionContext*>(handle);
}

// Values that shapes depend on are read on the host, where no stream orders what is written there.
void check_places(nvinfer1::ICudaEngine const& engine)
{
    for (int32_t index = 0; index < engine.getNbIOTensors(); ++index) {
        char const* const name = demanded(engine.getIOTensorName(index), "getIOTensorName");
        if (engine.getTensorLocation(name) != nvinfer1::TensorLocation::kDEVICE) {
            throw Refusal{std::string{"getTensorLocation ("} + name + " is not on the device)"};
        }
    }
}

Context* create_context(LoadedEngine* handle, Failure* failure)
{
    Context* out = nullptr;
    guarded(failure, "createExecutionContext", [&] {
        LoadedObjects const& objects = *loaded(handle);
        check_places(*objects.engine);
#ifdef TRT_MAJOR_RTX
        nvinfer1::IExecutionContext* const context = objects.engine->createExecutionContext(objects.config.get());
#else
        nvinfer1::IExecutionContext* const context
            = objects.engine->createExecutionContext(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED);
#endif
        out = reinterpret_cast<Context*>(demanded(context, "createExecutionContext"));
    });
    return out;
}

std::string text_of(int32_t n_dims, int64_t const* sizes)
{
    std::string text = "[";
    for (int32_t axis = 0; axis < n_dims; ++axis) {
        text += (axis == 0 ? "" : ", ") + std::to_string(sizes[axis]);
    }
    return text + "]";
}

// What is written beyond a buffer cannot be caught: the shape of an output is known before its address is given away.
void check_output(nvinfer1::IExecutionContext const& context, Binding const& output)
{
    int64_t sizes[EGOM2P_MAX_DIMS] = {};
    nvinfer1::Dims const dims = context.getTensorShape(output.name);
    int32_t const n_dims = copy_dims(dims, sizes);
    if (n_dims != output.n_dims || !std::equal(sizes, sizes + std::max(n_dims, 0), output.dims)) {
        std::string const shapes
            = text_of(n_dims, sizes) + ", expected " + text_of(output.n_dims, output.dims);
        throw Refusal{std::string{"getTensorShape ("} + output.name + " is " + shapes + ")"};
    }
}

void prepare(Context* handle, Run const* run, Failure* failure)
{
    guarded(failure, "setInputShape", [&] {
        nvinfer1::IExecutionContext& context = *executed(handle);
        if (run->choose_profile != 0) {
            auto const stream = static_cast<cudaStream_t>(run->stream);
            demand(context.setOptimizationProfileAsync(run->profile, stream), "setOptimizationProfileAsync");
        }
        for (size_t index = 0; index < run->n_inputs; ++index) {
            Binding const& input = run->inputs[index];
            if (!context.setInputShape(input.name, dims_of(input.n_dims, input.dims))) {
                throw Refusal{std::string{"setInputShape ("} + input.name + ")"};
            }
            if (!context.setInputTensorAddress(input.name, input.address)) {
                throw Refusal{std::string{"setInputTensorAddress ("} + input.name + ")"};
            }
        }
        demand(context.inferShapes(0, nullptr) == 0, "inferShapes");
        for (size_t index = 0; index < run->n_outputs; ++index) {
            Binding const& output = run->outputs[index];
            check_output(context, output);
            if (!context.setTensorAddress(output.name, output.address)) {
                throw Refusal{std::string{"setTensorAddress ("} + output.name + ")"};
            }
        }
#if !defined TRT_MAJOR_RTX && NV_TENSORRT_MAJOR == 10 && NV_TENSORRT_MINOR < 1
        context.setDeviceMemory(run->scratch);
#else
        context.setDeviceMemoryV2(run->scratch, run->scratch_bytes);
#endif
    });
}

void enqueue(Context* handle, void* stream, Failure* failure)
{
    guarded(failure, "enqueueV3", [&] {
        demand(executed(handle)->enqueueV3(static_cast<cudaStream_t>(stream)), "enqueueV3");
    });
}

int32_t is_capturable([[maybe_unused]] Context* handle, [[maybe_unused]] void* stream, Failure* failure)
{
    int32_t out = 1;
    guarded(failure, "isStreamCapturable", [&] {
#ifdef TRT_MAJOR_RTX
        out = executed(handle)->isStreamCapturable(static_cast<cudaStream_t>(stream)) ? 1 : 0;
#endif
    });
    return out;
}

void free_context(Context* handle)
{
    Failure failure{};
    guarded(&failure, "free_context", [&] { delete executed(handle); });
}

} // namespace
