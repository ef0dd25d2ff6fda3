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

// gathered[i] = table[indices[i]], or 0 outside of the table. Any grid.
extern "C" __global__ void egom2p_gather(long long* gathered, const long long* table, u64 n_table,
                                         const long long* indices, u64 n_indices) {
    u64 n_threads = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < n_indices; i += n_threads) {
        gathered[i] = gathered_token(table, n_table, indices[i]);
    }
}

// table[indices[i]] = values[i] for values from 0 on and indices inside of the table, which are distinct. Any grid.
extern "C" __global__ void egom2p_scatter(long long* table, u64 n_table, const long long* indices,
                                          const long long* values, u64 n_indices) {
    u64 n_threads = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < n_indices; i += n_threads) {
        scatter_token(table, n_table, indices[i], values[i]);
    }
}
