// The sum of one value of every thread of a block, in a fixed order.
#pragma once

// All threads call it; thread 0 gets the sum. COUNT: threads of the block, a multiple of 32, 1024 at most.
template <int COUNT>
__device__ __forceinline__ double block_sum(double value) {
    __shared__ double parts[COUNT / 32];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_down_sync(0xffffffffu, value, distance);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    double sum = 0.0;
    if (threadIdx.x == 0) {
        for (int warp = 0; warp < COUNT / 32; ++warp) sum += parts[warp];
    }
    __syncthreads();  // the next call may write
    return sum;
}
