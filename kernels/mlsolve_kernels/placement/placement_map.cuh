// The map of a placement, and the fetch by an exact map: each pixel is copied from the place that the map gives. Where
// rows map to columns the fetch goes through shared memory, so that neighbouring threads read and write neighbours.
//
// Maps are fixed-point numbers with FRACTION bits after the point, in pixels of the whole image. Sums of products of
// integers are exact, so a pixel gets the same place in every window, without float64. Fractions are rounded to PART
// bits (placement/cuda.py adds the half), which float32 represents exactly.
#pragma once

struct PlacementMap {
    const long long *forward, *inverse;  // row_y, row_x, row_0, column_y, column_x, column_0 of the map and its inverse
    int window;                          // the window that it leads to
    int top, left;                       // position in the image of the window that it starts from
    int to_top, to_left;                 // position in the image of the window that it leads to
    int kind;

    // lines: (turns, sheets, windows, MAP_FIELDS), as placement/cuda.py writes them.
    __device__ __forceinline__ PlacementMap(const long long* lines, int turn, int sheets, int sheet, int windows,
                                            int window) {
        const long long* line = lines + (((size_t)turn * sheets + sheet) * windows + window) * MAP_FIELDS;
        forward = line;
        inverse = line + 6;
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

// The integer part of a place, and its fraction from 0 to 1.
__device__ __forceinline__ int whole_of(long long place) { return static_cast<int>(place >> FRACTION); }

__device__ __forceinline__ float part_of(long long place) {
    const unsigned bits = static_cast<unsigned>(place >> (FRACTION - PART)) & ((1u << PART) - 1);
    return __uint_as_float(__float_as_uint(1.0f) | bits) - 1.0f;
}

// A plane from which values are fetched.
struct Source {
    const float* plane;
    int height, width, pitch;
    float background;  // value outside the plane

    __device__ __forceinline__ float at(int row, int column) const {
        const bool there = within(row, height) && within(column, width);
        return there ? plane[(size_t)row * pitch + column] : background;
    }
};

// Fetches the thread's pixels of a tile by an exact map. All threads of the block must call it. SOURCE: Source, or
// a type with the same `at`.
template <class SOURCE>
__device__ __forceinline__ void fetch_exactly(const PlacementMap& map, const SOURCE& source, const Tile& tile,
                                              float (&value)[TILE_ROWS]) {
    if (map.kind == TURNED) {
        __shared__ float turned[TILE][TILE + 1];
        const int column = whole_of(column_at(map.forward, tile.top + tile.lane + map.top, 0)) - map.to_left;
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) {
            const int row = whole_of(row_at(map.forward, 0, tile.left + tile.offset(i) + map.left)) - map.to_top;
            turned[tile.offset(i)][tile.lane] = source.at(row, column);
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) value[i] = turned[tile.lane][tile.offset(i)];
    } else {
        const int column = whole_of(column_at(map.forward, 0, tile.left + tile.lane + map.left)) - map.to_left;
#pragma unroll
        for (int i = 0; i < TILE_ROWS; ++i) {
            const int row = whole_of(row_at(map.forward, tile.row(i) + map.top, 0)) - map.to_top;
            value[i] = source.at(row, column);
        }
    }
}
