// A layer compared with its guide, row by row, the gradient of the whole loss by it, and the step that it takes.
//
// The Pass of layer_pass.cu for March. THROUGH: how many rows the gradient of the stacks is computed from: with
// THROUGH_LIGHT by_composite and the other layers (chain rule), otherwise one, the gradient itself.
// WITH_MORE: a further gradient is added to it.
// WITH_WEIGHTS: there are pixel weights, and where a weight is 0 the layer must not change. WITH_STEP: the layer takes
// a step of Adam; else the gradient is stored.
#pragma once

#include "light/light.cuh"
#include "ssim/weight.cuh"
#include "terms/guide_ssim/step.cuh"

constexpr int THROUGH = THROUGH_LIGHT ? LAYERS : 1;

struct LayerPass {
    enum {
        MEAN,
        VARIANCE,
        WEIGHT,
        LEAVING_WEIGHT = WEIGHT + WITH_WEIGHTS,
        CHAIN = LEAVING_WEIGHT + WITH_WEIGHTS,
        MORE = CHAIN + THROUGH,
        FIRST = MORE + WITH_MORE,
        SECOND,
        ROWS = FIRST + 2 * WITH_STEP
    };
    static constexpr bool COMPOSES = false;

    const char *layer, *guide, *mean_of_guide, *variance_of_guide;   // origins
    const char *pixel_weights, *leaving_weights;                     // origins; not used without weights
    const char *by_stacks, *more, *first_moment, *second_moment;     // origins of what leaves
    const char* others[LAYERS];                                      // of the other layers, the first of them at 1
    float inverse_scale, guide_weight;
    Step step;

    __device__ __forceinline__ void fetch(const Fetches& fetches) const {
        fetches.enter<X>(layer);
        fetches.enter<Y>(guide);
        fetches.derive<MEAN>(mean_of_guide);
        fetches.derive<VARIANCE>(variance_of_guide);
        if constexpr (WITH_WEIGHTS) {
            fetches.derive<WEIGHT>(pixel_weights);
            fetches.leave<LEAVING_WEIGHT>(leaving_weights);
        }
        fetches.leave<CHAIN>(by_stacks);
        fetch_others<1>(fetches);
        if constexpr (WITH_MORE) fetches.leave<MORE>(more);
        if constexpr (WITH_STEP) {
            fetches.leave<FIRST>(first_moment);
            fetches.leave<SECOND>(second_moment);
        }
    }

    template <int NUMBER>
    __device__ __forceinline__ void fetch_others(const Fetches& fetches) const {
        if constexpr (NUMBER < THROUGH) {
            fetches.leave<CHAIN + NUMBER>(others[NUMBER]);
            fetch_others<NUMBER + 1>(fetches);
        }
    }

    template <int NUMBER>
    static __device__ __forceinline__ void load_chain(Shared passing, float (&chain)[COLUMNS][THROUGH]) {
        const float2 pair = load2<(CHAIN + NUMBER) * ROW + OWN_PAIR>(passing);
        chain[0][NUMBER] = pair.x;
        chain[1][NUMBER] = pair.y;
        if constexpr (NUMBER + 1 < THROUGH) load_chain<NUMBER + 1>(passing, chain);
    }

    __device__ __forceinline__ Weight<WITH_WEIGHTS, WEIGHT> weight(Shared passing) const {
        return Weight<WITH_WEIGHTS, WEIGHT>(passing);
    }

    __device__ __forceinline__ void leave(Shared passing, const float (&x)[COLUMNS], const float (&)[COLUMNS],
                                          const float (&by_ssim)[COLUMNS], const Leaving& leaving) const {
        float chain[COLUMNS][THROUGH];
        load_chain<0>(passing, chain);
        float further[COLUMNS] = {};
        if constexpr (WITH_MORE) {
            const float2 pair = load2<MORE * ROW + OWN_PAIR>(passing);
            further[0] = pair.x;
            further[1] = pair.y;
        }
        const Weight<WITH_WEIGHTS, LEAVING_WEIGHT> weight(passing);
        float gradient[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            float by_stacks = chain[c][0];
            if constexpr (THROUGH_LIGHT) by_stacks = chained(inverse_scale, chain[c]);
            if constexpr (WITH_MORE) by_stacks = by_stacks + further[c];
            gradient[c] = fmaf(-guide_weight, by_ssim[c], by_stacks);
            if constexpr (WITH_WEIGHTS) gradient[c] = weight.value[c] == 0.0f ? 0.0f : gradient[c];
        }
#if WITH_STEP
        const float2 first = load2<FIRST * ROW + OWN_PAIR>(passing), second = load2<SECOND * ROW + OWN_PAIR>(passing);
        step.take(x, first, second, gradient, leaving);
#else
        step.store(gradient, leaving);
#endif
    }
};
