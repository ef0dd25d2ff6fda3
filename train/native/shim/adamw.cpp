#include "guard.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adamw.h>

#include <optional>

void egom2p_torch_adamw(AdamWLists const* lists, AdamWStep const* step, Tensor const* gradient_scale, Failure* failure)
{
    guarded(failure, FAILURE_REFUSED, [&] {
        at::NoGradGuard const guard;
        auto const steps = tensors_of(lists->steps);
        auto const scale = gradient_scale ? std::optional(tensor_of(gradient_scale)) : std::nullopt;
        at::_foreach_add_(steps, 1);
        at::_fused_adamw_(tensors_of(lists->parameters), tensors_of(lists->gradients), tensors_of(lists->first_moments),
            tensors_of(lists->second_moments), {}, steps, step->learning_rate, step->beta1, step->beta2,
            step->weight_decay, step->epsilon, /*amsgrad=*/false, /*maximize=*/false, scale, std::nullopt);
    });
}
