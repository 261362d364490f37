// attentionBackward: dq, dk, dv with probabilities rebuilt from the log-sum-exp.
// Dao et al., "FlashAttention", 2022, appendix B.
//
// Two passes over q, k, v, dO, seven products of the size of the two forward; limit: tensor-core
// rate (bf16, heads up to 128), or shared-memory reads on CUDA cores.
#include <cmath>

#include "cuda/attention/attention_backward.h"
#include "cuda/attention/attention_tile.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"

namespace compact {
namespace {

constexpr int kThreads = 256;  // a warp per query and head

template <class T>
__global__ void __launch_bounds__(kThreads)
    query_statistics_kernel(AttentionShape shape, const T* __restrict__ o,
                            const T* __restrict__ d_o, const float* __restrict__ lse,
                            QueryStatistics statistics) {
    const int64_t warp = static_cast<int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
    const int64_t query = warp % statistics.padded_length;
    const int64_t pair = warp / statistics.padded_length;  // sequence and head
    if (pair >= shape.sequences * shape.heads) return;
    const int64_t token = pair / shape.heads * shape.length + query, head = pair % shape.heads;
    float value = INFINITY, dot = 0.0f;
    if (query < shape.length) {
        const int64_t at = token * shape.query_width + head * shape.head_size;
        for (int64_t i = threadIdx.x % 32; i < shape.head_size; i += 32) {
            dot = __fmaf_rn(load_element(d_o + at + i), load_element(o + at + i), dot);
        }
        value = lse[token * shape.heads + head];
        if (value == -INFINITY) value = INFINITY;
    }
    dot = warp_reduce(dot, Sum{});
    if (threadIdx.x % 32 == 0) {
        statistics.lse[warp] = value;
        statistics.dots[warp] = dot;
    }
}

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    return QueryStatistics::workspace_bytes(AttentionShape(*call, 6));
}

CpStatus check(const CpCall* call, CpError* error) {
    return check_attention_shape(call, "attentionBackward", call->inputs[4], error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "attentionBackward";
    const AttentionShape shape(*call, 6);
    const QueryStatistics statistics(call->workspace, shape);
    const int64_t blocks = ceil_div(QueryStatistics::elements(shape), kThreads / 32);
    cudaError_t status = cudaSuccess;
    dispatch(call->inputs[0].dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(query_statistics_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads),
                  0, device->stream, shape, data<const T>(call->inputs[3]),
                  data<const T>(call->inputs[5]), data<const float>(call->inputs[4]), statistics);
        const AttentionGradients<T> gradients{data<T>(call->inputs[0]),  data<T>(call->inputs[1]),
                                              data<T>(call->inputs[2]),  data<T>(call->inputs[5]),
                                              data<T>(call->outputs[0]), data<T>(call->outputs[1]),
                                              data<T>(call->outputs[2]), statistics};
        if constexpr (std::is_same_v<T, Bf16>) {
            if (shape.head_size <= kMaxTileSize) {
                status = attention_backward_tiles(*device, shape, gradients);
                return;
            }
        }
        status = attention_backward_rows(*device, shape, gradients);
    });
    CUDA_CHECK(*device, op, error, status);
    return check_launch(*device, op, error);
}

}  // namespace

const CpOp kCudaAttentionBackwardOp = {"attentionBackward", workspace_bytes, check, run};

}  // namespace compact
