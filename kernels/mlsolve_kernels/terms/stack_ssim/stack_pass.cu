// Stack pass: the composite of the placed sheets of a stack, compared with the target, and the gradient by it.
//
//   composite    = composite of the sheets by the light                                 (never stored)
//   by_composite = gradient by it of weighted ssim_weight·(1 - SSIM) + mse_weight·MSE, in the per-pixel measure
//   sums         = weighted sums over the counted pixels of a block: SSIM in 2^-SSIM_BITS; squared error in
//                  2^-COARSE_BITS, and its remainder in 2^-ERROR_BITS
//
// It is target_pass with pixel weights (WITH_WEIGHTS) and a separate counted region for each window of the image that
// the planes hold.
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on. placed (LAYERS, planes,
// height, pitch), LAYERS being the sheets of the stack; target, its means and variances, by_composite (planes, height,
// pitch), of_window planes for each window; pixel_weights (windows, height, pitch), only read if WITH_WEIGHTS; sums
// (3, planes, pieces, strips) int64, one per block, or NONE (sum.cuh); counted_in (windows, 4) int32: top, bottom,
// left, right.
// Launch: grid (planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows.
// Shared memory: rings of fetched rows, (LAYERS + 2)·(AHEAD + 1) + (AHEAD + 11) + 11 + 3 of FETCHED floats, with
// weights 2·(AHEAD + 1) more; static.
// Twin of stack_pass in cpu.py. Constants and headers come from cuda/source.py.
#include "blur/blur.cuh"
#include "cuda/fetch.cuh"
#include "cuda/sum.cuh"
#include "light/light.cuh"
#include "ssim/partials.cuh"
#include "ssim/stream.cuh"
#include "ssim/weight.cuh"
#include "terms/stack_mse/mse.cuh"
#include "terms/stack_ssim/stack.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
KERNEL(const float* __restrict__ placed, const float* __restrict__ target, const float* __restrict__ means,
       const float* __restrict__ variances, const float* __restrict__ pixel_weights, float* __restrict__ by_composite,
       long long* __restrict__ sums, const int* __restrict__ counted_in, int of_window, int height, int width,
       int pitch, int rows, float inverse_scale, float ssim_weight, float mse_weight) {
    __shared__ StackMemory<WITH_WEIGHTS> memory;
    const Strip strip(height, width, pitch, rows);
    const int window = blockIdx.x / of_window;
    const int* region = counted_in + 4 * window;
    const Counted counted(strip, region[0], region[1], region[2], region[3]);
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane;
    StackPass<WITH_WEIGHTS> pass = {memory,
                                 strip,
                                 counted,
                                 placed + at,
                                 target + at,
                                 means + at,
                                 variances + at,
                                 gridDim.x * plane,
                                 inverse_scale,
                                 ssim_weight,
                                 mse_weight,
                                 by_composite + at,
                                 {0, 0},
                                 0,
                                 pixel_weights + window * plane};
    const Tally ssim = ssim_march(strip, counted, memory.crossing, pass);
    const long long block[] = {block_sum<THREADS>(ssim.total()), block_sum<THREADS>(pass.coarse.total()),
                               block_sum<THREADS>(static_cast<int>(pass.fine))};
    if (threadIdx.x == 0) {
        const size_t blocks = (size_t)gridDim.x * gridDim.y * gridDim.z;
        const size_t number = ((size_t)blockIdx.x * gridDim.z + blockIdx.z) * gridDim.y + blockIdx.y;
        for (int term = 0; term < 3; ++term) sums[term * blocks + number] = block[term];
    }
}
