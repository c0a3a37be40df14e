// Scatter: the gradient by a layer, given what the stack that shows it finds. It is the adjoint of `gather`.
//
//   gradient of layer numbers[first + k] = by_placed_k at the place that the map gives; added to the present gradient
//                                          if adds[first + k] is not 0
//
// With THROUGH_LIGHT (chain_scatter) the chain rule is applied at each place:
//
//   by_placed_k = by_composite · derivative of the composite by sheet k + by_sheet_k
//
// Otherwise (scatter) `placed` has by_placed; that is for lights that couple planes, whose chain is a kernel of its own.
//
// It fetches as `gather` does, so that every value is written once and its sum has a fixed order: a pixel of the sheet
// sums over the places of the stack that were interpolated from it, at most nine.
//
// Layout: planes of float32, `pitch` floats per row, a multiple of TILE; values from `width` on are not changed.
// placed (LAYERS, planes, height, pitch), LAYERS being the sheets of the stack; by_composite (planes, height, pitch);
// by_sheet like placed, further gradients by the sheets, not read unless `leaks`; gradient (…, planes, height, pitch),
// planes ordered window by window; numbers, adds (all) int32 and lines (turns, all, windows, MAP_FIELDS) int64
// (placement/cuda.py), maps from sheet to stack, for the sheets of all stacks; those of this stack begin at `first`.
// turn: the number of the lines to use. No layer is twice in a stack.
// Launch: grid (tiles across the pitch, tiles down, sheets·planes), blocks of CARRYING; a tile is TILE·TILE pixels.
// Shared memory: a tile and a column, for quarter turns; static.
// Twin of `carry` in cpu.py, of its _unwarp, and of chain_stack_row in light/rows.py. Constants and headers come from
// cuda/source.py.
#include "cuda/within.cuh"
#include "light/light.cuh"
#include "placement/tile.cuh"
#include "placement/placement_map.cuh"

// The gradient by placed sheet k: a Source for the functions below.
struct ByPlaced {
    const float *placed, *by_composite, *by_sheet;  // of the plane
    size_t sheet_stride;
    int k, height, width, pitch;
    bool leaks;
    float constant;  // of the light

    __device__ __forceinline__ float at(int row, int column) const {
        if (!within(row, height) || !within(column, width)) return 0.0f;
        const size_t at = (size_t)row * pitch + column;
#if THROUGH_LIGHT
        float value[LAYERS] = {by_composite[at]};
#pragma unroll
        for (int other = 1; other < LAYERS; ++other) {
            value[other] = placed[(other - 1 < k ? other - 1 : other) * sheet_stride + at];
        }
        const float result = chained(constant, value);
        return leaks ? result + by_sheet[k * sheet_stride + at] : result;
#else
        return placed[k * sheet_stride + at];
#endif
    }
};

// Bilinear weight of a pixel at a place of the stack, along one axis; 0 if it is a pixel or more away.
__device__ __forceinline__ float share_of(long long place, int pixel) {
    const long long apart = (place >> (FRACTION - PART)) - ((long long)pixel << PART);
    const long long one = 1LL << PART;
    if (apart <= -one || apart >= one) return 0.0f;
    const int rest = (1 << PART) - abs(static_cast<int>(apart));
    return rest * (1.0f / (1 << PART));  // exact
}

// The gradient by a pixel of the sheet: the sum over the places of the stack that were interpolated from it. After a
// rotation all of them are within √2 of the pixel's position, so within one of the nearest place along either axis.
__device__ __forceinline__ float given_back(const PlacementMap& map, const ByPlaced& source, int y, int x) {
    const long long half = 1LL << (FRACTION - 1);
    const int middle_row = whole_of(row_at(map.forward, y, x) + half);
    const int middle_column = whole_of(column_at(map.forward, y, x) + half);
    float sum = 0.0f;
#pragma unroll
    for (int i = -1; i <= 1; ++i) {
#pragma unroll
        for (int j = -1; j <= 1; ++j) {
            const int row = middle_row + i, column = middle_column + j;
            const float down = share_of(row_at(map.inverse, row, column), y);
            const float right = share_of(column_at(map.inverse, row, column), x);
            if (down > 0.0f && right > 0.0f) {
                sum = fmaf(down * right, source.at(row - map.to_top, column - map.to_left), sum);
            }
        }
    }
    return sum;
}

extern "C" __global__ void __launch_bounds__(CARRYING)
KERNEL(const float* __restrict__ placed, const float* __restrict__ by_composite, const float* __restrict__ by_sheet,
       const int* __restrict__ numbers, const int* __restrict__ adds, const long long* __restrict__ lines,
       const int* __restrict__ turn, float* __restrict__ gradient, int leaks, float constant, int first, int all,
       int windows, int planes, int height, int width, int pitch) {
    const Tile tile;
    const int k = blockIdx.z / planes, plane = blockIdx.z % planes, of_window = planes / windows;
    const PlacementMap map(lines, *turn, all, first + k, windows, plane / of_window);
    const size_t size = (size_t)height * pitch, from = (map.window * of_window + plane % of_window) * size;
    const ByPlaced source = {placed + from, by_composite + from, by_sheet + from, planes * size, k, height, width, pitch,
                             leaks != 0, constant};
    const int column = tile.left + tile.lane;
    float value[TILE_ROWS];
    if (map.kind == WARPED) {
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) {
            value[i] = given_back(map, source, tile.row(i) + map.top, column + map.left);
        }
    } else {
        fetch_exactly(map, source, tile, value);
    }
    float* to = gradient + (numbers[first + k] * planes + plane) * size;
    const bool add = adds[first + k] != 0;
#pragma unroll
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height || column >= width) continue;
        const size_t at = (size_t)row * pitch + column;
        to[at] = add ? to[at] + value[i] : value[i];
    }
}
