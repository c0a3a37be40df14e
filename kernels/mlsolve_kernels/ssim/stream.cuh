// SSIM and its gradient as a stream of rows down a strip: the march that all SSIM passes share (docs/maths.md §3).
//
// A block takes a strip of SPAN columns and moves down it, one row per step, so that no row is loaded twice. In step s
// row first - REACH + s enters. Its windows along the row are summed from shared memory and pushed into the windows
// down the columns, which each thread keeps in registers for its COLUMNS columns. This completes the windows of the
// row RADIUS above, where the partials are computed. The partials are pushed down the columns in turn, and in the next
// step they are summed along the row: that gives the gradient of the row that leaves, first - 2·REACH - 1 + s. Partials
// are computed in all SPAN columns, gradients only in the OWN inner columns: the MARGIN on either side belongs to the
// neighbours.
//
// What limited this march on an H200 was issuing instructions, not memory (bench/LOG.md #115). So a step has one barrier
// and no branch; the rows of a step lie side by side in shared memory, one address for all of them; and whatever advances
// with the rows is an address or a counter, updated by addition.
#pragma once

#include "blur/blur.cuh"
#include "cuda/fetch.cuh"
#include "cuda/sum.cuh"
#include "ssim/partials.cuh"

constexpr int REACH = 2 * RADIUS;

static_assert(COLUMNS == 2, "a thread has its columns as float2");

// The part of the image of a block, and the columns of this thread. Blocks: x is the plane, y the strip, z the piece of
// `rows` rows.
struct Strip {
    int height, width, pitch;
    int first, last;        // the block computes the gradient of rows first ... last - 1
    int left;               // image column of the first fetched column, a multiple of 4, may be negative
    int column;             // image column of the thread's first own column
    bool mine;              // the thread's columns are among the OWN inner ones
    float inside[COLUMNS];  // 1 inside the image, 0 outside

    __device__ __forceinline__ Strip(int height, int width, int pitch, int rows)
        : height(height), width(width), pitch(pitch) {
        const int own = blockIdx.y * OWN, at = COLUMNS * threadIdx.x;
        first = blockIdx.z * rows;
        last = min(first + rows, height);
        left = own - 2 * MARGIN;
        column = own - MARGIN + at;
        mine = within(at - MARGIN, OWN);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            inside[c] = within(column + c, width) ? 1.0f : 0.0f;
            opaque(inside[c]);
        }
    }

    // The address in `plane` of the first fetched column, `above` rows above the first row of the block. Both may be
    // outside the plane: then nothing is read there.
    __device__ __forceinline__ const char* origin(const float* plane, int above) const {
        return reinterpret_cast<const char*>(plane) + 4 * ((long long)(first - above) * pitch + left);
    }

    // The address in `plane` of the block's first column of partials, in its first row.
    __device__ __forceinline__ char* own(float* plane) const {
        char* at = reinterpret_cast<char*>(plane) + 4 * ((long long)first * pitch + left + MARGIN);
        opaque(at);
        return at;
    }
};

// The pixels that the thread adds to the block's sums: its own, if they are in rows top ... bottom - 1 and columns
// left ... right - 1 of the image.
struct Counted {
    int first, rows;  // counted rows of the piece: the first, and their number
    unsigned column[COLUMNS];  // masks like that of `row`: all bits set, or none

    // region: top, bottom, left, right.
    __device__ __forceinline__ Counted(const Strip& strip, const int* region) {
        first = max(strip.first, region[0]);
        rows = max(0, min(strip.last, region[1]) - first);
        opaque(first);
        opaque(rows);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            const int at = strip.column + c;
            column[c] = strip.mine && region[2] <= at && at < region[3] ? ~0u : 0u;
            opaque(column[c]);
        }
    }

    __device__ __forceinline__ unsigned row(int row) const {
        unsigned counts = within(row - first, rows) ? ~0u : 0u;
        opaque(counts);
        return counts;
    }
};

// The address in shared memory that a thread reads its columns from, where a row begins at `row`.
__device__ __forceinline__ Shared thread_address(const void* row) {
    return shared_address(row) + 4 * COLUMNS * threadIdx.x;
}

constexpr int OWN_PAIR = 4 * MARGIN;  // bytes from there to the thread's own columns

// Slots of the rings: PASSING for rows needed in one step only; KEPT for x and y, needed again when their row leaves.
constexpr int PASSING = AHEAD + 1;
constexpr int KEPT = AHEAD + REACH + 2;

enum { X, Y };  // the rows of a slot that is kept

// What a block keeps in shared memory. ROWS: the rows that pass in every step.
template <int ROWS>
struct alignas(16) MarchMemory {
    float kept[KEPT][2][FETCHED];
    float passing[PASSING][ROWS][FETCHED];
    // Partials, summed down the columns and still to be summed along the row. Columns beyond SPAN are read
    // uninitialised, but no own column's window includes them.
    float crossing[PASSING][3][FETCHED];
};

constexpr int KEPT_SLOT = 2 * ROW, CROSSING_SLOT = 3 * ROW;

// The fetches of one step: which rows there are, and where they go.
struct Fetches {
    Fetcher& fetcher;
    Shared kept, passing;
    bool entering, composing, middle, leaving;

    // Each fetches a row from an image with `origin`: into row NUMBER of a slot, or of what passes.
    template <int NUMBER>
    __device__ __forceinline__ void enter(const char* origin) const {
        fetch16(kept + NUMBER * ROW, origin + fetcher.offset, fetcher.takes, entering);
    }
    template <int NUMBER>
    __device__ __forceinline__ void compose(const char* origin) const {
        fetch16(passing + NUMBER * ROW, origin + fetcher.offset, fetcher.takes, composing);
    }
    template <int NUMBER>
    __device__ __forceinline__ void derive(const char* origin) const {
        fetch16(passing + NUMBER * ROW, origin + fetcher.offset, fetcher.takes, middle);
    }
    template <int NUMBER>
    __device__ __forceinline__ void leave(const char* origin) const {
        fetch16(passing + NUMBER * ROW, origin + fetcher.offset, leaving);
    }
};

// Where the gradient of a row goes.
struct Leaving {
    int row;      // of the image
    unsigned at;  // bytes from the block's first column of partials in its first row (Strip::own)
    bool stores;  // whether the thread has a pixel there
};

// Rows above the first row of the block whose data a pass fetches in its first step, by their use.
constexpr int ENTERING = REACH, DERIVED = REACH + RADIUS, LEAVING = 2 * REACH + 1;

// Marches down the strip; returns the thread's share of the sum of SSIM over the counted pixels.
//
// Pass defines the images to compare and the use of the gradient:
//   ROWS                 the rows that pass in every step; MEAN and VARIANCE of y are two of them
//   COMPOSES             whether x is computed by `compose`, and not fetched
//   fetch(fetches)       fetches the rows of a step: y, and x if it is not composed, of the row that enters; mean and
//                        variance of the row of the partials; what `leave` needs. Origins are ENTERING, DERIVED and
//                        LEAVING rows above the block's first row; if COMPOSES, one row further above, because steps
//                        then begin at -1, and what `compose` needs is of the row that enters in the step after
//   compose(passing, x)  computes the row x; addresses as of thread_address
//   weight(passing)      the pixel weights of the row of the partials; of(c, partials) multiplies those of column c
//   leave(passing, x, y, by_ssim, leaving)   receives the gradient of the sum of SSIM by x in own columns
template <class Pass>
struct March {
    const Strip& strip;
    const Counted& counted;
    Pass& pass;
    Fetcher fetcher;
    unsigned down;                         // bytes from a row to the next, in device memory
    Shared first_slot;                     // of `kept`
    unsigned kept[AHEAD + 2];              // offsets from there of the slots of the row that enters, of those to come
                                           // up to the one that is fetched, and of the one that leaves
    Shared first_passing, fetched_passing; // where the thread reads, and where it fetches
    Shared first_crossing;
    int middle;                            // the row of the partials
    int entering_from, entering, derived_from, derived;  // steps in which there are such rows
    int rows;                              // that leave
    int enters, composes, derives, leaves; // in how many of the steps in which a row leaves such a row is fetched
    bool has_pixels;
    unsigned leaves_at;                    // Leaving::at
    Down moments[3][COLUMNS], partials[3][COLUMNS];
    Tally tally;

    static constexpr int PASSING_SLOT = Pass::ROWS * ROW;
    static constexpr int START = Pass::COMPOSES ? -1 : 0;  // the first step
    static constexpr int FULL = 2 * REACH + 1;             // the first step in which a row leaves

    __device__ __forceinline__ March(const Strip& strip, const Counted& counted, Pass& pass,
                                     MarchMemory<Pass::ROWS>& memory)
        : strip(strip), counted(counted), pass(pass), fetcher(strip.left, strip.pitch) {
        down = 4 * strip.pitch;
        first_slot = thread_address(memory.kept);
#pragma unroll
        for (int i = 0; i < AHEAD + 2; ++i) kept[i] = i * KEPT_SLOT;
        first_passing = thread_address(memory.passing);
        fetched_passing = first_passing + fetcher.aside();
        first_crossing = thread_address(memory.crossing);
        middle = strip.first - DERIVED + START;
        rows = strip.last - strip.first;
        entering_from = max(0, ENTERING - strip.first);
        entering = min(strip.height, strip.last + REACH) - strip.first + ENTERING - entering_from;
        derived_from = max(0, RADIUS - strip.first) + DERIVED - RADIUS;
        derived = min(strip.height, strip.last + RADIUS) - strip.first + DERIVED - derived_from;
        has_pixels = strip.mine && strip.column < strip.width;
        leaves_at = 4 * COLUMNS * threadIdx.x;
#pragma unroll
        for (int map = 0; map < 3; ++map) {
#pragma unroll
            for (int c = 0; c < COLUMNS; ++c) {
                moments[map][c].clear();
                partials[map][c].clear();
            }
        }
        tally.clear();
    }

    // Fetches into a slot of `kept`, and into number `slot` of the rows that pass.
    __device__ __forceinline__ void fetch(unsigned to, int slot, bool enters, bool composes, bool derives,
                                          bool leaves) {
        const bool there = fetcher.in_row;
        pass.fetch(Fetches{fetcher, first_slot + to + fetcher.aside(), fetched_passing + slot * PASSING_SLOT,
                           there && enters, there && composes, there && derives, there && leaves});
        fetches_end();
        fetcher.offset += down;
    }

    // Fetches what there is of step `step`, any step.
    __device__ __forceinline__ void fetch_any(unsigned to, int slot, int step) {
        fetch(to, slot, within(step - entering_from, entering), within(step + 1 - entering_from, entering),
              within(step - derived_from, derived), within(step - FULL, rows));
    }

    __device__ __forceinline__ void turn() {
#pragma unroll
        for (int i = 0; i <= AHEAD; ++i) kept[i] = kept[i + 1];
        kept[AHEAD + 1] = kept[AHEAD + 1] == (KEPT - 1) * KEPT_SLOT ? 0 : kept[AHEAD + 1] + KEPT_SLOT;
        ++middle;
    }

    // The row that enters: its windows, and if DERIVES the partials RADIUS rows above, which go to `crossing`.
    template <bool DERIVES>
    __device__ __forceinline__ void head(Shared passing, Shared crossing) {
        float down[3][COLUMNS];
        {
            Window x, y;
            x.load<X * ROW>(first_slot + kept[0]);
            y.load<Y * ROW>(first_slot + kept[0]);
            const Window xx = x.times(x), xy = x.times(y);
#pragma unroll
            for (int c = 0; c < COLUMNS; ++c) {
                down[0][c] = moments[0][c].push(x.along(c));
                down[1][c] = moments[1][c].push(xx.along(c));
                down[2][c] = moments[2][c].push(xy.along(c));
            }
        }
        if constexpr (!DERIVES) return;

        unsigned in_image = within(middle, strip.height) ? ~0u : 0u;
        opaque(in_image);
        const unsigned counts = counted.row(middle);
        const float2 mean = load2<Pass::MEAN * ROW + OWN_PAIR>(passing);
        const float2 variance = load2<Pass::VARIANCE * ROW + OWN_PAIR>(passing);
        const float means[COLUMNS] = {mean.x, mean.y}, variances[COLUMNS] = {variance.x, variance.y};
        const auto weight = pass.weight(passing);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            const SsimPartials at =
                weight.of(c, ssim_partials(down[0][c], down[1][c], down[2][c], means[c], variances[c],
                                           masked(strip.inside[c], in_image, ~0u)));
            tally.add(masked(at.value, counts, counted.column[c]) + SSIM_ROUNDER, SSIM_ROUNDER);
            down[0][c] = partials[0][c].push(at.by_mean);
            down[1][c] = partials[1][c].push(at.by_variance);
            down[2][c] = partials[2][c].push(at.by_covariance);
        }
        put2<0 * ROW + OWN_PAIR>(crossing, make_float2(down[0][0], down[0][1]));
        put2<1 * ROW + OWN_PAIR>(crossing, make_float2(down[1][0], down[1][1]));
        put2<2 * ROW + OWN_PAIR>(crossing, make_float2(down[2][0], down[2][1]));
    }

    template <int MAP>
    static __device__ __forceinline__ void along(Shared crossing, float (&sums)[3][COLUMNS]) {
        Window window;
        window.load<MAP * ROW>(crossing);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) sums[MAP][c] = window.along(c);
    }

    // The row that leaves, number `number` of the block's rows: its gradient, from the partials in `crossing`.
    __device__ __forceinline__ void tail(Shared passing, Shared crossing, int number) {
        float sums[3][COLUMNS];
        along<0>(crossing, sums);
        along<1>(crossing, sums);
        along<2>(crossing, sums);
        const Shared slot = first_slot + kept[AHEAD + 1];
        const float2 xs = load2<X * ROW + OWN_PAIR>(slot), ys = load2<Y * ROW + OWN_PAIR>(slot);
        const float x[COLUMNS] = {xs.x, xs.y}, y[COLUMNS] = {ys.x, ys.y};
        float by_ssim[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            by_ssim[c] = fmaf(2.0f * x[c], sums[1][c], fmaf(y[c], sums[2][c], sums[0][c]));
        }
        pass.leave(passing, x, y, by_ssim, Leaving{strip.first + number, leaves_at, has_pixels && number < rows});
        leaves_at += down;
    }

    __device__ __forceinline__ void compose(Shared passing) {
        if constexpr (Pass::COMPOSES) pass.compose(passing, first_slot + kept[1]);
    }

    __device__ __forceinline__ void wait() {
        fetches_arrived();
        __syncthreads();  // everybody's fetches have arrived, and nobody still reads the rows that are overwritten now
    }

    // Step number SLOT of every PASSING steps in which a row leaves. SLOT is known to the compiler, and so are the
    // addresses of all rows that pass and cross.
    template <int SLOT>
    __device__ __forceinline__ void steps(int number) {
        constexpr int PASSES = (FULL - START + SLOT) % PASSING, FETCHED_TO = (PASSES + AHEAD) % PASSING;
        constexpr int FROM = (SLOT + PASSING - 1) % PASSING, TO = SLOT;
        const Shared by = first_passing + PASSES * PASSING_SLOT;
        wait();
        fetch(kept[AHEAD], FETCHED_TO, number < enters, number < composes, number < derives, number < leaves);
        tail(by, first_crossing + FROM * CROSSING_SLOT, number);
        head<true>(by, first_crossing + TO * CROSSING_SLOT);  // wasted after the last row
        compose(by);
        turn();
        if constexpr (SLOT + 1 < PASSING) steps<SLOT + 1>(number + 1);
    }

    __device__ __forceinline__ Tally run() {
#pragma unroll
        for (int i = 0; i < AHEAD; ++i) fetch_any(kept[i], i, START + i);
        int passes = 0;  // the slot of the rows that pass in this step
#pragma unroll 1
        for (int step = START; step < FULL; ++step) {
            const Shared passing = first_passing + passes * PASSING_SLOT;
            wait();
            fetch_any(kept[AHEAD], passes == 0 ? AHEAD : passes - 1, step + AHEAD);
            if (step >= REACH) {
                head<true>(passing, first_crossing + AHEAD * CROSSING_SLOT);
            } else if (step >= 0) {
                head<false>(passing, 0);
            }
            compose(passing);
            turn();
            passes = passes == AHEAD ? 0 : passes + 1;
        }
        // From here on every kind of row has begun, so one comparison tells whether one is left.
        enters = entering_from + entering - FULL - AHEAD;
        composes = enters - 1;
        derives = derived_from + derived - FULL - AHEAD;
        leaves = rows - AHEAD;
#pragma unroll 1
        for (int number = 0; number < rows; number += PASSING) steps<0>(number);  // rows after the last are not stored
        return tally;
    }
};
