// What the attention op and its gradient share: sizes, tiles of rows widened to fp32, masks.
//
// Scores are kept transposed, S^T (keys, queries): a vector then holds one key's scores for many
// queries, so maxima, sums and the causal mask need no work across lanes.
#pragma once

#include "native/backend/op_checks.h"
#include "native/cpu/attention/tile_product.h"
#include "native/cpu/simd/soft_cap.h"

namespace compact::COMPACT_ISA {

// Queries and keys of one tile: S^T takes 16 KiB, a third of an L1 cache.
inline constexpr int64_t kTile = 64;

struct AttentionShape {
    int64_t tokens, length, sequences;
    int64_t heads, kv_heads, group;  // group = query heads per key-value head
    int64_t head_size, padded_size;  // padded to whole vectors of the widest set
    int64_t query_width, kv_width;   // heads * head_size, kv_heads * head_size
    bool causal;
    float scale;
    SoftCap soft_cap;           // of scores
    const uint8_t* mask;        // (tokens) or null
    const int32_t* first_keys;  // (tokens) or null
    int64_t window;             // keys that a query sees, up to its own place; 0: all

    // The mask is input `mask_index`, the first keys are the next one.
    AttentionShape(const CpCall& call, int mask_index) : soft_cap(call) {
        tokens = call.inputs[0].shape[0];
        query_width = call.inputs[0].shape[1];
        kv_width = call.inputs[1].shape[1];
        length = static_cast<int64_t>(attribute(call, "sequenceLength"));
        head_size = static_cast<int64_t>(attribute(call, "headSize"));
        sequences = tokens / length;
        heads = query_width / head_size;
        kv_heads = kv_width / head_size;
        group = heads / kv_heads;
        padded_size = (head_size + 15) / 16 * 16;
        causal = attribute(call, "causal") != 0.0;
        scale = static_cast<float>(attribute(call, "scale"));
        mask = data<uint8_t>(call.inputs[mask_index]);
        first_keys = data<int32_t>(call.inputs[mask_index + 1]);
        window = attention_window(call);
    }

    bool hides_earlier_keys() const { return first_keys != nullptr || window > 0; }
    // Keys before this one are hidden from a query: those of other documents, and those before its
    // window. It does not decrease within a sequence.
    int64_t first_key(int64_t sequence, int64_t query) const {
        const int64_t document = first_keys == nullptr ? 0 : first_keys[sequence * length + query];
        return window == 0 ? document : std::max(document, query - window + 1);
    }

    int64_t query_tiles() const { return num_chunks(length, kTile); }
    // Keys that the queries of a tile may see.
    int64_t visible_keys(int64_t first_query) const {
        return causal ? std::min(length, first_query + kTile) : length;
    }
    // The first tile of keys that the queries of a tile look at: whole tiles before the first key
    // of the first of them are seen by none, as first keys do not decrease. There is always one
    // tile, whatever the first keys say.
    int64_t first_tile_of_keys(int64_t sequence, int64_t first_query) const {
        return std::clamp<int64_t>(first_key(sequence, first_query), 0,
                                   visible_keys(first_query) - 1) /
               kTile * kTile;
    }
};

// to (rows, padded_size) = factor * from (rows, head_size), fp32, zeros to the right and below up
// to `padded_rows`.
template <class T>
inline void widen_rows(const AttentionShape& shape, const T* from, int64_t from_stride,
                       int64_t rows, int64_t padded_rows, float factor, float* to) {
    const int64_t width = shape.padded_size;
    for (int64_t row = 0; row < rows; ++row) {
        for_lanes(shape.head_size, [&](int64_t i, auto lanes) {
            store(to + row * width + i, load(from + row * from_stride + i, lanes) * splat(factor),
                  lanes);
        });
        std::fill(to + row * width + shape.head_size, to + (row + 1) * width, 0.0f);
    }
    std::fill(to + rows * width, to + padded_rows * width, 0.0f);
}

// to (rows, head_size) = factor * from (rows, padded_size) in the dtype of `to`.
template <class T>
inline void narrow_rows(const AttentionShape& shape, const float* from, int64_t rows, float factor,
                        T* to, int64_t to_stride) {
    for (int64_t row = 0; row < rows; ++row) {
        for_lanes(shape.head_size, [&](int64_t i, auto lanes) {
            store(to + row * to_stride + i,
                  load(from + row * shape.padded_size + i, lanes) * splat(factor), lanes);
        });
    }
}

// Sets to `hidden` the entries of S^T (keys, kTile) of keys before the first one of their query.
inline void hide_earlier_keys(const AttentionShape& shape, int64_t sequence, int64_t first_query,
                              int64_t first_key, int64_t keys, float hidden, float* scores) {
    const int64_t queries = std::min(kTile, shape.length - first_query);
    const int64_t last_query = first_query + queries - 1;
    if (shape.first_key(sequence, last_query) <= first_key) return;  // the largest of the tile
    alignas(64) float bounds[kTile] = {};  // first keys, from the tile's on
    for (int64_t i = 0; i < queries; ++i) {
        bounds[i] = static_cast<float>(shape.first_key(sequence, first_query + i) - first_key);
    }
    for (int64_t i = 0; i < kTile; i += kWidth) {
        const Vec bound = load(bounds + i, AllLanes{});
        for (int64_t j = 0; j < keys; ++j) {
            float* entry = scores + j * kTile + i;
            const auto earlier = less(splat(static_cast<float>(j)), bound);
            store(entry, select(earlier, splat(hidden), load(entry, AllLanes{})), AllLanes{});
        }
    }
}

// Sets to `hidden` the entries of S^T (keys, kTile) that a query may not see: keys of the mask,
// those before its first key, and under the causal rule keys after the query.
inline void hide_keys(const AttentionShape& shape, int64_t sequence, int64_t first_query,
                      int64_t first_key, int64_t keys, float hidden, float* scores) {
    if (shape.hides_earlier_keys()) {
        hide_earlier_keys(shape, sequence, first_query, first_key, keys, hidden, scores);
    }
    for (int64_t j = 0; j < keys; ++j) {
        const int64_t key = first_key + j;
        const bool masked = shape.mask != nullptr && shape.mask[sequence * shape.length + key] == 0;
        // Queries below this one come before the key.
        const int64_t first_seeing =
            masked ? kTile : (shape.causal ? std::max<int64_t>(0, key - first_query) : 0);
        if (first_seeing == 0) continue;
        const Vec bound = splat(static_cast<float>(first_seeing));
        for (int64_t i = 0; i < kTile; i += kWidth) {
            const Vec query = lane_index() + splat(static_cast<float>(i));
            float* entry = scores + j * kTile + i;
            store(entry, select(less(query, bound), splat(hidden), load(entry, AllLanes{})),
                  AllLanes{});
        }
    }
}

}  // namespace compact::COMPACT_ISA
