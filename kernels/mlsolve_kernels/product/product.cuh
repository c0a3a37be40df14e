// The product of the layers as it is seen, and its chain rule. Twin of reference.py.
#pragma once

// inverse_scale · product of `count` values.
template <int COUNT>
__device__ __forceinline__ float seen_through(float inverse_scale, const float (&value)[COUNT]) {
    float product = inverse_scale * value[0];
#pragma unroll
    for (int k = 1; k < COUNT; ++k) product *= value[k];
    return product;
}
