// Adam's scalar step for a CUDA kernel: step.py, compiled by Numba (cuda.py). It is linked into the kernel or put in
// front of its source (cuda/compiler.py); both inline it.
#pragma once

// moved = the new value, first moment and second moment of one pixel
extern "C" __device__ void adam_step(float* moved, float x, float first, float second, float gradient, float rate,
                                     float blend_first, float blend_second, float correct_first,
                                     float correct_second, float epsilon, float low, float high);

// The constants of one iteration: a line of the table of rates, in the order of Rates in step.py.
struct Rates {
    float rate, blend_first, blend_second, correct_first, correct_second, epsilon, low, high;

    __device__ explicit Rates(const float* __restrict__ line)
        : rate(line[0]), blend_first(line[1]), blend_second(line[2]), correct_first(line[3]),
          correct_second(line[4]), epsilon(line[5]), low(line[6]), high(line[7]) {}

    // From the pairs of such a line.
    __device__ __forceinline__ Rates(float2 a, float2 b, float2 c, float2 d)
        : rate(a.x), blend_first(a.y), blend_second(b.x), correct_first(b.y), correct_second(c.x), epsilon(c.y),
          low(d.x), high(d.y) {}
};

constexpr int RATES = sizeof(Rates) / sizeof(float);

// Take one step of a pixel in place. `gradient` is in the per-pixel measure.
__device__ __forceinline__ void take_step(float& x, float& first, float& second, float gradient, const Rates& now) {
    float moved[3];
    adam_step(moved, x, first, second, gradient, now.rate, now.blend_first, now.blend_second, now.correct_first,
              now.correct_second, now.epsilon, now.low, now.high);
    x = moved[0];
    first = moved[1];
    second = moved[2];
}
