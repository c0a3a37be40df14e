// The colour term at one pixel: squared difference of chroma and its gradient. Twin of reference.py.
#pragma once

// Adds the gradient of weight · value by the planes of a pixel to `gradient`; returns the value, not weighted.
//
// layer, guide, gradient: the pixel in the first of `planes` planes, which are `stride` floats apart.
__device__ __forceinline__ float colour(const float* layer, const float* guide, float* gradient, size_t stride,
                                        int planes, float weight) {
    float mean = 0.0f, value = 0.0f;
    for (int plane = 0; plane < planes; ++plane) mean += layer[plane * stride] - guide[plane * stride];
    mean *= 1.0f / planes;
    for (int plane = 0; plane < planes; ++plane) {
        const float apart = (layer[plane * stride] - guide[plane * stride]) - mean;
        value = fmaf(apart, apart, value);
        gradient[plane * stride] = fmaf(2.0f * weight, apart, gradient[plane * stride]);
    }
    return value;
}
