// attention of bf16 on AMX tiles: attention.cc with S^T = K Q^T and O^T = V^T P^T. The output too
// is kept transposed, so that its queries are rescaled lane by lane.
#include "native/cpu/attention/attention_amx_tiles.h"

namespace compact::COMPACT_ISA {
namespace {

void attend(const AttentionShape& shape, const CpCall& call, int64_t sequence, int64_t head,
            int64_t first_query, const AmxAttentionScratch& scratch) {
    const int64_t queries = std::min(kTile, shape.length - first_query);
    const int64_t first_row = sequence * shape.length;
    const int64_t kv_column = head / shape.group * shape.head_size;
    pack_rows(kGemmAmx.pack_b, shape,
              head_rows(call.inputs[0], first_row + first_query, head * shape.head_size, queries),
              scratch.queries);
    scratch.softmax.begin();

    const int64_t begin = shape.first_tile_of_keys(sequence, first_query);
    const int64_t visible = shape.visible_keys(first_query);
    for (int64_t first_key = begin; first_key < visible; first_key += kTile) {
        const int64_t keys = std::min(kTile, visible - first_key);
        const int64_t row = first_row + first_key;
        pack_rows(kGemmAmx.pack_a, shape, head_rows(call.inputs[1], row, kv_column, keys),
                  scratch.keys);
        pack_columns(kGemmAmx.pack_a, shape, head_rows(call.inputs[2], row, kv_column, keys),
                     scratch.values);
        multiply_keys(shape, sequence, first_query, queries, first_key, keys, scratch.keys,
                      scratch.queries, scratch.scores);
        scratch.softmax.add(whole_panels(keys), scratch.scores);
        if (first_key > begin) {
            for (int64_t i = 0; i < kTile; i += kWidth) {
                const Vec factor = load(scratch.softmax.rescale + i, AllLanes{});
                for (int64_t j = 0; j < shape.padded_size; ++j) {
                    float* entry = scratch.output_t + j * kTile + i;
                    store(entry, load(entry, AllLanes{}) * factor, AllLanes{});
                }
            }
        }
        // O^T += V^T P^T
        round_to_b(scratch.scores, whole_panels(keys), whole_panels(queries), scratch.powers);
        multiply_panels(shape.padded_size, whole_panels(queries), whole_panels(keys),
                        scratch.values, scratch.powers, scratch.output_t, kTile, first_key > begin);
    }

    transpose_tile(shape.padded_size, kTile, scratch.output_t, kTile, scratch.output,
                   shape.padded_size);
    scratch.softmax.finish<BFloat16>(shape, call, first_row + first_query, head, queries,
                                     scratch.output);
}

}  // namespace

void attention(CpDevice* device, const CpCall* call) {
    const AttentionShape shape(*call, 3);
    const int64_t tiles = shape.query_tiles();
    device->pool.parallel_for(shape.sequences * shape.heads * tiles, [&](int64_t task, int thread) {
        // Tiles of one head follow each other, so that its keys stay in cache.
        const int64_t tile = task % tiles, pair = task / tiles;
        const AmxAttentionScratch scratch(call->workspace, thread, shape);
        kGemmAmx.begin();
        attend(shape, *call, pair / shape.heads, pair % shape.heads, tile * kTile, scratch);
        kGemmAmx.end();
    });
}

}  // namespace compact::COMPACT_ISA
