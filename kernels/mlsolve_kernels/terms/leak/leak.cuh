// A placed sheet compared with the target of its stack, row by row: max(0, SSIM)² and its gradient.
//
// The Pass of leak_pass.cu for ssim_march. WITH_WEIGHTS: whether there are pixel weights.
#pragma once

struct alignas(16) LeakMemory : WeightRows<WITH_WEIGHTS, 1> {
    Ring<KEPT> sheet, target;
    Ring<PASSING> mean, variance;
    Crossing crossing;
};

static_assert(alignof(LeakMemory) >= 16, "rows are fetched by sixteen bytes");

struct LeakPass {
    LeakMemory& memory;
    const Strip& strip;
    const float *sheet, *target, *mean_of_target, *variance_of_target, *pixel_weights;  // of the plane
    float leak_weight;
    float* by_sheet;

    __device__ __forceinline__ void fetch(int step) {
        const int row = strip.first - REACH + step;
        const Piece entering(strip.place, row);
        fetch_row(memory.sheet.at(step), sheet, entering);
        fetch_row(memory.target.at(step), target, entering);
        if (step < REACH) return;
        const Piece middle(strip.place, row - RADIUS);
        fetch_row(memory.mean.at(step), mean_of_target, middle);
        fetch_row(memory.variance.at(step), variance_of_target, middle);
        fetch_weights<WITH_WEIGHTS>(memory, MIDDLE, step, pixel_weights, middle);
    }

    __device__ __forceinline__ void enter(int) {}

    __device__ __forceinline__ const float* x(int step) { return memory.sheet.at(step); }
    __device__ __forceinline__ const float* y(int step) { return memory.target.at(step); }
    __device__ __forceinline__ const float* mean(int step) { return memory.mean.at(step); }
    __device__ __forceinline__ const float* variance(int step) { return memory.variance.at(step); }
    __device__ __forceinline__ SquaredWeight<WITH_WEIGHTS> weight(int step) {
        return {Weight<WITH_WEIGHTS>(memory, MIDDLE, step)};
    }

    __device__ __forceinline__ void leave(int, int row, const float (&)[COLUMNS], const float (&)[COLUMNS],
                                          const float (&by_ssim)[COLUMNS]) {
        float result[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) result[c] = leak_weight * by_ssim[c];
        store_own(by_sheet, row, strip, result);
    }
};
