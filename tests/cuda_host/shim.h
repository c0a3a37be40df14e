// Enough of CUDA to run a kernel on the host: every thread of a block is a fiber, blocks run one after another.
//
// Compiled in front of the very source that goes to the GPU. What it makes visible:
//   - a missing barrier: warps run in forward or in reverse order, each as far as it can; a reader that comes before
//     its writer reads what was there before, which at the start of a block is NaN (POISON);
//   - a barrier that not all threads reach, or at which they stand in different lines: the launch fails;
//   - an asynchronous copy that is not waited for, or into a place that is still read: copies happen as late as
//     they may, or at once.
// Out-of-range accesses are for the address sanitizer, to which changes of stack are told.
#pragma once
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmath>
#include <type_traits>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define SHIM_LEAVE(save, bottom, size) __sanitizer_start_switch_fiber(save, bottom, size)
#define SHIM_ARRIVE(saved) __sanitizer_finish_switch_fiber(saved, nullptr, nullptr)
#else
#define SHIM_LEAVE(save, bottom, size)
#define SHIM_ARRIVE(saved)
#endif

#define __global__
#define __device__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __syncthreads() shim::block_barrier(__LINE__)

struct Dim3 {
    unsigned x, y, z;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
// Threads are fibers, of which one runs at a time.
inline unsigned long long atomicAdd(unsigned long long* at, unsigned long long value) {
    const unsigned long long before = *at;
    *at += value;
    return before;
}
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
using std::fmaf;
inline float __ldg(const float* at) { return *at; }
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

namespace shim {

constexpr size_t STACK = 256 * 1024;
constexpr int MOST_THREADS = 1024, MOST_COPIES = 256, MOST_GROUPS = 64;

struct Barrier {
    int expected, arrived, line;
    unsigned generation;
};

struct Copy {
    void* to;
    const void* from;
    bool there;
    int group;
};

struct Fiber {
    ucontext_t context;
    char* stack;
    void* fake_stack;
    Barrier* waits;      // at which barrier it stands, or null
    unsigned generation; // which the barrier had when it came
    bool begun, done;
    jmp_buf left;        // where it goes on
    int shuffles;
    Copy copies[MOST_COPIES];
    int first_copy, last_copy, groups, settled;
};

struct State {
    Fiber fibers[MOST_THREADS];
    ucontext_t scheduler;
    jmp_buf left;
    void* scheduler_stack;
    const void* scheduler_bottom;
    size_t scheduler_size;
    Barrier block, warps[MOST_THREADS / 32];
    uint64_t lanes[2][MOST_THREADS];
    void (*run)(void**);
    void** arguments;
    int current;
    bool early, failed;
};

// Not zero, so that it lies in .data: .bss is shared memory, and poisoned.
inline State* state = reinterpret_cast<State*>(1);

}  // namespace shim

// Not zero, either.
inline Dim3 threadIdx = {1, 1, 1}, blockIdx = {1, 1, 1}, blockDim = {1, 1, 1}, gridDim = {1, 1, 1};

namespace shim {

inline Fiber& current() { return state->fibers[state->current]; }

// From one stack to the other. swapcontext asks the kernel for the mask of signals each time, which takes most of
// the time that tests of kernels take; jumps do not, but the address sanitizer takes them for something else.
#if defined(__SANITIZE_ADDRESS__)
inline void to_scheduler_from(Fiber& fiber) { swapcontext(&fiber.context, &state->scheduler); }
inline void to_fiber(Fiber& fiber) { swapcontext(&state->scheduler, &fiber.context); }
#else
inline void to_scheduler_from(Fiber& fiber) {
    if (_setjmp(fiber.left) == 0) _longjmp(state->left, 1);
}
inline void to_fiber(Fiber& fiber) {
    if (_setjmp(state->left) != 0) return;
    if (fiber.begun) _longjmp(fiber.left, 1);
    fiber.begun = true;
    setcontext(&fiber.context);
}
#endif

inline void to_scheduler() {
    Fiber& fiber = current();
    SHIM_LEAVE(fiber.done ? nullptr : &fiber.fake_stack, state->scheduler_bottom, state->scheduler_size);
    to_scheduler_from(fiber);
    SHIM_ARRIVE(current().fake_stack);
}

inline void open_if_complete(Barrier& barrier) {
    if (barrier.arrived > 0 && barrier.arrived == barrier.expected) {
        barrier.arrived = 0;
        ++barrier.generation;
    }
}

inline void wait(Barrier& barrier, int line) {
    if (barrier.arrived > 0 && barrier.line != line) state->failed = true;
    barrier.line = line;
    Fiber& fiber = current();
    fiber.waits = &barrier;
    fiber.generation = barrier.generation;
    ++barrier.arrived;
    open_if_complete(barrier);
    if (barrier.generation == fiber.generation) to_scheduler();
    current().waits = nullptr;
}

inline void block_barrier(int line) { wait(state->block, line); }

template <class T>
T shuffle(T value, int lane) {
    Fiber& fiber = current();
    const int warp = threadIdx.x / 32;
    uint64_t* lanes = state->lanes[fiber.shuffles++ % 2] + 32 * warp;
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    lanes[threadIdx.x % 32] = bits;
    wait(state->warps[warp], 0);
    T result;
    memcpy(&result, &lanes[lane], sizeof result);
    return result;
}

inline void copy_now(const Copy& copy) {
    if (copy.there) {
        memcpy(copy.to, copy.from, 16);
    } else {
        memset(copy.to, 0, 16);
    }
}

inline void copy_later(void* to, const void* from, bool there) {
    Fiber& fiber = current();
    if ((uintptr_t)to % 16 || (there && (uintptr_t)from % 16) || fiber.last_copy - fiber.first_copy == MOST_COPIES) {
        state->failed = true;  // misaligned, or never waited for
        return;
    }
    const Copy copy = {to, from, there, fiber.groups};
    if (state->early) {
        copy_now(copy);
    } else {
        fiber.copies[fiber.last_copy++ % MOST_COPIES] = copy;
    }
}

inline void copies_end() { ++current().groups; }

inline void copies_arrived(int but) {
    Fiber& fiber = current();
    while (fiber.first_copy < fiber.last_copy && fiber.copies[fiber.first_copy % MOST_COPIES].group < fiber.groups - but) {
        copy_now(fiber.copies[fiber.first_copy++ % MOST_COPIES]);
    }
}

inline void fiber_main() {
    SHIM_ARRIVE(nullptr);
    state->run(state->arguments);
    Fiber& fiber = current();
    fiber.done = true;
    --state->block.expected;
    open_if_complete(state->block);
    --state->warps[threadIdx.x / 32].expected;
    open_if_complete(state->warps[threadIdx.x / 32]);
    to_scheduler();
}

// Lets every thread of a warp go as far as it can; tells whether any could.
inline bool run_warp(int warp, int threads, int reverse) {
    bool moved = false;
    for (int i = 0; i < 32; ++i) {
        const int t = 32 * warp + (reverse ? 31 - i : i);
        if (t >= threads) continue;
        Fiber& fiber = state->fibers[t];
        if (fiber.done || (fiber.waits && fiber.waits->generation == fiber.generation)) continue;
        moved = true;
        state->current = t;
        threadIdx = {static_cast<unsigned>(t), 0, 0};
        SHIM_LEAVE(&state->scheduler_stack, fiber.stack, STACK);
        to_fiber(fiber);
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(state->scheduler_stack, &state->scheduler_bottom, &state->scheduler_size);
#endif
    }
    return moved;
}

inline bool run_block(int threads, int reverse) {
    state->block = {threads, 0, 0, 0};
    for (int warp = 0; warp * 32 < threads; ++warp) state->warps[warp] = {min(32, threads - 32 * warp), 0, 0, 0};
    for (int t = 0; t < threads; ++t) {
        Fiber& fiber = state->fibers[t];
        char* stack = fiber.stack ? fiber.stack : static_cast<char*>(malloc(STACK));
        memset(&fiber, 0, offsetof(Fiber, copies));
        fiber.first_copy = fiber.last_copy = fiber.groups = 0;
        fiber.stack = stack;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = stack;
        fiber.context.uc_stack.ss_size = STACK;
        makecontext(&fiber.context, fiber_main, 0);
    }
    const int warps = (threads + 31) / 32;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < warps; ++i) {
            while (run_warp(reverse ? warps - 1 - i : i, threads, reverse)) {
                moved = true;
                if (state->failed) return false;
            }
        }
    }
    for (int t = 0; t < threads; ++t) {
        if (!state->fibers[t].done) return false;  // some wait for others that never come
    }
    return true;
}

#if defined(POISON)
// Hidden: these of the library, not of the program that loads it.
extern "C" __attribute__((visibility("hidden"))) char __bss_start, _end;
inline void poison() { memset(&__bss_start, 0xff, &_end - &__bss_start); }
#else
inline void poison() {}
#endif

// Runs the grid; returns 0, or 1 if a block cannot come to its end as CUDA would have it.
inline int launch(void (*run)(void**), const unsigned* grid, int threads, int reverse, int early, void** arguments) {
    if (state == reinterpret_cast<State*>(1)) state = static_cast<State*>(calloc(1, sizeof(State)));
    state->run = run;
    state->arguments = arguments;
    state->early = early;
    state->failed = false;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {static_cast<unsigned>(threads), 1, 1};
    const unsigned blocks = grid[0] * grid[1] * grid[2];
    for (unsigned i = 0; i < blocks; ++i) {
        const unsigned b = reverse ? blocks - 1 - i : i;
        blockIdx = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};
        poison();
        if (!run_block(threads, reverse)) return 1;
    }
    return 0;
}

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
}

}  // namespace shim

template <class T>
T __shfl_down_sync(unsigned, T value, unsigned distance) {
    const int lane = threadIdx.x % 32 + distance;
    return shim::shuffle(value, lane < 32 ? lane : threadIdx.x % 32);
}

// The step of Adam, which the kernels that take it find linked to them: a function that Numba compiled for the host.
using ShimStep = void (*)(float*, float, float, float, float, float, float, float, float, float, float, float, float);
inline ShimStep shim_step = reinterpret_cast<ShimStep>(1);  // not zero, as above
extern "C" inline void adam_step(float* moved, float x, float first, float second, float gradient, float rate,
                                 float blend_first, float blend_second, float correct_first, float correct_second,
                                 float epsilon, float low, float high) {
    shim_step(moved, x, first, second, gradient, rate, blend_first, blend_second, correct_first, correct_second, epsilon,
              low, high);
}

#define SHIM_EXPORT(kernel)                                                                                         \
    static void shim_run(void** arguments) {                                                                        \
        [arguments]<class... A>(void (*k)(A...)) {                                                                  \
            shim::call(k, arguments, std::index_sequence_for<A...>{});                                              \
        }(&kernel);                                                                                                 \
    }                                                                                                               \
    extern "C" int shim_launch(const unsigned* grid, int threads, int reverse, int early, void** arguments) {      \
        return shim::launch(shim_run, grid, threads, reverse, early, arguments);                                    \
    }                                                                                                               \
    extern "C" void shim_take(ShimStep step) { shim_step = step; }
