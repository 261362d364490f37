// attention: o = softmax(scale q k^T) v, with a soft cap of scores where there is one, per sequence
// and head, without the matrix of scores: tiles of keys pass by a tile of queries, whose running
// maximum and sum rescale what came before. Dao et al., "FlashAttention", 2022; Milakov,
// Gimelshein, "Online normalizer calculation for softmax", 2018.
#include "native/cpu/attention/attention_amx.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

// Scratch of one thread.
struct Scratch {
    float* rows;     // (kTile, padded_size) queries before they are transposed, then keys
    float* values;   // (kTile, padded_size)
    float* queries;  // (padded_size, kTile) transposed, times scale
    float* scores;   // (kTile keys, kTile queries)
    float* output;   // (kTile, padded_size)
    OnlineSoftmax softmax;

    static int64_t bytes(int64_t padded_size) {
        return (4 * kTile * padded_size + kTile * kTile + OnlineSoftmax::kElements) * 4;
    }
    Scratch(void* workspace, int64_t thread, int64_t size)
        : rows(reinterpret_cast<float*>(static_cast<char*>(workspace) + thread * bytes(size))),
          values(rows + kTile * size),
          queries(values + kTile * size),
          scores(queries + kTile * size),
          output(scores + kTile * kTile),
          softmax(output + kTile * size) {}
};

int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const AttentionShape shape(*call, 3);
    return limits->threads *
           std::max(Scratch::bytes(shape.padded_size), AmxAttentionScratch::bytes(shape));
}

CpStatus check(const CpCall* call, CpError* error) {
    return check_attention(call, "attention", call->outputs[1], error);
}

template <class T>
void attend(const AttentionShape& shape, const CpCall& call, int64_t sequence, int64_t head,
            int64_t first_query, const Scratch& scratch) {
    const int64_t size = shape.padded_size;
    const int64_t queries = std::min(kTile, shape.length - first_query);
    const int64_t first_row = sequence * shape.length;
    const int64_t query_at = (first_row + first_query) * shape.query_width + head * shape.head_size;
    const int64_t kv_column = head / shape.group * shape.head_size;

    widen_rows(shape, data<T>(call.inputs[0]) + query_at, shape.query_width, queries, kTile,
               shape.scale, scratch.rows);
    transpose_tile(kTile, size, scratch.rows, size, scratch.queries, kTile);
    scratch.softmax.begin();

    const int64_t begin = shape.first_tile_of_keys(sequence, first_query);
    const int64_t visible = shape.visible_keys(first_query);
    for (int64_t first_key = begin; first_key < visible; first_key += kTile) {
        const int64_t keys = std::min(kTile, visible - first_key);
        const int64_t kv_at = (first_row + first_key) * shape.kv_width + kv_column;
        widen_rows(shape, data<T>(call.inputs[1]) + kv_at, shape.kv_width, keys, keys, 1.0f,
                   scratch.rows);
        widen_rows(shape, data<T>(call.inputs[2]) + kv_at, shape.kv_width, keys, keys, 1.0f,
                   scratch.values);
        // S^T = K Q^T
        multiply_tile(keys, kTile, size, {scratch.rows, size, 1}, scratch.queries, kTile,
                      scratch.scores, kTile, false);
        shape.soft_cap.apply(keys * kTile, scratch.scores);
        hide_keys(shape, sequence, first_query, first_key, keys, -kInfinity, scratch.scores);
        scratch.softmax.add(keys, scratch.scores);
        if (first_key > begin) {
            for (int64_t i = 0; i < queries; ++i) {
                const Vec factor = splat(scratch.softmax.rescale[i]);
                float* row = scratch.output + i * size;
                for_lanes(size, [=](int64_t at, auto lanes) {
                    store(row + at, load(row + at, lanes) * factor, lanes);
                });
            }
        }
        // O += P V
        multiply_tile(queries, size, keys, {scratch.scores, 1, kTile}, scratch.values, size,
                      scratch.output, size, first_key > begin);
    }

    scratch.softmax.finish<T>(shape, call, first_row + first_query, head, queries, scratch.output);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
#if defined(COMPACT_ISA_AVX512)
    if (takes_amx(*device, *call)) {
        amx::attention(device, call);
        return CP_OK;
    }
#endif
    const AttentionShape shape(*call, 3);
    const int64_t tiles = shape.query_tiles();
    with_dtype(call->inputs[0].dtype, [&](auto type) {
        device->pool.parallel_for(
            shape.sequences * shape.heads * tiles, [&](int64_t task, int thread) {
                // Tiles of one head follow each other, so that its keys stay in cache.
                const int64_t tile = task % tiles, pair = task / tiles;
                const Scratch scratch(call->workspace, thread, shape.padded_size);
                attend<decltype(type)>(shape, *call, pair / shape.heads, pair % shape.heads,
                                       tile * kTile, scratch);
            });
    });
    return CP_OK;
}

}  // namespace

const CpOp kAttentionOp = {"attention", workspace_bytes, check, run};

}  // namespace compact::COMPACT_ISA
