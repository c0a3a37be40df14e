// What happens to a layer's gradient: it is stored, or the layer takes a step of Adam. The result is stored elsewhere,
// because neighbours still read the old layer.
#pragma once

#include "adam/step.cuh"
#include "ssim/stream.cuh"

struct Step {
    char *out, *first, *second;  // Strip::own
    bool padded;                 // whether the second column is in the padding, which stays as it is
    Shared rates;                // in shared memory

    __device__ __forceinline__ void store(const float (&gradient)[COLUMNS], const Leaving& leaving) const {
        store2(out + leaving.at, make_float2(gradient[0], gradient[1]), leaving.stores);
    }

    __device__ __forceinline__ void take(const float (&x)[COLUMNS], float2 before, float2 square_before,
                                         const float (&gradient)[COLUMNS], const Leaving& leaving) const {
        const Rates now(load2<0>(rates), load2<8>(rates), load2<16>(rates), load2<24>(rates));
        float2 value = make_float2(x[0], x[1]), mean = before, square = square_before;
        take_step(value.x, mean.x, square.x, gradient[0], now);
        take_step(value.y, mean.y, square.y, gradient[1], now);
        store2(out + leaving.at, make_float2(value.x, padded ? x[1] : value.y), leaving.stores);
        store2(first + leaving.at, make_float2(mean.x, padded ? before.y : mean.y), leaving.stores);
        store2(second + leaving.at, make_float2(square.x, padded ? square_before.y : square.y), leaving.stores);
    }
};
