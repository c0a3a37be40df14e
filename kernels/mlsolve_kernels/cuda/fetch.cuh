// Copies rows of images from device memory to shared memory, ahead of their use, sixteen bytes at a time.
//
// A block works on a strip of SPAN columns and fetches FETCHED columns of every row: its OWN columns and 2·MARGIN on
// either side, because an iteration looks 2·RADIUS pixels far. Rows go into rings. `fetches_end` closes the fetches of
// a step; `fetches_arrived` waits for those of all steps but the last AHEAD - 1. Pixels outside the image arrive as
// zeros.
#pragma once

#include "cuda/within.cuh"

struct Place {
    int height, width, pitch;  // of a plane; pitch: floats per row, a multiple of 4, zeros from width on
    int column;                // image column of the sixteen bytes that this thread fetches of a row
    bool fetches;              // whether these are inside the row

    // left: image column of the first fetched column, a multiple of 4, may be negative.
    __device__ __forceinline__ Place(int height, int width, int pitch, int left)
        : height(height), width(width), pitch(pitch), column(left + 4 * static_cast<int>(threadIdx.x)) {
        fetches = within(column, pitch);
    }
};

// The part of one row that this thread fetches, in any plane: its offset in the plane, and whether it exists. If not,
// the offset is arbitrary and nothing is read.
struct Piece {
    size_t offset;
    bool there;

    __device__ __forceinline__ Piece(const Place& place, int row) {
        there = place.fetches && within(row, place.height);
        offset = (size_t) static_cast<unsigned>(row) * static_cast<unsigned>(place.pitch) + place.column;
    }
};

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

__device__ __forceinline__ void fetch16(float* to, const float* from, bool there) {
#if __CUDA_ARCH__ >= 800
    const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(there ? 16 : 0)
                 : "memory");
#else  // sm_75 has no asynchronous copies
    *reinterpret_cast<float4*>(to) =
        there ? *reinterpret_cast<const float4*>(from) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
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

inline void fetch16(float* to, const float* from, bool there) { shim::copy_later(to, from, there); }
inline void fetches_end() { shim::copies_end(); }
inline void fetches_arrived() { shim::copies_arrived(AHEAD - 1); }

#endif

// Fetches a row of `plane` into `to`, FETCHED floats; all threads of the block must call it.
__device__ __forceinline__ void fetch_row(float* to, const float* plane, const Piece& piece) {
    static_assert(FETCHED / 4 <= THREADS, "a thread fetches sixteen bytes of a row at the most");
    if (threadIdx.x < FETCHED / 4) fetch16(to + 4 * threadIdx.x, plane + piece.offset, piece.there);
}

// Slots of a ring: for rows that are needed only in their own step, and for rows needed again 2·RADIUS steps later.
constexpr int PASSING = AHEAD + 1;
constexpr int KEPT = AHEAD + 2 * RADIUS + 1;

template <int SLOTS>
struct Ring {
    float rows[SLOTS][FETCHED];

    // The row that arrived for step `step`, counted from 0; aligned to 16 bytes.
    __device__ __forceinline__ float* at(int step) { return rows[static_cast<unsigned>(step) % SLOTS]; }
};
