// Shared memory by address. Passes keep addresses that advance step by step: an addition, where an index into a ring
// needs a division. Also `opaque`, which stops the compiler from recomputing a value in every step.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

using Shared = unsigned;  // an address in shared memory, in bytes

__device__ __forceinline__ Shared shared_address(const void* of) {
    return static_cast<unsigned>(__cvta_generic_to_shared(of));
}

// Loads and stores OFFSET bytes from `at`, aligned to their size.
template <int OFFSET>
__device__ __forceinline__ float2 load2(Shared at) {
    float2 value;
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2+%3];" : "=f"(value.x), "=f"(value.y) : "r"(at), "n"(OFFSET));
    return value;
}

template <int OFFSET>
__device__ __forceinline__ float4 load4(Shared at) {
    float4 value;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4+%5];"
                 : "=f"(value.x), "=f"(value.y), "=f"(value.z), "=f"(value.w)
                 : "r"(at), "n"(OFFSET));
    return value;
}

template <int OFFSET>
__device__ __forceinline__ void put2(Shared at, float2 value) {
    asm volatile("st.shared.v2.f32 [%0+%1], {%2, %3};" ::"r"(at), "n"(OFFSET), "f"(value.x), "f"(value.y) : "memory");
}

// Stores only if `stores`, without a branch.
template <int OFFSET>
__device__ __forceinline__ void put4(Shared at, float4 value, bool stores) {
    asm volatile(
        "{.reg .pred p; setp.ne.s32 p, %6, 0; @p st.shared.v4.f32 [%0+%1], {%2, %3, %4, %5};}" ::"r"(at), "n"(OFFSET),
        "f"(value.x), "f"(value.y), "f"(value.z), "f"(value.w), "r"(static_cast<int>(stores))
        : "memory");
}

// Stores to device memory only if `stores`, without a branch.
__device__ __forceinline__ void store2(void* to, float2 value, bool stores) {
    asm volatile("{.reg .pred p; setp.ne.s32 p, %3, 0; @p st.global.v2.f32 [%0], {%1, %2};}" ::"l"(to), "f"(value.x),
                 "f"(value.y), "r"(static_cast<int>(stores))
                 : "memory");
}

// Hides from the compiler how a value came about, so that it keeps it in a register.
__device__ __forceinline__ void opaque(float& value) { asm("" : "+f"(value)); }
__device__ __forceinline__ void opaque(unsigned& value) { asm("" : "+r"(value)); }
__device__ __forceinline__ void opaque(int& value) { asm("" : "+r"(value)); }
__device__ __forceinline__ void opaque(char*& value) { asm("" : "+l"(value)); }
__device__ __forceinline__ void opaque(const char*& value) { asm("" : "+l"(value)); }

#else  // the host shim of the tests

using Shared = char*;

inline Shared shared_address(const void* of) { return static_cast<char*>(const_cast<void*>(of)); }

template <int OFFSET>
float2 load2(Shared at) {
    return *reinterpret_cast<const float2*>(at + OFFSET);
}

template <int OFFSET>
float4 load4(Shared at) {
    return *reinterpret_cast<const float4*>(at + OFFSET);
}

template <int OFFSET>
void put2(Shared at, float2 value) {
    *reinterpret_cast<float2*>(at + OFFSET) = value;
}

template <int OFFSET>
void put4(Shared at, float4 value, bool stores) {
    if (stores) *reinterpret_cast<float4*>(at + OFFSET) = value;
}

inline void store2(void* to, float2 value, bool stores) {
    if (stores) *static_cast<float2*>(to) = value;
}

template <class T>
void opaque(T&) {}

#endif
