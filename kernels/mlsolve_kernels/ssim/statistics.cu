// The statistics of the fixed image of an SSIM: windowed mean B[y] and variance B[y²] - B[y]², computed once per level.
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on; image, mean, variance
// (planes, height, pitch).
// Launch: grid (planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows.
// Shared memory: a ring of AHEAD + 1 rows of FETCHED floats; static.
// Twin of `statistics` in reference.py. Constants and headers come from cuda/source.py.
#include "ssim/stream.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 8)
statistics(const float* __restrict__ image, float* __restrict__ mean, float* __restrict__ variance, int height,
           int width, int pitch, int rows) {
    alignas(16) __shared__ float ring[PASSING][FETCHED];
    const Strip strip(height, width, pitch, rows);
    const size_t plane = blockIdx.x * ((size_t)height * pitch);
    // Step s fetches row first - RADIUS + s, and completes the row RADIUS above it.
    const char* const from = strip.origin(image + plane, RADIUS);
    char *const means_of = strip.own(mean + plane), *const variances_of = strip.own(variance + plane);
    const int begin = max(0, RADIUS - strip.first), end = min(height, strip.last + RADIUS) - strip.first + RADIUS;
    const int steps = strip.last - strip.first + REACH;
    const bool has_pixels = strip.mine && strip.column < width;
    const unsigned down = 4 * pitch;
    Fetcher fetcher(strip.left, pitch);
    Shared rows_at[PASSING];  // of this step, and of the next ones
    Down means[COLUMNS], squares[COLUMNS];
#pragma unroll
    for (int i = 0; i < PASSING; ++i) rows_at[i] = thread_address(ring[i]);
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) {
        means[c].clear();
        squares[c].clear();
    }
    const auto fetch = [&](Shared to, int step) {
        const bool there = fetcher.in_row && within(step - begin, end - begin);
        fetch16(to + fetcher.aside(), from + fetcher.offset, fetcher.takes, there);
        fetches_end();
        fetcher.offset += down;
    };
#pragma unroll
    for (int step = 0; step < AHEAD; ++step) fetch(rows_at[step], step);
    unsigned leaves_at = 4 * COLUMNS * threadIdx.x;
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
        fetches_arrived();
        __syncthreads();  // everybody's fetches have arrived, and nobody still reads the row that is overwritten now
        fetch(rows_at[AHEAD], step + AHEAD);
        Window y;
        y.load<0>(rows_at[0]);
        const Window yy = y.times(y);
        float down_y[COLUMNS], spread[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            down_y[c] = means[c].push(y.along(c));
            spread[c] = squares[c].push(yy.along(c)) - down_y[c] * down_y[c];
        }
        const bool stores = has_pixels && step >= REACH;
        store2(means_of + leaves_at, make_float2(down_y[0], down_y[1]), stores);
        store2(variances_of + leaves_at, make_float2(spread[0], spread[1]), stores);
        leaves_at += step < REACH ? 0 : down;
        const Shared again = rows_at[0];
#pragma unroll
        for (int i = 0; i < AHEAD; ++i) rows_at[i] = rows_at[i + 1];
        rows_at[AHEAD] = again;
    }
}
