// The squared error and its gradient, blended with that of SSIM. Twin of reference.py.
#pragma once

__device__ __forceinline__ float squared_error(float x, float y) { return (x - y) * (x - y); }

// The gradient of ssim_weight·(1 - SSIM) + mse_weight·MSE at a pixel, in the per-pixel measure, given that of SSIM.
__device__ __forceinline__ float blend(float ssim_weight, float mse_weight, float x, float y, float by_ssim) {
    return fmaf(mse_weight, 2.0f * (x - y), -(ssim_weight * by_ssim));
}
