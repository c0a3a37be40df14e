// Rows of images from device memory into shared memory, ahead of their use, sixteen bytes at a time.
//
// A block works on a strip of SPAN columns and fetches FETCHED of every row: its own OWN and 2·MARGIN on either
// side, for an iteration looks 2·RADIUS far. Rows go into rings. Every fetch of a step is closed by
// `fetches_end`; `fetches_arrived` waits until those of all but the last AHEAD - 1 steps are in. What lies beyond
// the image arrives as zeros.
#pragma once

#include "cuda/within.cuh"

struct Place {
    int height, width, pitch;  // of a plane; pitch: floats from row to row, a multiple of 4, zeros from width on
    int column;                // image column of the sixteen bytes of a row that this thread fetches
    bool fetches;              // whether they are within a row, and this thread has any

    // left: image column of the first fetched one, a multiple of 4, may be negative.
    __device__ __forceinline__ Place(int height, int width, int pitch, int left)
        : height(height), width(width), pitch(pitch), column(left + 4 * static_cast<int>(threadIdx.x)) {
        fetches = within(column, pitch);
    }
};

// What this thread fetches of one row, in any plane: how far from the beginning of the plane, and whether it is there
// (if not, the offset is anything, and nothing is read).
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

#else  // The tests' host shim: its copies happen as late as these promises allow.

inline void fetch16(float* to, const float* from, bool there) { shim::copy_later(to, from, there); }
inline void fetches_end() { shim::copies_end(); }
inline void fetches_arrived() { shim::copies_arrived(AHEAD - 1); }

#endif

// Fetch a row of `plane` into `to`, FETCHED floats; all threads of the block take part.
__device__ __forceinline__ void fetch_row(float* to, const float* plane, const Piece& piece) {
    static_assert(FETCHED / 4 <= THREADS, "a thread fetches sixteen bytes of a row at the most");
    if (threadIdx.x < FETCHED / 4) fetch16(to + 4 * threadIdx.x, plane + piece.offset, piece.there);
}

// Rows that are needed in the step they arrive for, and rows that are needed once more 2·RADIUS steps later.
constexpr int PASSING = AHEAD + 1;
constexpr int KEPT = AHEAD + 2 * RADIUS + 1;

template <int SLOTS>
struct Ring {
    float rows[SLOTS][FETCHED];

    // The row that arrived for step `step`, from 0; with 16-byte alignment.
    __device__ __forceinline__ float* at(int step) { return rows[static_cast<unsigned>(step) % SLOTS]; }
};
