// Element-wise ops: one launch, each thread reads its elements of every input before it writes, so
// an output may be one of the inputs.
//
// Limit: memory bandwidth. Eight elements a thread: 16-byte accesses for bf16, two of them for f32.
#pragma once

#include "cuda/device.h"
#include "cuda/gemm_epilogue.cuh"

namespace compact {

inline constexpr int kElementwiseThreads = 256;
inline constexpr int kElementsPerThread = 8;

template <class T>
struct alignas(16) Pack {
    T values[16 / sizeof(T)];
};

template <class T>
__device__ __forceinline__ void load_pack(const T* source, int count, float (&values)[8]) {
    constexpr int kPack = 16 / sizeof(T);
    if (count == kElementsPerThread && reinterpret_cast<uintptr_t>(source) % 16 == 0) {
        for (int p = 0; p < kElementsPerThread / kPack; ++p) {
            const Pack<T> pack = reinterpret_cast<const Pack<T>*>(source)[p];
            for (int i = 0; i < kPack; ++i) values[p * kPack + i] = load_element(&pack.values[i]);
        }
    } else {
        for (int i = 0; i < kElementsPerThread; ++i) {
            values[i] = i < count ? load_element(source + i) : 0.0f;
        }
    }
}

template <class T>
__device__ __forceinline__ void store_pack(T* target, int count, const float (&values)[8]) {
    constexpr int kPack = 16 / sizeof(T);
    if (count == kElementsPerThread && reinterpret_cast<uintptr_t>(target) % 16 == 0) {
        for (int p = 0; p < kElementsPerThread / kPack; ++p) {
            Pack<T> pack;
            for (int i = 0; i < kPack; ++i) store_element(&pack.values[i], values[p * kPack + i]);
            reinterpret_cast<Pack<T>*>(target)[p] = pack;
        }
    } else {
        for (int i = 0; i < count; ++i) store_element(target + i, values[i]);
    }
}

// out[o] = function(in[0], in[1], ...)[o] for every element. `Function` is a copyable struct with
// __device__ void operator()(const float (&in)[kInputs], float (&out)[kOutputs], int64_t index).
template <class In, class Out, int kInputs, int kOutputs, class Function>
struct Elementwise {
    const In* in[kInputs];
    Out* out[kOutputs];
    int64_t count;
    Function function;
};

template <class In, class Out, int kInputs, int kOutputs, class Function>
__global__ void __launch_bounds__(kElementwiseThreads)
    elementwise_kernel(Elementwise<In, Out, kInputs, kOutputs, Function> work) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kElementsPerThread;
    if (first >= work.count) return;
    const int64_t left = work.count - first;
    const int count = left < kElementsPerThread ? static_cast<int>(left) : kElementsPerThread;
    float in[kInputs][8], out[kOutputs][8];
    for (int k = 0; k < kInputs; ++k) load_pack(work.in[k] + first, count, in[k]);
    for (int i = 0; i < kElementsPerThread; ++i) {
        float one_in[kInputs], one_out[kOutputs];
        for (int k = 0; k < kInputs; ++k) one_in[k] = in[k][i];
        work.function(one_in, one_out, first + i);
        for (int k = 0; k < kOutputs; ++k) out[k][i] = one_out[k];
    }
    for (int k = 0; k < kOutputs; ++k) store_pack(work.out[k] + first, count, out[k]);
}

// Inputs and outputs of `call` in order, all of one element count.
template <class In, class Out, int kInputs, int kOutputs, class Function>
CpStatus elementwise(CpDevice& device, const char* op, const CpCall& call, Function function,
                     CpError* error) {
    Elementwise<In, Out, kInputs, kOutputs, Function> work{
        {}, {}, num_elements(call.outputs[0]), function};
    for (int k = 0; k < kInputs; ++k) work.in[k] = static_cast<const In*>(call.inputs[k].data);
    for (int k = 0; k < kOutputs; ++k) work.out[k] = static_cast<Out*>(call.outputs[k].data);
    const int64_t blocks = ceil_div(work.count, kElementwiseThreads * kElementsPerThread);
    CP_LAUNCH((elementwise_kernel<In, Out, kInputs, kOutputs, Function>),
              dim3(static_cast<unsigned>(blocks)), dim3(kElementwiseThreads), 0, device.stream,
              work);
    return check_launch(device, op, error);
}

// The usual case: everything of the dtype of the first output.
template <int kInputs, int kOutputs, class Function>
CpStatus elementwise(CpDevice& device, const char* op, const CpCall& call, Function function,
                     CpError* error) {
    CpStatus status = CP_OK;
    dispatch(call.outputs[0].dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        status = elementwise<T, T, kInputs, kOutputs>(device, op, call, function, error);
    });
    return status;
}

}  // namespace compact
