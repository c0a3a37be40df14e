// The larger and the smaller of two values as the CPU has them: Python's max and min, where a NaN in x stays.
#pragma once

__device__ __forceinline__ float larger(float x, float y) { return y > x ? y : x; }
__device__ __forceinline__ float smaller(float x, float y) { return y < x ? y : x; }
