// Chain: the gradient by every placed sheet of a stack, given that by their product, in the place of the sheets.
//
//   placed_k = by_seen · inverse_scale · product of the other sheets + by_sheet_k
//
// The product of the others is taken as a product, never as p / x.
//
// Layout: float32. placed (LAYERS, count), LAYERS the sheets of the stack; by_seen (count); by_sheet as placed, what
// else comes back to each, anything unless `adds`; count = planes·height·pitch, even.
// Launch: grid (⌈count / 2·CARRYING⌉), blocks of CARRYING; a thread has two values of every sheet.
// Shared memory: none.
// Twin of chain_stack_row in cpu.py.
#include "product/product.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
chain(float* __restrict__ placed, const float* __restrict__ by_seen, const float* __restrict__ by_sheet, int adds,
      float inverse_scale, int planes, int height, int pitch) {
    const size_t count = (size_t)planes * height * pitch;
    const size_t at = 2 * ((size_t)blockIdx.x * CARRYING + threadIdx.x);
    if (at >= count) return;
    float2 sheets[LAYERS];
#pragma unroll
    for (int k = 0; k < LAYERS; ++k) sheets[k] = *reinterpret_cast<const float2*>(placed + k * count + at);
    const float2 seen = *reinterpret_cast<const float2*>(by_seen + at);
#pragma unroll
    for (int k = 0; k < LAYERS; ++k) {
        float first[LAYERS] = {seen.x}, second[LAYERS] = {seen.y};
#pragma unroll
        for (int other = 1; other < LAYERS; ++other) {
            const float2 value = sheets[other - 1 < k ? other - 1 : other];
            first[other] = value.x;
            second[other] = value.y;
        }
        float2 result = make_float2(seen_through(inverse_scale, first), seen_through(inverse_scale, second));
        if (adds) {
            const float2 more = *reinterpret_cast<const float2*>(by_sheet + k * count + at);
            result = make_float2(result.x + more.x, result.y + more.y);
        }
        *reinterpret_cast<float2*>(placed + k * count + at) = result;
    }
}
