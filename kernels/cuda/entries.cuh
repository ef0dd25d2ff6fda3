// The kernels themselves.

// mixed[i] = mix(conditional[i], unconditional[i], weight); `mixed` may be either input. Any grid.
extern "C" __global__ void egom2p_guide(float* mixed, const float* conditional, const float* unconditional,
                                        float weight, u64 n_values) {
    u64 n_threads = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < n_values; i += n_threads) {
        mixed[i] = mix(conditional[i], unconditional[i], weight);
    }
}

// outcomes[row] = the token, or a code below 0. One block of N_THREADS threads per row.
extern "C" __global__ void __launch_bounds__(N_THREADS)
    egom2p_sample(long long* outcomes, const float* logits, SampleArguments arguments) {
    __shared__ RowMemory memory;
    u32 row = blockIdx.x;
    long long outcome = sample_row(memory, logits + (u64)row * arguments.n_vocabulary, row, arguments);
    if (threadIdx.x == 0) outcomes[row] = outcome;
}
