// Sums of quanta. Quanta are integers, so a sum is the same to the last bit in any order of additions (exact.py).
//
// A value is rounded by adding 1.5·2^(23 - bits), the rounder, a number whose last bit is the quantum. The bits of the
// sum minus the bits of the rounder are then the number of quanta. That holds while the sum is between 2^(23 - bits)
// and twice that, for values from -2^22 quanta to almost 2^22; 512 such values fit into 32 bits (geometry.py). The sum
// for a value outside this range, or NaN, differs from the rounder in its sign or exponent.
#pragma once

// An integer plus NONE is NONE.
__device__ __forceinline__ long long plus(long long a, long long b) { return a == NONE || b == NONE ? NONE : a + b; }

// Returns value if all bits of both masks are set, and 0, even for NaN, if one mask is 0. (Fewer instructions than a
// selection.)
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
    unsigned wrong;  // the upper 9 bits are not all 0 if a value was outside the range

    __device__ __forceinline__ void clear() { sum = wrong = 0; }

    // rounded: a value plus `rounder`.
    __device__ __forceinline__ void add(float rounded, float rounder) {
        sum += quanta_of(rounded, rounder);
        wrong |= __float_as_uint(rounded) ^ __float_as_uint(rounder);
    }

    __device__ __forceinline__ long long total() const { return wrong >> 23 ? NONE : static_cast<int>(sum); }
};

// The sum of one value of every thread of a warp. All threads must call it; the first thread of the warp gets the sum.
__device__ __forceinline__ long long warp_sum(long long value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value = plus(value, __shfl_down_sync(0xffffffffu, value, distance));
    }
    return value;
}

// The sum of one value of every thread of a block. All threads must call it; thread 0 gets the sum. COUNT: threads of
// the block, a multiple of 32, at most 1024.
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

// The sums of one iteration on the device: the line of a table, which all blocks add to. Additions of whole numbers may
// come in any order, so atomics give the same bytes every time.
struct Sums {
    unsigned long long* line;  // (groups, 2): the sum of what the blocks summed, and how many of them had NONE

    // table: (turns, groups, 2); turn: the number of the line.
    __device__ __forceinline__ Sums(long long* table, int turn, int groups)
        : line(reinterpret_cast<unsigned long long*>(table) + 2 * ((size_t)turn * groups)) {}

    // Adds the sum of a block to a group. One thread of the block calls it.
    __device__ __forceinline__ void add(int group, long long sum) const {
        if (sum == NONE) {
            atomicAdd(line + 2 * group + 1, 1ULL);
        } else {
            atomicAdd(line + 2 * group, static_cast<unsigned long long>(sum));
        }
    }
};
