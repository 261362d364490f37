// Element-wise ops: one launch, each thread reads its elements of every input before it writes, so
// an output may be one of the inputs.
//
// Limit: memory bandwidth. Eight elements a thread.
#pragma once

#include <type_traits>

#include "cuda/runtime/device.h"
#include "cuda/simt/pack.cuh"
#include "native/backend/op_checks.h"

namespace compact {

inline constexpr int kElementwiseThreads = 256;

// out[o] = function(in[0], in[1], ...)[o] for every element. `Function` is a copyable struct with
// __device__ void operator()(const float (&in)[kInputs], float (&out)[kOutputs]).
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
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= work.count) return;
    const int count = pack_count(work.count, first);
    float in[kInputs][kPackSize], out[kOutputs][kPackSize];
    CP_UNROLL
    for (int k = 0; k < kInputs; ++k) load_pack(work.in[k] + first, count, in[k]);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        float one_in[kInputs], one_out[kOutputs];
        CP_UNROLL
        for (int k = 0; k < kInputs; ++k) one_in[k] = in[k][i];
        work.function(one_in, one_out);
        CP_UNROLL
        for (int k = 0; k < kOutputs; ++k) out[k][i] = one_out[k];
    }
    CP_UNROLL
    for (int k = 0; k < kOutputs; ++k) store_pack(work.out[k] + first, count, out[k]);
}

// For kernels that find their place by divisions: threads, with a pack each, have 32-bit numbers.
inline CpStatus check_thread_numbers(const char* op, int64_t packs, CpError* error) {
    constexpr int64_t kMaxPacks = (int64_t{1} << 32) - kElementwiseThreads;
    if (packs <= kMaxPacks) return CP_OK;
    return fail_shape(error, op,
                      message("at most %lld packs of eight elements of a row", kMaxPacks),
                      message("%lld", packs));
}

// Blocks of kElementwiseThreads threads with a pack each.
inline int64_t elementwise_blocks(int64_t count) {
    return ceil_div(count, kElementwiseThreads * kPackSize);
}
inline dim3 elementwise_grid(int64_t count) {
    return dim3(static_cast<unsigned>(elementwise_blocks(count)));
}

// Inputs and outputs of `call` in order, all of one element count.
template <class In, class Out, int kInputs, int kOutputs, class Function>
CpStatus elementwise(CpDevice& device, const char* op, const CpCall& call, Function function,
                     CpError* error) {
    Elementwise<In, Out, kInputs, kOutputs, Function> work{
        {}, {}, num_elements(call.outputs[0]), function};
    for (int k = 0; k < kInputs; ++k) work.in[k] = data<In>(call.inputs[k]);
    for (int k = 0; k < kOutputs; ++k) work.out[k] = data<Out>(call.outputs[k]);
    CP_LAUNCH((elementwise_kernel<In, Out, kInputs, kOutputs, Function>),
              elementwise_grid(work.count), dim3(kElementwiseThreads), 0, device.stream, work);
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
