// attentionBackward: dq, dk, dv with probabilities rebuilt from the log-sum-exp.
//
//   P = exp(S - lse), D = rowsum(dO o), dV = P^T dO, dS = P (dO V^T - D), dQ = scale dS K,
//   dK = scale dS^T Q; with a soft cap dS is times 1 - (S / cap)^2
//
// One task has one sequence and key-value head: the heads of its group and their tiles of queries
// add to its dk and dv in order. Dao et al., "FlashAttention", 2022, appendix B.
#include "native/cpu/attention/attention_amx.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

// Scratch of one thread. Sequences are padded to whole tiles.
struct Scratch {
    float *keys, *values, *d_keys, *d_values;  // (padded length, padded_size)
    float *queries, *d_output;                 // (kTile, padded_size), queries times scale
    float *queries_t, *d_output_t;             // (padded_size, kTile)
    float* d_queries;                          // (kTile, padded_size)
    float *probabilities, *d_scores;           // (kTile keys, kTile queries)
    QueryStatistics statistics;

    static int64_t padded_length(const AttentionShape& shape) {
        return shape.query_tiles() * kTile;
    }
    static int64_t bytes(const AttentionShape& shape) {
        return (4 * padded_length(shape) * shape.padded_size + 5 * kTile * shape.padded_size +
                2 * kTile * kTile + QueryStatistics::kElements) *
               4;
    }
    Scratch(void* workspace, int64_t thread, const AttentionShape& shape) : statistics(nullptr) {
        float* next =
            reinterpret_cast<float*>(static_cast<char*>(workspace) + thread * bytes(shape));
        const auto take = [&](int64_t count) {
            float* part = next;
            next += count;
            return part;
        };
        for (float** part : {&keys, &values, &d_keys, &d_values}) {
            *part = take(padded_length(shape) * shape.padded_size);
        }
        for (float** part : {&queries, &d_output, &queries_t, &d_output_t, &d_queries}) {
            *part = take(kTile * shape.padded_size);
        }
        probabilities = take(kTile * kTile);
        d_scores = take(kTile * kTile);
        statistics = QueryStatistics(take(QueryStatistics::kElements));
    }
};

int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const AttentionShape shape(*call, 6);
    return limits->threads *
           std::max(Scratch::bytes(shape), AmxAttentionBackwardScratch::bytes(shape));
}

CpStatus check(const CpCall* call, CpError* error) {
    return check_attention(call, "attentionBackward", call->inputs[4], error);
}

// Fills the scratch of a tile of queries: q and dO in both orders, and their statistics.
template <class T>
void load_queries(const AttentionShape& shape, const CpCall& call, int64_t row, int64_t head,
                  int64_t queries, const Scratch& scratch) {
    const int64_t size = shape.padded_size, width = shape.query_width;
    const int64_t at = row * width + head * shape.head_size;
    widen_rows(shape, data<T>(call.inputs[0]) + at, width, queries, kTile, shape.scale,
               scratch.queries);
    widen_rows(shape, data<T>(call.inputs[5]) + at, width, queries, kTile, 1.0f, scratch.d_output);
    transpose_tile(kTile, size, scratch.queries, size, scratch.queries_t, kTile);
    transpose_tile(kTile, size, scratch.d_output, size, scratch.d_output_t, kTile);
    scratch.statistics.load_from<T>(shape, call, row, head, queries);
}

// One tile of queries against all the keys that it sees: adds to dk and dv, writes dq.
template <class T>
void differentiate_queries(const AttentionShape& shape, const CpCall& call, int64_t sequence,
                           int64_t head, int64_t first_query, const Scratch& scratch) {
    const int64_t size = shape.padded_size;
    const int64_t queries = std::min(kTile, shape.length - first_query);
    const int64_t row = sequence * shape.length + first_query;
    load_queries<T>(shape, call, row, head, queries, scratch);
    const int64_t begin = shape.first_tile_of_keys(sequence, first_query);
    const int64_t visible = shape.visible_keys(first_query);
    for (int64_t first_key = begin; first_key < visible; first_key += kTile) {
        const int64_t keys = std::min(kTile, visible - first_key);
        const int64_t at = first_key * size;
        // S^T = K Q^T, (dO V^T)^T = V dO^T
        multiply_tile(keys, kTile, size, {scratch.keys + at, size, 1}, scratch.queries_t, kTile,
                      scratch.probabilities, kTile, false);
        multiply_tile(keys, kTile, size, {scratch.values + at, size, 1}, scratch.d_output_t, kTile,
                      scratch.d_scores, kTile, false);
        shape.soft_cap.apply(keys * kTile, scratch.probabilities);
        hide_keys(shape, sequence, first_query, first_key, keys, -kInfinity, scratch.probabilities);
        scratch.statistics.differentiate(shape.soft_cap, keys, scratch.probabilities,
                                         scratch.d_scores);
        // dV += P^T dO, dK += dS^T Q, dQ += dS K
        multiply_tile(keys, size, queries, {scratch.probabilities, kTile, 1}, scratch.d_output,
                      size, scratch.d_values + at, size, true);
        multiply_tile(keys, size, queries, {scratch.d_scores, kTile, 1}, scratch.queries, size,
                      scratch.d_keys + at, size, true);
        multiply_tile(queries, size, keys, {scratch.d_scores, 1, kTile}, scratch.keys + at, size,
                      scratch.d_queries, size, first_key > begin);
    }
    narrow_rows(shape, scratch.d_queries, queries, shape.scale,
                data<T>(call.outputs[0]) + row * shape.query_width + head * shape.head_size,
                shape.query_width);
}

template <class T>
void differentiate_head(const AttentionShape& shape, const CpCall& call, int64_t sequence,
                        int64_t kv_head, const Scratch& scratch) {
    const int64_t padded_length = Scratch::padded_length(shape);
    const int64_t at = sequence * shape.length * shape.kv_width + kv_head * shape.head_size;
    widen_rows(shape, data<T>(call.inputs[1]) + at, shape.kv_width, shape.length, padded_length,
               1.0f, scratch.keys);
    widen_rows(shape, data<T>(call.inputs[2]) + at, shape.kv_width, shape.length, padded_length,
               1.0f, scratch.values);
    std::fill_n(scratch.d_keys, padded_length * shape.padded_size, 0.0f);
    std::fill_n(scratch.d_values, padded_length * shape.padded_size, 0.0f);
    for (int64_t member = 0; member < shape.group; ++member) {
        for (int64_t first = 0; first < shape.length; first += kTile) {
            differentiate_queries<T>(shape, call, sequence, kv_head * shape.group + member, first,
                                     scratch);
        }
    }
    narrow_rows(shape, scratch.d_keys, shape.length, 1.0f, data<T>(call.outputs[1]) + at,
                shape.kv_width);
    narrow_rows(shape, scratch.d_values, shape.length, 1.0f, data<T>(call.outputs[2]) + at,
                shape.kv_width);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
#if defined(COMPACT_ISA_AVX512)
    if (takes_amx(*device, *call)) {
        amx::attention_backward(device, call);
        return CP_OK;
    }
#endif
    const AttentionShape shape(*call, 6);
    with_dtype(call->inputs[0].dtype, [&](auto type) {
        device->pool.parallel_for(shape.sequences * shape.kv_heads, [&](int64_t task, int thread) {
            differentiate_head<decltype(type)>(shape, *call, task / shape.kv_heads,
                                               task % shape.kv_heads,
                                               Scratch(call->workspace, thread, shape));
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kAttentionBackwardOp = {"attentionBackward", workspace_bytes, check, run};

}  // namespace compact::COMPACT_ISA
