// How a sheet lies, and what is fetched by it: a pixel from where an exact map says, through shared memory where rows
// are columns there, so that what lies side by side is read and written side by side.
//
// Maps are of fixed point, FRACTION bits behind it, of pixels of the whole image: sums of products of whole numbers
// are exact, so a pixel finds the same place in whatever window it lies, and no float64 is wanted. They are rounded to
// PART bits (placement/cuda.py adds the half), of which float32 holds every one.
#pragma once

struct Way {
    const long long *map, *back;  // row_y, row_x, row_0, column_y, column_x, column_0; and the inverse
    int window;                   // that it leads to
    int top, left;                // of the window that it comes from, in the image
    int to_top, to_left;          // of the one it leads to
    int kind;

    // lines: (turns, sheets, windows, WAY), as placement/cuda.py writes them.
    __device__ __forceinline__ Way(const long long* lines, int turn, int sheets, int sheet, int windows, int window) {
        const long long* line = lines + (((size_t)turn * sheets + sheet) * windows + window) * WAY;
        map = line;
        back = line + 6;
        this->window = static_cast<int>(line[12]);
        top = static_cast<int>(line[13]);
        left = static_cast<int>(line[14]);
        to_top = static_cast<int>(line[15]);
        to_left = static_cast<int>(line[16]);
        kind = static_cast<int>(line[17]);
    }
};

__device__ __forceinline__ long long row_at(const long long* map, int y, int x) {
    return map[0] * y + map[1] * x + map[2];
}

__device__ __forceinline__ long long column_at(const long long* map, int y, int x) {
    return map[3] * y + map[4] * x + map[5];
}

// The pixel that a place lies in or behind, and how far behind, 0 … 1.
__device__ __forceinline__ int whole_of(long long place) { return static_cast<int>(place >> FRACTION); }

__device__ __forceinline__ float part_of(long long place) {
    const unsigned bits = static_cast<unsigned>(place >> (FRACTION - PART)) & ((1u << PART) - 1);
    return __uint_as_float(__float_as_uint(1.0f) | bits) - 1.0f;
}

// A plane that is fetched from.
struct Source {
    const float* plane;
    int height, width, pitch;
    float background;  // what there is beyond it

    __device__ __forceinline__ float at(int row, int column) const {
        const bool there = within(row, height) && within(column, width);
        return there ? plane[(size_t)row * pitch + column] : background;
    }
};

// Fetches the thread's pixels of a tile by an exact map. All threads of the block call it.
__device__ __forceinline__ void fetch_exactly(const Way& way, const Source& source, const Tile& tile,
                                              float (&value)[TILE_ROWS]) {
    if (way.kind == TURNED) {
        __shared__ float turned[TILE][TILE + 1];
        const int column = whole_of(column_at(way.map, tile.top + tile.lane + way.top, 0)) - way.to_left;
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) {
            const int row = whole_of(row_at(way.map, 0, tile.left + tile.offset(i) + way.left)) - way.to_top;
            turned[tile.offset(i)][tile.lane] = source.at(row, column);
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) value[i] = turned[tile.lane][tile.offset(i)];
    } else {
        const int column = whole_of(column_at(way.map, 0, tile.left + tile.lane + way.left)) - way.to_left;
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) {
            const int row = whole_of(row_at(way.map, tile.row(i) + way.top, 0)) - way.to_top;
            value[i] = source.at(row, column);
        }
    }
}
