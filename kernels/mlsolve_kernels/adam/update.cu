// Update: one step of Adam of all layers, given their gradient; also counts the iteration.
//
//   x, first, second = adam_step(x, first, second, gradient) with line turns[1] of `rates`
//   turns[0]         = turns[1] + 1
//
// Layout: x, first, second, gradient (rows, pitch) float32, `gradient` in the per-pixel measure, a pitch that is a
// multiple of 4, rows aligned to 16 bytes; columns from `width` on are not changed. rates (n, 8) float32, see Rates in
// step.py; turns (2) int32.
// Launch: grid_for in cuda.py, blocks of CARRYING; a thread has four neighbouring pixels of a row.
// Shared memory: none.
// Used where several kernels add up the gradient; a kernel that has all of it takes the step itself.
#include "adam/step.cuh"
#include "cuda/turns.cuh"

// Take a step of a pixel if it is `inside`. It is computed anyway, so that the steps of a thread overlap.
__device__ __forceinline__ void step_if(bool inside, float& x, float& first, float& second, float gradient,
                                        const Rates& now) {
    float value = x, mean = first, square = second;
    take_step(value, mean, square, gradient, now);
    x = inside ? value : x;
    first = inside ? mean : first;
    second = inside ? square : second;
}

extern "C" __global__ void __launch_bounds__(CARRYING)
update(float* __restrict__ x, float* __restrict__ first, float* __restrict__ second,
       const float* __restrict__ gradient, const float* __restrict__ rates, int* __restrict__ turns, int rows,
       int width, int pitch) {
    const int turn = turns[LAST];
    count(turns, turn);
    const int column = (blockIdx.x * CARRYING + threadIdx.x) * 4;
    if (column >= width) return;
    const Rates now(rates + RATES * turn);
    for (int row = blockIdx.y; row < rows; row += gridDim.y) {
        const size_t at = (size_t)row * pitch + column;
        const float4 slopes = *reinterpret_cast<const float4*>(gradient + at);
        float4 values = *reinterpret_cast<const float4*>(x + at);
        float4 means = *reinterpret_cast<const float4*>(first + at);
        float4 squares = *reinterpret_cast<const float4*>(second + at);
        step_if(true, values.x, means.x, squares.x, slopes.x, now);
        step_if(column + 1 < width, values.y, means.y, squares.y, slopes.y, now);
        step_if(column + 2 < width, values.z, means.z, squares.z, slopes.z, now);
        step_if(column + 3 < width, values.w, means.w, squares.w, slopes.w, now);
        *reinterpret_cast<float4*>(x + at) = values;
        *reinterpret_cast<float4*>(first + at) = means;
        *reinterpret_cast<float4*>(second + at) = squares;
    }
}
