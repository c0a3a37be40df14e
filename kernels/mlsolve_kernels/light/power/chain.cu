// Chain: the gradient by every placed sheet of a stack, given the gradient by the composite; it replaces the sheets.
//
//   placed_k = by_composite · inverse_scale · product of the other sheets + by_sheet_k
//
// The product of the other sheets is computed as such, never as product / sheet.
//
// Layout: float32. placed (LAYERS, count), LAYERS being the sheets of the stack; by_composite (count); by_sheet like
// placed, further gradients by the sheets, not read unless `adds`; count = planes·height·pitch, even. The parameter
// after `planes`, the planes of a window, is not used: this light does not couple planes.
// Launch: grid (⌈count / 2·CARRYING⌉), blocks of CARRYING; a thread processes two values of every sheet.
// Shared memory: none.
// Twin of chain_stack_row in light/rows.py.
#include "light/light.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
KERNEL(float* __restrict__ placed, const float* __restrict__ by_composite, const float* __restrict__ by_sheet, int adds,
      float inverse_scale, int planes, int, int height, int pitch) {
    const size_t count = (size_t)planes * height * pitch;
    const size_t at = 2 * ((size_t)blockIdx.x * CARRYING + threadIdx.x);
    if (at >= count) return;
    float2 sheets[LAYERS];
#pragma unroll
    for (int k = 0; k < LAYERS; ++k) sheets[k] = *reinterpret_cast<const float2*>(placed + k * count + at);
    const float2 slope = *reinterpret_cast<const float2*>(by_composite + at);
#pragma unroll
    for (int k = 0; k < LAYERS; ++k) {
        float first[LAYERS] = {slope.x}, second[LAYERS] = {slope.y};
#pragma unroll
        for (int other = 1; other < LAYERS; ++other) {
            const float2 value = sheets[other - 1 < k ? other - 1 : other];
            first[other] = value.x;
            second[other] = value.y;
        }
        float2 result = make_float2(chained(inverse_scale, first), chained(inverse_scale, second));
        if (adds) {
            const float2 more = *reinterpret_cast<const float2*>(by_sheet + k * count + at);
            result = make_float2(result.x + more.x, result.y + more.y);
        }
        *reinterpret_cast<float2*>(placed + k * count + at) = result;
    }
}
