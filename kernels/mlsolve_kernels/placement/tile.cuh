// A square of TILE·TILE pixels that a block of CARRYING threads works on, a warp on every so-manieth row of it.
#pragma once

constexpr int TILE_ROWS = TILE * TILE / CARRYING;

static_assert(TILE == 32, "a warp has a row of a tile");

// Blocks: x tile across, y tile down.
struct Tile {
    int top, left;
    int lane, group;

    __device__ __forceinline__ Tile()
        : top(blockIdx.y * TILE), left(blockIdx.x * TILE), lane(threadIdx.x % TILE), group(threadIdx.x / TILE) {}

    // The rows of the tile, counted from its first, that the thread has, and where they lie.
    __device__ __forceinline__ int offset(int i) const { return group + CARRYING / TILE * i; }
    __device__ __forceinline__ int row(int i) const { return top + offset(i); }
};
