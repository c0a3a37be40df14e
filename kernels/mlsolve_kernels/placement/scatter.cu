// Scatter: carries the gradient of a stack back to its layers. The adjoint of `gather`.
//
//   gradient of layer numbers[first + k] = by_placed_k at the place that the map gives; added to the present gradient
//                                          if adds[first + k] is not 0
//
// With THROUGH_LIGHT (chain_scatter) the chain rule is applied at each place:
//
//   by_placed_k = by_composite · derivative of the composite by sheet k + by_sheet_k
//
// Otherwise (scatter) `placed` has by_placed. That is for lights that couple planes: their chain is a kernel of its own.
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
// Shared memory: a tile and a column, for quarter turns; the places of a tile (Box), for other turns; static.
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

// The places of the stack from which the pixels of a tile of the sheet may have been interpolated: a rectangle that a
// block keeps in shared memory, because up to nine pixels need each place.
constexpr int BOX = 48;

static_assert(BOX * BOX > 2 * (TILE + 1) * (TILE + 1), "the places of a tile turned by 45 degrees fit");

struct Box {
    float (*values)[BOX + 1];
    int top, left;  // the first row and column, in the stack

    // Fetches the places of a tile; all threads of the block must call it.
    __device__ __forceinline__ Box(float (*values)[BOX + 1], const PlacementMap& map, const ByPlaced& source,
                                   const Tile& tile)
        : values(values) {
        int bottom, right;
        top = left = 1 << 30;
        bottom = right = -top;
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            const int y = tile.top + map.top + (corner / 2) * (TILE - 1);
            const int x = tile.left + map.left + (corner % 2) * (TILE - 1);
            const int row = nearest(row_at(map.forward, y, x)), column = nearest(column_at(map.forward, y, x));
            top = min(top, row - 1);
            left = min(left, column - 1);
            bottom = max(bottom, row + 1);
            right = max(right, column + 1);
        }
#pragma unroll 1
        for (int row = tile.group; row <= bottom - top; row += CARRYING / TILE) {
#pragma unroll 2
            for (int column = tile.lane; column <= right - left; column += TILE) {
                values[row][column] = source.at(top + row - map.to_top, left + column - map.to_left);
            }
        }
        __syncthreads();
    }

    // The pixel nearest to a place.
    static __device__ __forceinline__ int nearest(long long place) { return whole_of(place + (1LL << (FRACTION - 1))); }
};

// Bilinear weight along one axis of a pixel that is `apart` from a place, at most two pixels; 0 from one pixel on.
__device__ __forceinline__ float share_of(long long apart) {
    const int distance = abs(static_cast<int>(apart >> (FRACTION - PART)));
    return max((1 << PART) - distance, 0) * (1.0f / (1 << PART));  // exact
}

// The gradient by a pixel of the sheet: the sum over the places of the stack that were interpolated from it. After a
// rotation all of them are within √2 of the pixel's position, so within one of the nearest place along either axis.
__device__ __forceinline__ float given_back(const PlacementMap& map, const Box& box, int y, int x) {
    const int first_row = Box::nearest(row_at(map.forward, y, x)) - 1;
    const int first_column = Box::nearest(column_at(map.forward, y, x)) - 1;
    // Where the first of the nine places is on the sheet, from the pixel; the others by adding to it, which is exact.
    const long long down = row_at(map.inverse, first_row, first_column) - ((long long)y << FRACTION);
    const long long right = column_at(map.inverse, first_row, first_column) - ((long long)x << FRACTION);
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 3; ++i) {
#pragma unroll
        for (int j = 0; j < 3; ++j) {
            const float share = share_of(down + i * map.inverse[0] + j * map.inverse[1]) *
                                share_of(right + i * map.inverse[3] + j * map.inverse[4]);
            const float value = box.values[first_row - box.top + i][first_column - box.left + j];
            sum = share > 0.0f ? fmaf(share, value, sum) : sum;
        }
    }
    return sum;
}

// Three blocks a multiprocessor; two or one with more than four or nine sheets, so that no register is spilled.
extern "C" __global__ void __launch_bounds__(CARRYING, LAYERS <= 4 ? 3 : LAYERS <= 9 ? 2 : 1)
KERNEL(const float* __restrict__ placed, const float* __restrict__ by_composite, const float* __restrict__ by_sheet,
       const int* __restrict__ numbers, const int* __restrict__ adds, const long long* __restrict__ lines,
       const int* __restrict__ turn, float* __restrict__ gradient, int leaks, float constant, int first, int all,
       int windows, int planes, int height, int width, int pitch) {
    const Tile tile;
    const int k = blockIdx.z / planes, plane = blockIdx.z % planes, of_window = planes / windows;
    const PlacementMap map(lines, *turn, all, first + k, windows, plane / of_window);
    const size_t size = (size_t)height * pitch, from = (map.window * of_window + plane % of_window) * size;
    const ByPlaced source = {placed + from, by_composite + from, by_sheet + from, planes * size, k, height, width,
                             pitch, leaks != 0, constant};
    const int column = tile.left + tile.lane;
    float* to = gradient + (numbers[first + k] * planes + plane) * size;
    const bool add = adds[first + k] != 0;
    const auto put = [&](int i, float value) {
        const int row = tile.row(i);
        if (row >= height || column >= width) return;
        const size_t at = (size_t)row * pitch + column;
        to[at] = add ? to[at] + value : value;
    };
    if (map.kind == WARPED) {
        __shared__ float values[BOX][BOX + 1];
        const Box box(values, map, source, tile);
#pragma unroll 1
        for (int i = 0; i < TILE_ROWS; ++i) put(i, given_back(map, box, tile.row(i) + map.top, column + map.left));
    } else {
        float value[TILE_ROWS];
        fetch_exactly(map, source, tile, value);
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) put(i, value[i]);
    }
}
