// Terms: adds up the sums that the blocks of both passes left, in a fixed order, and counts the iteration.
//
// table[turn] = sum of the stack's SSIM, sum of its squared error, sum of every layer's SSIM: LAYERS + 2 float64.
// turn        = the number of the iteration in its batch, from 0; one more afterwards.
// Launch: one block of SUMMING threads.
#include "cuda/sum.cuh"

__device__ double strided_sum(const double* values, int count) {
    double sum = 0.0;
    for (int at = threadIdx.x; at < count; at += SUMMING) sum += values[at];
    return block_sum<SUMMING>(sum);
}

extern "C" __global__ void __launch_bounds__(SUMMING, 1)
terms(const double* __restrict__ ssim_sums, const double* __restrict__ error_sums, int target_blocks,
      const double* __restrict__ guide_sums, int guide_blocks, double* __restrict__ table, int* __restrict__ turn) {
    double* line = table + (size_t)*turn * (LAYERS + 2);
    for (int term = 0; term < LAYERS + 2; ++term) {
        const double sum = term == 0   ? strided_sum(ssim_sums, target_blocks)
                           : term == 1 ? strided_sum(error_sums, target_blocks)
                                       : strided_sum(guide_sums + (size_t)(term - 2) * guide_blocks, guide_blocks);
        if (threadIdx.x == 0) line[term] = sum;
    }
    if (threadIdx.x == 0) *turn += 1;  // after everybody has read it: the sums above wait for all
}
