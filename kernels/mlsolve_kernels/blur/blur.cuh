// The windowed blur B[.], separable: down the columns as rows arrive, along a row from shared memory.
//
// Twin of reference.py. Sums have a fixed order that does not depend on where a block begins, so that a pixel gets the
// same bits however the image is divided. Contraction is off (compiler.py): a fused multiply-add is written as fmaf.
#pragma once

#include "cuda/shared.cuh"

// The window down one column. Rows are pushed in order; each push completes the window whose centre is RADIUS rows
// above. This is the transposed form: it keeps partial sums instead of rows, and each sum moves on by one place when a
// row is added to it. Rows before the first one that was pushed count as zeros.
struct Down {
    float waiting[2 * RADIUS];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int k = 0; k < 2 * RADIUS; ++k) waiting[k] = 0.0f;
    }

    __device__ __forceinline__ float push(float value) {
        const float done = fmaf(TAPS[0], value, waiting[0]);
#pragma unroll
        for (int k = 1; k < 2 * RADIUS; ++k) waiting[k - 1] = fmaf(TAPS[k], value, waiting[k]);
        waiting[2 * RADIUS - 1] = TAPS[2 * RADIUS] * value;
        return done;
    }
};

// The part of a row in shared memory that one thread reads: its own COLUMNS columns and MARGIN on either side.
struct Window {
    float value[COLUMNS + 2 * MARGIN];

    // at: the address of the row in shared memory, moved on by the thread's columns (thread_address); OFFSET: bytes
    // from there. The thread's own columns are those after the first MARGIN.
    template <int OFFSET, int PAIR = 0>
    __device__ __forceinline__ void load(Shared at) {
        const float2 pair = load2<OFFSET + 8 * PAIR>(at);
        value[2 * PAIR] = pair.x;
        value[2 * PAIR + 1] = pair.y;
        if constexpr (PAIR + 1 < COLUMNS / 2 + MARGIN) load<OFFSET, PAIR + 1>(at);
    }

    // The blur along the row at the thread's own column c.
    __device__ __forceinline__ float along(int c) const {
        const int first = c + MARGIN - RADIUS;
        float sum = TAPS[0] * value[first];
#pragma unroll
        for (int k = 1; k < WINDOW; ++k) sum = fmaf(TAPS[k], value[first + k], sum);
        return sum;
    }

    __device__ __forceinline__ Window times(const Window& other) const {
        Window product;
#pragma unroll
        for (int k = 0; k < COLUMNS + 2 * MARGIN; ++k) product.value[k] = value[k] * other.value[k];
        return product;
    }
};
