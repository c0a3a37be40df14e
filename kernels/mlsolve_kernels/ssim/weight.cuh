// Pixel weights: SSIM and its partials are multiplied by them at each pixel, before they are summed and blurred.
//
// Weights are fetched for the row of the partials and, in passes that need them again, for the row that leaves. If all
// pixels count equally (WEIGHTED false) there are no weights, and none of this is in the compiled code.
#pragma once

enum { MIDDLE, LEAVING };  // the rows for which weights are fetched

// ROWS: 1, or 2 if weights of the leaving row are needed, too.
template <bool WEIGHTED, int ROWS>
struct WeightRows {
    Ring<PASSING> weights[ROWS];
};

template <int ROWS>
struct WeightRows<false, ROWS> {};

// Fetches a row of weights; all threads of the block must call it. which: MIDDLE or LEAVING; plane: only read if
// WEIGHTED.
template <bool WEIGHTED, int ROWS>
__device__ __forceinline__ void fetch_weights(WeightRows<WEIGHTED, ROWS>& rows, int which, int step,
                                              const float* plane, const Piece& piece) {
    if constexpr (WEIGHTED) fetch_row(rows.weights[which].at(step), plane, piece);
}

// The weights of the thread's own columns in the row that was fetched for `step`.
template <bool WEIGHTED>
struct Weight {
    float value[COLUMNS];

    template <int ROWS>
    __device__ __forceinline__ Weight(WeightRows<WEIGHTED, ROWS>& rows, int which, int step) {
        if constexpr (WEIGHTED) {
            const Own own(rows.weights[which].at(step));
#pragma unroll
            for (int c = 0; c < COLUMNS; ++c) value[c] = own.value[c];
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
template <bool WEIGHTED>
struct SquaredWeight {
    Weight<WEIGHTED> weight;

    __device__ __forceinline__ SsimPartials of(int c, const SsimPartials& at) const {
        const float positive = at.value < 0.0f ? 0.0f : at.value;  // NaN stays NaN
        const float twice = positive + positive;                   // d(S²) = 2 S dS
        return weight.of(c, SsimPartials{positive * positive, twice * at.by_mean, twice * at.by_variance,
                                         twice * at.by_covariance});
    }
};
