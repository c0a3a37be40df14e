// The scalar maths of SSIM at one pixel. It follows partials.py line by line, which explains the names.
#pragma once

struct SsimPartials {
    float value, by_mean, by_variance, by_covariance;
};

// 1 / x, for |x| from 2^-126 to 2^126: the bits of IEEE's quotient. The compiler's own division takes the same three
// instructions, behind a test for other x and a branch, which are not needed here: x = d1·d2 is between 8.9e-8 and 4.01
// for images in [0, 1], exponents -24 to 2 (docs/maths.md §3), and for composites brighter than white up to some 1e15.
// If rounding makes x 0, which cannot be excluded for exposures below 0.0028, the division gives infinity and this NaN.
__device__ __forceinline__ float reciprocal(float x) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    float near;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(near) : "f"(x));
    return fmaf(fmaf(-x, near, 1.0f), near, near);
#else
    return 1.0f / x;
#endif
}

// weight: 1 inside the image, 0 outside.
__device__ __forceinline__ SsimPartials ssim_partials(float mean_x, float square_x, float product_xy, float mean_y,
                                                      float variance_y, float weight) {
    const float square_mean = mean_x * mean_x;
    const float product_mean = mean_x * mean_y;
    const float covariance = product_xy - product_mean;
    const float a1 = (product_mean + product_mean) + C1;
    const float a2 = (covariance + covariance) + C2;
    const float d1 = fmaf(mean_y, mean_y, square_mean) + C1;
    const float d2 = ((square_x - square_mean) + variance_y) + C2;
    const float inverse = weight * reciprocal(d1 * d2);
    const float half_by_covariance = a1 * inverse;
    const float value = half_by_covariance * a2;
    const float by_variance = -(value * inverse * d1);
    const float half_q = fmaf(mean_y, a2 - a1, mean_x * value * (d1 - d2)) * inverse;
    return {value, half_q + half_q, by_variance, half_by_covariance + half_by_covariance};
}
