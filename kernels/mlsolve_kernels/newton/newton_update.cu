// Newton update: one damped Newton step of all layers at every pixel, given their gradient; also counts the iteration.
//
//   slope_k  = constant · product of the other layers, 0 where the layer is at a bound and pushed outwards
//   layers, velocities = newton_step(…) with line turns[1] of `rates`
//   turns[0] = turns[1] + 1
//
// Layout: layers, velocities, curvatures, gradient (LAYERS, planes, height, pitch) float32, `gradient` in the per-pixel
// measure; by_stack, windowed, wanted (planes, height, pitch): the curvature by the stack, B[stack], B[target];
// pixel_weights (windows, height, pitch), of_window planes for each window, read if `weighted`. Columns from `width` on
// are not changed. rates (n, 8) float32, see NewtonRates in step.py; turns (2) int32.
// Launch: grid (tiles across the pitch, tiles down, planes), blocks of CARRYING; a tile is TILE·TILE pixels, of which a
// thread has TILE_ROWS of a column.
// Shared memory: none.
// Twin of newton_row in cpu.py. Constants and headers come from cuda/source.py.
#include "cuda/turns.cuh"
#include "newton/step.cuh"
#include "placement/tile.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
newton_update(float* __restrict__ layers, float* __restrict__ velocities, const float* __restrict__ curvatures,
       const float* __restrict__ gradient, const float* __restrict__ by_stack, const float* __restrict__ windowed,
       const float* __restrict__ wanted, const float* __restrict__ pixel_weights, int weighted, int of_window,
       const float* __restrict__ rates, int* __restrict__ turns, int height, int width, int pitch, float constant) {
    const int turn = turns[LAST];
    count(turns, turn);
    const NewtonRates now(rates + NEWTON_RATES * turn);
    const Tile tile;
    const int column = tile.left + tile.lane;
    if (column >= width) return;
    const size_t plane = (size_t)height * pitch, sheet = gridDim.z * plane;
#pragma unroll 1
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const size_t in_plane = (size_t)row * pitch + column, at = blockIdx.z * plane + in_plane;
        float x[LAYERS], slope[LAYERS], inverse[LAYERS];
#pragma unroll
        for (int k = 0; k < LAYERS; ++k) x[k] = layers[k * sheet + at];
        const float bend = by_stack[at];
        float before = constant, after = 1.0f;
#pragma unroll
        for (int k = LAYERS - 1; k >= 0; --k) {
            slope[k] = after;
            after *= x[k];
        }
        float by_gradient = 0.0f, by_slope = 0.0f, free = 0.0f;
#pragma unroll
        for (int k = 0; k < LAYERS; ++k) {
            const float pull = gradient[k * sheet + at];
            slope[k] = room_of(x[k], pull, now) != 0.0f ? before * slope[k] : 0.0f;
            before *= x[k];
            inverse[k] = inverse_of(slope[k], bend, curvatures[k * sheet + at], now);
            const float through = slope[k] * inverse[k];
            by_gradient += through * pull;
            by_slope += through * slope[k];
            free += slope[k] != 0.0f ? 1.0f : 0.0f;
        }
        const float through = bend * by_gradient / (1.0f + bend * by_slope);
        const float counts =
            weighted ? counted_in_shift(pixel_weights[blockIdx.z / of_window * plane + in_plane], LAYERS) : 1.0f;
        const float shift = shift_of(windowed[at], wanted[at], counts, free, now);
#pragma unroll
        for (int k = 0; k < LAYERS; ++k) {
            const size_t here = k * sheet + at;
            float velocity = velocities[here];
            newton_step(x[k], velocity, gradient[here], slope[k], inverse[k], through, slope[k] != 0.0f ? shift : 0.0f,
                        now);
            layers[here] = x[k];
            velocities[here] = velocity;
        }
    }
}
