// Stack pass: the composite of the placed sheets of a stack, compared with the target, and the gradient by it.
//
//   composite    = composite of the sheets by the light                                 (never stored)
//   by_composite = gradient by it of weighted ssim_weight·(1 - SSIM) + mse_weight·MSE, in the per-pixel measure
//   sums         = weighted sums over the counted pixels of a block: SSIM in 2^-SSIM_BITS; squared error in
//                  2^-COARSE_BITS, and its remainder in 2^-ERROR_BITS: float32 has too few bits for both at once
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on. placed (LAYERS, planes,
// height, pitch), LAYERS being the sheets of the stack; target, its means and variances, by_composite (planes, height,
// pitch), of_window planes for each window; pixel_weights (windows, height, pitch), only read if WITH_WEIGHTS;
// counted_in (windows, 4) int32: top, bottom, left, right; table, turns, group: Sums in cuda/sum.cuh, three groups
// from `group` on.
// Launch: grid (planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows.
// Shared memory: MarchMemory, 2·(AHEAD + 12) + (AHEAD + 1)·(5 + LAYERS) rows of FETCHED floats, with weights
// 2·(AHEAD + 1) more; static.
// Twin of stack_pass in cpu.py, and of the sweep. Constants and headers come from cuda/source.py.
#include "cuda/turns.cuh"
#include "terms/stack_ssim/stack.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
KERNEL(const float* __restrict__ placed, const float* __restrict__ target, const float* __restrict__ means,
       const float* __restrict__ variances, const float* __restrict__ pixel_weights, float* __restrict__ by_composite,
       long long* __restrict__ table, int* __restrict__ turns, const int* __restrict__ counted_in, int groups,
       int group, int of_window, int height, int width, int pitch, int rows, float inverse_scale, float ssim_weight,
       float mse_weight) {
    __shared__ MarchMemory<StackPass::ROWS> memory;
    const int turn = turns[NOW];
    const Strip strip(height, width, pitch, rows);
    const int window = blockIdx.x / of_window;
    const Counted counted(strip, counted_in + 4 * window);
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane;
    const float* weights = pixel_weights + window * plane;
    StackPass pass = {counted,
                      strip.origin(target + at, ENTERING + 1),
                      strip.origin(means + at, DERIVED + 1),
                      strip.origin(variances + at, DERIVED + 1),
                      strip.origin(weights, DERIVED + 1),
                      strip.origin(weights, LEAVING + 1),
                      {},
                      inverse_scale,
                      ssim_weight,
                      mse_weight,
                      strip.own(by_composite + at),
                      {0, 0},
                      0};
#pragma unroll
    for (int k = 0; k < LAYERS; ++k) {
        pass.sheets[k] = strip.origin(placed + k * (gridDim.x * plane) + at, ENTERING);
        if (LAYERS <= 3) opaque(pass.sheets[k]);
    }
    March<StackPass> march(strip, counted, pass, memory);
    const Tally ssim = march.run();
    const long long block[] = {block_sum<THREADS>(ssim.total()), block_sum<THREADS>(pass.coarse.total()),
                               block_sum<THREADS>(static_cast<int>(pass.fine))};
    if (threadIdx.x == 0) {
        const Sums sums(table, turn, groups);
        for (int term = 0; term < 3; ++term) sums.add(group + term, block[term]);
    }
    hand_over(turns, turn);
}
