// What becomes of the gradient by a layer: it is stored, or the layer takes a step of Adam and is stored elsewhere, for
// its neighbours still read what it was.
#pragma once

#include "ssim/stream.cuh"

constexpr int RATES = 8;  // numbers that Adam needs in an iteration: the fields of Rates in adam/step.py

#if WITH_STEP
// The scalar step of adam/step.py, compiled by Numba and linked (adam/cuda.py). moved: the new value and moments.
extern "C" __device__ void adam_step(float* moved, float x, float first, float second, float gradient, float rate,
                                     float blend_first, float blend_second, float correct_first, float correct_second,
                                     float epsilon, float low, float high);
#endif

struct Step {
    char *out, *first, *second;  // Strip::own
    bool padded;                 // whether the second column is in the padding, which stays as it is
    Shared rates;                // in shared memory

    __device__ __forceinline__ void store(const float (&gradient)[COLUMNS], const Leaving& leaving) const {
        store2(out + leaving.at, make_float2(gradient[0], gradient[1]), leaving.stores);
    }

#if WITH_STEP
    __device__ __forceinline__ void take(const float (&x)[COLUMNS], float2 before, float2 square_before,
                                         const float (&gradient)[COLUMNS], const Leaving& leaving) const {
        const float2 a = load2<0>(rates), b = load2<8>(rates), c = load2<16>(rates), d = load2<24>(rates);
        float left[3], right[3];
        adam_step(left, x[0], before.x, square_before.x, gradient[0], a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y);
        adam_step(right, x[1], before.y, square_before.y, gradient[1], a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y);
        store2(out + leaving.at, make_float2(left[0], padded ? x[1] : right[0]), leaving.stores);
        store2(first + leaving.at, make_float2(left[1], padded ? before.y : right[1]), leaving.stores);
        store2(second + leaving.at, make_float2(left[2], padded ? square_before.y : right[2]), leaving.stores);
    }
#endif
};
