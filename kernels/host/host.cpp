// The algorithms of the kernels as functions of the host, for tests.

#include <cstring>

#include "../cuda/block.cuh"
#include "../cuda/exponential.cuh"
#include "../cuda/noise.cuh"
#include "../cuda/guidance.cuh"
#include "../cuda/sampler.cuh"
#include "../cuda/tokens.cuh"

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

void egom2p_host_gather(long long* gathered, const long long* table, u64 n_table, const long long* indices,
                        u64 n_indices) {
    for (u64 i = 0; i < n_indices; ++i) gathered[i] = gathered_token(table, n_table, indices[i]);
}

void egom2p_host_scatter(long long* table, u64 n_table, const long long* indices, const long long* values,
                         u64 n_indices) {
    for (u64 i = 0; i < n_indices; ++i) scatter_token(table, n_table, indices[i], values[i]);
}

float egom2p_host_noise_of(float uniform) { return noise_of(uniform); }

u64 egom2p_host_sizeof_sample_arguments() { return sizeof(SampleArguments); }
}
