// Layer pass: every layer compared with its guide, the gradient of the whole loss by it, and its step.
//
//   gradient_k = gradient of the stacks by x_k - guide_weight · gradient of weighted SSIM(x_k, G_k), in the per-pixel
//                measure; 0 where the weight of the pixel is 0
//   out        = gradient, or with a step (WITH_STEP) the layer after a step of Adam (adam/step.py), which also changes
//                the moments
//   sums       = sum of weighted SSIM over the counted pixels of a block, in 2^-SSIM_BITS
//
// It is compiled in several forms (cuda/source.py). With THROUGH_LIGHT (layer_pass, layer_step) by_stacks is the
// gradient by the composite of one stack of all layers, unmoved, and the chain rule is applied here; WITH_MORE
// (layer_more_pass, layer_more_step) the gradient `more` by the layers, of other stacks or of their leak, is added.
// Otherwise (guide_pass, guide_step) by_stacks is the gradient by the layers. It or `more` may be the same array as `out`.
// Pixel weights (WITH_WEIGHTS) are those of a disc.
//
// Layout: planes of float32, `pitch` floats per row, a multiple of 4, zeros from `width` on. layers, guides, their
// means and variances, more, out, moments (LAYERS, planes, height, pitch), of_window planes for each window; by_stacks
// like them or (planes, height, pitch); pixel_weights (windows, height, pitch), only read if WITH_WEIGHTS; counted_in
// (windows, 4) int32: top, bottom, left, right; rates (turns, RATES); table, turns, group: Sums in cuda/sum.cuh, from
// group `group` on a layer has one.
// Launch: grid (layers·planes, strips, pieces), blocks of THREADS; a strip is OWN columns, a piece `rows` rows. Blocks
// at one position in all layers run concurrently and share the layers that they read in the L2 cache. A block fetches
// rows of by_stacks that its neighbours change, but uses only its own columns and rows of them.
// Shared memory: MarchMemory, 2·(AHEAD + 12) + (AHEAD + 1)·(5 + THROUGH) rows of FETCHED floats, with weights
// 2·(AHEAD + 1) more, with a step 2·(AHEAD + 1) more and RATES floats, with a further gradient AHEAD + 1 more; static.
// Twin of guide_pass and adam_row in cpu.py, and of the sweep. Constants and headers come from cuda/source.py.
#include "cuda/turns.cuh"
#include "terms/guide_ssim/layer.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
KERNEL(const float* __restrict__ layers, const float* __restrict__ guides, const float* __restrict__ means,
       const float* __restrict__ variances, const float* __restrict__ pixel_weights, const float* by_stacks,
       const float* more, float* out, float* first, float* second, const float* __restrict__ rates,
       long long* __restrict__ table, int* __restrict__ turns, const int* __restrict__ counted_in, int groups,
       int group, int planes, int of_window, int height, int width, int pitch, int rows, float inverse_scale,
       float guide_weight) {
    __shared__ MarchMemory<LayerPass::ROWS> memory;
    alignas(16) __shared__ float rates_of_turn[RATES];
    const int turn = turns[WITH_STEP ? LAST : NOW];
    if (WITH_STEP && threadIdx.x < RATES) rates_of_turn[threadIdx.x] = rates[RATES * turn + threadIdx.x];
    const Strip strip(height, width, pitch, rows);
    const int colour = blockIdx.x % planes, layer = blockIdx.x / planes, window = colour / of_window;
    const Counted counted(strip, counted_in + 4 * window);
    const size_t plane = (size_t)height * pitch, at = blockIdx.x * plane;
    const float* weights = pixel_weights + window * plane;
    LayerPass pass = {strip.origin(layers + at, ENTERING),
                      strip.origin(guides + at, ENTERING),
                      strip.origin(means + at, DERIVED),
                      strip.origin(variances + at, DERIVED),
                      strip.origin(weights, DERIVED),
                      strip.origin(weights, LEAVING),
                      strip.origin(by_stacks + (THROUGH_LIGHT ? colour * plane : at), LEAVING),
                      strip.origin(more + at, LEAVING),
                      strip.origin(first + at, LEAVING),
                      strip.origin(second + at, LEAVING),
                      {},
                      inverse_scale,
                      guide_weight,
                      {strip.own(out + at), strip.own(first + at), strip.own(second + at), strip.column + 1 >= width,
                       shared_address(rates_of_turn)}};
#pragma unroll
    for (int number = 1; number < THROUGH; ++number) {
        const int other = number - 1 < layer ? number - 1 : number;
        pass.others[number] = strip.origin(layers + (other * planes + colour) * plane, LEAVING);
        if (LAYERS <= 3) opaque(pass.others[number]);
    }
    March<LayerPass> march(strip, counted, pass, memory);
    const long long sum = block_sum<THREADS>(march.run().total());
    if (threadIdx.x == 0) Sums(table, turn, groups).add(group + layer, sum);
    if (WITH_STEP) count(turns, turn);
}
