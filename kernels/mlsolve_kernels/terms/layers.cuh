// The arguments of the pass of a term over layers. A block processes a tile of one layer in one window, with all planes
// of each pixel.
//
// Launch: grid (tiles across the pitch, tiles down, layers·windows), blocks of CARRYING; a tile is TILE·TILE pixels, of
// which a thread has TILE_ROWS of a column. Twin of Layers in rows.py.
#pragma once

#include "cuda/sum.cuh"
#include "cuda/within.cuh"
#include "placement/tile.cuh"

struct Layers {
    const float *layers, *guides;  // (layers, windows·of_window, height, pitch), encoded transmittance
    const float* pixel_weights;    // (windows, height, pitch); only read if WITH_WEIGHTS
    float* gradient;               // shaped like layers, in the per-pixel measure; the term adds its gradient to it
    Sums sums;                     // of the iteration; from group `group` on, a layer has one, in the term's quanta
    const int* counted;            // (windows, 4): top, bottom, left, right
    int group, windows, of_window, height, width, pitch;

    __device__ __forceinline__ int window() const { return blockIdx.z % windows; }

    // Offset in `layers` of plane `plane` of the window of the layer.
    __device__ __forceinline__ size_t plane(int plane) const {
        return ((size_t)blockIdx.z * of_window + plane) * height * pitch;
    }

    // Weight of a pixel in the term and its gradient.
    template <bool WEIGHTED>
    __device__ __forceinline__ float weight(int row, int column) const {
        if constexpr (WEIGHTED) return pixel_weights[((size_t)window() * height + row) * pitch + column];
        return 1.0f;
    }

    // Whether the value of a pixel is included in the sum.
    __device__ __forceinline__ bool counts(int row, int column) const {
        const int* region = counted + 4 * window();
        return region[0] <= row && row < region[1] && region[2] <= column && column < region[3];
    }

    // Adds the sum of the block; all threads of the block must call it.
    __device__ __forceinline__ void leave(const Tally& tally) const {
        const long long sum = block_sum<CARRYING>(tally.total());
        if (threadIdx.x == 0) sums.add(group + blockIdx.z / windows, sum);
    }
};
