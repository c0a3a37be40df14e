// Newton curvature: the curvature of the loss by the stack or by a layer, from the windowed mean of newton_bend.
//
//   curvature = max(2 factor · curvature + more · m, share · by_stack + least), m the pixel weight
//
// Layout: curvature, by_stack (planes, height, pitch) float32, in place; columns from `width` on are not changed.
// pixel_weights (windows, height, pitch), of_window planes for each window, read if `weighted`.
// Launch: grid (tiles across the pitch, tiles down, planes), blocks of CARRYING; a tile is TILE·TILE pixels, of which a
// thread has TILE_ROWS of a column.
// Shared memory: none.
// Twin of _curvatures in cpu.py. Constants and headers come from cuda/source.py.
#include "newton/step.cuh"
#include "placement/tile.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
newton_curvature(float* __restrict__ curvature, const float* __restrict__ by_stack,
                 const float* __restrict__ pixel_weights, int weighted, int of_window, int height, int width,
                 int pitch, float factor, float more, float share, float least) {
    const Tile tile;
    const int column = tile.left + tile.lane;
    if (column >= width) return;
    const size_t plane = (size_t)height * pitch;
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const size_t in_plane = (size_t)row * pitch + column, at = blockIdx.z * plane + in_plane;
        const float counts = weighted ? pixel_weights[blockIdx.z / of_window * plane + in_plane] : 1.0f;
        const float found = 2.0f * factor * curvature[at] + more * counts;
        curvature[at] = larger(found, share * by_stack[at] + least);
    }
}
