// Gather: places the sheets of a stack. Every value is fetched from the place that the map of its sheet gives.
//
//   placed_k = layer numbers[first + k] at the pixel that an exact map gives; interpolated bilinearly between four
//              pixels where the map leads between them; 1, the light box, off the sheet
//
// Layout: planes of float32, `pitch` floats per row, a multiple of TILE; writes zeros from `width` on. layers
// (…, planes, height, pitch), planes ordered window by window; placed (sheets, planes, height, pitch); numbers (all)
// int32 and lines (turns, all, windows, MAP_FIELDS) int64 (placement/cuda.py) for the sheets of all stacks; those of
// this stack begin at `first`. turn: the number of the lines to use.
// Launch: grid (tiles across the pitch, tiles down, sheets·planes), blocks of CARRYING; a tile is TILE·TILE pixels.
// Shared memory: a tile and a column, for quarter turns; static.
// Twin of `carry` in cpu.py, and of its _warp. Constants and headers come from cuda/source.py.
#include "cuda/within.cuh"
#include "placement/tile.cuh"
#include "placement/placement_map.cuh"

// Bilinear interpolation between four pixels of the sheet, at a place of it.
__device__ __forceinline__ float between(const PlacementMap& map, const Source& source, long long at_row,
                                         long long at_column) {
    const int row = whole_of(at_row) - map.to_top, column = whole_of(at_column) - map.to_left;
    const float down = part_of(at_row), right = part_of(at_column);
    // Differences first, so that four equal values give exactly that value: the light box stays 1.
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
    const PlacementMap map(lines, *turn, all, sheet, windows, plane / of_window);
    const size_t size = (size_t)height * pitch;
    const int from = numbers[sheet] * planes + map.window * of_window + plane % of_window;
    const Source source = {layers + from * size, height, width, pitch, 1.0f};
    const int column = tile.left + tile.lane;
    float value[TILE_ROWS];
    if (map.kind == WARPED) {
        const int y = tile.row(0) + map.top, x = column + map.left;
        long long at_row = row_at(map.forward, y, x), at_column = column_at(map.forward, y, x);
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) {
            value[i] = between(map, source, at_row, at_column);
            at_row += CARRYING / TILE * map.forward[0];  // exact
            at_column += CARRYING / TILE * map.forward[3];
        }
    } else {
        fetch_exactly(map, source, tile, value);
    }
    float* to = placed + blockIdx.z * size;
#pragma unroll
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row < height) to[(size_t)row * pitch + column] = column < width ? value[i] : 0.0f;
    }
}
