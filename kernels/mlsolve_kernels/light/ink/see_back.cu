// See back: the gradient by what the eye sees of a stack becomes that by its composite, in place. The way on, through the
// light and the placements to the sheets, is chain_scatter's (placement/scatter.cu).
//
//   gradient_b = Σ_p gradient_p · derivative of seen_p by composite_b, with the light reflected between the sheets where
//                it `reflects`
//
// Layout: composite, seen, gradient (windows·of_window, height, pitch) float32, gradient in the per-pixel measure and not
// changed from column `width` on. numbers: `packed` in numbers.py, of the stack.
// Launch: grid (tiles across the pitch, tiles down, windows), blocks of CARRYING; a tile is TILE·TILE pixels, of which a
// thread has TILE_ROWS of a column, with 1 or 3 planes (of_window) of each.
// Shared memory: none.
// Twin of see_back_pass in cpu.py, to the bit. Constants and headers come from cuda/source.py.
#include "light/ink/ink.cuh"
#include "placement/tile.cuh"

// The derivative of the light of a band by the encoded light, a 2.2nd of it.
template <int PLANES>
__device__ __forceinline__ float rise_of(const Inks<PLANES>& inks, float composite, bool reflects) {
    const float power = power_of(composite), rises = exp2_of(INK_LESS * power);
    if (!reflects) return rises;
    const float t = inks.through_one(power), square = t * t, inverse = inks.inverse_gain(square);
    // d gain / dt = -2 t · the slope · gain². Beyond the clearest t the gain is constant.
    const float bend = inks.clearest() - t != 0.0f ? square * inks.inverse_gain_slope(square) : 0.0f;
    const float steeper = 1.0f - inks.share() * INK_INVERSE * 2.0f * bend / inverse;
    return rises / inverse * steeper;
}

template <int PLANES>
__device__ __forceinline__ void back_tile(const float* __restrict__ composite, const float* numbers,
                                          const float* __restrict__ seen, float* __restrict__ gradient, bool reflects,
                                          int height, int width, int pitch) {
    const Tile tile;
    const Inks<PLANES> inks(numbers);
    const int column = tile.left + tile.lane;
    if (column >= width) return;
    const size_t plane = (size_t)height * pitch, first = blockIdx.z * PLANES * plane;
#pragma unroll 2
    for (int i = 0; i < TILE_ROWS; ++i) {
        const int row = tile.row(i);
        if (row >= height) return;
        const size_t at = first + (size_t)row * pitch + column;
        float slopes[PLANES];
        through_look(inks, seen + at, gradient + at, plane, slopes);
#pragma unroll
        for (int b = 0; b < PLANES; ++b) {
            const size_t here = at + b * plane;
            gradient[here] = slopes[b] * rise_of(inks, composite[here], reflects);
        }
    }
}

extern "C" __global__ void __launch_bounds__(CARRYING)
see_back(const float* __restrict__ composite, const float* __restrict__ numbers, const float* __restrict__ seen,
         float* __restrict__ gradient, int reflects, int of_window, int height, int width, int pitch) {
    if (of_window == 1) {
        back_tile<1>(composite, numbers, seen, gradient, reflects != 0, height, width, pitch);
    } else {
        back_tile<3>(composite, numbers, seen, gradient, reflects != 0, height, width, pitch);
    }
}
