// Gather: the sheets of a stack as they lie there, every value fetched from where its map says.
//
//   placed_k = layer numbers[first + k] at the pixel that an exact map leads to; between four pixels of it, bilinearly,
//              where the map leads between them; 1, the light box, off the sheet
//
// Layout: planes of float32, `pitch` floats a row, a multiple of TILE; zeros from `width` on are written, too. layers
// (…, planes, height, pitch), planes counted window by window; placed (sheets, planes, height, pitch); numbers (all)
// int32 and lines (turns, all, windows, WAY) int64 (placement/cuda.py), of the sheets of all stacks, those of this one
// from `first` on; turn: which of the lines holds.
// Launch: grid (tiles across the pitch, tiles down, sheets·planes), blocks of CARRYING; a tile is TILE·TILE pixels.
// Shared memory: a tile and a column, for quarter turns; static.
// Twin of `carry` in cpu.py, and of its _warp. Constants and headers come from cuda/source.py.
#include "cuda/within.cuh"
#include "placement/tile.cuh"
#include "placement/way.cuh"

// What is seen between the pixels of the sheet.
__device__ __forceinline__ float between(const Way& way, const Source& source, int y, int x) {
    const long long at_row = row_at(way.map, y, x), at_column = column_at(way.map, y, x);
    const int row = whole_of(at_row) - way.to_top, column = whole_of(at_column) - way.to_left;
    const float down = part_of(at_row), right = part_of(at_column);
    // Differences first: what is the same all around comes out as it is, the light box as 1.
    const float left_above = source.at(row, column), left_below = source.at(row + 1, column);
    const float above = fmaf(right, source.at(row, column + 1) - left_above, left_above);
    const float below = fmaf(right, source.at(row + 1, column + 1) - left_below, left_below);
    return fmaf(down, below - above, above);
}

extern "C" __global__ void __launch_bounds__(CARRYING)
gather(const float* __restrict__ layers, const int* __restrict__ numbers, const long long* __restrict__ lines,
       const int* __restrict__ turn, float* __restrict__ placed, int first, int all, int windows, int planes,
       int height, int width, int pitch) {
    const Tile tile;
    const int sheet = first + blockIdx.z / planes, plane = blockIdx.z % planes, of_window = planes / windows;
    const Way way(lines, *turn, all, sheet, windows, plane / of_window);
    const size_t size = (size_t)height * pitch;
    const int from = numbers[sheet] * planes + way.window * of_window + plane % of_window;
    const Source source = {layers + from * size, height, width, pitch, 1.0f};
    const int column = tile.left + tile.lane;
    float value[TILE_ROWS];
    if (way.kind == WARPED) {
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) value[i] = between(way, source, tile.row(i) + way.top, column + way.left);
    } else {
        fetch_exactly(way, source, tile, value);
    }
    float* to = placed + blockIdx.z * size;
#pragma unroll
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row < height) to[(size_t)row * pitch + column] = column < width ? value[i] : 0.0f;
    }
}
