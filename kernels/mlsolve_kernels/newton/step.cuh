// The scalar maths of a Newton step at one pixel of one layer: twin of step.py, operation by operation.
#pragma once

#include "cuda/extremes.cuh"

// The constants of one iteration: a line of the table of rates, in the order of NewtonRates in step.py.
struct NewtonRates {
    float rate, brightness, low, high, momentum, damping, darkest, farthest;

    __device__ explicit NewtonRates(const float* __restrict__ line)
        : rate(line[0]), brightness(line[1]), low(line[2]), high(line[3]), momentum(line[4]), damping(line[5]),
          darkest(line[6]), farthest(line[7]) {}
};

constexpr int NEWTON_RATES = sizeof(NewtonRates) / sizeof(float);

__device__ __forceinline__ float room_of(float x, float gradient, const NewtonRates& now) {
    return smaller(larger(x - now.low, -gradient), larger(now.high - x, gradient));
}

__device__ __forceinline__ float inverse_of(float slope, float bend, float curvature, const NewtonRates& now) {
    return 1.0f / (curvature + now.damping * bend * slope * slope);
}

// How much a pixel with `weight` in a mask counts for the shift of a stack of `layers` layers.
__device__ __forceinline__ float counted_in_shift(float weight, int layers) {
    if (layers <= 2) return weight * weight;
    for (int i = 1; i < layers / 2; ++i) weight = sqrtf(weight);
    return weight;
}

__device__ __forceinline__ float shift_of(float windowed, float wanted, float counts, float free,
                                          const NewtonRates& now) {
    const float base = larger(wanted, now.darkest), most = now.farthest * base;
    const float error = smaller(larger(windowed - wanted, -most), most);
    return now.brightness * counts * error / (base * larger(free, 1.0f));
}

// Takes a step of x and its velocity in place; the velocity of a clamped value becomes 0.
__device__ __forceinline__ void newton_step(float& x, float& velocity, float gradient, float slope, float inverse,
                                            float through, float shift, const NewtonRates& now) {
    const float newton = now.rate * ((gradient - slope * through) * inverse);
    const float move = smaller(larger(newton, -LONGEST), LONGEST);
    const float speed = now.momentum * velocity - move;
    const float moved = x + (now.momentum * speed - move - shift * x);
    x = smaller(larger(moved, now.low), now.high);
    velocity = moved - x != 0.0f ? 0.0f : speed;
}
