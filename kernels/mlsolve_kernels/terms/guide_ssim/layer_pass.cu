// Layer pass: every layer compared with its guide, and the gradient of the whole loss by the layer.
//
//   gradient_k = by_composite · derivative of the composite by x_k - guide_weight · gradient of SSIM(x_k, G_k)
//   sums       = sum of SSIM over the counted pixels of a block, in 2^-SSIM_BITS
//
// Gradients are in the per-pixel measure.
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on. layers, guides, their
// means and variances, gradient (LAYERS, planes, height, pitch); by_composite (planes, height, pitch), the result of
// target_pass; sums (LAYERS, planes, pieces, strips) int64, one per block, or NONE (sum.cuh). Counted: rows top ...
// bottom - 1, columns left ... right - 1.
// Launch: grid (LAYERS·planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows. Blocks
// at one position in all layers run concurrently and share the layers that they read in the L2 cache.
// Shared memory: rings of fetched rows, (LAYERS + 2)·(AHEAD + 1) + 2·(AHEAD + 11) + 3 of FETCHED floats; static.
// Twin of guide_pass in cpu.py, and of the sweep. Constants and headers come from cuda/source.py.
#include "blur/blur.cuh"
#include "cuda/fetch.cuh"
#include "cuda/sum.cuh"
#include "light/light.cuh"
#include "ssim/partials.cuh"
#include "ssim/stream.cuh"
#include "ssim/weight.cuh"
#include "terms/guide_ssim/layer.cuh"

// The gradient by a layer, by the chain rule through the light.
struct Lit {
    template <int COUNT>
    static __device__ __forceinline__ float back(float constant, const float (&value)[COUNT]) {
        return chained(constant, value);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
KERNEL(const float* __restrict__ layers, const float* __restrict__ guides, const float* __restrict__ means,
           const float* __restrict__ variances, const float* __restrict__ by_composite, float* __restrict__ gradient,
           long long* __restrict__ sums, int height, int width, int pitch, int rows, int top, int bottom, int left,
           int right, float inverse_scale, float guide_weight) {
    __shared__ LayerMemory<LAYERS, false> memory;
    const Strip strip(height, width, pitch, rows);
    const Counted counted(strip, top, bottom, left, right);
    const int planes = gridDim.x / LAYERS, own = blockIdx.x / planes, colour = blockIdx.x % planes;
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane;
    LayerPass<LAYERS, false, Lit> pass = {memory,
                                     strip,
                                     layers + colour * plane,
                                     layers + at,
                                     guides + at,
                                     means + at,
                                     variances + at,
                                     nullptr,
                                     by_composite + colour * plane,
                                     planes * plane,
                                     own,
                                     inverse_scale,
                                     guide_weight,
                                     gradient + at};
    const long long sum = block_sum<THREADS>(ssim_march(strip, counted, memory.crossing, pass).total());
    if (threadIdx.x == 0) sums[((size_t)blockIdx.x * gridDim.z + blockIdx.z) * gridDim.y + blockIdx.y] = sum;
}
