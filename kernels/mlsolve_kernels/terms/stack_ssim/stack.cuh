// The composite of a stack, compared with its target, row by row: what target_pass.cu and stack_pass.cu share.
#pragma once

template <bool WEIGHTED>
struct alignas(16) StackMemory : WeightRows<WEIGHTED, 2> {
    Ring<PASSING> layers[LAYERS], mean, variance;
    Ring<KEPT> target;
    Ring<REACH + 1> composite;
    Crossing crossing;
};

static_assert(alignof(StackMemory<false>) >= 16, "rows are fetched by sixteen bytes");

template <bool WEIGHTED>
struct StackPass {
    StackMemory<WEIGHTED>& memory;
    const Strip& strip;
    const Counted& counted;
    const float *layers, *target, *mean_of_target, *variance_of_target;  // of the plane
    size_t layer_stride;
    float inverse_scale, ssim_weight, mse_weight;
    float* by_composite;
    Tally coarse;  // squared error
    unsigned fine;  // two's complement
    const float* pixel_weights;  // of the plane; only read if WEIGHTED

    __device__ __forceinline__ void fetch(int step) {
        const int row = strip.first - REACH + step;
        const Piece entering(strip.place, row);
#pragma unroll
        for (int k = 0; k < LAYERS; ++k) {
            fetch_row(memory.layers[k].at(step), layers + k * layer_stride, entering);
        }
        fetch_row(memory.target.at(step), target, entering);
        if (step < REACH) return;
        const Piece middle(strip.place, row - RADIUS);
        fetch_row(memory.mean.at(step), mean_of_target, middle);
        fetch_row(memory.variance.at(step), variance_of_target, middle);
        fetch_weights<WEIGHTED>(memory, MIDDLE, step, pixel_weights, middle);
        if (step < 2 * REACH) return;
        fetch_weights<WEIGHTED>(memory, LEAVING, step, pixel_weights, Piece(strip.place, row - REACH));
    }

    __device__ __forceinline__ void enter(int step) {
        const int at = COLUMNS * threadIdx.x;
        compose(step, at);
        if (at < FETCHED - SPAN) compose(step, SPAN + at);
        __syncthreads();
    }

    __device__ __forceinline__ void compose(int step, int at) {
        float first[LAYERS], second[LAYERS];
#pragma unroll
        for (int k = 0; k < LAYERS; ++k) {
            const float2 pair = *reinterpret_cast<const float2*>(memory.layers[k].at(step) + at);
            first[k] = pair.x;
            second[k] = pair.y;
        }
        *reinterpret_cast<float2*>(memory.composite.at(step) + at) =
            make_float2(composed(inverse_scale, first), composed(inverse_scale, second));
    }

    __device__ __forceinline__ const float* x(int step) { return memory.composite.at(step); }
    __device__ __forceinline__ const float* y(int step) { return memory.target.at(step); }
    __device__ __forceinline__ const float* mean(int step) { return memory.mean.at(step); }
    __device__ __forceinline__ const float* variance(int step) { return memory.variance.at(step); }
    __device__ __forceinline__ Weight<WEIGHTED> weight(int step) { return Weight<WEIGHTED>(memory, MIDDLE, step); }

    __device__ __forceinline__ void leave(int step, int row, const float (&x)[COLUMNS], const float (&y)[COLUMNS],
                                          const float (&by_ssim)[COLUMNS]) {
        float blended[COLUMNS];
        const unsigned counts = counted.row(row);
        const Weight<WEIGHTED> weight(memory, LEAVING, step);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            const float error = masked(weight.of(c, squared_error(x[c], y[c])), counts, counted.column[c]);
            const float rounded = error + COARSE_ROUNDER;
            const float rest = error - (rounded - COARSE_ROUNDER);  // exact
            coarse.add(rounded, COARSE_ROUNDER);
            fine += quanta_of(rest + FINE_ROUNDER, FINE_ROUNDER);
            blended[c] = blend(ssim_weight, mse_weight, weight.of(c, by_squared_error(x[c], y[c])), by_ssim[c]);
        }
        store_own(by_composite, row, strip, blended);
    }
};
