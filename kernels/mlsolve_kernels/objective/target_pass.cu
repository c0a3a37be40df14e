// Target pass: the stack as it is seen, compared with the target, and differentiated.
//
//   seen    = inverse_scale · product of the layers                                     (never stored)
//   by_seen = gradient by seen of ssim_weight·(1 - SSIM) + mse_weight·MSE, in the per-pixel measure
//   sums    = a block's sums over the counted pixels: SSIM in 2^-SSIM_BITS; squared error in 2^-COARSE_BITS, and what
//             that leaves of it in 2^-ERROR_BITS, for float32 has not the digits for both
//
// Layout: planes of float32, `pitch` floats a row, a multiple of 4, zeros from `width` on. layers (LAYERS, planes,
// height, pitch); target, its means and variances, by_seen (planes, height, pitch); sums (3, planes, pieces, strips)
// int64, a block's or NONE (sum.cuh). Counted: rows top ... bottom - 1, columns left ... right - 1.
// Launch: grid (planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows.
// Shared memory: rings of fetched rows, (LAYERS + 2)·(AHEAD + 1) + (AHEAD + 11) + 11 + 3 of FETCHED floats; static.
// Twin of target_pass in cpu.py. Constants and headers come from cuda/source.py.
#include "blur/blur.cuh"
#include "cuda/fetch.cuh"
#include "cuda/sum.cuh"
#include "mse/mse.cuh"
#include "product/product.cuh"
#include "ssim/partials.cuh"
#include "ssim/stream.cuh"

struct alignas(16) TargetMemory {
    Ring<PASSING> layers[LAYERS], mean, variance;
    Ring<KEPT> target;
    Ring<REACH + 1> seen;
    Crossing crossing;
};

static_assert(alignof(TargetMemory) >= 16, "rows are fetched by sixteen bytes");

struct TargetPass {
    TargetMemory& memory;
    const Strip& strip;
    const Counted& counted;
    const float *layers, *target, *mean_of_target, *variance_of_target;  // at the plane
    size_t layer_stride;
    float inverse_scale, ssim_weight, mse_weight;
    float* by_seen;
    Tally coarse;  // squared error
    unsigned fine;  // two's complement

    __device__ __forceinline__ void fetch(int step) {
        const int row = strip.first - REACH + step;
        const Piece entering(strip.place, row);
#pragma unroll
        for (int k = 0; k < LAYERS; ++k) {
            fetch_row(memory.layers[k].at(step), layers + k * layer_stride, entering);
        }
        fetch_row(memory.target.at(step), target, entering);
        if (step < REACH) return;
        const Piece middle(strip.place, row - RADIUS);
        fetch_row(memory.mean.at(step), mean_of_target, middle);
        fetch_row(memory.variance.at(step), variance_of_target, middle);
    }

    __device__ __forceinline__ void enter(int step) {
        const int at = COLUMNS * threadIdx.x;
        see(step, at);
        if (at < FETCHED - SPAN) see(step, SPAN + at);
        __syncthreads();
    }

    __device__ __forceinline__ void see(int step, int at) {
        float first[LAYERS], second[LAYERS];
#pragma unroll
        for (int k = 0; k < LAYERS; ++k) {
            const float2 pair = *reinterpret_cast<const float2*>(memory.layers[k].at(step) + at);
            first[k] = pair.x;
            second[k] = pair.y;
        }
        *reinterpret_cast<float2*>(memory.seen.at(step) + at) =
            make_float2(seen_through(inverse_scale, first), seen_through(inverse_scale, second));
    }

    __device__ __forceinline__ const float* x(int step) { return memory.seen.at(step); }
    __device__ __forceinline__ const float* y(int step) { return memory.target.at(step); }
    __device__ __forceinline__ const float* mean(int step) { return memory.mean.at(step); }
    __device__ __forceinline__ const float* variance(int step) { return memory.variance.at(step); }

    __device__ __forceinline__ void leave(int, int row, const float (&x)[COLUMNS], const float (&y)[COLUMNS],
                                          const float (&by_ssim)[COLUMNS]) {
        float blended[COLUMNS];
        const unsigned counts = counted.row(row);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            const float error = masked(squared_error(x[c], y[c]), counts, counted.column[c]);
            const float rounded = error + COARSE_ROUNDER;
            const float rest = error - (rounded - COARSE_ROUNDER);  // exact
            coarse.add(rounded, COARSE_ROUNDER);
            fine += quanta_of(rest + FINE_ROUNDER, FINE_ROUNDER);
            blended[c] = blend(ssim_weight, mse_weight, x[c], y[c], by_ssim[c]);
        }
        store_own(by_seen, row, strip, blended);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
target_pass(const float* __restrict__ layers, const float* __restrict__ target, const float* __restrict__ means,
            const float* __restrict__ variances, float* __restrict__ by_seen, long long* __restrict__ sums, int height,
            int width, int pitch, int rows, int top, int bottom, int left, int right, float inverse_scale,
            float ssim_weight, float mse_weight) {
    __shared__ TargetMemory memory;
    const Strip strip(height, width, pitch, rows);
    const Counted counted(strip, top, bottom, left, right);
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane;
    TargetPass pass = {memory,
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
                       by_seen + at,
                       {0, 0},
                       0};
    const Tally ssim = ssim_march(strip, counted, memory.crossing, pass);
    const long long block[] = {block_sum<THREADS>(ssim.total()), block_sum<THREADS>(pass.coarse.total()),
                               block_sum<THREADS>(static_cast<int>(pass.fine))};
    if (threadIdx.x == 0) {
        const size_t blocks = (size_t)gridDim.x * gridDim.y * gridDim.z;
        const size_t number = ((size_t)blockIdx.x * gridDim.z + blockIdx.z) * gridDim.y + blockIdx.y;
        for (int term = 0; term < 3; ++term) sums[term * blocks + number] = block[term];
    }
}
