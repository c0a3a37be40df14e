// A square of TILE·TILE pixels on which a block of CARRYING threads works. A warp takes every CARRYING/TILE-th row.
#pragma once

constexpr int TILE_ROWS = TILE * TILE / CARRYING;

static_assert(TILE == 32, "a warp has a row of a tile");

// Blocks: x is the tile across, y the tile down.
struct Tile {
    int top, left;
    int lane, group;

    __device__ __forceinline__ Tile()
        : top(blockIdx.y * TILE), left(blockIdx.x * TILE), lane(threadIdx.x % TILE), group(threadIdx.x / TILE) {}

    // Row i of the thread: its offset from the first row of the tile, and its row in the image.
    __device__ __forceinline__ int offset(int i) const { return group + CARRYING / TILE * i; }
    __device__ __forceinline__ int row(int i) const { return top + offset(i); }
};
