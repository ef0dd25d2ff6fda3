// Building an engine from a network.
#pragma once

#include "abi.h"
#include "guard.hpp"
#include "network.hpp"

#include <NvInfer.h>

#include <memory>
#include <string>
#include <vector>

namespace {

class Monitor final : public nvinfer1::IProgressMonitor {
public:
    explicit Monitor(Progress const& progress)
        : m_progress{progress}
    {
    }

    void phaseStart(char const* phase, char const* parent, int32_t n_steps) noexcept override
    {
        m_progress.phase_start(m_progress.user, phase, parent, n_steps);
    }

    bool stepComplete(char const* phase, int32_t step) noexcept override
    {
        return m_progress.step(m_progress.user, phase, step) != 0;
    }

    void phaseFinish(char const* phase) noexcept override
    {
        m_progress.phase_finish(m_progress.user, phase);
    }

private:
    Progress m_progress;
};

nvinfer1::Dims dims_of(int32_t n_dims, int64_t const* sizes) noexcept
{
    nvinfer1::Dims dims{};
    dims.nbDims = n_dims;
    for (int32_t axis = 0; axis < n_dims; ++axis) {
        dims.d[axis] = sizes[axis];
    }
    return dims;
}

void set_range(nvinfer1::IOptimizationProfile& profile, Range const& range)
{
    using nvinfer1::OptProfileSelector;
    auto const set = [&](OptProfileSelector select, int64_t const* sizes, char const* which) {
        if (!profile.setDimensions(range.input, select, dims_of(range.n_dims, sizes))) {
            std::string const place = "profile " + std::to_string(range.profile);
            throw Refusal{"setDimensions (" + place + ", " + which + " of " + range.input + ")"};
        }
    };
    set(OptProfileSelector::kMIN, range.min, "min");
    set(OptProfileSelector::kOPT, range.opt, "opt");
    set(OptProfileSelector::kMAX, range.max, "max");
}

void add_profiles(nvinfer1::IBuilder& builder, nvinfer1::IBuilderConfig& config, BuildRequest const& request)
{
    std::vector<nvinfer1::IOptimizationProfile*> profiles;
    for (uint32_t place = 0; place < request.n_profiles; ++place) {
        // The builder owns its profiles.
        profiles.push_back(demanded(builder.createOptimizationProfile(), "createOptimizationProfile"));
    }
    for (size_t index = 0; index < request.n_ranges; ++index) {
        set_range(*profiles.at(request.ranges[index].profile), request.ranges[index]);
    }
    for (auto const* const profile : profiles) {
        demand(config.addOptimizationProfile(profile) >= 0, "addOptimizationProfile");
    }
}

void set_compute_capabilities(nvinfer1::IBuilderConfig& config, BuildRequest const& request)
{
#ifdef TRT_MAJOR_RTX
    auto const n_capabilities = static_cast<int32_t>(request.n_compute_capabilities);
    if (n_capabilities == 0) {
        return;
    }
    demand(config.setNbComputeCapabilities(n_capabilities), "setNbComputeCapabilities");
    for (int32_t index = 0; index < n_capabilities; ++index) {
        auto const capability = static_cast<nvinfer1::ComputeCapability>(request.compute_capabilities[index]);
        demand(config.setComputeCapability(capability, index), "setComputeCapability");
    }
#else
    static_cast<void>(config);
    demand(request.n_compute_capabilities == 0, "setComputeCapability");
#endif
}

void configure(nvinfer1::IBuilder& builder, nvinfer1::IBuilderConfig& config, BuildRequest const& request)
{
    for (size_t index = 0; index < request.n_set_flags; ++index) {
        config.setFlag(static_cast<nvinfer1::BuilderFlag>(request.set_flags[index]));
    }
    for (size_t index = 0; index < request.n_cleared_flags; ++index) {
        config.clearFlag(static_cast<nvinfer1::BuilderFlag>(request.cleared_flags[index]));
    }
    if (request.workspace_bytes >= 0) {
        auto const bytes = static_cast<size_t>(request.workspace_bytes);
        config.setMemoryPoolLimit(nvinfer1::MemoryPoolType::kWORKSPACE, bytes);
    }
    if (request.optimization_level >= 0) {
        config.setBuilderOptimizationLevel(request.optimization_level);
    }
    if (request.max_threads >= 0) {
        demand(builder.setMaxThreads(request.max_threads), "setMaxThreads");
    }
    if (request.hardware_level >= 0) {
        config.setHardwareCompatibilityLevel(
            static_cast<nvinfer1::HardwareCompatibilityLevel>(request.hardware_level));
    }
    if (request.detailed_layers != 0) {
        config.setProfilingVerbosity(nvinfer1::ProfilingVerbosity::kDETAILED);
    }
    set_compute_capabilities(config, request);
    add_profiles(builder, config, request);
}

// The caller frees it with `free_bytes`.
HostMemory given_away(std::unique_ptr<nvinfer1::IHostMemory> memory) noexcept
{
    HostMemory bytes{};
    bytes.data = memory->data();
    bytes.n_bytes = memory->size();
    bytes.owner = memory.release();
    return bytes;
}

void build(Network* handle, BuildRequest const* request, BuildResult* result, Failure* failure)
{
    guarded(failure, "buildSerializedNetwork", [&] {
        ParsedNetwork& parsed_network = *parsed(handle);
        // The configuration uses the monitor and the cache, and is freed before them.
        Monitor monitor{request->progress};
        std::unique_ptr<nvinfer1::ITimingCache> cache;
        std::unique_ptr<nvinfer1::IBuilderConfig> config{
            demanded(parsed_network.builder->createBuilderConfig(), "createBuilderConfig")};
        configure(*parsed_network.builder, *config, *request);
        if (request->use_timing_cache != 0) {
            cache.reset(demanded(
                config->createTimingCache(request->timing_cache, request->timing_cache_bytes), "createTimingCache"));
            demand(config->setTimingCache(*cache, false), "setTimingCache");
        }
        config->setProgressMonitor(&monitor);
        std::unique_ptr<nvinfer1::IHostMemory> engine{demanded(
            parsed_network.builder->buildSerializedNetwork(*parsed_network.network, *config),
            "buildSerializedNetwork")};
        if (cache != nullptr) {
            std::unique_ptr<nvinfer1::IHostMemory> bytes{demanded(cache->serialize(), "ITimingCache::serialize")};
            result->timing_cache = given_away(std::move(bytes));
        }
        result->engine = given_away(std::move(engine));
    });
}

void free_bytes(void* owner)
{
    Failure failure{};
    guarded(&failure, "free_bytes", [&] { delete static_cast<nvinfer1::IHostMemory*>(owner); });
}

} // namespace
