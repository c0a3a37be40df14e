// A placed sheet compared with the target of its stack, row by row: max(0, SSIM)² and its gradient.
//
// The Pass of leak_pass.cu for March. WITH_WEIGHTS: whether there are pixel weights.
#pragma once

#include "ssim/weight.cuh"

struct LeakPass {
    enum { MEAN, VARIANCE, WEIGHT, ROWS = WEIGHT + WITH_WEIGHTS };
    static constexpr bool COMPOSES = false;

    const char *sheet, *target, *mean_of_target, *variance_of_target, *pixel_weights;  // origins
    float leak_weight;
    char* by_sheet;  // Strip::own

    __device__ __forceinline__ void fetch(const Fetches& fetches) const {
        fetches.enter<X>(sheet);
        fetches.enter<Y>(target);
        fetches.derive<MEAN>(mean_of_target);
        fetches.derive<VARIANCE>(variance_of_target);
        if constexpr (WITH_WEIGHTS) fetches.derive<WEIGHT>(pixel_weights);
    }

    __device__ __forceinline__ SquaredWeight<WITH_WEIGHTS, WEIGHT> weight(Shared passing) const {
        return {Weight<WITH_WEIGHTS, WEIGHT>(passing)};
    }

    __device__ __forceinline__ void leave(Shared, const float (&)[COLUMNS], const float (&)[COLUMNS],
                                          const float (&by_ssim)[COLUMNS], const Leaving& leaving) const {
        const float2 result = make_float2(leak_weight * by_ssim[0], leak_weight * by_ssim[1]);
        store2(by_sheet + leaving.at, result, leaving.stores);
    }
};
