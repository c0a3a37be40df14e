// The squared error and its gradient, blended with that of SSIM. Twin of reference.py.
#pragma once

__device__ __forceinline__ float squared_error(float x, float y) { return (x - y) * (x - y); }

__device__ __forceinline__ float by_squared_error(float x, float y) { return 2.0f * (x - y); }

// The gradient of ssim_weight·(1 - SSIM) + mse_weight·MSE at a pixel, in the per-pixel measure, given both gradients.
__device__ __forceinline__ float blend(float ssim_weight, float mse_weight, float by_error, float by_ssim) {
    return fmaf(mse_weight, by_error, -(ssim_weight * by_ssim));
}
