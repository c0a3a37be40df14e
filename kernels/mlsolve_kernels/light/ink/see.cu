// See: a stack composed of its placed sheets, and how the eye sees it.
//
//   composite = composite of the placed sheets by the light, in bands, encoded
//   seen_p    = encoded (to_eye · (composite^2.2 · gain) + room) / (1 + room); gain: light reflected between the sheets,
//               1 unless `reflects`
//
// Layout: placed (LAYERS, windows·of_window, height, pitch) float32, LAYERS being the sheets of the stack; composite, seen
// (windows·of_window, height, pitch), which are not changed from column `width` on. numbers: `packed` in numbers.py, of
// the stack. constant: of the light.
// Launch: grid (tiles across the pitch, tiles down, windows), blocks of CARRYING; a tile is TILE·TILE pixels, of which a
// thread has TILE_ROWS of a column, with 1 or 3 planes (of_window) of each.
// Shared memory: none.
// Twin of light_pass in iteration/passes.py and of see_pass in cpu.py, to the bit. Constants and headers come from
// cuda/source.py.
#include "light/ink/ink.cuh"
#include "light/light.cuh"
#include "placement/tile.cuh"

template <int PLANES>
__device__ __forceinline__ void see_tile(const float* __restrict__ placed, const float* numbers,
                                         float* __restrict__ composite, float* __restrict__ seen, bool reflects,
                                         int height, int width, int pitch, float constant) {
    const Tile tile;
    const Inks<PLANES> inks(numbers);
    const int column = tile.left + tile.lane;
    if (column >= width) return;
    const size_t plane = (size_t)height * pitch, sheet = gridDim.z * PLANES * plane, first = blockIdx.z * PLANES * plane;
#pragma unroll 1
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const size_t at = first + (size_t)row * pitch + column;
        float light[PLANES];
#pragma unroll
        for (int b = 0; b < PLANES; ++b) {
            float x[LAYERS];
#pragma unroll
            for (int k = 0; k < LAYERS; ++k) x[k] = placed[k * sheet + at + b * plane];
            const float product = composed(constant, x), power = power_of(product);
            composite[at + b * plane] = product;
            light[b] = exp2_of(INK_GAMMA * power);
            if (reflects) {
                const float t = inks.through_one(power);
                light[b] = light[b] / inks.inverse_gain(t * t);
            }
        }
#pragma unroll
        for (int p = 0; p < PLANES; ++p) seen[at + p * plane] = seen_of(inks, p, light);
    }
}

extern "C" __global__ void __launch_bounds__(CARRYING)
KERNEL(const float* __restrict__ placed, const float* __restrict__ numbers, float* __restrict__ composite,
       float* __restrict__ seen, float constant, int reflects, int of_window, int height, int width, int pitch) {
    if (of_window == 1) {
        see_tile<1>(placed, numbers, composite, seen, reflects != 0, height, width, pitch, constant);
    } else {
        see_tile<3>(placed, numbers, composite, seen, reflects != 0, height, width, pitch, constant);
    }
}
