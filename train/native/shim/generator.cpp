#include "generator.hpp"
#include "guard.hpp"

Tensor* egom2p_torch_generator_state(int32_t device, Failure* failure)
{
    Tensor* state = nullptr;
    guarded(failure, FAILURE_REFUSED, [&] { state = handed_over(state_of(generator_of(device))); });
    return state;
}

void egom2p_torch_set_generator_state(int32_t device, Tensor const* state, Failure* failure)
{
    guarded(failure, FAILURE_REFUSED, [&] { set_state(generator_of(device), tensor_of(state)); });
}

void egom2p_torch_seed_generator(int32_t device, uint64_t seed, Failure* failure)
{
    guarded(failure, FAILURE_REFUSED, [&] {
        auto generator = generator_of(device);
        std::lock_guard const lock(generator.mutex());
        generator.set_current_seed(seed);
    });
}
