// The C interface between the shim and src/ffi.rs: both files change together.
//
// Every pointer that the shim gives to a callback is valid during that call only. Text ends with a zero byte and may
// be null where nothing is known.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EGOM2P_MAX_DIMS 8
#define EGOM2P_FAILURE_BYTES 256

extern "C" {

enum FailureKind : int32_t {
    FAILURE_NONE = 0,
    FAILURE_REFUSED = 1,
    FAILURE_OUT_OF_MEMORY = 2,
    FAILURE_EXCEPTION = 3,
    FAILURE_PARSER = 4,
};

// Why a function of the table gave nothing; `what` names the call of TensorRT.
struct Failure {
    int32_t kind;
    char what[EGOM2P_FAILURE_BYTES];
};

struct Named {
    char const* name;
    int32_t value;
};

struct NamedList {
    Named const* items;
    size_t n_items;
};

// Entry points of the opened libraries.
struct Entries {
    void* builder;
    void* runtime;
    void* parser;
};

// Called from any thread.
struct Log {
    void* user;
    void (*write)(void* user, int32_t severity, char const* text);
};

struct Tensor {
    char const* name;
    int32_t element_type;
    // -1 where the rank is not known.
    int32_t n_dims;
    int64_t dims[EGOM2P_MAX_DIMS];
    char const* dim_names[EGOM2P_MAX_DIMS];
};

struct Layer {
    char const* name;
    char const* metadata;
    int32_t kind;
    int32_t n_outputs;
};

struct NetworkVisitor {
    void* user;
    void (*input)(void* user, Tensor const* tensor);
    void (*output)(void* user, Tensor const* tensor);
};

struct LayerVisitor {
    void* user;
    // A layer, followed by its outputs.
    void (*layer)(void* user, Layer const* layer);
    void (*output)(void* user, Tensor const* tensor);
};

struct ParserIssue {
    char const* node;
    char const* op_type;
    char const* file;
    char const* function;
    char const* text;
    int32_t line;
    int32_t code;
};

struct ParserVisitor {
    void* user;
    void (*issue)(void* user, ParserIssue const* issue);
};

struct Range {
    char const* input;
    uint32_t profile;
    int32_t n_dims;
    int64_t min[EGOM2P_MAX_DIMS];
    int64_t opt[EGOM2P_MAX_DIMS];
    int64_t max[EGOM2P_MAX_DIMS];
};

// Called from any thread, also from several at once.
struct Progress {
    void* user;
    void (*phase_start)(void* user, char const* phase, char const* parent, int32_t n_steps);
    // Zero cancels the build.
    int32_t (*step)(void* user, char const* phase, int32_t step);
    void (*phase_finish)(void* user, char const* phase);
};

// A negative number leaves TensorRT's default.
struct BuildRequest {
    int32_t const* set_flags;
    size_t n_set_flags;
    int32_t const* cleared_flags;
    size_t n_cleared_flags;
    Range const* ranges;
    size_t n_ranges;
    int32_t const* compute_capabilities;
    size_t n_compute_capabilities;
    uint8_t const* timing_cache;
    size_t timing_cache_bytes;
    int64_t workspace_bytes;
    uint32_t n_profiles;
    int32_t use_timing_cache;
    int32_t optimization_level;
    int32_t max_threads;
    int32_t hardware_level;
    int32_t detailed_layers;
    Progress progress;
};

// Memory of the library; null where there is none.
struct HostMemory {
    void* owner;
    void const* data;
    size_t n_bytes;
};

struct BuildResult {
    HostMemory engine;
    HostMemory timing_cache;
};

struct EngineFacts {
    char const* name;
    char const* layers_json;
    int32_t n_layers;
    int32_t n_profiles;
    int32_t hardware_level;
    int32_t is_refittable;
};

struct EngineVisitor {
    void* user;
    void (*facts)(void* user, EngineFacts const* facts);
    // Bytes of device memory that a context of each profile takes.
    void (*profile)(void* user, int64_t device_memory_bytes);
    // A tensor, followed by its range in every profile if it is an input.
    void (*tensor)(void* user, Tensor const* tensor, int32_t is_input);
    void (*range)(void* user, Range const* range);
};

// A tensor of an engine in a run: `n_dims` dimensions at an address of the device.
struct Binding {
    char const* name;
    void* address;
    int32_t n_dims;
    int64_t dims[EGOM2P_MAX_DIMS];
};

// What a run works on. Inputs take their shapes from here, outputs must come out with theirs.
struct Run {
    Binding const* inputs;
    size_t n_inputs;
    Binding const* outputs;
    size_t n_outputs;
    void* scratch;
    int64_t scratch_bytes;
    int32_t profile;
    // Whether the profile has to be chosen first.
    int32_t choose_profile;
    void* stream;
};

// Kernels that an engine compiled for its device in an earlier process.
struct KernelCache {
    void const* data;
    size_t n_bytes;
};

struct Network;
// An engine on a device, with its runtime.
struct LoadedEngine;
struct Context;

struct Table {
    int32_t headers[3];
    NamedList builder_flags;
    NamedList compute_capabilities;
    NamedList hardware_levels;
    NamedList element_types;
    NamedList layer_types;
    NamedList parser_codes;
    Network* (*parse)(Entries const*, Log const*, char const* path, ParserVisitor const*, Failure*);
    void (*visit_network)(Network*, NetworkVisitor const*, Failure*);
    void (*visit_layers)(Network*, LayerVisitor const*, Failure*);
    void (*build)(Network*, BuildRequest const*, BuildResult*, Failure*);
    void (*free_network)(Network*);
    void (*free_bytes)(void* owner);
    // A cache without bytes is an empty one; one that does not fit the library and the device is not used. The log must
    // outlive the engine.
    LoadedEngine* (*load)(
        Entries const*, Log const*, void const* data, size_t n_bytes, KernelCache const*, Failure*);
    void (*visit_engine)(LoadedEngine*, EngineVisitor const*, Failure*);
    // Leaves the memory alone where the ABI has no such cache.
    void (*kernel_cache)(LoadedEngine*, HostMemory*, Failure*);
    void (*free_engine)(LoadedEngine*);
    // The engine must outlive its contexts.
    Context* (*create_context)(LoadedEngine*, Failure*);
    void (*prepare)(Context*, Run const*, Failure*);
    void (*enqueue)(Context*, void* stream, Failure*);
    // Zero where the library says that runs on the stream cannot be captured.
    int32_t (*is_capturable)(Context*, void* stream, Failure*);
    void (*free_context)(Context*);
};

} // extern "C"
