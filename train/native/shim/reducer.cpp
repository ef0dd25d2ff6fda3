#include "group.hpp"
#include "guard.hpp"

#include <ATen/ops/full.h>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <unordered_map>

struct Reducer {
    std::shared_ptr<c10d::Reducer> engine;
    // The engine tells it things, and does not ask whether it is there.
    std::shared_ptr<c10d::Logger> logger;
    bool finds_unused;
};

namespace {

// Fails on every rank where one rank's parameters differ from those of rank 0: c10d tells only that one.
void compare_parameters(Group const& group, std::vector<at::Tensor> const& parameters)
{
    std::exception_ptr different;
    try {
        c10d::verify_params_across_processes(group.group, parameters, std::nullopt);
    } catch (c10::DistError const&) {
        throw;
    } catch (c10::Error const&) {
        different = std::current_exception();
    }
    std::vector<at::Tensor> agreed{at::full({1}, different ? 0 : 1, at::kInt)};
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::MIN;
    group.gloo->allreduce(agreed, options)->wait();
    if (different) {
        std::rethrow_exception(different);
    }
    TORCH_CHECK_VALUE(agreed[0].item<int32_t>() == 1, "another rank has parameters of other numbers or sizes");
}

} // namespace

Reducer* egom2p_torch_reducer(Group const* group, TensorList parameters, char const* const* names,
    ReducerSettings const* settings, Failure* failure)
{
    Reducer* made = nullptr;
    guarded(failure, FAILURE_LOST, [&] {
        auto const tensors = tensors_of(parameters);
        compare_parameters(*group, tensors);
        auto const first = settings->first_bucket_bytes;
        auto const others = settings->bucket_bytes;
        std::vector<size_t> const limits{static_cast<size_t>(first), static_cast<size_t>(others)};
        auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(tensors, limits));
        // Gradients come in about the reverse order of their parameters.
        std::reverse(buckets.begin(), buckets.end());
        std::unordered_map<size_t, std::string> names_by_index;
        for (size_t index = 0; index < tensors.size(); ++index) {
            names_by_index.emplace(index, names[index]);
        }
        auto engine = std::make_shared<c10d::Reducer>(tensors, buckets, group->group,
            std::vector<bool>(tensors.size(), false), others, settings->find_unused_parameters,
            settings->gradient_as_bucket_view, names_by_index, first, /*skip_all_reduce_unused_params=*/false,
            /*use_python_reducer=*/false, std::vector<int64_t>{});
        auto logger = std::make_shared<c10d::Logger>(engine);
        engine->set_logger(logger);
        made = new Reducer{std::move(engine), std::move(logger), settings->find_unused_parameters};
    });
    return made;
}

void egom2p_torch_reducer_prepare(Reducer* reducer, TensorList outputs, Failure* failure)
{
    guarded(failure, FAILURE_LOST, [&] {
        auto starts = tensors_of(outputs);
        if (!reducer->finds_unused) {
            // Without a search for unused parameters the engine wants nothing to start from.
            starts.clear();
        }
        reducer->engine->prepare_for_forward();
        reducer->engine->rebuild_buckets();
        reducer->engine->prepare_for_backward(starts);
    });
}

void egom2p_torch_reducer_backward(Reducer*, Tensor const* loss, Failure* failure)
{
    guarded(failure, FAILURE_LOST, [&] {
        TORCH_CHECK_VALUE(tensor_of(loss).defined(), "the loss is not defined");
        tensor_of(loss).backward();
    });
}

void egom2p_torch_free_reducer(Reducer* reducer)
{
    Failure ignored{};
    guarded(&ignored, FAILURE_LOST, [&] { delete reducer; });
}
