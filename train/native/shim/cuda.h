// The interface between the shim for CUDA and src/gpu.rs: both files change together.
#pragma once

#include "abi.h"

// EGOM2P_INTERFACE of this part.
EGOM2P_EXPORT char const* egom2p_torch_cuda_interface();

// How many GPUs there are; a failure says why there is none.
EGOM2P_EXPORT int32_t egom2p_torch_cuda_devices(Failure* failure);

// Makes a GPU the one that this thread uses, with products and convolutions in the precision that was asked for.
EGOM2P_EXPORT void egom2p_torch_cuda_use(int32_t device, Failure* failure);

// Lets the ranks of a group exchange tensors of their GPUs, each its own. Waits until all ranks are there.
EGOM2P_EXPORT void egom2p_torch_cuda_join(
    Group* group, Store const* store, int32_t device, int64_t timeout_ms, Failure* failure);
