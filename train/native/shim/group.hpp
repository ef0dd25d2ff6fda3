#pragma once

#include "abi.h"

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

struct Store {
    c10::intrusive_ptr<c10d::Store> store;
    uint16_t port;
};

struct Group {
    c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
    // The same ranks as DDP's engine wants them.
    c10::intrusive_ptr<c10d::ProcessGroup> group;
    // What takes tensors on GPUs; null in a group of processors.
    c10::intrusive_ptr<c10d::Backend> gpus;
};
