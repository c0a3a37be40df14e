// Newton bend: how strongly SSIM bends at every pixel; its windowed mean is the curvature (ssim/statistics.cu).
//
//   bend = m / (2 variance + C2), m the pixel weight
//
// Layout: variance, bend (planes, height, pitch) float32; bend becomes 0 from column `width` on. pixel_weights
// (windows, height, pitch), of_window planes for each window, read if `weighted`.
// Launch: grid (tiles across the pitch, tiles down, planes), blocks of CARRYING; a tile is TILE·TILE pixels, of which a
// thread has TILE_ROWS of a column.
// Shared memory: none.
// Twin of _curvatures in cpu.py. Constants and headers come from cuda/source.py.
#include "newton/step.cuh"
#include "placement/tile.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
newton_bend(const float* __restrict__ variance, float* __restrict__ bend, const float* __restrict__ pixel_weights,
            int weighted, int of_window, int height, int width, int pitch) {
    const Tile tile;
    const int column = tile.left + tile.lane;
    const bool inside = column < width;
    const size_t plane = (size_t)height * pitch;
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const size_t in_plane = (size_t)row * pitch + column, at = blockIdx.z * plane + in_plane;
        float value = inside ? 1.0f / (2.0f * larger(variance[at], 0.0f) + C2) : 0.0f;
        if (weighted && inside) value = pixel_weights[blockIdx.z / of_window * plane + in_plane] * value;
        bend[at] = value;
    }
}
