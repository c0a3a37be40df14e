// Leak pass: max(0, SSIM)² of each placed sheet alone to the target, pixel by pixel.
//
//   by_sheet = leak_weight · gradient of its weighted sum by the sheet, in the per-pixel measure
//   sums     = its weighted sum over the counted pixels of a block, in 2^-SSIM_BITS
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on. placed, by_sheet (sheets,
// planes, height, pitch); target, its means and variances (planes, height, pitch), of_window planes for each window;
// pixel_weights (windows, height, pitch), only read if WITH_WEIGHTS; counted_in (windows, 4) int32: top, bottom, left,
// right; table, turns, group: Sums in cuda/sum.cuh, a group for each sheet from `group` on.
// Launch: grid (sheets·planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows. Blocks
// at one position in all sheets run concurrently and share the target in the L2 cache.
// Shared memory: MarchMemory, 2·(AHEAD + 12) + 5·(AHEAD + 1) rows of FETCHED floats, with weights AHEAD + 1 more;
// static.
// Twin of leak_pass in cpu.py. Constants and headers come from cuda/source.py.
#include "cuda/turns.cuh"
#include "terms/leak/leak.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
KERNEL(const float* __restrict__ placed, const float* __restrict__ target, const float* __restrict__ means,
       const float* __restrict__ variances, const float* __restrict__ pixel_weights, float* __restrict__ by_sheet,
       long long* __restrict__ table, const int* __restrict__ turns, const int* __restrict__ counted_in, int groups,
       int group, int planes, int of_window, int height, int width, int pitch, int rows, float leak_weight) {
    __shared__ MarchMemory<LeakPass::ROWS> memory;
    const int turn = turns[NOW];
    const Strip strip(height, width, pitch, rows);
    const int colour = blockIdx.x % planes, sheet = blockIdx.x / planes, window = colour / of_window;
    const Counted counted(strip, counted_in + 4 * window);
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane, of_target = colour * plane;
    LeakPass pass = {strip.origin(placed + at, ENTERING),
                     strip.origin(target + of_target, ENTERING),
                     strip.origin(means + of_target, DERIVED),
                     strip.origin(variances + of_target, DERIVED),
                     strip.origin(pixel_weights + window * plane, DERIVED),
                     leak_weight,
                     strip.own(by_sheet + at)};
    March<LeakPass> march(strip, counted, pass, memory);
    const long long sum = block_sum<THREADS>(march.run().total());
    if (threadIdx.x == 0) Sums(table, turn, groups).add(group + sheet, sum);
}
