// Newton compose: the stack of all layers, stored, so that its windowed mean can be found (ssim/statistics.cu).
//
//   stack = composite of the layers by the light
//
// Layout: layers (LAYERS, planes, height, pitch) float32, stack (planes, height, pitch), which becomes 0 from column
// `width` on.
// Launch: grid (tiles across the pitch, tiles down, planes), blocks of CARRYING; a tile is TILE·TILE pixels, of which a
// thread has TILE_ROWS of a column.
// Shared memory: none.
// Twin of light_pass in iteration/passes.py. Constants and headers come from cuda/source.py.
#include "light/light.cuh"
#include "placement/tile.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
newton_compose(const float* __restrict__ layers, float* __restrict__ stack, int height, int width, int pitch,
       float constant) {
    const Tile tile;
    const int column = tile.left + tile.lane;
    const size_t plane = (size_t)height * pitch, sheet = gridDim.z * plane;
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const size_t at = blockIdx.z * plane + (size_t)row * pitch + column;
        float x[LAYERS];
#pragma unroll
        for (int k = 0; k < LAYERS; ++k) x[k] = layers[k * sheet + at];
        stack[at] = column < width ? composed(constant, x) : 0.0f;
    }
}
