#include "generator.hpp"
#include "guard.hpp"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/custom_class.h>

#include <memory>
#include <unordered_set>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Node;
using torch::autograd::variable_list;

// States of the processor's generator and of those of CUDA devices, by place: the processor, device 0, device 1, ...
class GeneratorStates {
public:
    GeneratorStates() = default;
    explicit GeneratorStates(variable_list states) : states_(std::move(states)) {}

    // Runs with these states, and leaves the generators as they were.
    template <typename Act>
    void during(Act&& act) const
    {
        struct Restore {
            variable_list states;
            ~Restore()
            {
                Failure ignored{};
                guarded(&ignored, FAILURE_REFUSED, [&] { set(states); });
            }
        };
        Restore const restore{now()};
        set(states_);
        std::forward<Act>(act)();
    }

private:
    variable_list now() const
    {
        variable_list states;
        for (size_t place = 0; place < states_.size(); ++place) {
            states.push_back(state_of(generator_of(static_cast<int32_t>(place) - 1)));
        }
        return states;
    }

    static void set(variable_list const& states)
    {
        for (size_t place = 0; place < states.size(); ++place) {
            set_state(generator_of(static_cast<int32_t>(place) - 1), states[place]);
        }
    }

    variable_list states_;
};

// The closure, the generators as it found them, and what it gave.
struct Recorded : torch::CustomClassHolder {
    explicit Recorded(Closure closure) : closure(closure) {}
    Recorded(Recorded const&) = delete;
    Recorded& operator=(Recorded const&) = delete;
    ~Recorded() override { closure.drop(closure.user); }

    variable_list run_again(variable_list const& inputs) const
    {
        std::vector<Tensor const*> items;
        for (auto const& input : inputs) {
            items.push_back(reinterpret_cast<Tensor const*>(&input));
        }
        variable_list outputs;
        Failure failure{};
        bool succeeded = false;
        generators.during([&] {
            at::AutoGradMode const recording(true);
            succeeded = closure.run(closure.user, {items.data(), items.size()}, &outputs, &failure);
        });
        if (!succeeded) {
            throw ClosureFailure(failure.what);
        }
        TORCH_CHECK_VALUE(outputs.size() == n_outputs, "a checkpointed closure gave ", n_outputs, " tensors, and then ",
            outputs.size());
        return outputs;
    }

    Closure closure;
    GeneratorStates generators;
    size_t n_inputs = 0;
    size_t n_outputs = 0;
};

// Every leaf that `outputs` were computed from and that is not in `known`, in the order of a search in depth.
variable_list other_leaves(variable_list const& outputs, variable_list const& known)
{
    std::unordered_set<at::TensorImpl const*> seen_leaves;
    for (auto const& leaf : known) {
        seen_leaves.insert(leaf.unsafeGetTensorImpl());
    }
    variable_list leaves;
    std::unordered_set<Node const*> seen;
    std::vector<std::shared_ptr<Node>> stack;
    auto const visit = [&](std::shared_ptr<Node> const& node) {
        if (node != nullptr && seen.insert(node.get()).second) {
            stack.push_back(node);
        }
    };
    for (auto const& output : outputs) {
        if (output.requires_grad()) {
            visit(torch::autograd::impl::gradient_edge(output).function);
        }
    }
    while (!stack.empty()) {
        auto const node = stack.back();
        stack.pop_back();
        if (auto const* leaf = dynamic_cast<torch::autograd::AccumulateGrad const*>(node.get())) {
            if (seen_leaves.insert(leaf->variable.unsafeGetTensorImpl()).second) {
                leaves.push_back(leaf->variable);
            }
        }
        for (auto const& edge : node->next_edges()) {
            visit(edge.function);
        }
    }
    return leaves;
}

// A step of the graph from inputs and parameters to what the closure gives. The parameters are inputs of the step, so that
// their gradients go the usual way: DDP's engine sees which ones a loss depends on.
struct Checkpoint : torch::autograd::Function<Checkpoint> {
    // `outputs` are behind a pointer, because tensors among the arguments would be inputs of the step.
    static variable_list forward(AutogradContext* context, c10::intrusive_ptr<Recorded> const& recorded,
        variable_list const* outputs, at::TensorList inputs_and_leaves)
    {
        context->save_for_backward(inputs_and_leaves.vec());
        context->set_materialize_grads(false);
        context->saved_data["recorded"] = c10::IValue::make_capsule(recorded);
        variable_list results;
        variable_list constant;
        for (auto const& output : *outputs) {
            results.push_back(output.variable_data());
            if (!output.requires_grad()) {
                constant.push_back(results.back());
            }
        }
        context->mark_non_differentiable(constant);
        return results;
    }

    static variable_list backward(AutogradContext* context, variable_list gradients)
    {
        auto const recorded = c10::static_intrusive_pointer_cast<Recorded>(context->saved_data["recorded"].toCapsule());
        auto targets = context->get_saved_variables();
        variable_list inputs;
        for (size_t index = 0; index < recorded->n_inputs; ++index) {
            auto const input = targets[index].detach().set_requires_grad(targets[index].requires_grad());
            inputs.push_back(input);
            targets[index] = input;
        }
        auto const outputs = recorded->run_again(inputs);
        variable_list roots;
        variable_list root_gradients;
        for (size_t index = 0; index < outputs.size(); ++index) {
            if (gradients[index].defined() && outputs[index].requires_grad()) {
                roots.push_back(outputs[index]);
                root_gradients.push_back(gradients[index]);
            }
        }
        // One place for each argument of forward: the first two are no tensors of the graph.
        variable_list results(2 + targets.size());
        variable_list wanted;
        for (auto const& target : targets) {
            if (target.requires_grad()) {
                wanted.push_back(target);
            }
        }
        if (roots.empty() || wanted.empty()) {
            return results;
        }
        auto found = torch::autograd::grad(roots, wanted, root_gradients, /*retain_graph=*/std::nullopt,
            /*create_graph=*/false, /*allow_unused=*/true);
        for (size_t place = 0, next = 0; place < targets.size(); ++place) {
            if (targets[place].requires_grad()) {
                results[2 + place] = std::move(found[next++]);
            }
        }
        return results;
    }
};

} // namespace

void egom2p_torch_checkpoint(TensorList inputs, TensorList detached, TensorList recorded, TensorList generator_states,
    Closure closure, TensorSink sink, Failure* failure)
{
    guarded(failure, FAILURE_REFUSED, [&] {
        auto const state = c10::make_intrusive<Recorded>(closure);
        state->generators = GeneratorStates(tensors_of(generator_states));
        auto tensors = tensors_of(inputs);
        auto const outputs = tensors_of(recorded);
        state->n_inputs = tensors.size();
        state->n_outputs = outputs.size();
        auto const leaves = other_leaves(outputs, tensors_of(detached));
        tensors.insert(tensors.end(), leaves.begin(), leaves.end());
        for (auto& output : Checkpoint::apply(state, &outputs, at::TensorList(tensors))) {
            sink.take(sink.user, handed_over(std::move(output)));
        }
    });
}

bool egom2p_torch_is_recording()
{
    return at::GradMode::is_enabled();
}

bool egom2p_torch_push(void* outputs, Tensor const* tensor)
{
    Failure failure{};
    guarded(&failure, FAILURE_REFUSED, [&] {
        TORCH_CHECK_VALUE(tensor_of(tensor).defined(), "a checkpointed closure gave an undefined tensor");
        static_cast<variable_list*>(outputs)->push_back(tensor_of(tensor));
    });
    return failure.kind == FAILURE_NONE;
}
