// Resample: rows of a plane of a layer, given those of a smaller layer around them.
//
//   layer = Σ_k row_weights_k · (Σ_m column_weights_m · source at row row_first + k, column column_first + m),
//           clamped to low … high; every sum in the order of its taps, and nothing contracted
//
// Layout: source (…, source_width) float32 without padding; row_first (height) and column_first (width) int32;
// row_weights (height, down) and column_weights (width, across) float32; layer (height, pitch) float32, a pitch that is
// a multiple of TILE; values from `width` on are not changed.
// Launch: grid (tiles across the pitch, tiles down), blocks of CARRYING; a tile is TILE·TILE pixels, of which a thread
// has TILE_ROWS of a column.
// Shared memory: none.
// Twin of `resample` in cpu.py, to the byte: it sums across first, too, but stores no row.
#include "placement/tile.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
resample(const float* __restrict__ source, const int* __restrict__ row_first, const float* __restrict__ row_weights,
         const int* __restrict__ column_first, const float* __restrict__ column_weights, float* __restrict__ layer,
         int down, int across, int source_width, float low, float high, int height, int width, int pitch) {
    const Tile tile;
    const int column = tile.left + tile.lane;
    if (column >= width) return;
    const float* by_column = column_weights + (size_t)column * across;
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const float* from = source + (size_t)row_first[row] * source_width + column_first[column];
        const float* by_row = row_weights + (size_t)row * down;
        float value = 0.0f;
        for (int k = 0; k < down; ++k, from += source_width) {
            float sum = by_column[0] * from[0];
            for (int m = 1; m < across; ++m) sum += by_column[m] * from[m];
            value = k == 0 ? by_row[0] * sum : value + by_row[k] * sum;
        }
        value = value < low ? low : value;
        layer[(size_t)row * pitch + column] = value > high ? high : value;
    }
}
