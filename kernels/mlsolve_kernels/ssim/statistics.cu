// The statistics of the fixed image of an SSIM: windowed mean B[y] and variance B[y²] - B[y]², computed once per level.
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on; image, mean, variance
// (planes, height, pitch).
// Launch: grid (planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows.
// Shared memory: a ring of AHEAD + 1 rows of FETCHED floats; static.
// Twin of `statistics` in reference.py. Constants and headers come from cuda/source.py.
#include "blur/blur.cuh"
#include "cuda/fetch.cuh"
#include "cuda/sum.cuh"
#include "ssim/partials.cuh"
#include "ssim/stream.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 8)
statistics(const float* __restrict__ image, float* __restrict__ mean, float* __restrict__ variance, int height,
           int width, int pitch, int rows) {
    alignas(16) __shared__ Ring<PASSING> ring;
    const Strip strip(height, width, pitch, rows);
    const size_t at = (size_t)blockIdx.x * height * pitch;
    const int steps = strip.last - strip.first + REACH;
    Down means[COLUMNS], squares[COLUMNS];
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) {
        means[c].clear();
        squares[c].clear();
    }
    for (int step = 0; step < AHEAD; ++step) {
        fetch_row(ring.at(step), image + at, Piece(strip.place, strip.first - RADIUS + step));
        fetches_end();
    }
    for (int step = 0; step < steps; ++step) {
        fetches_arrived();
        __syncthreads();
        const int ahead = step + AHEAD;
        if (ahead < steps) fetch_row(ring.at(ahead), image + at, Piece(strip.place, strip.first - RADIUS + ahead));
        fetches_end();
        Window y;
        y.load(ring.at(step));
        const Window yy = y.times(y);
        float down[COLUMNS], spread[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            down[c] = means[c].push(y.along(c));
            spread[c] = squares[c].push(yy.along(c)) - down[c] * down[c];
        }
        if (step < REACH) continue;
        const int row = strip.first - REACH + step;
        store_own(mean + at, row, strip, down);
        store_own(variance + at, row, strip, spread);
    }
}
