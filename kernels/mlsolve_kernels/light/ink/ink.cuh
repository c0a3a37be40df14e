// The light of inks at one pixel of one window, with all its planes: twin of the functions in cpu.py, operation by
// operation. PLANES: bands, channels and planes of the eye, as many of each.
#pragma once

#include "cuda/extremes.cuh"
#include "light/ink/powers.cuh"

constexpr int POINTS = 7, GAINS = 9;  // coefficients of a curve, and of 1 / the gain

// A part of a table that never changes, so that what is loaded once serves several pixels, whatever is stored between.
struct Known {
    const float* first;

    __device__ __forceinline__ float operator[](int at) const { return __ldg(first + at); }
    __device__ __forceinline__ Known operator+(int at) const { return {first + at}; }
};

// What numbers.py knows of inks, and of one stack or of a single sheet: the table of `packed` there.
template <int PLANES>
struct Inks {
    Known base, curves, slopes, to_eye, gain, rest;

    __device__ __forceinline__ explicit Inks(const float* numbers)
        : base{numbers}, curves(base + PLANES), slopes(curves + PLANES * PLANES * POINTS),
          to_eye(slopes + PLANES * PLANES * (POINTS - 1)),
          gain(to_eye + PLANES * PLANES), rest(gain + GAINS) {}

    __device__ __forceinline__ float share() const { return rest[0]; }     // log2 t = share · log2 p + offset
    __device__ __forceinline__ float offset() const { return rest[1]; }
    __device__ __forceinline__ float clearest() const { return rest[2]; }  // the largest t
    __device__ __forceinline__ float room() const { return rest[3]; }
    __device__ __forceinline__ float inverse() const { return rest[4]; }   // 1 / (1 + room)

    // The curve of a channel in a band at v.
    __device__ __forceinline__ float curve(int band, int channel, float v) const {
        const Known c = curves + (band * PLANES + channel) * POINTS;
        return of_degree_6(v, c[0], c[1], c[2], c[3], c[4], c[5], c[6]);
    }

    // Its derivative.
    __device__ __forceinline__ float slope(int band, int channel, float v) const {
        const Known c = slopes + (band * PLANES + channel) * (POINTS - 1);
        return of_degree_5(v, c[0], c[1], c[2], c[3], c[4], c[5]);
    }

    // 1 / the gain by reflected light, at t².
    __device__ __forceinline__ float inverse_gain(float square) const {
        float p = fmaf(square, gain[8], gain[7]);
#pragma unroll
        for (int k = 6; k >= 0; --k) p = fmaf(p, square, gain[k]);
        return p;
    }

    // Its derivative by t².
    __device__ __forceinline__ float inverse_gain_slope(float square) const {
        float p = fmaf(square, 8.0f * gain[8], 7.0f * gain[7]);
#pragma unroll
        for (int k = 6; k > 0; --k) p = fmaf(p, square, k * gain[k]);
        return p;
    }

    // The transmittance of one of equally dense sheets whose product is 2^power.
    __device__ __forceinline__ float through_one(float power) const {
        return smaller(exp2_of(share() * power + offset()), clearest());
    }
};

// Σ shares[b] · light[b].
template <int PLANES>
__device__ __forceinline__ float mixed(const Known shares, const float (&light)[PLANES]) {
    float result = shares[0] * light[0];
#pragma unroll
    for (int b = 1; b < PLANES; ++b) result = fmaf(light[b], shares[b], result);
    return result;
}

// What the eye sees of plane p, encoded, given the light in bands.
template <int PLANES>
__device__ __forceinline__ float seen_of(const Inks<PLANES>& inks, int p, const float (&light)[PLANES]) {
    const float all = mixed(inks.to_eye + p * PLANES, light);
    return exp2_of(INK_INVERSE * log2_of(larger((all + inks.room()) * inks.inverse(), INK_DARKEST)));
}

// The logarithm of encoded light.
__device__ __forceinline__ float power_of(float light) { return log2_of(larger(light, INK_LEAST)); }

// The gradient by log(light) / 2.2 of every band, divided by its light. looks, by_look: what the eye sees of the pixel,
// encoded, and the gradient by that, planes `plane` apart.
template <int PLANES>
__device__ __forceinline__ void through_look(const Inks<PLANES>& inks, const float* looks, const float* by_look,
                                             size_t plane, float (&slopes)[PLANES]) {
#pragma unroll
    for (int b = 0; b < PLANES; ++b) slopes[b] = 0.0f;
#pragma unroll
    for (int p = 0; p < PLANES; ++p) {
        const float look = larger(looks[p * plane], INK_BLACK);
        // Black, which is what is left after the maximum, does not answer.
        const float share = look - INK_BLACK != 0.0f ? exp2_of(INK_SHARE * log2_of(look)) : 0.0f;
        const float by_light = by_look[p * plane] * share * inks.inverse();
#pragma unroll
        for (int b = 0; b < PLANES; ++b) slopes[b] = fmaf(by_light, inks.to_eye[p * PLANES + b], slopes[b]);
    }
}
