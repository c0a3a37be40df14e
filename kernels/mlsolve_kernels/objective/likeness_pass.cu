// Likeness pass: what each placed sheet alone shows of the target, max(0, SSIM)² pixel by pixel.
//
//   by_sheet = hide_weight · gradient of its sum by the sheet, pixels weighed, in the per-pixel measure
//   sums     = a block's sum of it over the counted pixels, weighed, in 2^-SSIM_BITS
//
// Layout: planes of float32, `pitch` floats a row, a multiple of 4, zeros from `width` on. placed, by_sheet (sheets,
// planes, height, pitch); target, its means and variances (planes, height, pitch), of_window planes for each window;
// pixel_weights (windows, height, pitch), anything unless WITH_WEIGHTS; sums (sheets, planes, pieces, strips) int64, a
// block's or NONE (sum.cuh); counted_in (windows, 4) int32: top, bottom, left, right.
// Launch: grid (sheets·planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows. Blocks
// of one place in all sheets run side by side and share the target in the L2 cache.
// Shared memory: rings of fetched rows, 2·(AHEAD + 1) + 2·(AHEAD + 11) + 3 of FETCHED floats, with weights AHEAD + 1
// more; static.
// Twin of likeness_pass in passes.py. Constants and headers come from cuda/source.py.
#include "blur/blur.cuh"
#include "cuda/fetch.cuh"
#include "cuda/sum.cuh"
#include "ssim/partials.cuh"
#include "ssim/stream.cuh"
#include "ssim/weight.cuh"

struct alignas(16) LikenessMemory : WeightRows<WITH_WEIGHTS, 1> {
    Ring<KEPT> sheet, target;
    Ring<PASSING> mean, variance;
    Crossing crossing;
};

static_assert(alignof(LikenessMemory) >= 16, "rows are fetched by sixteen bytes");

struct LikenessPass {
    LikenessMemory& memory;
    const Strip& strip;
    const float *sheet, *target, *mean_of_target, *variance_of_target, *pixel_weights;  // at the plane
    float hide_weight;
    float* by_sheet;

    __device__ __forceinline__ void fetch(int step) {
        const int row = strip.first - REACH + step;
        const Piece entering(strip.place, row);
        fetch_row(memory.sheet.at(step), sheet, entering);
        fetch_row(memory.target.at(step), target, entering);
        if (step < REACH) return;
        const Piece middle(strip.place, row - RADIUS);
        fetch_row(memory.mean.at(step), mean_of_target, middle);
        fetch_row(memory.variance.at(step), variance_of_target, middle);
        fetch_weights<WITH_WEIGHTS>(memory, MIDDLE, step, pixel_weights, middle);
    }

    __device__ __forceinline__ void enter(int) {}

    __device__ __forceinline__ const float* x(int step) { return memory.sheet.at(step); }
    __device__ __forceinline__ const float* y(int step) { return memory.target.at(step); }
    __device__ __forceinline__ const float* mean(int step) { return memory.mean.at(step); }
    __device__ __forceinline__ const float* variance(int step) { return memory.variance.at(step); }
    __device__ __forceinline__ SquaredWeight<WITH_WEIGHTS> weight(int step) {
        return {Weight<WITH_WEIGHTS>(memory, MIDDLE, step)};
    }

    __device__ __forceinline__ void leave(int, int row, const float (&)[COLUMNS], const float (&)[COLUMNS],
                                          const float (&by_ssim)[COLUMNS]) {
        float result[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) result[c] = hide_weight * by_ssim[c];
        store_own(by_sheet, row, strip, result);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
KERNEL(const float* __restrict__ placed, const float* __restrict__ target, const float* __restrict__ means,
       const float* __restrict__ variances, const float* __restrict__ pixel_weights, float* __restrict__ by_sheet,
       long long* __restrict__ sums, const int* __restrict__ counted_in, int planes, int of_window, int height,
       int width, int pitch, int rows, float hide_weight) {
    __shared__ LikenessMemory memory;
    const Strip strip(height, width, pitch, rows);
    const int colour = blockIdx.x % planes, window = colour / of_window;
    const int* region = counted_in + 4 * window;
    const Counted counted(strip, region[0], region[1], region[2], region[3]);
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane, of_target = colour * plane;
    LikenessPass pass = {memory,
                         strip,
                         placed + at,
                         target + of_target,
                         means + of_target,
                         variances + of_target,
                         pixel_weights + window * plane,
                         hide_weight,
                         by_sheet + at};
    const long long sum = block_sum<THREADS>(ssim_march(strip, counted, memory.crossing, pass).total());
    if (threadIdx.x == 0) sums[((size_t)blockIdx.x * gridDim.z + blockIdx.z) * gridDim.y + blockIdx.y] = sum;
}
