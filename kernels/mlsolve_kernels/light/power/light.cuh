// Light by the power law at one pixel of one plane: encoded transmittances multiply, divided by the encoded exposure.
// Twin of reference.py.
//
// Every light has these two; `constant` is the first of its constants (light.py), here 1 / the encoded exposure.
#pragma once

// The composite of COUNT sheets: constant · their product.
template <int COUNT>
__device__ __forceinline__ float composed(float constant, const float (&sheet)[COUNT]) {
    float product = constant * sheet[0];
#pragma unroll
    for (int k = 1; k < COUNT; ++k) product *= sheet[k];
    return product;
}

// The gradient by a sheet: constant · that by the composite, value[0], · the product of the other sheets, value[1…].
template <int COUNT>
__device__ __forceinline__ float chained(float constant, const float (&value)[COUNT]) {
    return composed(constant, value);
}
