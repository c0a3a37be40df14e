// Target pass: the composite of the layers, compared with the target, and the gradient by it.
//
//   composite    = composite of the layers by the light                                 (never stored)
//   by_composite = gradient by it of ssim_weight·(1 - SSIM) + mse_weight·MSE, in the per-pixel measure
//   sums         = sums over the counted pixels of a block: SSIM in 2^-SSIM_BITS; squared error in 2^-COARSE_BITS, and
//                  its remainder in 2^-ERROR_BITS, because float32 has too few bits for both at once
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on. layers (LAYERS, planes,
// height, pitch); target, its means and variances, by_composite (planes, height, pitch); sums (3, planes, pieces,
// strips) int64, one per block, or NONE (sum.cuh). Counted: rows top ... bottom - 1, columns left ... right - 1.
// Launch: grid (planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows.
// Shared memory: rings of fetched rows, (LAYERS + 2)·(AHEAD + 1) + (AHEAD + 11) + 11 + 3 of FETCHED floats; static.
// Twin of stack_pass in cpu.py, and of the sweep. Constants and headers come from cuda/source.py.
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
KERNEL(const float* __restrict__ layers, const float* __restrict__ target, const float* __restrict__ means,
            const float* __restrict__ variances, float* __restrict__ by_composite, long long* __restrict__ sums, int height,
            int width, int pitch, int rows, int top, int bottom, int left, int right, float inverse_scale,
            float ssim_weight, float mse_weight) {
    __shared__ StackMemory<false> memory;
    const Strip strip(height, width, pitch, rows);
    const Counted counted(strip, top, bottom, left, right);
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane;
    StackPass<false> pass = {memory,
                              strip,
                              counted,
                              layers + at,
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
                              nullptr};
    const Tally ssim = ssim_march(strip, counted, memory.crossing, pass);
    const long long block[] = {block_sum<THREADS>(ssim.total()), block_sum<THREADS>(pass.coarse.total()),
                               block_sum<THREADS>(static_cast<int>(pass.fine))};
    if (threadIdx.x == 0) {
        const size_t blocks = (size_t)gridDim.x * gridDim.y * gridDim.z;
        const size_t number = ((size_t)blockIdx.x * gridDim.z + blockIdx.z) * gridDim.y + blockIdx.y;
        for (int term = 0; term < 3; ++term) sums[term * blocks + number] = block[term];
    }
}
