// A runtime of TensorRT without a GPU, behind the classes of the real headers, on a fake driver.
//
// An engine is text that says what its tensors and profiles are. A run adds up all elements of all inputs and writes the
// sum plus its index to every element of every output, when the stream gets there; an engine that counts its runs adds
// 1000 for each call of enqueueV3 so far, which a graph does not make. What TensorRT forbids is checked as
// far as a run can tell: memory that is gone, contexts that changed after they were captured, runs that are captured
// although something was put off, threads without a device.

#include <NvInfer.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

[[noreturn]] static void trap(char const* what)
{
    std::fprintf(stderr, "the fake TensorRT has no %s\n", what);
    std::abort();
}

#include "traps.h"

using namespace nvinfer1;

namespace {

template <typename Function>
Function* driver(char const* name)
{
    static void* const library = dlopen("libcuda.so.1", RTLD_NOW);
    void* const function = library == nullptr ? nullptr : dlsym(library, name);
    if (function == nullptr) trap(name);
    return reinterpret_cast<Function*>(function);
}

void lose_device() { driver<void(int, long)>("fake_fail")(700, 0); }
bool holds(void const* address, size_t n_bytes)
{
    return driver<int(uintptr_t, size_t)>("fake_holds")(reinterpret_cast<uintptr_t>(address), n_bytes) != 0;
}

struct TensorText {
    std::string name;
    DataType type;
    bool is_input;
    bool on_host = false;
    // -1 for any length; an output takes it from an axis of an input.
    std::vector<int64_t> dims;
    std::vector<std::pair<std::string, int>> from;
};

struct RangeText {
    std::vector<int64_t> min, opt, max;
};

struct ProfileText {
    int64_t n_bytes;
    std::map<std::string, RangeText> ranges;
};

struct EngineText {
    std::vector<TensorText> tensors;
    std::vector<ProfileText> profiles;
    std::set<std::string> flags;

    bool read(std::string const& text)
    {
        std::istringstream lines{text};
        std::string line;
        if (!std::getline(lines, line) || line != "FAKE") return false;
        while (std::getline(lines, line)) {
            std::istringstream words{line};
            std::string word;
            words >> word;
            if (word == "input" || word == "output") {
                TensorText tensor;
                tensor.is_input = word == "input";
                std::string type;
                words >> tensor.name >> type;
                tensor.type = type == "int64" ? DataType::kINT64 : type == "bool" ? DataType::kBOOL : DataType::kFLOAT;
                while (words >> word) {
                    auto const colon = word.find(':');
                    bool const is_from = colon != std::string::npos;
                    tensor.dims.push_back(is_from ? -1 : std::stoll(word));
                    tensor.from.emplace_back(
                        is_from ? word.substr(0, colon) : "", is_from ? std::stoi(word.substr(colon + 1)) : 0);
                }
                tensors.push_back(tensor);
            } else if (word == "profile") {
                ProfileText profile;
                words >> profile.n_bytes;
                profiles.push_back(profile);
            } else if (word == "range") {
                std::string input;
                words >> input;
                RangeText range;
                auto* to = &range.min;
                while (words >> word) {
                    if (word == ";") to = to == &range.min ? &range.opt : &range.max;
                    else to->push_back(std::stoll(word));
                }
                profiles.back().ranges[input] = range;
            } else if (word == "on_host") {
                words >> word;
                for (auto& tensor : tensors) tensor.on_host |= tensor.name == word;
            } else {
                flags.insert(word);
            }
        }
        return !profiles.empty();
    }

    TensorText const* find(char const* name) const
    {
        for (auto const& tensor : tensors) {
            if (tensor.name == name) return &tensor;
        }
        return nullptr;
    }
};

Dims dims_of(std::vector<int64_t> const& sizes)
{
    Dims dims{};
    dims.nbDims = static_cast<int32_t>(sizes.size());
    for (size_t axis = 0; axis < sizes.size(); ++axis) dims.d[axis] = sizes[axis];
    return dims;
}

size_t n_elements(std::vector<int64_t> const& sizes)
{
    size_t n = 1;
    for (auto const size : sizes) n *= static_cast<size_t>(size);
    return n;
}

size_t n_bytes(DataType type, std::vector<int64_t> const& sizes)
{
    return n_elements(sizes) * (type == DataType::kINT64 ? 8 : type == DataType::kBOOL ? 1 : 4);
}

struct Bytes final : public IHostMemory, public apiv::TrapVHostMemory {
    std::string text;
    explicit Bytes(std::string bytes)
        : text{std::move(bytes)}
    {
        mImpl = this;
    }
    void* data() const noexcept override { return const_cast<char*>(text.data()); }
    std::size_t size() const noexcept override { return text.size(); }
};

#ifdef TRT_MAJOR_RTX

// The shapes for which something was compiled, and how often that was done.
struct Cache final : public IRuntimeCache, public apiv::TrapVRuntimeCache {
    std::set<std::string> shapes;
    int n_compiled = 0;
    Cache() { mImpl = this; }
    IHostMemory* serialize() const noexcept override
    {
        std::string text = "KERNELS " + std::to_string(n_compiled) + "\n";
        for (auto const& shape : shapes) text += shape + "\n";
        return new Bytes{text};
    }
    bool deserialize(void const* blob, size_t size) noexcept override
    {
        std::istringstream lines{std::string{static_cast<char const*>(blob), size}};
        std::string word, shape;
        if (!(lines >> word >> n_compiled) || word != "KERNELS") return false;
        std::getline(lines, shape);
        while (std::getline(lines, shape)) shapes.insert(shape);
        return true;
    }
};

struct Config final : public IRuntimeConfig, public apiv::TrapVRuntimeConfig {
    ExecutionContextAllocationStrategy strategy{};
    Cache* cache = nullptr;
    Config() { IRuntimeConfig::mImpl = this; }
    void setExecutionContextAllocationStrategy(ExecutionContextAllocationStrategy set) noexcept override
    {
        strategy = set;
    }
    IRuntimeCache* createRuntimeCache() const noexcept override { return new Cache; }
    bool setRuntimeCache(IRuntimeCache const& set) noexcept override
    {
        cache = const_cast<Cache*>(static_cast<Cache const*>(&set));
        return true;
    }
    void setDynamicShapesKernelSpecializationStrategy(DynamicShapesKernelSpecializationStrategy) noexcept override {}
    bool setCudaGraphStrategy(CudaGraphStrategy) noexcept override { return true; }
};

#endif

// What a captured run remembers of the context that it was captured from.
struct State {
    bool is_alive = true;
    int64_t n_changes = 0;
};

struct Place {
    DataType type;
    bool is_input;
    std::vector<int64_t> dims;
    void* address;
};

struct Run {
    std::vector<Place> places;
    void* scratch;
    size_t scratch_bytes;
    std::shared_ptr<State> state;
    bool is_captured;
    int64_t n_changes;
    double more;

    void execute() const
    {
        bool is_sound = state->is_alive && (!is_captured || state->n_changes == n_changes);
        is_sound = is_sound && (scratch_bytes == 0 || holds(scratch, scratch_bytes));
        for (auto const& place : places) is_sound = is_sound && holds(place.address, n_bytes(place.type, place.dims));
        if (!is_sound) {
            lose_device();
            return;
        }
        if (scratch_bytes > 0) std::memset(scratch, 0x77, scratch_bytes);
        double sum = more;
        for (auto const& place : places) {
            for (size_t at = 0; place.is_input && at < n_elements(place.dims); ++at) {
                if (place.type == DataType::kINT64) sum += static_cast<double>(static_cast<int64_t*>(place.address)[at]);
                else if (place.type == DataType::kBOOL) sum += static_cast<uint8_t*>(place.address)[at];
                else sum += static_cast<float*>(place.address)[at];
            }
        }
        for (auto const& place : places) {
            for (size_t at = 0; !place.is_input && at < n_elements(place.dims); ++at) {
                double const value = sum + static_cast<double>(at);
                if (place.type == DataType::kINT64) static_cast<int64_t*>(place.address)[at] = static_cast<int64_t>(value);
                else static_cast<float*>(place.address)[at] = static_cast<float>(value);
            }
        }
    }
};

struct Logs {
    ILogger* logger;
    bool refuse(std::string const& text) const
    {
        logger->log(ILogger::Severity::kERROR, text.c_str());
        return false;
    }
    bool has_device() const
    {
        return driver<int()>("fake_current")() >= 0 || refuse("no device is current");
    }
};

struct FakeContext final : public IExecutionContext, public apiv::TrapVExecutionContext {
    EngineText const& engine;
    Logs logs;
    int32_t profile = 0;
    bool is_put_off = true;
    std::map<std::string, std::vector<int64_t>> shapes;
    std::map<std::string, void*> addresses;
    void* scratch = nullptr;
    int64_t scratch_bytes = 0;
    std::shared_ptr<State> state = std::make_shared<State>();
    std::set<std::string>* compiled = nullptr;
    int* n_compiled = nullptr;

    FakeContext(EngineText const& of, Logs to)
        : engine{of}
        , logs{to}
    {
        mImpl = this;
    }
    ~FakeContext() noexcept override { state->is_alive = false; }

    void changed()
    {
        ++state->n_changes;
        is_put_off = true;
    }

    bool setOptimizationProfileAsync(int32_t index, cudaStream_t) noexcept override
    {
        if (index < 0 || index >= static_cast<int32_t>(engine.profiles.size())) return logs.refuse("no such profile");
        profile = index;
        shapes.clear();
        changed();
        return true;
    }
    bool setInputShape(char const* name, Dims const& dims) noexcept override
    {
        auto const* tensor = engine.find(name);
        if (tensor == nullptr || !tensor->is_input) return logs.refuse(std::string{"no input "} + name);
        std::vector<int64_t> const sizes(dims.d, dims.d + dims.nbDims);
        auto const& ranges = engine.profiles[static_cast<size_t>(profile)].ranges;
        auto const range = ranges.find(name);
        for (size_t axis = 0; axis < tensor->dims.size(); ++axis) {
            int64_t const size = axis < sizes.size() ? sizes[axis] : -1;
            bool const fits = tensor->dims[axis] >= 0 || range == ranges.end()
                ? size == tensor->dims[axis]
                : range->second.min[axis] <= size && size <= range->second.max[axis];
            if (!fits) return logs.refuse(std::string{"the shape of "} + name + " is outside of the profile");
        }
        shapes[name] = sizes;
        changed();
        return true;
    }
    std::vector<int64_t> shape_of(TensorText const& tensor) const
    {
        std::vector<int64_t> sizes = tensor.dims;
        if (tensor.is_input) {
            auto const known = shapes.find(tensor.name);
            return known == shapes.end() ? sizes : known->second;
        }
        for (size_t axis = 0; axis < sizes.size(); ++axis) {
            auto const known = shapes.find(tensor.from[axis].first);
            if (known != shapes.end()) sizes[axis] = known->second[static_cast<size_t>(tensor.from[axis].second)];
        }
        return sizes;
    }
    Dims getTensorShape(char const* name) const noexcept override
    {
        auto const* tensor = engine.find(name);
        return tensor == nullptr ? Dims{-1, {}} : dims_of(shape_of(*tensor));
    }
    bool setTensorAddress(char const* name, void* data) noexcept override
    {
        addresses[name] = data;
        ++state->n_changes;
        return engine.find(name) != nullptr;
    }
    bool setInputTensorAddress(char const* name, void const* data) noexcept override
    {
        return setTensorAddress(name, const_cast<void*>(data));
    }
    int32_t inferShapes(int32_t, char const**) noexcept override
    {
        int32_t n_missing = 0;
        for (auto const& tensor : engine.tensors) n_missing += tensor.is_input && shapes.count(tensor.name) == 0;
        return n_missing;
    }
    void setDeviceMemoryV2(void* memory, int64_t size) noexcept override
    {
        scratch = memory;
        scratch_bytes = size;
        ++state->n_changes;
    }
    void setDeviceMemory(void* memory) noexcept override
    {
        setDeviceMemoryV2(memory, engine.profiles[static_cast<size_t>(profile)].n_bytes);
    }
#ifdef TRT_MAJOR_RTX
    bool isStreamCapturable(cudaStream_t) const noexcept override { return engine.flags.count("uncapturable") == 0; }
#endif
    bool enqueueV3(cudaStream_t stream) noexcept override
    {
        if (!logs.has_device()) return false;
        if (engine.flags.count("refuses_runs") != 0) return logs.refuse("this engine refuses to run");
        if (engine.flags.count("loses_device") != 0) {
            lose_device();
            return logs.refuse("Cuda Runtime (an illegal memory access was encountered)");
        }
        int is_capturing = 0;
        driver<int(cudaStream_t, int*)>("cuStreamIsCapturing")(stream, &is_capturing);
        if (is_capturing != 0 && is_put_off) return logs.refuse("what was put off cannot be captured");
        if (is_capturing != 0 && engine.flags.count("uncapturable") != 0) return logs.refuse("this engine synchronises");
        if (scratch_bytes < engine.profiles[static_cast<size_t>(profile)].n_bytes) return logs.refuse("too little memory");
        auto run = std::make_unique<Run>();
        for (auto const& tensor : engine.tensors) {
            auto const sizes = shape_of(tensor);
            void* const address = addresses[tensor.name];
            if (address == nullptr) return logs.refuse(tensor.name + " has no address");
            run->places.push_back({tensor.type, tensor.is_input, sizes, address});
        }
        std::string shape;
        for (auto const& place : run->places) {
            for (auto const size : place.dims) shape += std::to_string(size) + " ";
        }
        if (compiled != nullptr && compiled->insert(shape).second) ++*n_compiled;
        run->scratch = scratch;
        run->scratch_bytes = static_cast<size_t>(scratch_bytes);
        run->state = state;
        run->is_captured = is_capturing != 0;
        run->n_changes = state->n_changes;
        static int n_runs = 0;
        run->more = engine.flags.count("counts_runs") != 0 ? 1000 * ++n_runs : 0;
        is_put_off = false;
        // It may be launched any number of times: it is never freed.
        auto const execute = [](void* data) { static_cast<Run const*>(data)->execute(); };
        using Launch = int(cudaStream_t, void (*)(void*), void*);
        return driver<Launch>("cuLaunchHostFunc")(stream, execute, run.release()) == 0;
    }
};

struct FakeInspector final : public IEngineInspector, public apiv::TrapVEngineInspector {
    FakeInspector() { mImpl = this; }
    char const* getEngineInformation(LayerInformationFormat) const noexcept override { return "{\"Layers\": []}"; }
};

struct FakeEngine final : public ICudaEngine, public apiv::TrapVCudaEngine {
    EngineText text;
    Logs logs;
    explicit FakeEngine(Logs to)
        : logs{to}
    {
        mImpl = this;
    }
    ~FakeEngine() noexcept override
    {
        if (!logs.has_device()) trap("device to free an engine on");
    }

    int32_t getNbLayers() const noexcept override { return 1; }
    bool isRefittable() const noexcept override { return false; }
    char const* getName() const noexcept override { return "fake"; }
    int32_t getNbOptimizationProfiles() const noexcept override { return static_cast<int32_t>(text.profiles.size()); }
    IEngineInspector* createEngineInspector() const noexcept override { return new FakeInspector; }
    Dims getTensorShape(char const* name) const noexcept override { return dims_of(text.find(name)->dims); }
    DataType getTensorDataType(char const* name) const noexcept override { return text.find(name)->type; }
    TensorLocation getTensorLocation(char const* name) const noexcept override
    {
        return text.find(name)->on_host ? TensorLocation::kHOST : TensorLocation::kDEVICE;
    }
    TensorIOMode getTensorIOMode(char const* name) const noexcept override
    {
        return text.find(name)->is_input ? TensorIOMode::kINPUT : TensorIOMode::kOUTPUT;
    }
    Dims getProfileShape(char const* name, int32_t profile, OptProfileSelector select) const noexcept override
    {
        auto const& ranges = text.profiles[static_cast<size_t>(profile)].ranges;
        auto const range = ranges.find(name);
        if (range == ranges.end()) return dims_of(text.find(name)->dims);
        auto const& sizes = range->second;
        return dims_of(
            select == OptProfileSelector::kMIN ? sizes.min : select == OptProfileSelector::kOPT ? sizes.opt : sizes.max);
    }
    int32_t getNbIOTensors() const noexcept override { return static_cast<int32_t>(text.tensors.size()); }
    char const* getIOTensorName(int32_t index) const noexcept override
    {
        return text.tensors[static_cast<size_t>(index)].name.c_str();
    }
    HardwareCompatibilityLevel getHardwareCompatibilityLevel() const noexcept override
    {
        return HardwareCompatibilityLevel::kNONE;
    }
    int64_t getDeviceMemorySizeForProfileV2(int32_t profile) const noexcept override
    {
        return text.profiles[static_cast<size_t>(profile)].n_bytes;
    }

    IExecutionContext* made(ExecutionContextAllocationStrategy strategy)
    {
        if (!logs.has_device()) return nullptr;
        if (strategy != ExecutionContextAllocationStrategy::kUSER_MANAGED) trap("memory for a context");
        return new FakeContext{text, logs};
    }
    IExecutionContext* createExecutionContext(ExecutionContextAllocationStrategy strategy) noexcept override
    {
        return made(strategy);
    }
#ifdef TRT_MAJOR_RTX
    IRuntimeConfig* createRuntimeConfig() noexcept override { return new Config; }
    IExecutionContext* createExecutionContextWithRuntimeConfig(IRuntimeConfig* set) noexcept override
    {
        auto* const config = static_cast<Config*>(set);
        auto* const context = static_cast<FakeContext*>(made(config->strategy));
        if (context != nullptr && config->cache != nullptr) {
            context->compiled = &config->cache->shapes;
            context->n_compiled = &config->cache->n_compiled;
        }
        return context;
    }
#endif
};

struct FakeRuntime final : public IRuntime, public apiv::TrapVRuntime {
    Logs logs;
    explicit FakeRuntime(ILogger* logger)
        : logs{logger}
    {
        mImpl = this;
    }
    ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept override
    {
        if (!logs.has_device()) return nullptr;
        std::string text{static_cast<char const*>(blob), size};
        auto const start = text.find("FAKE\n");
        auto engine = std::make_unique<FakeEngine>(logs);
        if (start == std::string::npos || !engine->text.read(text.substr(start))) {
            logs.refuse("this is no engine");
            return nullptr;
        }
        if (engine->text.flags.count("too_large") != 0) {
            logs.refuse("Requested amount of GPU memory (1 bytes) could not be allocated: out of memory");
            return nullptr;
        }
        return engine.release();
    }
};

} // namespace

extern "C" int32_t getInferLibVersion()
{
    return NV_TENSORRT_MAJOR * 10000 + NV_TENSORRT_MINOR * 100 + NV_TENSORRT_PATCH;
}

extern "C" void* createInferBuilder_INTERNAL(void*, int32_t)
{
    return nullptr;
}

extern "C" void* createInferRuntime_INTERNAL(void* logger, int32_t)
{
    return static_cast<IRuntime*>(new FakeRuntime{static_cast<ILogger*>(logger)});
}
