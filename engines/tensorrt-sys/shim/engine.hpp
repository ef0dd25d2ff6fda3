// An engine on a device, and what it says about itself.
#pragma once

#include "abi.h"
#include "build.hpp"
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

// Members are freed from the last to the first: a runtime must outlive its engines.
struct LoadedObjects {
    LeasedRelay relay;
    std::unique_ptr<nvinfer1::IRuntime> runtime;
    std::unique_ptr<nvinfer1::ICudaEngine> engine;
#ifdef TRT_MAJOR_RTX
    std::unique_ptr<nvinfer1::IRuntimeConfig> config;
    std::unique_ptr<nvinfer1::IRuntimeCache> cache;
#endif

    explicit LoadedObjects(Log const& log)
        : relay{log}
    {
    }
};

LoadedObjects* loaded(LoadedEngine* handle) noexcept
{
    return reinterpret_cast<LoadedObjects*>(handle);
}

#ifdef TRT_MAJOR_RTX

// Kernels are compiled for the device when they are first needed, in the call that needs them: a graph captured after
// that call holds the kernels that stay.
void configure(LoadedObjects& objects, KernelCache const& kernels)
{
    objects.config.reset(demanded(objects.engine->createRuntimeConfig(), "createRuntimeConfig"));
    nvinfer1::IRuntimeConfig& config = *objects.config;
    config.setExecutionContextAllocationStrategy(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED);
    config.setDynamicShapesKernelSpecializationStrategy(nvinfer1::DynamicShapesKernelSpecializationStrategy::kEAGER);
    demand(config.setCudaGraphStrategy(nvinfer1::CudaGraphStrategy::kDISABLED), "setCudaGraphStrategy");
    objects.cache.reset(demanded(config.createRuntimeCache(), "createRuntimeCache"));
    if (kernels.n_bytes > 0) {
        // A cache of another driver or device is left as it was: empty.
        static_cast<void>(objects.cache->deserialize(kernels.data, kernels.n_bytes));
    }
    demand(config.setRuntimeCache(*objects.cache), "setRuntimeCache");
}

#endif

LoadedEngine* load(
    Entries const* entries, Log const* log, void const* data, size_t n_bytes,
    [[maybe_unused]] KernelCache const* kernels, Failure* failure)
{
    LoadedEngine* out = nullptr;
    guarded(failure, "deserializeCudaEngine", [&] {
        auto const create_runtime = reinterpret_cast<void* (*)(void*, int32_t)>(entries->runtime);
        auto objects = std::make_unique<LoadedObjects>(*log);
        nvinfer1::ILogger* const logger = objects->relay.get();
        void* const runtime = demanded(create_runtime(logger, NV_TENSORRT_VERSION), "createInferRuntime");
        objects->runtime.reset(static_cast<nvinfer1::IRuntime*>(runtime));
        objects->engine.reset(
            demanded(objects->runtime->deserializeCudaEngine(data, n_bytes), "deserializeCudaEngine"));
#ifdef TRT_MAJOR_RTX
        configure(*objects, *kernels);
#endif
        out = reinterpret_cast<LoadedEngine*>(objects.release());
    });
    return out;
}

void visit_engine(LoadedEngine* handle, EngineVisitor const* visitor, Failure* failure)
{
    guarded(failure, "createEngineInspector", [&] {
        nvinfer1::ICudaEngine const& engine = *loaded(handle)->engine;
        std::unique_ptr<nvinfer1::IEngineInspector> const inspector{
            demanded(engine.createEngineInspector(), "createEngineInspector")};

        EngineFacts facts{};
        facts.name = engine.getName();
        facts.layers_json = inspector->getEngineInformation(nvinfer1::LayerInformationFormat::kJSON);
        facts.n_layers = engine.getNbLayers();
        facts.n_profiles = engine.getNbOptimizationProfiles();
        facts.hardware_level = static_cast<int32_t>(engine.getHardwareCompatibilityLevel());
        facts.is_refittable = engine.isRefittable() ? 1 : 0;
        visitor->facts(visitor->user, &facts);
        for (int32_t profile = 0; profile < facts.n_profiles; ++profile) {
            visitor->profile(visitor->user, device_memory_bytes(engine, profile));
        }
        for (int32_t index = 0; index < engine.getNbIOTensors(); ++index) {
            visit_tensor(engine, demanded(engine.getIOTensorName(index), "getIOTensorName"), *visitor);
        }
    });
}

void kernel_cache(
    [[maybe_unused]] LoadedEngine* handle, [[maybe_unused]] HostMemory* kernels, Failure* failure)
{
    guarded(failure, "IRuntimeCache::serialize", [&] {
#ifdef TRT_MAJOR_RTX
        std::unique_ptr<nvinfer1::IHostMemory> bytes{
            demanded(loaded(handle)->cache->serialize(), "IRuntimeCache::serialize")};
        *kernels = given_away(std::move(bytes));
#endif
    });
}

void free_engine(LoadedEngine* handle)
{
    Failure failure{};
    guarded(&failure, "free_engine", [&] { delete loaded(handle); });
}

} // namespace
