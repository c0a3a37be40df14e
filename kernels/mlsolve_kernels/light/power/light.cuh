// Light by the power law at one pixel of one plane: encoded transmittances multiply, divided by the encoded exposure.
// Twin of reference.py.
//
// Every light defines these two functions; `constant` is the first of its constants (light.py), here 1 / the encoded
// exposure.
#pragma once

// The composite of COUNT sheets: constant · their product.
template <int COUNT>
__device__ __forceinline__ float composed(float constant, const float (&sheet)[COUNT]) {
    float product = constant * sheet[0];
#pragma unroll
    for (int k = 1; k < COUNT; ++k) product *= sheet[k];
    return product;
}

// The gradient by a sheet: constant · value[0], the gradient by the composite, · value[1…], the other sheets.
template <int COUNT>
__device__ __forceinline__ float chained(float constant, const float (&value)[COUNT]) {
    return composed(constant, value);
}
