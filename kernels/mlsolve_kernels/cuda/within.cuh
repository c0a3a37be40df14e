// A comparison that all kernels share.
#pragma once

// 0 <= at < size, in one comparison.
__device__ __forceinline__ bool within(int at, int size) {
    return static_cast<unsigned>(at) < static_cast<unsigned>(size);
}
