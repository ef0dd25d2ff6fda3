#include "group.hpp"
#include "guard.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <torch/headeronly/version.h>

#include <chrono>

namespace {

using Backend = c10d::ProcessGroup::BackendType;

c10d::ReduceOp reduce_op(int32_t reduction)
{
    switch (reduction) {
    case REDUCTION_SUM:
        return c10d::ReduceOp::SUM;
    case REDUCTION_PRODUCT:
        return c10d::ReduceOp::PRODUCT;
    case REDUCTION_MIN:
        return c10d::ReduceOp::MIN;
    case REDUCTION_MAX:
        return c10d::ReduceOp::MAX;
    default:
        TORCH_CHECK_VALUE(false, "no reduction ", reduction);
    }
}

// Memory is read and written without looking at strides.
at::Tensor contiguous_of(Tensor const* tensor)
{
    auto const& found = tensor_of(tensor);
    TORCH_CHECK_VALUE(found.defined() && found.is_contiguous(), "the tensor is not contiguous");
    return found;
}

// What takes tensors that lie where this one does.
c10::intrusive_ptr<c10d::Backend> backend_of(Group const* group, at::Tensor const& tensor)
{
    return group->group->getBackend(tensor.device().type());
}

template <typename Start>
void collective(Failure* failure, Start&& start)
{
    guarded(failure, FAILURE_LOST, [&] {
        at::NoGradGuard const guard;
        start()->wait();
    });
}

} // namespace

char const* egom2p_torch_interface()
{
    return EGOM2P_INTERFACE;
}

Group* egom2p_torch_group(Store const* store, int32_t rank, int32_t n_ranks, int64_t timeout_ms,
    char const* interface_address, Failure* failure)
{
    Group* made = nullptr;
    guarded(failure, FAILURE_LOST, [&] {
        auto const timeout = std::chrono::milliseconds(timeout_ms);
        c10::intrusive_ptr<c10d::ProcessGroupGloo::Options> options;
        if (interface_address != nullptr) {
            options = c10d::ProcessGroupGloo::Options::create(timeout);
            options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(interface_address));
        } else {
            options = c10d::ProcessGroupGloo::Options::create_default(timeout);
        }
        auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(store->store, rank, n_ranks, options);
        auto group = c10::make_intrusive<c10d::ProcessGroup>(store->store, rank, n_ranks);
        group->setBackend(c10::DeviceType::CPU, Backend::GLOO, gloo);
        group->setDefaultBackend(Backend::GLOO);
        made = new Group{std::move(gloo), std::move(group), {}};
    });
    return made;
}

void egom2p_torch_all_reduce(Group* group, Tensor const* tensor, int32_t reduction, Failure* failure)
{
    collective(failure, [&] {
        std::vector<at::Tensor> tensors{contiguous_of(tensor)};
        c10d::AllreduceOptions options;
        options.reduceOp = reduce_op(reduction);
        return backend_of(group, tensors[0])->allreduce(tensors, options);
    });
}

void egom2p_torch_broadcast(Group* group, Tensor const* tensor, int32_t root, Failure* failure)
{
    collective(failure, [&] {
        std::vector<at::Tensor> tensors{contiguous_of(tensor)};
        c10d::BroadcastOptions options;
        options.rootRank = root;
        return backend_of(group, tensors[0])->broadcast(tensors, options);
    });
}

void egom2p_torch_all_gather(Group* group, Tensor const* tensor, TensorSink sink, Failure* failure)
{
    std::vector<std::vector<at::Tensor>> outputs(1);
    collective(failure, [&] {
        std::vector<at::Tensor> tensors{contiguous_of(tensor)};
        for (int rank = 0; rank < group->gloo->getSize(); ++rank) {
            outputs[0].push_back(at::empty_like(tensors[0]));
        }
        return backend_of(group, tensors[0])->allgather(outputs, tensors);
    });
    if (failure->kind == FAILURE_NONE) {
        guarded(failure, FAILURE_REFUSED, [&] {
            for (auto& output : outputs[0]) {
                sink.take(sink.user, handed_over(std::move(output)));
            }
        });
    }
}

void egom2p_torch_barrier(Group* group, Failure* failure)
{
    collective(failure, [&] { return group->gloo->barrier(); });
}

void egom2p_torch_free_group(Group* group)
{
    Failure ignored{};
    guarded(&ignored, FAILURE_LOST, [&] {
        if (group->gpus) {
            // A rank that failed does not wait for what it sent.
            group->gpus->abort();
        }
        delete group;
    });
}
