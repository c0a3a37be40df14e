// Guide pass: every layer compared with its guide; what came back from the stacks becomes the gradient of the loss.
//
//   gradient = gradient - guide_weight · gradient of SSIM(x_k, G_k), in the per-pixel measure, pixels weighed, in
//              place; 0 where the weight is 0
//   sums     = a block's sum of weighed SSIM over the counted pixels, in 2^-SSIM_BITS
//
// It is layer_pass of a layer whose light is dealt with already, with weights of pixels (WITH_WEIGHTS:
// the disc) and, for each window of the image that the planes hold, a counted region of its own.
//
// Layout: planes of float32, `pitch` floats a row, a multiple of 4, zeros from `width` on. layers, guides, their means
// and variances, gradient (layers, planes, height, pitch), of_window planes for each window; pixel_weights (windows,
// height, pitch), anything unless WITH_WEIGHTS; sums (layers, planes, pieces, strips) int64, a block's or NONE
// (sum.cuh); counted_in (windows, 4) int32: top, bottom, left, right.
// Launch: grid (layers·planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows. A block
// fetches rows of the gradient that its neighbours change, but uses of them its own columns and rows alone.
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
