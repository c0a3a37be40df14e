// The pixel weights of the leak where a stack has carriers: a sheet is asked less where it is the carrier.
//
//   leak_weights_k = weight of the pixel · (1 - SPARED·m_k), where `leaks`
//   m_k            = 0 outside the circle of round sheets, where `clears`
//
// Layout: planes of float32, `pitch` floats per row; nothing is written from `width` on. masks, leak_weights (sheets,
// windows, height, pitch); pixel_weights (windows, height, pitch), those of the target, not read unless `weighted`;
// disc (windows, height, pitch), 1 inside the circle, 0 outside, not read unless `clears`.
// Launch: grid (tiles across the pitch, tiles down, sheets·windows), blocks of CARRYING; a tile is TILE·TILE pixels.
// Shared memory: none.
// Twin of _prepare_carriers in iteration/stepwise.py. Constants and headers come from cuda/source.py.
#include "placement/tile.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
carrier_weights(float* __restrict__ masks, float* __restrict__ leak_weights, const float* __restrict__ pixel_weights,
                const float* __restrict__ disc, int leaks, int weighted, int clears, int windows, int height, int width,
                int pitch) {
    const Tile tile;
    const int window = blockIdx.z % windows, column = tile.left + tile.lane;
    if (column >= width) return;
    const size_t plane = (size_t)height * pitch;
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const size_t at = (size_t)row * pitch + column, of_window = window * plane + at, here = blockIdx.z * plane + at;
        const float mask = masks[here];
        if (leaks) leak_weights[here] = (weighted ? pixel_weights[of_window] : 1.0f) * (1.0f - SPARED * mask);
        if (clears) masks[here] = mask * disc[of_window];
    }
}
