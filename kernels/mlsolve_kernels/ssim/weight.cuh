// What pixels weigh: SSIM and its partials are multiplied by it as they are formed, before they are summed and blurred.
//
// Rows of weights are fetched for the row of the partials, and where they are wanted once more for the row that leaves.
// Where all pixels count alike (WEIGHTED false) there are none, and nothing of this is left in the code.
#pragma once

enum { MIDDLE, LEAVING };  // rows that weights are fetched for

// ROWS: 1, or 2 where weights of rows that leave are wanted, too.
template <bool WEIGHTED, int ROWS>
struct WeightRows {
    Ring<PASSING> weights[ROWS];
};

template <int ROWS>
struct WeightRows<false, ROWS> {};

// Fetches a row of weights; all threads of the block take part. which: MIDDLE or LEAVING; plane: not read unless
// WEIGHTED.
template <bool WEIGHTED, int ROWS>
__device__ __forceinline__ void fetch_weights(WeightRows<WEIGHTED, ROWS>& rows, int which, int step,
                                              const float* plane, const Piece& piece) {
    if constexpr (WEIGHTED) fetch_row(rows.weights[which].at(step), plane, piece);
}

// What the thread's own columns weigh of the row that was fetched for `step`.
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

// Of max(0, SSIM)² and its partials the same.
template <bool WEIGHTED>
struct SquaredWeight {
    Weight<WEIGHTED> weight;

    __device__ __forceinline__ SsimPartials of(int c, const SsimPartials& at) const {
        const float positive = at.value < 0.0f ? 0.0f : at.value;  // what is no number stays none
        const float twice = positive + positive;                   // d(S²) = 2 S dS
        return weight.of(c, SsimPartials{positive * positive, twice * at.by_mean, twice * at.by_variance,
                                         twice * at.by_covariance});
    }
};
