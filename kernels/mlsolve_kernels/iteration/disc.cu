// Disc: the pixels inside the largest circle of the image. Outside it no pixel counts, and the sheets are clear.
//
//   pixel_weights[0]   = 1 in the circle, 0 outside
//   pixel_weights[1…]  = 0 outside
//   layers             = clear outside
//
// Layout: planes of float32, `pitch` floats per row, zeros from `width` on. pixel_weights (count, windows, height,
// pitch); layers (sheets, windows·of_window, height, pitch); corners (windows, 2) int32: row and column of the top left
// corner of each window in the image.
// Launch: grid (tiles across the pitch, tiles down, windows), blocks of CARRYING; a tile is TILE·TILE pixels, of which
// a thread has TILE_ROWS of a column.
// Shared memory: none.
// Twin of `disc` in placement/frames.py: the centre of a pixel decides. It computes with integers, twice the distances.
#include "placement/tile.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
disc(float* __restrict__ pixel_weights, int count, float* __restrict__ layers, int sheets, int of_window,
     const int* __restrict__ corners, int image_height, int image_width, float clear, int height, int width,
     int pitch) {
    const Tile tile;
    const int window = blockIdx.z, windows = gridDim.z, column = tile.left + tile.lane;
    if (column >= width) return;
    const long long side = min(image_height, image_width);
    const long long aside = 2LL * (column + corners[2 * window + 1]) - (image_width - 1);
    const size_t plane = (size_t)height * pitch;
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const long long down = 2LL * (row + corners[2 * window]) - (image_height - 1);
        const bool inside = down * down + aside * aside <= side * side;
        const size_t at = (size_t)row * pitch + column;
        pixel_weights[window * plane + at] = inside ? 1.0f : 0.0f;
        if (inside) continue;
        for (int weights = 1; weights < count; ++weights) {
            pixel_weights[(weights * windows + window) * plane + at] = 0.0f;
        }
        for (int sheet = 0; sheet < sheets; ++sheet) {
            for (int of = 0; of < of_window; ++of) {
                layers[((sheet * windows + window) * of_window + of) * plane + at] = clear;
            }
        }
    }
}
