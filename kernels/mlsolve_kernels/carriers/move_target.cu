// The target of a stack, moved with its carriers: each pixel is put together from the places of the target that the
// misaligned sheets take there, weighted by their masks.
//
//   moved = (sum m_k·T at the place that map k gives + FIXED_TARGET·T) / (sum m_k at that place + FIXED_TARGET)
//
// Between pixels the product m·T and m are interpolated; both are 0 outside the image.
//
// Layout: planes of float32, `pitch` floats per row, a multiple of TILE; writes zeros from `width` on. target, moved
// (planes, height, pitch), planes ordered window by window; masks (sheets, windows, height, pitch); lines (turns, all,
// windows, MAP_FIELDS) int64 (placement/cuda.py), the misalignments of the sheets of all stacks; those of this stack
// begin at `first`. They turn by small angles at most: a window maps to itself. turn: the number of the lines to use.
// Launch: grid (tiles across the pitch, tiles down, planes), blocks of CARRYING; a tile is TILE·TILE pixels.
// Shared memory: none.
// Twin of move_target in cpu.py. Constants and headers come from cuda/source.py.
#include "cuda/within.cuh"
#include "placement/tile.cuh"
#include "placement/placement_map.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
move_target(const float* __restrict__ target, const float* __restrict__ masks, const long long* __restrict__ lines,
            const int* __restrict__ turn, float* __restrict__ moved, int first, int sheets, int all, int windows,
            int planes, int height, int width, int pitch) {
    const Tile tile;
    const int plane = blockIdx.z, window = plane / (planes / windows), column = tile.left + tile.lane;
    const size_t size = (size_t)height * pitch;
    const Source from = {target + plane * size, height, width, pitch, 0.0f};
    float total[TILE_ROWS], weight[TILE_ROWS];
#pragma unroll
    for (int i = 0; i < TILE_ROWS; ++i) {
        total[i] = FIXED_TARGET * from.at(tile.row(i), column);
        weight[i] = FIXED_TARGET;
    }
#pragma unroll 1
    for (int k = 0; k < sheets; ++k) {
        const PlacementMap map(lines, *turn, all, first + k, windows, window);
        const Source mask = {masks + (k * windows + window) * size, height, width, pitch, 0.0f};
        const int x = column + map.left;
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) {
            const int y = tile.row(i) + map.top;
            const long long at_row = row_at(map.forward, y, x), at_column = column_at(map.forward, y, x);
            const int row = whole_of(at_row) - map.to_top, aside = whole_of(at_column) - map.to_left;
            if (map.kind != WARPED) {
                const float share = mask.at(row, aside);
                total[i] += share * from.at(row, aside);
                weight[i] += share;
                continue;
            }
            const float down = part_of(at_row), right = part_of(at_column);
            float part = 0.0f, shares = 0.0f;
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) {
                const int below = corner / 2, beside = corner % 2;
                const float near = (below ? down : 1.0f - down) * (beside ? right : 1.0f - right);
                const float share = near * mask.at(row + below, aside + beside);
                part += share * from.at(row + below, aside + beside);
                shares += share;
            }
            total[i] += part;
            weight[i] += shares;
        }
    }
    float* to = moved + plane * size;
#pragma unroll
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row < height) to[(size_t)row * pitch + column] = column < width ? total[i] / weight[i] : 0.0f;
    }
}
