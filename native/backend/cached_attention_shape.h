// Sizes of cachedAttention, and what of them a signature cannot say. The same for every backend.
#pragma once

#include "native/backend/op_checks.h"

namespace compact {

struct CachedAttentionShape {
    int64_t tokens, new_tokens, capacity;  // rows of q, of those one sequence, of its cache
    int64_t heads, group;                  // group = query heads per key-value head
    int64_t head_size;
    int64_t query_width, kv_width;  // heads * head_size, kv_heads * head_size
    int64_t window;                 // 0: all positions before
    float scale, soft_cap;          // soft_cap 0: none

    explicit CachedAttentionShape(const CpCall& call) {
        tokens = call.inputs[0].shape[0];
        query_width = call.inputs[0].shape[1];
        kv_width = call.inputs[1].shape[1];
        new_tokens = static_cast<int64_t>(attribute(call, "newTokens"));
        head_size = static_cast<int64_t>(attribute(call, "headSize"));
        window = static_cast<int64_t>(attribute(call, "window"));
        scale = static_cast<float>(attribute(call, "scale"));
        soft_cap = static_cast<float>(attribute(call, "softCap"));
        capacity = call.inputs[3].shape[0] / (tokens / new_tokens);
        heads = query_width / head_size;
        group = query_width / kv_width;
    }
};

inline CpStatus check_cached_attention(const CpCall* call, CpError* error) {
    const char* op = "cachedAttention";
    int64_t new_tokens = 0, head_size = 0, window = 0;
    if (constant_integer(*call, op, "newTokens", 1, &new_tokens, error) != CP_OK ||
        constant_integer(*call, op, "headSize", 8, &head_size, error) != CP_OK ||
        constant_integer(*call, op, "window", 0, &window, error) != CP_OK) {
        return CP_FAILED;
    }
    const int64_t tokens = call->inputs[0].shape[0], width = call->inputs[0].shape[1];
    if (check_heads(op, head_size, width, call->inputs[1].shape[1], error) != CP_OK) {
        return CP_FAILED;
    }
    if (tokens % new_tokens != 0) {
        return fail_shape(error, op, message("whole sequences of %lld tokens", new_tokens),
                          message("%lld tokens", tokens));
    }
    const int64_t rows = call->inputs[3].shape[0], sequences = tokens / new_tokens;
    if (rows % sequences != 0 || rows < tokens) {
        return fail_shape(
            error, op,
            message("a cache of %lld sequences of at least %lld rows", sequences, new_tokens),
            message("%lld rows", rows));
    }
    return CP_OK;
}

}  // namespace compact
