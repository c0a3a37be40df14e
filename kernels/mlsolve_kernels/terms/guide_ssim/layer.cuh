// A layer compared with its guide, row by row, and its gradient: what layer_pass.cu and guide_pass.cu share.
//
// COUNT: the number of values from which LIGHT computes the gradient by the layer: by_composite, then the other layers.
// WEIGHTED: there are pixel weights, and where a weight is 0 the layer must not change.
#pragma once

template <int COUNT, bool WEIGHTED>
struct alignas(16) LayerMemory : WeightRows<WEIGHTED, 2> {
    Ring<KEPT> layer, guide;
    Ring<PASSING> mean, variance;
    Ring<PASSING> through[COUNT];  // by_composite and the other layers
    Crossing crossing;
};

static_assert(alignof(LayerMemory<1, false>) >= 16, "rows are fetched by sixteen bytes");

// LIGHT for a gradient that already is the gradient by the layer.
struct Unlit {
    static __device__ __forceinline__ float back(float, const float (&value)[1]) { return value[0]; }
};

template <int COUNT, bool WEIGHTED, class LIGHT>
struct LayerPass {
    LayerMemory<COUNT, WEIGHTED>& memory;
    const Strip& strip;
    const float *layers, *layer, *guide, *mean_of_guide, *variance_of_guide, *pixel_weights, *by_composite;  // of the plane
    size_t layer_stride;
    int own;  // number of the layer
    float inverse_scale, guide_weight;
    float* gradient;

    __device__ __forceinline__ void fetch(int step) {
        const int row = strip.first - REACH + step;
        const Piece entering(strip.place, row);
        fetch_row(memory.layer.at(step), layer, entering);
        fetch_row(memory.guide.at(step), guide, entering);
        if (step < REACH) return;
        const Piece middle(strip.place, row - RADIUS);
        fetch_row(memory.mean.at(step), mean_of_guide, middle);
        fetch_row(memory.variance.at(step), variance_of_guide, middle);
        fetch_weights<WEIGHTED>(memory, MIDDLE, step, pixel_weights, middle);
        if (step < 2 * REACH) return;
        const Piece leaving(strip.place, row - REACH);
        fetch_row(memory.through[0].at(step), by_composite, leaving);
        fetch_weights<WEIGHTED>(memory, LEAVING, step, pixel_weights, leaving);
#pragma unroll
        for (int k = 1; k < COUNT; ++k) {
            const int other = k - 1 < own ? k - 1 : k;
            fetch_row(memory.through[k].at(step), layers + other * layer_stride, leaving);
        }
    }

    __device__ __forceinline__ void enter(int) {}

    __device__ __forceinline__ const float* x(int step) { return memory.layer.at(step); }
    __device__ __forceinline__ const float* y(int step) { return memory.guide.at(step); }
    __device__ __forceinline__ const float* mean(int step) { return memory.mean.at(step); }
    __device__ __forceinline__ const float* variance(int step) { return memory.variance.at(step); }
    __device__ __forceinline__ Weight<WEIGHTED> weight(int step) { return Weight<WEIGHTED>(memory, MIDDLE, step); }

    __device__ __forceinline__ void leave(int step, int row, const float (&)[COLUMNS], const float (&)[COLUMNS],
                                          const float (&by_ssim)[COLUMNS]) {
        float chain[COLUMNS][COUNT];
#pragma unroll
        for (int k = 0; k < COUNT; ++k) {
            const Own factor(memory.through[k].at(step));
#pragma unroll
            for (int c = 0; c < COLUMNS; ++c) chain[c][k] = factor.value[c];
        }
        const Weight<WEIGHTED> weight(memory, LEAVING, step);
        float result[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            result[c] = fmaf(-guide_weight, by_ssim[c], LIGHT::back(inverse_scale, chain[c]));
            if constexpr (WEIGHTED) result[c] = weight.value[c] == 0.0f ? 0.0f : result[c];
        }
        store_own(gradient, row, strip, result);
    }
};
