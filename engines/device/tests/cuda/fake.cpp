// A CUDA driver without a GPU: the functions that the device calls, on memory of the host.
//
// Work is kept until something waits for it, so whatever is freed or overwritten too early shows. Kernels are the text
// of the GPU's, run thread after thread; their parameters are taken off the launch by the types of the kernels themselves.
// EGOM2P_FAKE_* of the environment say what is there; fake_fail breaks it later.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

struct Index {
    unsigned x;
};
static thread_local Index gridDim, blockDim, blockIdx, threadIdx;
#define __global__
#define __shared__ static thread_local
#define __launch_bounds__(n)
#include "block.cuh"
#include "exponential.cuh"
#include "noise.cuh"
#include "guidance.cuh"
#include "sampler.cuh"
#include "tokens.cuh"
#include "entries.cuh"

namespace {

enum : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NO_DEVICE = 100,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    ILLEGAL_ADDRESS = 700,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_UNMATCHED = 903,
};

struct Stream;
using Work = std::function<void()>;

// Where an event was recorded.
struct Mark {
    Stream* stream;
    bool passed = false;
};

struct Event {
    std::shared_ptr<Mark> mark;
};

struct Graph {
    std::vector<Work> work;
};

struct Stream {
    std::deque<Work> work;
    std::unique_ptr<Graph> recording;

    void add(Work piece) {
        if (recording) recording->work.push_back(std::move(piece));
        else work.push_back(std::move(piece));
    }
    void step() {
        Work piece = std::move(work.front());
        work.pop_front();
        piece();
    }
    void finish() {
        while (!work.empty()) step();
    }
};

std::recursive_mutex everything;
std::map<uintptr_t, size_t> device_memory;
std::map<uintptr_t, size_t> pinned_memory;
std::map<Stream*, std::unique_ptr<Stream>> streams;
std::string ptx;
long n_alive, n_launches, n_pinned;
// After that many further calls every one gives this error.
long calls_left = -1;
int broken_with = SUCCESS;
thread_local int current;
thread_local bool is_recording, may_wait;

long setting(const char* name, long otherwise) {
    const char* text = getenv(name);
    return text ? atol(text) : otherwise;
}

size_t used_bytes() {
    size_t sum = 0;
    for (auto& block : device_memory) sum += block.second;
    return sum;
}

size_t total_bytes() { return (size_t)setting("EGOM2P_FAKE_TOTAL_BYTES", 1 << 30); }

int broken() {
    if (broken_with == SUCCESS) return SUCCESS;
    if (calls_left > 0) {
        --calls_left;
        return SUCCESS;
    }
    return broken_with;
}

// What every call of a context begins with.
int begin() {
    if (int code = broken()) return code;
    return current ? SUCCESS : INVALID_CONTEXT;
}

bool holds(const std::map<uintptr_t, size_t>& memory, uintptr_t address, size_t n_bytes) {
    auto block = memory.upper_bound(address);
    if (block == memory.begin()) return false;
    --block;
    return address - block->first + n_bytes <= block->second;
}

// A transfer, which is a lost GPU where its ends are not there any more when it runs.
Work transfer(uintptr_t to, bool to_device, uintptr_t from, bool from_device, size_t n_bytes) {
    return [=] {
        bool fits = holds(to_device ? device_memory : pinned_memory, to, n_bytes) &&
                    holds(from_device ? device_memory : pinned_memory, from, n_bytes);
        if (fits) memmove((void*)to, (const void*)from, n_bytes);
        else broken_with = ILLEGAL_ADDRESS, calls_left = 0;
    };
}

template <class... Parameters, size_t... I>
Work bound(void (*kernel)(Parameters...), void** values, unsigned grid, unsigned block, std::index_sequence<I...>) {
    std::tuple<Parameters...> arguments{*(std::remove_reference_t<Parameters>*)values[I]...};
    // The sampler runs its threads by itself.
    bool runs_itself = (void*)kernel == (void*)egom2p_sample;
    return [=] {
        gridDim.x = grid;
        blockDim.x = block;
        for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x) {
            for (threadIdx.x = 0; threadIdx.x < (runs_itself ? 1 : block); ++threadIdx.x) {
                std::apply(kernel, arguments);
            }
        }
    };
}

template <class... Parameters>
Work work_of(void (*kernel)(Parameters...), void** values, unsigned grid, unsigned block) {
    return bound(kernel, values, grid, block, std::index_sequence_for<Parameters...>{});
}

template <auto kernel> Work launched(void** values, unsigned grid, unsigned block) {
    return work_of(kernel, values, grid, block);
}

using Kernel = Work (*)(void**, unsigned, unsigned);
const std::map<std::string, Kernel> kernels = {
    {"egom2p_guide", launched<egom2p_guide>},
    {"egom2p_sample", launched<egom2p_sample>},
    {"egom2p_gather", launched<egom2p_gather>},
    {"egom2p_scatter", launched<egom2p_scatter>},
};

} // namespace

#define CALL                                                      \
    std::lock_guard<std::recursive_mutex> guard(everything);      \
    if (int code = begin()) return code

extern "C" {

// For the tests.
void fake_fail(int code, long after_calls) { broken_with = code, calls_left = after_calls; }
long fake_alive() { return n_alive; }
long fake_launches() { return n_launches; }
long fake_pinned() { return n_pinned; }

int cuInit(unsigned flags) { return flags ? INVALID_VALUE : (int)setting("EGOM2P_FAKE_INIT", SUCCESS); }
int cuDriverGetVersion(int* version) { *version = (int)setting("EGOM2P_FAKE_VERSION", 13000); return SUCCESS; }
int cuDeviceGetCount(int* count) { *count = (int)setting("EGOM2P_FAKE_DEVICES", 2); return SUCCESS; }
int cuDeviceGet(int* device, int ordinal) { *device = 10 + ordinal; return SUCCESS; }
int cuDeviceGetName(char* name, int length, int device) {
    strncpy(name, device == 10 ? "Fake GPU" : "Other fake GPU", (size_t)length);
    return SUCCESS;
}
int cuDeviceGetAttribute(int* value, int attribute, int) {
    long capability = setting("EGOM2P_FAKE_CAPABILITY", 90);
    if (attribute != 75 && attribute != 76) return INVALID_VALUE;
    *value = (int)(attribute == 75 ? capability / 10 : capability % 10);
    return SUCCESS;
}
int cuDevicePrimaryCtxRetain(void** context, int device) {
    *context = (void*)(intptr_t)device;
    return (int)setting("EGOM2P_FAKE_RETAIN", SUCCESS);
}
int cuCtxSetCurrent(void* context) {
    if (int code = broken()) return code;
    current = (int)(intptr_t)context;
    return SUCCESS;
}
int cuGetErrorName(int code, const char** text) {
    *text = code == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS" : nullptr;
    return *text ? SUCCESS : INVALID_VALUE;
}
int cuGetErrorString(int code, const char** text) {
    *text = code == ILLEGAL_ADDRESS ? "an illegal memory\naccess was encountered" : nullptr;
    return *text ? SUCCESS : INVALID_VALUE;
}
int cuThreadExchangeStreamCaptureMode(int* mode) {
    if (*mode < 0 || *mode > 2) return INVALID_VALUE;
    int before = may_wait ? 2 : 1;
    may_wait = *mode == 2;
    *mode = before;
    return SUCCESS;
}

int cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
    CALL;
    *total = total_bytes();
    *free_bytes = *total - used_bytes();
    return SUCCESS;
}
int cuMemAlloc_v2(uintptr_t* address, size_t n_bytes) {
    CALL;
    if (is_recording && !may_wait) return CAPTURE_UNSUPPORTED;
    if (!n_bytes) return INVALID_VALUE;
    if (n_bytes > total_bytes() - used_bytes()) return OUT_OF_MEMORY;
    *address = (uintptr_t)aligned_alloc(256, (n_bytes + 255) / 256 * 256);
    memset((void*)*address, 0xa5, n_bytes);
    device_memory[*address] = n_bytes;
    ++n_alive;
    return SUCCESS;
}
int cuMemFree_v2(uintptr_t address) {
    CALL;
    if (is_recording && !may_wait) return CAPTURE_UNSUPPORTED;
    // The real one waits for the device, too.
    for (auto& stream : streams) stream.second->finish();
    if (!device_memory.erase(address)) return INVALID_VALUE;
    free((void*)address);
    --n_alive;
    return SUCCESS;
}
int cuMemHostAlloc(void** pointer, size_t n_bytes, unsigned flags) {
    CALL;
    if (is_recording && !may_wait) return CAPTURE_UNSUPPORTED;
    if (!n_bytes || flags) return INVALID_VALUE;
    *pointer = malloc(n_bytes);
    pinned_memory[(uintptr_t)*pointer] = n_bytes;
    ++n_alive, ++n_pinned;
    return SUCCESS;
}
int cuMemFreeHost(void* pointer) {
    CALL;
    if (is_recording && !may_wait) return CAPTURE_UNSUPPORTED;
    if (!pinned_memory.erase((uintptr_t)pointer)) return INVALID_VALUE;
    free(pointer);
    --n_alive;
    return SUCCESS;
}
int cuMemcpyHtoDAsync_v2(uintptr_t to, const void* from, size_t n_bytes, Stream* stream) {
    CALL;
    stream->add(transfer(to, true, (uintptr_t)from, false, n_bytes));
    return SUCCESS;
}
int cuMemcpyDtoHAsync_v2(void* to, uintptr_t from, size_t n_bytes, Stream* stream) {
    CALL;
    stream->add(transfer((uintptr_t)to, false, from, true, n_bytes));
    return SUCCESS;
}
int cuMemcpyDtoDAsync_v2(uintptr_t to, uintptr_t from, size_t n_bytes, Stream* stream) {
    CALL;
    stream->add(transfer(to, true, from, true, n_bytes));
    return SUCCESS;
}

int cuStreamCreate(Stream** stream, unsigned flags) {
    CALL;
    if (flags != 1) return INVALID_VALUE;
    auto made = std::make_unique<Stream>();
    *stream = made.get();
    streams[*stream] = std::move(made);
    ++n_alive;
    return SUCCESS;
}
int cuStreamDestroy_v2(Stream* stream) {
    CALL;
    if (!streams.count(stream)) return INVALID_HANDLE;
    stream->finish();
    streams.erase(stream);
    --n_alive;
    return SUCCESS;
}
int cuStreamSynchronize(Stream* stream) {
    CALL;
    if (stream->recording) return CAPTURE_UNSUPPORTED;
    stream->finish();
    return broken();
}
int cuStreamWaitEvent(Stream* stream, Event* event, unsigned flags) {
    CALL;
    if (flags) return INVALID_VALUE;
    auto mark = event->mark;
    if (mark) stream->add([mark] { while (!mark->passed) mark->stream->step(); });
    return SUCCESS;
}
int cuEventCreate(Event** event, unsigned flags) {
    CALL;
    if (flags != 2) return INVALID_VALUE;
    *event = new Event;
    ++n_alive;
    return SUCCESS;
}
int cuEventRecord(Event* event, Stream* stream) {
    CALL;
    auto mark = std::make_shared<Mark>(Mark{stream});
    event->mark = mark;
    stream->add([mark] { mark->passed = true; });
    return SUCCESS;
}
int cuEventSynchronize(Event* event) {
    CALL;
    while (event->mark && !event->mark->passed) event->mark->stream->step();
    return broken();
}
int cuEventDestroy_v2(Event* event) {
    CALL;
    delete event;
    --n_alive;
    return SUCCESS;
}

int cuModuleLoadData(void** module, const void* image) {
    CALL;
    ptx = (const char*)image;
    *module = &ptx;
    return ptx.find(".version 9.0") == std::string::npos ? INVALID_VALUE : SUCCESS;
}
int cuModuleGetFunction(const void** function, void* module, const char* name) {
    CALL;
    auto kernel = kernels.find(name);
    bool is_there = module == &ptx && ptx.find(".entry " + std::string(name) + "(") != std::string::npos;
    if (kernel == kernels.end() || !is_there) return NOT_FOUND;
    *function = &*kernel;
    return SUCCESS;
}
int cuLaunchKernel(const std::pair<const std::string, Kernel>* kernel, unsigned grid, unsigned grid_y, unsigned grid_z,
                   unsigned block, unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream* stream,
                   void** values, void** extra) {
    CALL;
    bool is_plain = grid_y == 1 && grid_z == 1 && block_y == 1 && block_z == 1 && !shared_bytes && !extra;
    if (!is_plain || !grid || block != N_THREADS) return INVALID_VALUE;
    stream->add(kernel->second(values, grid, block));
    ++n_launches;
    return SUCCESS;
}

int cuStreamBeginCapture_v2(Stream* stream, int mode) {
    CALL;
    if (mode != 1 || stream->recording) return INVALID_VALUE;
    stream->recording = std::make_unique<Graph>();
    is_recording = true;
    return SUCCESS;
}
int cuStreamEndCapture(Stream* stream, Graph** graph) {
    CALL;
    if (!stream->recording) return CAPTURE_UNMATCHED;
    *graph = stream->recording.release();
    is_recording = false;
    ++n_alive;
    return SUCCESS;
}
int cuGraphInstantiateWithFlags(Graph** launchable, Graph* graph, unsigned long long flags) {
    CALL;
    if (flags) return INVALID_VALUE;
    *launchable = new Graph(*graph);
    ++n_alive;
    return SUCCESS;
}
int cuGraphLaunch(Graph* graph, Stream* stream) {
    CALL;
    for (auto& piece : graph->work) stream->add(piece);
    return SUCCESS;
}
int cuGraphDestroy(Graph* graph) {
    CALL;
    delete graph;
    --n_alive;
    return SUCCESS;
}
int cuGraphExecDestroy(Graph* graph) {
    CALL;
    delete graph;
    --n_alive;
    return SUCCESS;
}
}
