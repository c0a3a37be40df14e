// The number of the iteration in its batch, on the device.
//
// It is there twice: the last kernel of an iteration reads the second and writes the first, all others read the first.
// So no block can read a number that another has counted up already.
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
