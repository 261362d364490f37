// attentionBackward of bf16 on AMX tiles: attention_backward.cc with products of packed operands,
// and dQ^T += K^T dS^T in place of dQ += dS K. The scale enters S, and dq and dk when they are
// done.
#include "native/cpu/attention/attention_amx_tiles.h"

namespace compact::COMPACT_ISA {
namespace {

using Scratch = AmxAttentionBackwardScratch;

// One tile of queries against all the keys that it sees: adds to dk and dv, writes dq.
void differentiate_queries(const AttentionShape& shape, const CpCall& call, int64_t sequence,
                           int64_t head, int64_t first_query, const Scratch& scratch) {
    const int64_t size = shape.padded_size, panel_size = whole_panels(shape.head_size);
    const int64_t queries = std::min(kTile, shape.length - first_query);
    const int64_t columns = whole_panels(queries);
    const int64_t row = sequence * shape.length + first_query;
    const HeadRows q = head_rows(call.inputs[0], row, head * shape.head_size, queries);
    const HeadRows d_output = head_rows(call.inputs[5], row, head * shape.head_size, queries);
    pack_rows(kGemmAmx.pack_b, shape, q, scratch.queries_t);
    pack_rows(kGemmAmx.pack_b, shape, d_output, scratch.d_output_t);
    pack_columns(kGemmAmx.pack_b, shape, q, scratch.queries);
    pack_columns(kGemmAmx.pack_b, shape, d_output, scratch.d_output);
    scratch.statistics.load_from<BFloat16>(shape, call, row, head, queries);

    const int64_t begin = shape.first_tile_of_keys(sequence, first_query);
    const int64_t visible = shape.visible_keys(first_query);
    for (int64_t first_key = begin; first_key < visible; first_key += kTile) {
        const int64_t keys = std::min(kTile, visible - first_key), rows = whole_panels(keys);
        const int64_t panels_at = first_key * panel_size, sums_at = first_key * size;
        // (dO V^T)^T = V dO^T
        multiply_keys(shape, sequence, first_query, queries, first_key, keys,
                      scratch.keys + panels_at, scratch.queries_t, scratch.probabilities);
        multiply_panels(rows, columns, panel_size, scratch.values + panels_at, scratch.d_output_t,
                        scratch.d_scores, kTile, false);
        scratch.statistics.differentiate(shape.soft_cap, rows, scratch.probabilities,
                                         scratch.d_scores);
        // dV += P^T dO, dK += dS^T Q, dQ^T += K^T dS^T
        round_to_a(scratch.probabilities, rows, columns, scratch.rounded);
        multiply_panels(rows, size, columns, scratch.rounded, scratch.d_output,
                        scratch.d_values + sums_at, size, true);
        round_to_a(scratch.d_scores, rows, columns, scratch.rounded);
        multiply_panels(rows, size, columns, scratch.rounded, scratch.queries,
                        scratch.d_keys + sums_at, size, true);
        round_to_b(scratch.d_scores, rows, columns, scratch.rounded);
        multiply_panels(size, columns, rows, scratch.keys_t + panels_at, scratch.rounded,
                        scratch.d_queries_t, kTile, first_key > begin);
    }
    transpose_tile(size, kTile, scratch.d_queries_t, kTile, scratch.d_queries, size);
    narrow_rows(shape, scratch.d_queries, queries, shape.scale,
                data<BFloat16>(call.outputs[0]) + row * shape.query_width + head * shape.head_size,
                shape.query_width);
}

void differentiate_head(const AttentionShape& shape, const CpCall& call, int64_t sequence,
                        int64_t kv_head, const Scratch& scratch) {
    const int64_t first_row = sequence * shape.length, column = kv_head * shape.head_size;
    for (int64_t first = 0; first < shape.length; first += kTile) {
        const int64_t keys = std::min(kTile, shape.length - first);
        const int64_t panels_at = first * whole_panels(shape.head_size);
        const HeadRows k = head_rows(call.inputs[1], first_row + first, column, keys);
        const HeadRows v = head_rows(call.inputs[2], first_row + first, column, keys);
        pack_rows(kGemmAmx.pack_a, shape, k, scratch.keys + panels_at);
        pack_rows(kGemmAmx.pack_a, shape, v, scratch.values + panels_at);
        pack_columns(kGemmAmx.pack_a, shape, k, scratch.keys_t + panels_at);
    }
    const int64_t sums = Scratch::padded_length(shape) * shape.padded_size;
    std::fill_n(scratch.d_keys, sums, 0.0f);
    std::fill_n(scratch.d_values, sums, 0.0f);
    for (int64_t member = 0; member < shape.group; ++member) {
        for (int64_t first = 0; first < shape.length; first += kTile) {
            differentiate_queries(shape, call, sequence, kv_head * shape.group + member, first,
                                  scratch);
        }
    }
    const int64_t at = first_row * shape.kv_width + column;
    narrow_rows(shape, scratch.d_keys, shape.length, shape.scale,
                data<BFloat16>(call.outputs[1]) + at, shape.kv_width);
    narrow_rows(shape, scratch.d_values, shape.length, 1.0f, data<BFloat16>(call.outputs[2]) + at,
                shape.kv_width);
}

}  // namespace

void attention_backward(CpDevice* device, const CpCall* call) {
    const AttentionShape shape(*call, 6);
    device->pool.parallel_for(shape.sequences * shape.kv_heads, [&](int64_t task, int thread) {
        kGemmAmx.begin();
        differentiate_head(shape, *call, task / shape.kv_heads, task % shape.kv_heads,
                           Scratch(call->workspace, thread, shape));
        kGemmAmx.end();
    });
}

}  // namespace compact::COMPACT_ISA
