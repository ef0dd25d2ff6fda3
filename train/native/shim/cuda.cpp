#include "cuda.h"
#include "group.hpp"
#include "guard.hpp"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <torch/headeronly/version.h>

#include <chrono>

char const* egom2p_torch_cuda_interface()
{
    return EGOM2P_INTERFACE;
}

int32_t egom2p_torch_cuda_devices(Failure* failure)
{
    int32_t n_devices = 0;
    guarded(failure, FAILURE_REFUSED, [&] {
        // Who asks before this library is there is told once and for all that there is no CUDA.
        TORCH_CHECK(at::detail::getCUDAHooks().hasCUDART(), "libtorch was asked for CUDA before its part for it was there");
        n_devices = c10::cuda::device_count_ensure_non_zero();
    });
    return n_devices;
}

void egom2p_torch_cuda_use(int32_t device, Failure* failure)
{
    guarded(failure, FAILURE_REFUSED, [&] {
        auto& context = at::globalContext();
        // Convolutions would round to 10 bits otherwise.
        context.setAllowTF32CuDNN(false);
        // Under some masks its gradients are no numbers in 2.11 (pytorch/pytorch#196678); other kernels take its place.
        context.setSDPUseCuDNN(false);
        c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
    });
}

void egom2p_torch_cuda_join(Group* group, Store const* store, int32_t device, int64_t timeout_ms, Failure* failure)
{
    guarded(failure, FAILURE_LOST, [&] {
        auto const options = c10d::ProcessGroupNCCL::Options::create();
        options->timeout = std::chrono::milliseconds(timeout_ms);
        auto const& ranks = *group->group;
        auto nccl = c10::make_intrusive<c10d::ProcessGroupNCCL>(store->store, ranks.getRank(), ranks.getSize(), options);
        // Two ranks on one GPU, and GPUs that do not reach each other, are noticed here and not in the first step.
        nccl->eagerConnectSingleDevice(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device)));
        group->group->setBackend(at::kCUDA, c10d::ProcessGroup::BackendType::NCCL, nccl);
        group->gpus = std::move(nccl);
    });
}
