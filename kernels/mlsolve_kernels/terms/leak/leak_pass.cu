// Leak pass: max(0, SSIM)² of each placed sheet alone to the target, pixel by pixel.
//
//   by_sheet = leak_weight · gradient of its weighted sum by the sheet, in the per-pixel measure
//   sums     = its weighted sum over the counted pixels of a block, in 2^-SSIM_BITS
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on. placed, by_sheet (sheets,
// planes, height, pitch); target, its means and variances (planes, height, pitch), of_window planes for each window;
// pixel_weights (windows, height, pitch), only read if WITH_WEIGHTS; sums (sheets, planes, pieces, strips) int64, one
// per block, or NONE (sum.cuh); counted_in (windows, 4) int32: top, bottom, left, right.
// Launch: grid (sheets·planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows. Blocks
// at one position in all sheets run concurrently and share the target in the L2 cache.
// Shared memory: rings of fetched rows, 2·(AHEAD + 1) + 2·(AHEAD + 11) + 3 of FETCHED floats, with weights AHEAD + 1
// more; static.
// Twin of leak_pass in cpu.py. Constants and headers come from cuda/source.py.
#include "blur/blur.cuh"
#include "cuda/fetch.cuh"
#include "cuda/sum.cuh"
#include "ssim/partials.cuh"
#include "ssim/stream.cuh"
#include "ssim/weight.cuh"
#include "terms/leak/leak.cuh"

extern "C" __global__ void __launch_bounds__(THREADS)
KERNEL(const float* __restrict__ placed, const float* __restrict__ target, const float* __restrict__ means,
       const float* __restrict__ variances, const float* __restrict__ pixel_weights, float* __restrict__ by_sheet,
       long long* __restrict__ sums, const int* __restrict__ counted_in, int planes, int of_window, int height,
       int width, int pitch, int rows, float leak_weight) {
    __shared__ LeakMemory memory;
    const Strip strip(height, width, pitch, rows);
    const int colour = blockIdx.x % planes, window = colour / of_window;
    const int* region = counted_in + 4 * window;
    const Counted counted(strip, region[0], region[1], region[2], region[3]);
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane, of_target = colour * plane;
    LeakPass pass = {memory,
                         strip,
                         placed + at,
                         target + of_target,
                         means + of_target,
                         variances + of_target,
                         pixel_weights + window * plane,
                         leak_weight,
                         by_sheet + at};
    const long long sum = block_sum<THREADS>(ssim_march(strip, counted, memory.crossing, pass).total());
    if (threadIdx.x == 0) sums[((size_t)blockIdx.x * gridDim.z + blockIdx.z) * gridDim.y + blockIdx.y] = sum;
}
