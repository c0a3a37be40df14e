// Guide pass: every layer compared with its guide. The gradient of the stacks becomes the gradient of the loss.
//
//   gradient = gradient - guide_weight · gradient of weighted SSIM(x_k, G_k), in the per-pixel measure, in place; 0
//              where the weight of the pixel is 0
//   sums     = sum of weighted SSIM over the counted pixels of a block, in 2^-SSIM_BITS
//
// It is layer_pass without the light, which has been handled before, but with pixel weights (WITH_WEIGHTS: the disc)
// and with a separate counted region for each window of the image that the planes hold.
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on. layers, guides, their
// means and variances, gradient (layers, planes, height, pitch), of_window planes for each window; pixel_weights
// (windows, height, pitch), only read if WITH_WEIGHTS; sums (layers, planes, pieces, strips) int64, one per block, or
// NONE (sum.cuh); counted_in (windows, 4) int32: top, bottom, left, right.
// Launch: grid (layers·planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows. A block
// fetches rows of the gradient that its neighbours change, but uses only its own columns and rows of them.
// Shared memory: rings of fetched rows, 3·(AHEAD + 1) + 2·(AHEAD + 11) + 3 of FETCHED floats, with weights
// 2·(AHEAD + 1) more; static.
// Twin of guide_pass in cpu.py. Constants and headers come from cuda/source.py.
#include "blur/blur.cuh"
#include "cuda/fetch.cuh"
#include "cuda/sum.cuh"
#include "ssim/partials.cuh"
#include "ssim/stream.cuh"
#include "ssim/weight.cuh"
#include "terms/guide_ssim/layer.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
KERNEL(const float* __restrict__ layers, const float* __restrict__ guides, const float* __restrict__ means,
       const float* __restrict__ variances, const float* __restrict__ pixel_weights, float* gradient,
       long long* __restrict__ sums, const int* __restrict__ counted_in, int planes, int of_window, int height,
       int width, int pitch, int rows, float guide_weight) {
    __shared__ LayerMemory<1, WITH_WEIGHTS> memory;
    const Strip strip(height, width, pitch, rows);
    const int window = blockIdx.x % planes / of_window;
    const int* region = counted_in + 4 * window;
    const Counted counted(strip, region[0], region[1], region[2], region[3]);
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane;
    LayerPass<1, WITH_WEIGHTS, Unlit> pass = {memory,
                                   strip,
                                   nullptr,
                                   layers + at,
                                   guides + at,
                                   means + at,
                                   variances + at,
                                   pixel_weights + window * plane,
                                   gradient + at,
                                   0,
                                   0,
                                   1.0f,
                                   guide_weight,
                                   gradient + at};
    const long long sum = block_sum<THREADS>(ssim_march(strip, counted, memory.crossing, pass).total());
    if (threadIdx.x == 0) sums[((size_t)blockIdx.x * gridDim.z + blockIdx.z) * gridDim.y + blockIdx.y] = sum;
}
