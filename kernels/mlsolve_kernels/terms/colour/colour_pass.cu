// Colour pass: the chroma of every layer compared with that of its guide.
//
//   gradient += weight · gradient of the weighted value by the planes, in the per-pixel measure
//   sums      = weighted sum of of_window · (chroma - chroma of the guide)² over a block's counted pixels, in the term's
//               quanta
//
// Layout: layers, guides, gradient (layers, windows·of_window, height, pitch); pixel_weights (windows, height, pitch),
// only read if WITH_WEIGHTS; counted (windows, 4) int32: top, bottom, left, right; table, turns, group: Sums in
// cuda/sum.cuh, a group for each layer from `group` on.
// Launch: grid (tiles across the pitch, tiles down, layers·windows), blocks of CARRYING; a tile is TILE·TILE pixels, of
// which a thread has TILE_ROWS of a column (terms/layers.cuh).
// Shared memory: the sums of the warps; static.
// Twin of colour_pass in cpu.py. Constants and headers come from cuda/source.py.
#include "cuda/turns.cuh"
#include "terms/colour/colour.cuh"
#include "terms/layers.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING, 4)
KERNEL(const float* __restrict__ layers, const float* __restrict__ guides, const float* __restrict__ pixel_weights,
       float* __restrict__ gradient, long long* __restrict__ table, const int* __restrict__ turns,
       const int* __restrict__ counted, int groups, int group, int windows, int of_window, int height, int width,
       int pitch, float weight) {
    const Sums sums(table, turns[NOW], groups);
    const Layers work = {layers, guides, pixel_weights, gradient, sums, counted,
                         group, windows, of_window, height, width, pitch};
    const Tile tile;
    const int column = tile.left + tile.lane;
    const size_t stride = (size_t)height * pitch;
    Tally tally;
    tally.clear();
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height || column >= width) continue;
        const size_t at = work.plane(0) + (size_t)row * pitch + column;
        const float counts = of_window * work.weight<WITH_WEIGHTS>(row, column);
        const float value = counts * colour(layers + at, guides + at, gradient + at, stride, of_window, weight * counts);
        if (work.counts(row, column)) tally.add(value + COLOUR_ROUNDER, COLOUR_ROUNDER);
    }
    work.leave(tally);
}
