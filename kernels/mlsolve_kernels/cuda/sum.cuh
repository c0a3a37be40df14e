// Sums of quanta, which are whole numbers: the same to the last bit, in whatever order they are added up (exact.py).
//
// A value is rounded by adding a number whose last place is the quantum, 1.5·2^(23 - bits): of the sum's own bits
// those above the rounder's are the quanta. That holds while it lies between 2^(23 - bits) and twice as much, for
// values from -2^22 quanta to almost 2^22; of so many 512 fit 32 bits (geometry.py). What is outside, or no number,
// differs from the rounder in sign or exponent.
#pragma once

// Whole numbers plus NONE are NONE.
__device__ __forceinline__ long long plus(long long a, long long b) { return a == NONE || b == NONE ? NONE : a + b; }

// value where all bits of both masks are set, and 0, even if value is no number, where none is of one of them. (Fewer
// instructions than to choose between the two.)
__device__ __forceinline__ float masked(float value, unsigned row, unsigned column) {
    return __uint_as_float(__float_as_uint(value) & row & column);
}

// rounded: a value plus `rounder`. Two's complement.
__device__ __forceinline__ unsigned quanta_of(float rounded, float rounder) {
    return __float_as_uint(rounded) - __float_as_uint(rounder);
}

// A thread's sum.
struct Tally {
    unsigned sum;    // two's complement
    unsigned wrong;  // in the upper 9 bits, whether there was a value outside the range

    __device__ __forceinline__ void clear() { sum = wrong = 0; }

    // rounded: a value plus `rounder`.
    __device__ __forceinline__ void add(float rounded, float rounder) {
        sum += quanta_of(rounded, rounder);
        wrong |= __float_as_uint(rounded) ^ __float_as_uint(rounder);
    }

    __device__ __forceinline__ long long total() const { return wrong >> 23 ? NONE : static_cast<int>(sum); }
};

// The sum of one value of every thread of a warp. All threads call it; the first of the warp gets the sum.
__device__ __forceinline__ long long warp_sum(long long value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value = plus(value, __shfl_down_sync(0xffffffffu, value, distance));
    }
    return value;
}

// The sum of one value of every thread of a block. All threads call it; thread 0 gets the sum. COUNT: threads of the
// block, a multiple of 32, 1024 at most.
template <int COUNT>
__device__ __forceinline__ long long block_sum(long long value) {
    __shared__ long long parts[COUNT / 32];
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    long long sum = 0;
    if (threadIdx.x == 0) {
        for (int warp = 0; warp < COUNT / 32; ++warp) sum = plus(sum, parts[warp]);
    }
    __syncthreads();  // the next call may write
    return sum;
}
