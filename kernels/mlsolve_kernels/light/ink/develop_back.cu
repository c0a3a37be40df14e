// Develop back: the gradient by the sheets, and that by their looks, becomes the gradient by the layers, in place.
//
//   by_band_b  = gradient_b + gradient by the look · derivative of the look by sheet_b
//   gradient_i = Σ_b by_band_b · base_b · derivative of curve_bi by layer_i · Π_{j≠i} curve_bj; 0 outside the disc
//   by_look    = 0, for the next iteration
//
// Layout: layers, sheets, looks, by_look, gradient (layers, windows·of_window, height, pitch) float32, encoded, gradients
// in the per-pixel measure; looks and by_look are not used unless `looking`; by_look becomes 0 up to the pitch, gradient
// is not changed from column `width` on. disc (windows, height, pitch), 0 where a layer must not change; not read unless
// `round`. numbers: `packed` in numbers.py, of a single sheet.
// Launch: grid (tiles across the pitch, tiles down, layers·windows), blocks of CARRYING; a tile is TILE·TILE pixels, of
// which a thread has TILE_ROWS of a column, with 1 or 3 planes (of_window) of each.
// Shared memory: none.
// Twin of develop_back_pass in cpu.py, to the bit. Constants and headers come from cuda/source.py.
#include "light/ink/ink.cuh"
#include "placement/tile.cuh"

// The arrays, from the pixel on.
struct Pixel {
    const float *layer, *sheet, *look;
    float *by_look, *gradient;
};

template <int PLANES>
__device__ __forceinline__ void back_at(const Inks<PLANES>& inks, const Pixel& pixel, size_t plane, bool looking,
                                        bool changes) {
    float slopes[PLANES], v[PLANES], by_value[PLANES];
    if (looking) through_look(inks, pixel.look, pixel.by_look, plane, slopes);
#pragma unroll
    for (int i = 0; i < PLANES; ++i) {
        v[i] = pixel.layer[i * plane];
        by_value[i] = 0.0f;
    }
#pragma unroll
    for (int b = 0; b < PLANES; ++b) {
        float by_band = pixel.gradient[b * plane];
        if (looking) by_band = by_band + slopes[b] * exp2_of(INK_LESS * power_of(pixel.sheet[b * plane]));
        by_band *= inks.base[b];
        float inked[PLANES];
#pragma unroll
        for (int i = 0; i < PLANES; ++i) inked[i] = inks.curve(b, i, v[i]);
#pragma unroll
        for (int i = 0; i < PLANES; ++i) {
            float found = by_band * inks.slope(b, i, v[i]);
#pragma unroll
            for (int other = 0; other < PLANES; ++other) {
                if (other != i) found *= inked[other];
            }
            by_value[i] += found;
        }
    }
#pragma unroll
    for (int i = 0; i < PLANES; ++i) {
        pixel.gradient[i * plane] = changes ? by_value[i] : 0.0f;
        if (looking) pixel.by_look[i * plane] = 0.0f;
    }
}

template <int PLANES>
__device__ __forceinline__ void back_tile(const Pixel& all, const float* numbers, const float* disc, bool looking,
                                          bool round, int windows, int height, int width, int pitch) {
    const Tile tile;
    const Inks<PLANES> inks(numbers);
    const int column = tile.left + tile.lane;
    const size_t plane = (size_t)height * pitch, first = blockIdx.z * PLANES * plane;
#pragma unroll 1
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const size_t in_plane = (size_t)row * pitch + column, at = first + in_plane;
        if (column >= width) {
            for (int p = 0; looking && p < PLANES; ++p) all.by_look[at + p * plane] = 0.0f;
            continue;
        }
        const bool changes = !round || disc[blockIdx.z % windows * plane + in_plane] != 0.0f;
        const Pixel pixel = {all.layer + at, all.sheet + at, all.look + at, all.by_look + at, all.gradient + at};
        back_at(inks, pixel, plane, looking, changes);
    }
}

extern "C" __global__ void __launch_bounds__(CARRYING)
develop_back(const float* __restrict__ layers, const float* __restrict__ numbers, const float* __restrict__ sheets,
             const float* __restrict__ looks, float* __restrict__ by_look, const float* __restrict__ disc,
             float* __restrict__ gradient, int looking, int round, int windows, int of_window, int height, int width,
             int pitch) {
    const Pixel all = {layers, sheets, looks, by_look, gradient};
    if (of_window == 1) {
        back_tile<1>(all, numbers, disc, looking != 0, round != 0, windows, height, width, pitch);
    } else {
        back_tile<3>(all, numbers, disc, looking != 0, round != 0, windows, height, width, pitch);
    }
}
