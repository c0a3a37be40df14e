// Look-up: rows of a plane of a picture, given the codes that the store has of them.
//
//   values = table[codes]
//
// Layout: codes (height, width) uint16 without padding; table (65536) float32; values (height, pitch) float32, a pitch
// that is a multiple of TILE; values from `width` on are not changed.
// Launch: grid (tiles across the pitch, tiles down), blocks of CARRYING; a tile is TILE·TILE pixels, of which a thread
// has TILE_ROWS of a column.
// Shared memory: none.
// Twin of `look_up` in cpu.py: the same values, because nothing is computed.
#include "placement/tile.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
look_up(const unsigned short* __restrict__ codes, const float* __restrict__ table, float* __restrict__ values,
        int height, int width, int pitch) {
    const Tile tile;
    const int column = tile.left + tile.lane;
    if (column >= width) return;
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        values[(size_t)row * pitch + column] = table[codes[(size_t)row * width + column]];
    }
}
