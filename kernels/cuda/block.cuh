// A block of threads as the algorithms see it: phases that every thread runs, with a barrier after each.
// Under CUDA a phase is run once by the thread itself. On a host it is run for one thread after the other, so what a
// thread keeps from one phase to the next stands in a PerThread.

typedef unsigned int u32;
typedef unsigned long long u64;

static const u32 N_THREADS = 512;

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

#define EGOM2P_DEVICE __device__ inline

EGOM2P_DEVICE u32 bits_of(float value) { return __float_as_uint(value); }
EGOM2P_DEVICE float float_of(u32 bits) { return __uint_as_float(bits); }
EGOM2P_DEVICE u64 bits_of(double value) { return (u64)__double_as_longlong(value); }
EGOM2P_DEVICE double double_of(u64 bits) { return __longlong_as_double((long long)bits); }
EGOM2P_DEVICE void add_shared(double* sum, double value) { atomicAdd(sum, value); }
EGOM2P_DEVICE void add_shared(u32* sum, u32 value) { atomicAdd(sum, value); }

template <class T> struct PerThread {
    T value;
    EGOM2P_DEVICE T& operator[](u32) { return value; }
};

template <class Body> EGOM2P_DEVICE void phase(const Body& body) {
    body(threadIdx.x);
    __syncthreads();
}

#else

#define EGOM2P_DEVICE inline

EGOM2P_DEVICE u32 bits_of(float value) { u32 bits; memcpy(&bits, &value, sizeof bits); return bits; }
EGOM2P_DEVICE float float_of(u32 bits) { float value; memcpy(&value, &bits, sizeof value); return value; }
EGOM2P_DEVICE u64 bits_of(double value) { u64 bits; memcpy(&bits, &value, sizeof bits); return bits; }
EGOM2P_DEVICE double double_of(u64 bits) { double value; memcpy(&value, &bits, sizeof value); return value; }
EGOM2P_DEVICE void add_shared(double* sum, double value) { *sum += value; }
EGOM2P_DEVICE void add_shared(u32* sum, u32 value) { *sum += value; }

template <class T> struct PerThread {
    T values[N_THREADS];
    T& operator[](u32 thread) { return values[thread]; }
};

template <class Body> void phase(const Body& body) {
    for (u32 thread = 0; thread < N_THREADS; ++thread) body(thread);
}

#endif

// The values of all threads as one. `scratch` holds one value per thread and is free again afterwards.
template <class T, class Join> EGOM2P_DEVICE T reduce(T* scratch, PerThread<T>& values, const Join& join) {
    phase([&](u32 thread) { scratch[thread] = values[thread]; });
    for (u32 n = N_THREADS / 2; n > 0; n /= 2) {
        phase([&](u32 thread) {
            if (thread < n) scratch[thread] = join(scratch[thread], scratch[thread + n]);
        });
    }
    T result = scratch[0];
    phase([](u32) {});
    return result;
}
