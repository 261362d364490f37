// What the kernels of attention and its gradient share: sizes, operands, which key a query may see.
#pragma once

#include <cstdint>

#include "cuda/runtime/device.h"
#include "cuda/simt/soft_cap.cuh"
#include "native/backend/op_checks.h"

namespace compact {

// Positions within a sequence are 32-bit, places in memory 64-bit.
struct AttentionShape {
    int length, head_size;
    int heads, kv_heads, group;  // group = query heads per key-value head
    bool causal;
    float scale;
    SoftCap soft_cap;               // of scores
    const uint8_t* mask;            // (tokens) or null
    const int32_t* first_keys;      // (tokens) or null
    int window;                     // keys that a query sees, up to its own place; 0: all
    int64_t query_width, kv_width;  // heads * head_size, kv_heads * head_size
    int64_t sequences;

    // The mask is input `mask_index`, the first keys are the next one.
    AttentionShape(const CpCall& call, int mask_index)
        : length(static_cast<int>(attribute(call, "sequenceLength"))),
          head_size(static_cast<int>(attribute(call, "headSize"))),
          causal(attribute(call, "causal") != 0.0),
          scale(static_cast<float>(attribute(call, "scale"))),
          soft_cap{static_cast<float>(attribute(call, "softCap"))},
          mask(data<uint8_t>(call.inputs[mask_index])),
          first_keys(data<int32_t>(call.inputs[mask_index + 1])),
          window(static_cast<int>(attention_window(call))),
          query_width(call.inputs[0].shape[1]),
          kv_width(call.inputs[1].shape[1]),
          sequences(call.inputs[0].shape[0] / length) {
        heads = static_cast<int>(query_width / head_size);
        kv_heads = static_cast<int>(kv_width / head_size);
        group = heads / kv_heads;
    }

    __host__ __device__ __forceinline__ bool hides_earlier_keys() const {
        return first_keys != nullptr || window > 0;
    }
    // Keys before this one are hidden from a query: those of other documents, and those before its
    // window. It does not decrease within a sequence.
    __device__ __forceinline__ int first_key(int64_t sequence, int query) const {
        const int document = first_keys == nullptr ? 0 : first_keys[sequence * length + query];
        const int in_window = query - window + 1;
        return window == 0 || document > in_window ? document : in_window;
    }

    int64_t tiles(int64_t rows) const { return ceil_div(length, rows); }

    // Keys that a tile of queries may see at all.
    __device__ __forceinline__ int visible_keys(int first_query, int queries) const {
        const int end = first_query + queries;
        return causal && end < length ? end : length;
    }
    // The first tile of keys that a tile of queries looks at: whole tiles before the first key of
    // the first of them are seen by none, as first keys do not decrease. There is always one tile,
    // whatever the first keys say.
    __device__ __forceinline__ int first_tile_of_keys(int64_t sequence, int first_query,
                                                      int queries, int keys) const {
        if (!hides_earlier_keys()) return 0;
        const int last = visible_keys(first_query, queries) - 1;
        const int first = first_key(sequence, first_query);
        return (first < 0 ? 0 : (first < last ? first : last)) / keys;
    }
    // The first query of a sequence whose keys all lie behind this one: from it on nobody sees the
    // key, as first keys do not decrease.
    __device__ __forceinline__ int end_of_queries(int64_t sequence, int key) const {
        if (!hides_earlier_keys()) return length;
        int low = 0, high = length;
        while (low < high) {
            const int middle = (low + high) / 2;
            if (first_key(sequence, middle) > key) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }
    // The end of the tiles of queries, from `first_tile` on, that look at keys up to `last_key`.
    // There is always one tile.
    __device__ __forceinline__ int end_of_query_tiles(int64_t sequence, int first_tile, int queries,
                                                      int last_key) const {
        const int end = (end_of_queries(sequence, last_key) + queries - 1) / queries;
        return end > first_tile ? end : first_tile + 1;
    }
    // Whether a query from `first_query` on may not see all of a tile of keys.
    __device__ __forceinline__ bool hides_keys(int first_query, int tile_begin, int keys) const {
        return mask != nullptr || hides_earlier_keys() || tile_begin + keys > length ||
               (causal && tile_begin + keys > first_query + 1);
    }
    // Keys before this one are hidden from a query.
    __device__ __forceinline__ int begin_of_keys(int64_t sequence, int query) const {
        return query >= length ? 0 : first_key(sequence, query);
    }
    // Keys from here on are hidden from a query.
    __device__ __forceinline__ int end_of_keys(int query) const {
        return causal && query + 1 < length ? query + 1 : length;
    }
    __device__ __forceinline__ bool unmasked(int64_t sequence, int key) const {
        return mask == nullptr || mask[sequence * length + key] != 0;
    }
    __device__ __forceinline__ bool visible(int64_t sequence, int query, int key) const {
        return key >= begin_of_keys(sequence, query) && key < end_of_keys(query) &&
               unmasked(sequence, key);
    }
};

inline constexpr int64_t kMaxSequenceLength = int64_t{1} << 30;

// The conditions of every backend, and that positions are 32-bit.
CpStatus check_attention_shape(const CpCall* call, const char* op, const CpTensor& lse,
                               CpError* error);

// Where a block of a one-dimensional grid (sequence, head, tile) stands. Later tiles come first:
// with causal queries they take longest.
struct TilePlace {
    int64_t sequence;
    int head, tile;

    __device__ __forceinline__ TilePlace(uint32_t block, int num_heads, int num_tiles) {
        const auto heads = static_cast<uint32_t>(num_heads);
        const auto tiles = static_cast<uint32_t>(num_tiles);
        sequence = block / tiles / heads;
        head = static_cast<int>(block / tiles % heads);
        tile = static_cast<int>(tiles - 1 - block % tiles);
    }
};

}  // namespace compact
