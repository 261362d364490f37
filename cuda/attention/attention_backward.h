// The gradient of attention: what its kernels share.
//
//   P = exp(S - lse), D = rowsum(dO o), dV = P^T dO, dS = P (dO V^T - D), dQ = scale dS K,
//   dK = scale dS^T Q; with a soft cap dS is times 1 - (S / cap)^2
//
// Two passes without atomics, each the sole writer of what it sums, in a fixed order: blocks of
// keys loop over the queries of their group of heads (dK, dV), blocks of queries loop over keys
// (dQ).
#pragma once

#include <cstdint>

#include "cuda/attention/attention.h"

namespace compact {

// Per query and head, (sequences, heads, padded length): the log-sum-exp and D. Padding, and
// queries that saw no key, have lse = infinity, so that their probabilities are 0.
struct QueryStatistics {
    static constexpr int64_t kPadding = 64;  // queries: a multiple of every tile

    float* lse;
    float* dots;
    int64_t padded_length;

    QueryStatistics(void* workspace, const AttentionShape& shape)
        : lse(static_cast<float*>(workspace)),
          dots(lse + elements(shape)),
          padded_length(round_up(shape.length, kPadding)) {}

    static int64_t elements(const AttentionShape& shape) {
        return shape.sequences * shape.heads * round_up(shape.length, kPadding);
    }
    static int64_t workspace_bytes(const AttentionShape& shape) { return 2 * elements(shape) * 4; }

    // Of query 0.
    __device__ __forceinline__ int64_t begin(int64_t sequence, int64_t heads, int64_t head) const {
        return (sequence * heads + head) * padded_length;
    }
};

template <class T>
struct AttentionGradients {
    const T *q, *k, *v, *d_o;
    T *dq, *dk, *dv;
    QueryStatistics statistics;
};

// On tensor cores, head sizes up to 128.
cudaError_t attention_backward_tiles(CpDevice& device, const AttentionShape& shape,
                                     const AttentionGradients<Bf16>& gradients);
// On CUDA cores; T is float or Bf16.
template <class T>
cudaError_t attention_backward_rows(CpDevice& device, const AttentionShape& shape,
                                    const AttentionGradients<T>& gradients);

}  // namespace compact
