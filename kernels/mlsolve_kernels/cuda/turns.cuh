// The number of the iteration in its batch, on the device.
//
// It is stored twice. The last kernel of an iteration reads LAST and writes NOW; all others read NOW. So no block reads a
// number that another block has already advanced.
#pragma once

enum { NOW, LAST };

// Passes the number on to the last kernel. The stack pass calls it, which every iteration has before the last kernel.
__device__ __forceinline__ void hand_over(int* turns, int now) {
    if ((blockIdx.x | blockIdx.y | blockIdx.z | threadIdx.x) == 0) turns[LAST] = now;
}

// Counts the iteration. The last kernel calls it.
__device__ __forceinline__ void count(int* turns, int now) {
    if ((blockIdx.x | blockIdx.y | blockIdx.z | threadIdx.x) == 0) turns[NOW] = now + 1;
}
