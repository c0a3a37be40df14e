// Pixel weights: SSIM and its partials are multiplied by them at each pixel, before they are summed and blurred.
//
// Weights are fetched for the row of the partials and, in passes that need them again, for the row that leaves. If all
// pixels count equally (WEIGHTED false) there are no weights, and none of this is in the compiled code.
#pragma once

#include "ssim/partials.cuh"
#include "ssim/stream.cuh"

// The weights of the thread's own columns in row NUMBER of those that pass.
template <bool WEIGHTED, int NUMBER>
struct Weight {
    float value[COLUMNS];

    __device__ __forceinline__ explicit Weight(Shared passing) {
        if constexpr (WEIGHTED) {
            const float2 pair = load2<NUMBER * ROW + OWN_PAIR>(passing);
            value[0] = pair.x;
            value[1] = pair.y;
        }
    }

    __device__ __forceinline__ float of(int c, float x) const {
        if constexpr (WEIGHTED) return value[c] * x;
        return x;
    }

    __device__ __forceinline__ SsimPartials of(int c, const SsimPartials& at) const {
        return {of(c, at.value), of(c, at.by_mean), of(c, at.by_variance), of(c, at.by_covariance)};
    }
};

// The same for max(0, SSIM)² and its partials.
template <bool WEIGHTED, int NUMBER>
struct SquaredWeight {
    Weight<WEIGHTED, NUMBER> weight;

    __device__ __forceinline__ SsimPartials of(int c, const SsimPartials& at) const {
        const float positive = at.value < 0.0f ? 0.0f : at.value;  // NaN stays NaN
        const float twice = positive + positive;                   // d(S²) = 2 S dS
        return weight.of(c, SsimPartials{positive * positive, twice * at.by_mean, twice * at.by_variance,
                                         twice * at.by_covariance});
    }
};
