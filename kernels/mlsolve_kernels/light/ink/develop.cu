// Develop: what the sheets of the layers, which are device codes, let through in bands, and how each looks alone.
//
//   sheet_b = base_b · Π_i curve_bi(layer_i)
//   look_p       = encoded (to_eye · sheet^2.2 + room) / (1 + room), where `looking`
//
// Layout: layers, sheets, looks (layers, windows·of_window, height, pitch) float32, encoded; looks is not written unless
// `looking`; columns from `width` on are not changed. numbers: `packed` in numbers.py, of a single sheet.
// Launch: grid (tiles across the pitch, tiles down, layers·windows), blocks of CARRYING; a tile is TILE·TILE pixels, of
// which a thread has TILE_ROWS of a column, with 1 or 3 planes (of_window) of each.
// Shared memory: none.
// Twin of develop_pass in cpu.py, to the bit. Constants and headers come from cuda/source.py.
#include "light/ink/ink.cuh"
#include "placement/tile.cuh"

template <int PLANES>
__device__ __forceinline__ void develop_at(const Inks<PLANES>& inks, const float* layer, float* sheet, float* look,
                                           size_t plane, bool looking) {
    float v[PLANES], through[PLANES];
#pragma unroll
    for (int i = 0; i < PLANES; ++i) v[i] = layer[i * plane];
#pragma unroll
    for (int b = 0; b < PLANES; ++b) {
        float y = inks.base[b] * inks.curve(b, 0, v[0]);
#pragma unroll
        for (int i = 1; i < PLANES; ++i) y *= inks.curve(b, i, v[i]);
        sheet[b * plane] = y;
        through[b] = looking ? exp2_of(INK_GAMMA * log2_of(y)) : 0.0f;
    }
    if (!looking) return;
#pragma unroll
    for (int p = 0; p < PLANES; ++p) look[p * plane] = seen_of(inks, p, through);
}

template <int PLANES>
__device__ __forceinline__ void develop_tile(const float* layers, const float* numbers, float* sheets, float* looks,
                                             bool looking, int height, int width, int pitch) {
    const Tile tile;
    const Inks<PLANES> inks(numbers);
    const int column = tile.left + tile.lane;
    if (column >= width) return;
    const size_t plane = (size_t)height * pitch, first = blockIdx.z * PLANES * plane;
#pragma unroll 2
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const size_t at = first + (size_t)row * pitch + column;
        develop_at(inks, layers + at, sheets + at, looks + at, plane, looking);
    }
}

extern "C" __global__ void __launch_bounds__(CARRYING)
develop(const float* __restrict__ layers, const float* __restrict__ numbers, float* __restrict__ sheets,
        float* __restrict__ looks, int looking, int of_window, int height, int width, int pitch) {
    if (of_window == 1) {
        develop_tile<1>(layers, numbers, sheets, looks, looking != 0, height, width, pitch);
    } else {
        develop_tile<3>(layers, numbers, sheets, looks, looking != 0, height, width, pitch);
    }
}
