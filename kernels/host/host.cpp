// The algorithms of the kernels as functions of the host, for tests.

#include <cstring>

#include "../cuda/block.cuh"
#include "../cuda/exponential.cuh"
#include "../cuda/noise.cuh"
#include "../cuda/guidance.cuh"
#include "../cuda/sampler.cuh"

extern "C" {

void egom2p_host_guide(float* mixed, const float* unconditional, float weight, u64 n_values) {
    for (u64 i = 0; i < n_values; ++i) mixed[i] = mix(mixed[i], unconditional[i], weight);
}

void egom2p_host_sample(long long* outcomes, const float* logits, const SampleArguments* arguments, u32 n_rows) {
    static thread_local RowMemory memory;
    for (u32 row = 0; row < n_rows; ++row) {
        outcomes[row] = sample_row(memory, logits + (u64)row * arguments->n_vocabulary, row, *arguments);
    }
}

float egom2p_host_noise_of(float uniform) { return noise_of(uniform); }

u64 egom2p_host_sizeof_sample_arguments() { return sizeof(SampleArguments); }
}
