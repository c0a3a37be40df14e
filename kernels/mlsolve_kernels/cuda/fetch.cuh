// Copies rows of images from device memory to shared memory, ahead of their use, sixteen bytes at a time.
//
// A block works on a strip of SPAN columns and fetches FETCHED columns of every row: its OWN columns and 2·MARGIN on
// either side, because an iteration looks 2·RADIUS pixels far. `fetches_end` closes the fetches of a step;
// `fetches_arrived` waits for all but the newest AHEAD - 1 steps. Pixels outside the image arrive as zeros.
#pragma once

#include "cuda/shared.cuh"
#include "cuda/within.cuh"

constexpr int ROW = 4 * FETCHED;  // bytes of a row in shared memory

static_assert(ROW % 16 == 0, "rows are fetched by sixteen bytes");
static_assert(FETCHED / 4 <= THREADS, "a thread fetches sixteen bytes of a row at the most");

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

// Copies sixteen bytes if `takes`, without a branch; zeros instead of them unless `there`.
__device__ __forceinline__ void fetch16(Shared to, const char* from, bool takes, bool there) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "{.reg .pred p; setp.ne.s32 p, %3, 0; @p cp.async.cg.shared.global [%0], [%1], 16, %2;}" ::"r"(to), "l"(from),
        "r"(there ? 16 : 0), "r"(static_cast<int>(takes))
        : "memory");
#else  // sm_75 has no asynchronous copies
    float4 value = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (takes && there) value = *reinterpret_cast<const float4*>(from);
    put4<0>(to, value, takes);
#endif
}

// Copies sixteen bytes if `takes`; nothing happens otherwise.
__device__ __forceinline__ void fetch16(Shared to, const char* from, bool takes) {
#if __CUDA_ARCH__ >= 800
    asm volatile("{.reg .pred p; setp.ne.s32 p, %2, 0; @p cp.async.cg.shared.global [%0], [%1], 16;}" ::"r"(to),
                 "l"(from), "r"(static_cast<int>(takes))
                 : "memory");
#else
    fetch16(to, from, takes, true);
#endif
}

__device__ __forceinline__ void fetches_end() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

__device__ __forceinline__ void fetches_arrived() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(AHEAD - 1) : "memory");
#endif
}

#else  // The host shim of the tests: it delays copies as long as these functions allow.

inline void fetch16(Shared to, const char* from, bool takes, bool there) {
    if (takes) shim::copy_later(to, from, there);
}
inline void fetch16(Shared to, const char* from, bool takes) { fetch16(to, from, takes, true); }
inline void fetches_end() { shim::copies_end(); }
inline void fetches_arrived() { shim::copies_arrived(AHEAD - 1); }

#endif

// What a thread fetches of each row: sixteen bytes, in whatever plane. Offsets are counted from the first row that the
// block fetches of a plane, so that 32 bits are enough.
struct Fetcher {
    bool takes;       // whether the thread fetches at all
    bool in_row;      // whether its bytes are inside the row
    unsigned offset;  // of its bytes in the next row, from the origin of a plane

    // left: image column of the first fetched column, a multiple of 4, may be negative. pitch: floats per row.
    __device__ __forceinline__ Fetcher(int left, int pitch) {
        takes = threadIdx.x < FETCHED / 4;
        in_row = takes && within(left + 4 * static_cast<int>(threadIdx.x), pitch);
        offset = 16 * threadIdx.x;
    }

    // Bytes from where a thread reads its COLUMNS columns of a row to where it fetches.
    static __device__ __forceinline__ int aside() { return (16 - 4 * COLUMNS) * static_cast<int>(threadIdx.x); }
};
