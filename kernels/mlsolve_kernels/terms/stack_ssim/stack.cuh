// The composite of a stack, compared with its target, row by row.
//
// The Pass of stack_pass.cu for March. WITH_WEIGHTS: whether there are pixel weights.
#pragma once

#include "light/light.cuh"
#include "ssim/weight.cuh"
#include "terms/stack_mse/mse.cuh"

struct StackPass {
    enum {
        MEAN,
        VARIANCE,
        WEIGHT,
        LEAVING_WEIGHT = WEIGHT + WITH_WEIGHTS,
        SHEET = LEAVING_WEIGHT + WITH_WEIGHTS,
        ROWS = SHEET + LAYERS
    };
    static constexpr bool COMPOSES = true;

    const Counted& counted;
    const char *target, *mean_of_target, *variance_of_target;  // origins
    const char *pixel_weights, *leaving_weights;               // origins; not used without weights
    const char* sheets[LAYERS];                                // origins
    float inverse_scale, ssim_weight, mse_weight;
    char* by_composite;  // Strip::own
    Tally coarse;        // squared error
    unsigned fine;       // two's complement

    __device__ __forceinline__ void fetch(const Fetches& fetches) const {
        fetches.enter<Y>(target);
        fetch_sheets<0>(fetches);
        fetches.derive<MEAN>(mean_of_target);
        fetches.derive<VARIANCE>(variance_of_target);
        if constexpr (WITH_WEIGHTS) {
            fetches.derive<WEIGHT>(pixel_weights);
            fetches.leave<LEAVING_WEIGHT>(leaving_weights);
        }
    }

    template <int NUMBER>
    __device__ __forceinline__ void fetch_sheets(const Fetches& fetches) const {
        fetches.compose<SHEET + NUMBER>(sheets[NUMBER]);
        if constexpr (NUMBER + 1 < LAYERS) fetch_sheets<NUMBER + 1>(fetches);
    }

    // A thread composes the sixteen bytes that it has fetched; one that fetches nothing repeats the last ones.
    __device__ __forceinline__ void compose(Shared passing, Shared x) const {
        const int own = 4 * COLUMNS * threadIdx.x, fetched = min(16 * static_cast<int>(threadIdx.x), ROW - 16);
        const Shared at = passing - own + fetched;
        float sheet[4][LAYERS];
        load_sheets<0>(at, sheet);
        const float4 row = make_float4(composed(inverse_scale, sheet[0]), composed(inverse_scale, sheet[1]),
                                       composed(inverse_scale, sheet[2]), composed(inverse_scale, sheet[3]));
        put4<X * ROW>(x - own + fetched, row, threadIdx.x < FETCHED / 4);
    }

    template <int NUMBER>
    static __device__ __forceinline__ void load_sheets(Shared at, float (&sheet)[4][LAYERS]) {
        const float4 four = load4<(SHEET + NUMBER) * ROW>(at);
        sheet[0][NUMBER] = four.x;
        sheet[1][NUMBER] = four.y;
        sheet[2][NUMBER] = four.z;
        sheet[3][NUMBER] = four.w;
        if constexpr (NUMBER + 1 < LAYERS) load_sheets<NUMBER + 1>(at, sheet);
    }

    __device__ __forceinline__ Weight<WITH_WEIGHTS, WEIGHT> weight(Shared passing) const {
        return Weight<WITH_WEIGHTS, WEIGHT>(passing);
    }

    __device__ __forceinline__ void leave(Shared passing, const float (&x)[COLUMNS], const float (&y)[COLUMNS],
                                          const float (&by_ssim)[COLUMNS], const Leaving& leaving) {
        const unsigned counts = counted.row(leaving.row);
        const Weight<WITH_WEIGHTS, LEAVING_WEIGHT> weight(passing);
        float blended[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            const float error = masked(weight.of(c, squared_error(x[c], y[c])), counts, counted.column[c]);
            const float rounded = error + COARSE_ROUNDER;
            const float rest = error - (rounded - COARSE_ROUNDER);  // exact
            coarse.add(rounded, COARSE_ROUNDER);
            fine += quanta_of(rest + FINE_ROUNDER, FINE_ROUNDER);
            blended[c] = blend(ssim_weight, mse_weight, weight.of(c, by_squared_error(x[c], y[c])), by_ssim[c]);
        }
        store2(by_composite + leaving.at, make_float2(blended[0], blended[1]), leaving.stores);
    }
};
