// What an engine says about itself.
#pragma once

#include "abi.h"
#include "guard.hpp"
#include "relay.hpp"

#include <NvInferRuntime.h>

#include <algorithm>
#include <memory>

namespace {

int64_t device_memory_bytes(nvinfer1::ICudaEngine const& engine, int32_t profile) noexcept
{
#if !defined TRT_MAJOR_RTX && NV_TENSORRT_MAJOR == 10 && NV_TENSORRT_MINOR < 1
    return static_cast<int64_t>(engine.getDeviceMemorySizeForProfile(profile));
#else
    return engine.getDeviceMemorySizeForProfileV2(profile);
#endif
}

int32_t copy_dims(nvinfer1::Dims const& dims, int64_t* to) noexcept
{
    int32_t const n_dims = std::min<int32_t>(dims.nbDims, EGOM2P_MAX_DIMS);
    for (int32_t axis = 0; axis < n_dims; ++axis) {
        to[axis] = dims.d[axis];
    }
    return n_dims;
}

void visit_tensor(nvinfer1::ICudaEngine const& engine, char const* name, EngineVisitor const& visitor)
{
    using nvinfer1::OptProfileSelector;
    bool const is_input = engine.getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT;
    Tensor tensor{};
    tensor.name = name;
    tensor.element_type = static_cast<int32_t>(engine.getTensorDataType(name));
    tensor.n_dims = copy_dims(engine.getTensorShape(name), tensor.dims);
    visitor.tensor(visitor.user, &tensor, is_input ? 1 : 0);
    for (int32_t profile = 0; is_input && profile < engine.getNbOptimizationProfiles(); ++profile) {
        Range range{};
        range.input = name;
        range.profile = static_cast<uint32_t>(profile);
        range.n_dims = copy_dims(engine.getProfileShape(name, profile, OptProfileSelector::kMIN), range.min);
        copy_dims(engine.getProfileShape(name, profile, OptProfileSelector::kOPT), range.opt);
        copy_dims(engine.getProfileShape(name, profile, OptProfileSelector::kMAX), range.max);
        visitor.range(visitor.user, &range);
    }
}

void visit_engine(
    Entries const* entries, Log const* log, void const* data, size_t n_bytes, EngineVisitor const* visitor,
    Failure* failure)
{
    guarded(failure, "deserializeCudaEngine", [&] {
        auto const create_runtime = reinterpret_cast<void* (*)(void*, int32_t)>(entries->runtime);
        LeasedRelay const relay{*log};
        nvinfer1::ILogger* const logger = relay.get();
        std::unique_ptr<nvinfer1::IRuntime> const runtime{static_cast<nvinfer1::IRuntime*>(
            demanded(create_runtime(logger, NV_TENSORRT_VERSION), "createInferRuntime"))};
        std::unique_ptr<nvinfer1::ICudaEngine> const engine{
            demanded(runtime->deserializeCudaEngine(data, n_bytes), "deserializeCudaEngine")};
        std::unique_ptr<nvinfer1::IEngineInspector> const inspector{
            demanded(engine->createEngineInspector(), "createEngineInspector")};

        EngineFacts facts{};
        facts.name = engine->getName();
        facts.layers_json = inspector->getEngineInformation(nvinfer1::LayerInformationFormat::kJSON);
        facts.n_layers = engine->getNbLayers();
        facts.n_profiles = engine->getNbOptimizationProfiles();
        facts.hardware_level = static_cast<int32_t>(engine->getHardwareCompatibilityLevel());
        facts.is_refittable = engine->isRefittable() ? 1 : 0;
        visitor->facts(visitor->user, &facts);
        for (int32_t profile = 0; profile < facts.n_profiles; ++profile) {
            visitor->profile(visitor->user, device_memory_bytes(*engine, profile));
        }
        for (int32_t index = 0; index < engine->getNbIOTensors(); ++index) {
            visit_tensor(*engine, demanded(engine->getIOTensorName(index), "getIOTensorName"), *visitor);
        }
    });
}

} // namespace
