// Layer pass: every layer compared with its guide, and the gradient of the whole loss by it.
//
//   gradient_k = by_seen · inverse_scale · product of the other layers - guide_weight · gradient of SSIM(x_k, G_k)
//   sums       = a block's sum of SSIM over the counted pixels, in 2^-SSIM_BITS
//
// in the per-pixel measure. The product of the others is taken as a product, never as p / x.
//
// Layout: planes of float32, `pitch` floats a row, a multiple of 4, zeros from `width` on. layers, guides, their means
// and variances, gradient (LAYERS, planes, height, pitch); by_seen (planes, height, pitch), by target_pass; sums
// (LAYERS, planes, pieces, strips) int64, a block's or NONE (sum.cuh). Counted: rows top ... bottom - 1, columns left
// ... right - 1.
// Launch: grid (LAYERS·planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows. Blocks
// of one place in all layers run side by side and share what they read of each other's layers in the L2 cache.
// Shared memory: rings of fetched rows, (LAYERS + 2)·(AHEAD + 1) + 2·(AHEAD + 11) + 3 of FETCHED floats; static.
// Twin of layer_pass in cpu.py. Constants and headers come from cuda/source.py.
#include "blur/blur.cuh"
#include "cuda/fetch.cuh"
#include "cuda/sum.cuh"
#include "product/product.cuh"
#include "ssim/partials.cuh"
#include "ssim/stream.cuh"

struct alignas(16) LayerMemory {
    Ring<KEPT> layer, guide;
    Ring<PASSING> mean, variance;
    Ring<PASSING> through[LAYERS];  // by_seen and the other layers
    Crossing crossing;
};

static_assert(alignof(LayerMemory) >= 16, "rows are fetched by sixteen bytes");

struct LayerPass {
    LayerMemory& memory;
    const Strip& strip;
    const float *layers, *layer, *guide, *mean_of_guide, *variance_of_guide, *by_seen;  // at the plane
    size_t layer_stride;
    int own;  // number of the layer
    float inverse_scale, guide_weight;
    float* gradient;

    __device__ __forceinline__ void fetch(int step) {
        const int row = strip.first - REACH + step;
        const Piece entering(strip.place, row);
        fetch_row(memory.layer.at(step), layer, entering);
        fetch_row(memory.guide.at(step), guide, entering);
        if (step < REACH) return;
        const Piece middle(strip.place, row - RADIUS);
        fetch_row(memory.mean.at(step), mean_of_guide, middle);
        fetch_row(memory.variance.at(step), variance_of_guide, middle);
        if (step < 2 * REACH) return;
        const Piece leaving(strip.place, row - REACH);
        fetch_row(memory.through[0].at(step), by_seen, leaving);
#pragma unroll
        for (int k = 1; k < LAYERS; ++k) {
            const int other = k - 1 < own ? k - 1 : k;
            fetch_row(memory.through[k].at(step), layers + other * layer_stride, leaving);
        }
    }

    __device__ __forceinline__ void enter(int) {}

    __device__ __forceinline__ const float* x(int step) { return memory.layer.at(step); }
    __device__ __forceinline__ const float* y(int step) { return memory.guide.at(step); }
    __device__ __forceinline__ const float* mean(int step) { return memory.mean.at(step); }
    __device__ __forceinline__ const float* variance(int step) { return memory.variance.at(step); }

    __device__ __forceinline__ void leave(int step, int row, const float (&)[COLUMNS], const float (&)[COLUMNS],
                                          const float (&by_ssim)[COLUMNS]) {
        float chain[COLUMNS][LAYERS];
#pragma unroll
        for (int k = 0; k < LAYERS; ++k) {
            const Own factor(memory.through[k].at(step));
#pragma unroll
            for (int c = 0; c < COLUMNS; ++c) chain[c][k] = factor.value[c];
        }
        float result[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            result[c] = fmaf(-guide_weight, by_ssim[c], seen_through(inverse_scale, chain[c]));
        }
        store_own(gradient, row, strip, result);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
layer_pass(const float* __restrict__ layers, const float* __restrict__ guides, const float* __restrict__ means,
           const float* __restrict__ variances, const float* __restrict__ by_seen, float* __restrict__ gradient,
           long long* __restrict__ sums, int height, int width, int pitch, int rows, int top, int bottom, int left,
           int right, float inverse_scale, float guide_weight) {
    __shared__ LayerMemory memory;
    const Strip strip(height, width, pitch, rows);
    const Counted counted(strip, top, bottom, left, right);
    const int planes = gridDim.x / LAYERS, own = blockIdx.x / planes, colour = blockIdx.x % planes;
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane;
    LayerPass pass = {memory,
                      strip,
                      layers + colour * plane,
                      layers + at,
                      guides + at,
                      means + at,
                      variances + at,
                      by_seen + colour * plane,
                      planes * plane,
                      own,
                      inverse_scale,
                      guide_weight,
                      gradient + at};
    const long long sum = block_sum<THREADS>(ssim_march(strip, counted, memory.crossing, pass).total());
    if (threadIdx.x == 0) sums[((size_t)blockIdx.x * gridDim.z + blockIdx.z) * gridDim.y + blockIdx.y] = sum;
}
