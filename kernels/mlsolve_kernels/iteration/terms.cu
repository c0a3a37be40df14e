// Terms: adds up the sums of the blocks of both passes, and counts the iteration.
//
// table[turn] = sums of the stack's SSIM, of its squared error, coarse and fine, and of every layer's SSIM: LAYERS + 3
//               int64, in quanta, or NONE (sum.cuh).
// turn        = the number of the iteration in its batch, from 0; it is then increased by 1.
// target_sums (3, target_blocks), guide_sums (LAYERS, guide_blocks) int64.
// Launch: one block of SUMMING threads.
#include "cuda/sum.cuh"

__device__ long long strided_sum(const long long* values, int count) {
    long long sum = 0;
    for (int at = threadIdx.x; at < count; at += SUMMING) sum = plus(sum, values[at]);
    return block_sum<SUMMING>(sum);
}

extern "C" __global__ void __launch_bounds__(SUMMING, 1)
terms(const long long* __restrict__ target_sums, int target_blocks, const long long* __restrict__ guide_sums,
      int guide_blocks, long long* __restrict__ table, int* __restrict__ turn) {
    long long* line = table + (size_t)*turn * (LAYERS + 3);
    for (int term = 0; term < LAYERS + 3; ++term) {
        const long long sum = term < 3 ? strided_sum(target_sums + (size_t)term * target_blocks, target_blocks)
                                       : strided_sum(guide_sums + (size_t)(term - 3) * guide_blocks, guide_blocks);
        if (threadIdx.x == 0) line[term] = sum;
    }
    if (threadIdx.x == 0) *turn += 1;  // everybody has read it: the sums above wait for all threads
}
