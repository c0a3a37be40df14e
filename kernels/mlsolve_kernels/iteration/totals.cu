// Totals: adds up, group by group, the sums of the blocks of all passes, and counts the iteration.
//
// table[turn] = the total of each group: `groups` int64, in quanta, or NONE (sum.cuh).
// turn        = the number of the iteration in its batch, from 0; it is then increased by 1.
//
// Layout: sums int64, one group after the other; ends (groups) int32, the end of each group; table (turns, groups)
// int64.
// Launch: one block of SUMMING threads; a warp takes every (SUMMING / 32)-th group.
// Shared memory: none.
// `terms` does the same for a single stack, whose few groups are added one by one by the whole block.
#include "cuda/sum.cuh"

extern "C" __global__ void __launch_bounds__(SUMMING, 1)
totals(const long long* __restrict__ sums, const int* __restrict__ ends, int groups, long long* __restrict__ table,
       int* __restrict__ turn) {
    const int now = *turn, lane = threadIdx.x % 32;
    long long* line = table + (size_t)now * groups;
    for (int group = threadIdx.x / 32; group < groups; group += SUMMING / 32) {
        const int first = group == 0 ? 0 : ends[group - 1], end = ends[group];
        long long sum = 0;
#pragma unroll 4
        for (int at = first + lane; at < end; at += 32) sum = plus(sum, sums[at]);
        sum = warp_sum(sum);
        if (lane == 0) line[group] = sum;
    }
    __syncthreads();  // everybody has read the turn
    if (threadIdx.x == 0) *turn = now + 1;
}
