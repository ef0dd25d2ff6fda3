// The interface between the shim and src/ffi.rs: both files change together.
#pragma once

#include <cstddef>
#include <cstdint>

#define EGOM2P_EXPORT extern "C" __attribute__((visibility("default")))

enum FailureKind : int32_t {
    FAILURE_NONE = 0,
    // libtorch refused arguments or an operation.
    FAILURE_REFUSED = 1,
    FAILURE_OUT_OF_MEMORY = 2,
    // Another rank, or the way to it, is lost.
    FAILURE_LOST = 3,
    // A closure of the caller failed; the text is its own.
    FAILURE_CLOSURE = 4,
};

constexpr size_t FAILURE_BYTES = 1024;

// Why a function gave nothing.
struct Failure {
    int32_t kind;
    char what[FAILURE_BYTES];
};

// at::Tensor, as tch holds it.
struct Tensor;

// Tensors that are read during a call.
struct TensorList {
    Tensor const* const* items;
    size_t n_items;
};

// Tensors that are handed to Rust one by one.
struct TensorSink {
    void* user;
    // Takes over the tensor.
    void (*take)(void* user, Tensor* tensor);
};

// The closure of a checkpoint.
struct Closure {
    void* user;
    // Runs it on the inputs. Returns whether it succeeded, after handing its outputs to egom2p_torch_push or its error to
    // the failure.
    bool (*run)(void* user, TensorList inputs, void* outputs, Failure* failure);
    // Frees it, from any thread.
    void (*drop)(void* user);
};

struct AdamWLists {
    TensorList parameters;
    TensorList gradients;
    TensorList first_moments;
    TensorList second_moments;
    TensorList steps;
};

struct AdamWStep {
    double learning_rate;
    double beta1;
    double beta2;
    double weight_decay;
    double epsilon;
};

enum Reduction : int32_t {
    REDUCTION_SUM = 0,
    REDUCTION_PRODUCT = 1,
    REDUCTION_MIN = 2,
    REDUCTION_MAX = 3,
};

struct ReducerSettings {
    int64_t first_bucket_bytes;
    int64_t bucket_bytes;
    bool find_unused_parameters;
    bool gradient_as_bucket_view;
};

struct Store;
struct Group;
struct Reducer;

// What two parts that work together have in common: the libtorch that they were compiled against, and what they exchange.
#define EGOM2P_INTERFACE TORCH_VERSION ", interface 1"
EGOM2P_EXPORT char const* egom2p_torch_interface();

EGOM2P_EXPORT void egom2p_torch_adamw(
    AdamWLists const* lists, AdamWStep const* step, Tensor const* gradient_scale, Failure* failure);

// device: -1 for the processor, else the index of a CUDA device. Gives null where the failure says why.
EGOM2P_EXPORT Tensor* egom2p_torch_generator_state(int32_t device, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_set_generator_state(int32_t device, Tensor const* state, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_seed_generator(int32_t device, uint64_t seed, Failure* failure);

// Gives the outputs that stand for `recorded`, which the closure made of `detached`. Takes over the closure in any case.
EGOM2P_EXPORT void egom2p_torch_checkpoint(TensorList inputs, TensorList detached, TensorList recorded,
    TensorList generator_states, Closure closure, TensorSink sink, Failure* failure);
EGOM2P_EXPORT bool egom2p_torch_is_recording();
EGOM2P_EXPORT bool egom2p_torch_push(void* outputs, Tensor const* tensor);

EGOM2P_EXPORT Store* egom2p_torch_store(
    char const* host, uint16_t port, bool is_server, int64_t timeout_ms, Failure* failure);
EGOM2P_EXPORT Store* egom2p_torch_prefix_store(Store const* store, char const* prefix, Failure* failure);
EGOM2P_EXPORT uint16_t egom2p_torch_store_port(Store const* store);
EGOM2P_EXPORT void egom2p_torch_free_store(Store* store);

// interface_address: null to take the address of this machine's name, or of the interfaces in GLOO_SOCKET_IFNAME.
EGOM2P_EXPORT Group* egom2p_torch_group(Store const* store, int32_t rank, int32_t n_ranks, int64_t timeout_ms,
    char const* interface_address, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_all_reduce(Group* group, Tensor const* tensor, int32_t reduction, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_broadcast(Group* group, Tensor const* tensor, int32_t root, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_all_gather(Group* group, Tensor const* tensor, TensorSink sink, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_barrier(Group* group, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_free_group(Group* group);

EGOM2P_EXPORT Reducer* egom2p_torch_reducer(Group const* group, TensorList parameters, char const* const* names,
    ReducerSettings const* settings, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_reducer_prepare(Reducer* reducer, TensorList outputs, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_reducer_backward(Reducer* reducer, Tensor const* loss, Failure* failure);
EGOM2P_EXPORT void egom2p_torch_free_reducer(Reducer* reducer);
