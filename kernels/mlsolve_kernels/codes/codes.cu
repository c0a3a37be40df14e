// Codes: the code values of rows of a plane of a layer, as files have them.
//
//   out = the floor of the cell that the value is in, or one more from the cell's step on; [0, 1] is divided into
//         `cells` equal ones, a power of two; values outside [0, 1] count as the nearer end, NaN as 0
//
// Layout: values (height, pitch) float32, a pitch that is a multiple of TILE; floors (cells + 1) uint16 and steps
// (cells + 1) float32; out (height, width) without padding, uint8 where `bytes` is 1, uint16 where it is 2.
// Launch: grid (tiles across the pitch, tiles down), blocks of CARRYING; a tile is TILE·TILE pixels, of which a thread
// has TILE_ROWS of a column.
// Shared memory: none.
// Twin of `to_codes` in cpu.py: the same codes, because all of it is exact.
#include "placement/tile.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
codes(const float* __restrict__ values, const unsigned short* __restrict__ floors, const float* __restrict__ steps,
      void* __restrict__ out, int bytes, int cells, int height, int width, int pitch) {
    const Tile tile;
    const int column = tile.left + tile.lane;
    if (column >= width) return;
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        float value = values[(size_t)row * pitch + column];
        value = value > 0.0f ? value : 0.0f;
        value = value < 1.0f ? value : 1.0f;
        const unsigned cell = static_cast<unsigned>(value * cells);
        const int code = floors[cell] + (value >= steps[cell]);
        const size_t at = (size_t)row * width + column;
        if (bytes == 1) {
            static_cast<unsigned char*>(out)[at] = code;
        } else {
            static_cast<unsigned short*>(out)[at] = code;
        }
    }
}
