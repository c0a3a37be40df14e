// SSIM and its gradient as a stream of rows down a strip: the march that all SSIM passes share (docs/maths.md §3).
//
// A block takes a strip of SPAN columns and moves down it, one row per step, so that no row is loaded twice. In step s
// row first - 2·RADIUS + s enters. Its windows along the row are summed from shared memory and pushed into the windows
// down the columns, which each thread keeps in registers for its COLUMNS columns. This completes the windows of row
// first - 3·RADIUS + s, where the partials are computed. The partials are pushed down the columns in turn and summed
// along the row, which gives the gradient of row first - 4·RADIUS + s. Partials are computed in all SPAN columns,
// gradients only in the OWN inner columns: the MARGIN on either side belongs to the neighbours.
#pragma once

constexpr int REACH = 2 * RADIUS;

static_assert(COLUMNS == 2, "a thread has its columns as float2");

// The part of the image of a block, and the columns of this thread. Blocks: x is the plane, y the strip, z the piece of
// `rows` rows.
struct Strip {
    Place place;
    int first, last;        // the block computes the gradient of rows first ... last - 1
    int column;             // image column of the thread's first own column
    bool mine;              // the thread's columns are among the OWN inner ones
    float inside[COLUMNS];  // 1 inside the image, 0 outside

    __device__ __forceinline__ Strip(int height, int width, int pitch, int rows)
        : place(height, width, pitch, static_cast<int>(blockIdx.y) * OWN - 2 * MARGIN) {
        const int own = blockIdx.y * OWN;
        const int at = COLUMNS * threadIdx.x;
        first = blockIdx.z * rows;
        last = min(first + rows, height);
        column = own - MARGIN + at;
        mine = within(at - MARGIN, OWN);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) inside[c] = within(column + c, width) ? 1.0f : 0.0f;
    }

    __device__ __forceinline__ int steps() const { return last - first + 2 * REACH; }
};

// The pixels that the thread adds to the block's sums: its own, if they are in rows top ... bottom - 1 and columns
// left ... right - 1 of the image.
struct Counted {
    int first, rows;  // counted rows of the piece: the first, and their number
    unsigned column[COLUMNS];  // masks like that of `row`: all bits set, or none

    __device__ __forceinline__ Counted(const Strip& strip, int top, int bottom, int left, int right) {
        first = max(strip.first, top);
        rows = max(0, min(strip.last, bottom) - first);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            const int at = strip.column + c;
            column[c] = strip.mine && left <= at && at < right ? ~0u : 0u;
        }
    }

    __device__ __forceinline__ unsigned row(int row) const { return within(row - first, rows) ? ~0u : 0u; }
};

// The thread's own columns of a fetched row.
struct Own {
    float value[COLUMNS];

    __device__ __forceinline__ explicit Own(const float* row) {
        const float2 pair = *reinterpret_cast<const float2*>(row + MARGIN + COLUMNS * threadIdx.x);
        value[0] = pair.x;
        value[1] = pair.y;
    }
};

// Stores two columns of a row of `plane`. The second may be in the padding, which is never read.
__device__ __forceinline__ void store_own(float* plane, int row, const Strip& strip, const float (&value)[COLUMNS]) {
    if (strip.mine && strip.column < strip.place.width) {
        float* to = plane + (size_t)row * strip.place.pitch + strip.column;
        *reinterpret_cast<float2*>(to) = make_float2(value[0], value[1]);
    }
}

// Rows of partials that were summed down the columns and have still to be summed along the row.
struct Crossing {
    float rows[3][FETCHED];

    // The margins are read, but affect no window of an own column.
    __device__ __forceinline__ void clear_margins() {
        for (int at = threadIdx.x; at < MARGIN; at += THREADS) {
#pragma unroll
            for (int map = 0; map < 3; ++map) rows[map][at] = rows[map][SPAN + MARGIN + at] = 0.0f;
        }
    }

    __device__ __forceinline__ void put(int map, const float (&value)[COLUMNS]) {
        *reinterpret_cast<float2*>(rows[map] + MARGIN + COLUMNS * threadIdx.x) = make_float2(value[0], value[1]);
    }
};

// Marches down the strip; returns the thread's share of the sum of SSIM over the counted pixels.
//
// Pass defines the images to compare and the use of the gradient:
//   fetch(step)          fetches the data of `step`: the entering rows of x and y; from step REACH on, the statistics
//                        RADIUS rows above; from step 2·REACH on, what `leave` needs, REACH rows above
//   enter(step)          called when all of that has arrived; may compute the row of x
//   x(step), y(step)     the rows that entered at `step`; valid for REACH more steps
//   mean(step), variance(step)   of y, in the row of the partials
//   weight(step)         the pixel weights of that row; of(c, partials) multiplies the partials of own column c
//   leave(step, row, x, y, by_ssim)   receives the gradient of the sum of SSIM by x, in own columns
template <class Pass>
__device__ __forceinline__ Tally ssim_march(const Strip& strip, const Counted& counted, Crossing& crossing,
                                            Pass& pass) {
    Down moments[3][COLUMNS], partials[3][COLUMNS];
#pragma unroll
    for (int map = 0; map < 3; ++map) {
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            moments[map][c].clear();
            partials[map][c].clear();
        }
    }
    crossing.clear_margins();
    Tally tally;
    tally.clear();
    const int steps = strip.steps();
    for (int step = 0; step < AHEAD; ++step) {
        pass.fetch(step);
        fetches_end();
    }
#pragma unroll 2  // saves a tenth of the instructions: partial sums need not be copied at the end of a step
    for (int step = 0; step < steps; ++step) {
        fetches_arrived();
        __syncthreads();  // everybody's fetches have arrived, and nobody still reads the rows that are overwritten now
        if (step + AHEAD < steps) pass.fetch(step + AHEAD);
        fetches_end();
        pass.enter(step);

        float down[3][COLUMNS];
        {
            Window x, y;
            x.load(pass.x(step));
            y.load(pass.y(step));
            const Window xx = x.times(x), xy = x.times(y);
#pragma unroll
            for (int c = 0; c < COLUMNS; ++c) {
                down[0][c] = moments[0][c].push(x.along(c));
                down[1][c] = moments[1][c].push(xx.along(c));
                down[2][c] = moments[2][c].push(xy.along(c));
            }
        }
        if (step < REACH) continue;

        const int middle = strip.first - 3 * RADIUS + step;
        const bool in_image = within(middle, strip.place.height);
        const unsigned counts = counted.row(middle);
        const Own mean(pass.mean(step)), variance(pass.variance(step));
        const auto weight = pass.weight(step);
        float sums[3][COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            const SsimPartials at =
                weight.of(c, ssim_partials(down[0][c], down[1][c], down[2][c], mean.value[c], variance.value[c],
                                           in_image ? strip.inside[c] : 0.0f));
            tally.add(masked(at.value, counts, counted.column[c]) + SSIM_ROUNDER, SSIM_ROUNDER);
            sums[0][c] = partials[0][c].push(at.by_mean);
            sums[1][c] = partials[1][c].push(at.by_variance);
            sums[2][c] = partials[2][c].push(at.by_covariance);
        }
        if (step < 2 * REACH) continue;

#pragma unroll
        for (int map = 0; map < 3; ++map) crossing.put(map, sums[map]);
        __syncthreads();
        float along[3][COLUMNS];
#pragma unroll
        for (int map = 0; map < 3; ++map) {
            Window window;
            window.load(crossing.rows[map]);
#pragma unroll
            for (int c = 0; c < COLUMNS; ++c) along[map][c] = window.along(c);
        }
        const Own x(pass.x(step - REACH)), y(pass.y(step - REACH));
        float by_ssim[COLUMNS];
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
            by_ssim[c] = fmaf(2.0f * x.value[c], along[1][c], fmaf(y.value[c], along[2][c], along[0][c]));
        }
        pass.leave(step, strip.first - 2 * REACH + step, x.value, y.value, by_ssim);
    }
    return tally;
}
