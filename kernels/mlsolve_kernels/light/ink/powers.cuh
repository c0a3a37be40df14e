// log2 and exp2 of float32 by multiply-adds and integers alone: twin of powers.py, with its bits.
#pragma once

// c0 + c1 x + … + c5 x⁵ by Estrin's scheme.
__device__ __forceinline__ float of_degree_5(float x, float c0, float c1, float c2, float c3, float c4, float c5) {
    const float square = x * x;
    return fmaf(fmaf(fmaf(x, c5, c4), square, fmaf(x, c3, c2)), square, fmaf(x, c1, c0));
}

// c0 + c1 x + … + c6 x⁶ by Estrin's scheme.
__device__ __forceinline__ float of_degree_6(float x, float c0, float c1, float c2, float c3, float c4, float c5,
                                             float c6) {
    const float square = x * x;
    const float above = fmaf(square, c6, fmaf(x, c5, c4));
    return fmaf(above, square * square, fmaf(fmaf(x, c3, c2), square, fmaf(x, c1, c0)));
}

// log2 of a positive value that is not subnormal.
__device__ __forceinline__ float log2_of(float value) {
    constexpr unsigned SQUARE_ROOT_OF_HALF = 0x3F3504F3u;
    const unsigned bits = __float_as_uint(value);
    // value = m · 2^e with m in [√½, √2).
    const int e = static_cast<int>(bits - SQUARE_ROOT_OF_HALF) >> 23;
    const float f = __uint_as_float(bits - (static_cast<unsigned>(e) << 23)) - 1.0f;
    const float p = of_degree_6(f, INK_LOG2[0], INK_LOG2[1], INK_LOG2[2], INK_LOG2[3], INK_LOG2[4], INK_LOG2[5],
                                INK_LOG2[6]);
    return fmaf(p, f, static_cast<float>(e));
}

// 2^value for values in [-126, 127].
__device__ __forceinline__ float exp2_of(float value) {
    const float shifted = value + INK_ROUNDER;
    const float r = value - (shifted - INK_ROUNDER);
    const float p = of_degree_5(r, INK_EXP2[0], INK_EXP2[1], INK_EXP2[2], INK_EXP2[3], INK_EXP2[4], INK_EXP2[5]);
    // The lowest bits of `shifted` are the nearest integer.
    return p * __uint_as_float((__float_as_uint(shifted) << 23) + (127u << 23));
}
