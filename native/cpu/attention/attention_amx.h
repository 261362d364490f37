// attention and attentionBackward of bf16 on AMX tiles, chosen by attention.cc and
// attention_backward.cc: products of bf16 operands summed in fp32, for which probabilities and
// score gradients are rounded to bf16. Panels of operands are those of the gemm (gemm_kernel.h).
#pragma once

#include "native/cpu/attention/attention_softmax.h"

namespace compact::COMPACT_ISA {

// Values of k, or rows, rounded up to whole panels.
inline constexpr int64_t kPanel = 32;
inline int64_t whole_panels(int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

// Parts of a thread's scratch, one after the other.
struct ScratchParts {
    char* next;

    template <class T>
    T* take(int64_t count) {
        T* part = reinterpret_cast<T*>(next);
        next += count * static_cast<int64_t>(sizeof(T));
        return part;
    }
};

// Scratch of one thread. "Panels of A (B)" are packed as that operand of a product.
struct AmxAttentionScratch {
    uint16_t* queries;  // panels of B: (head size, kTile)
    uint16_t* keys;     // panels of A: (kTile, head size)
    uint16_t* values;   // panels of A: (head size, kTile)
    uint16_t* powers;   // panels of B: (kTile keys, kTile queries)
    float* scores;      // (kTile keys, kTile queries)
    float* output_t;    // (padded_size, kTile)
    float* output;      // (kTile, padded_size)
    OnlineSoftmax softmax;

    static int64_t bytes(const AttentionShape& shape) {
        return 3 * kTile * whole_panels(shape.head_size) * 2 + kTile * kTile * (2 + 4) +
               (2 * kTile * shape.padded_size + OnlineSoftmax::kElements) * 4;
    }
    AmxAttentionScratch(void* workspace, int64_t thread, const AttentionShape& shape)
        : softmax(nullptr) {
        ScratchParts parts{static_cast<char*>(workspace) + thread * bytes(shape)};
        for (uint16_t** part : {&queries, &keys, &values}) {
            *part = parts.take<uint16_t>(kTile * whole_panels(shape.head_size));
        }
        powers = parts.take<uint16_t>(kTile * kTile);
        scores = parts.take<float>(kTile * kTile);
        output_t = parts.take<float>(kTile * shape.padded_size);
        output = parts.take<float>(kTile * shape.padded_size);
        softmax = OnlineSoftmax(parts.take<float>(OnlineSoftmax::kElements));
    }
};

// Sequences are padded to whole tiles; panels of a tile of keys begin at its first key times the
// head size in whole panels.
struct AmxAttentionBackwardScratch {
    uint16_t *keys, *values;           // panels of A: (padded length, head size)
    uint16_t* keys_t;                  // panels of A: (head size, kTile) of each tile of keys
    uint16_t *queries_t, *d_output_t;  // panels of B: (head size, kTile)
    uint16_t *queries, *d_output;      // panels of B: (kTile, head size)
    uint16_t* rounded;                 // panels of either: (kTile keys, kTile queries)
    float *d_keys, *d_values;          // (padded length, padded_size)
    float *probabilities, *d_scores;   // (kTile keys, kTile queries)
    float *d_queries_t, *d_queries;    // (padded_size, kTile), (kTile, padded_size)
    QueryStatistics statistics;

    static int64_t padded_length(const AttentionShape& shape) {
        return shape.query_tiles() * kTile;
    }
    static int64_t bytes(const AttentionShape& shape) {
        const int64_t length = padded_length(shape), size = whole_panels(shape.head_size);
        return (3 * length * size + 4 * kTile * size + kTile * kTile) * 2 +
               (2 * length * shape.padded_size + 2 * kTile * kTile + 2 * kTile * shape.padded_size +
                QueryStatistics::kElements) *
                   4;
    }
    AmxAttentionBackwardScratch(void* workspace, int64_t thread, const AttentionShape& shape)
        : statistics(nullptr) {
        const int64_t length = padded_length(shape), size = whole_panels(shape.head_size);
        ScratchParts parts{static_cast<char*>(workspace) + thread * bytes(shape)};
        for (uint16_t** part : {&keys, &values, &keys_t}) {
            *part = parts.take<uint16_t>(length * size);
        }
        for (uint16_t** part : {&queries_t, &d_output_t, &queries, &d_output}) {
            *part = parts.take<uint16_t>(kTile * size);
        }
        rounded = parts.take<uint16_t>(kTile * kTile);
        for (float** part : {&d_keys, &d_values}) {
            *part = parts.take<float>(length * shape.padded_size);
        }
        for (float** part : {&probabilities, &d_scores}) *part = parts.take<float>(kTile * kTile);
        for (float** part : {&d_queries_t, &d_queries}) {
            *part = parts.take<float>(kTile * shape.padded_size);
        }
        statistics = QueryStatistics(parts.take<float>(QueryStatistics::kElements));
    }
};

inline bool takes_amx(const CpDevice& device, const CpCall& call) {
    return device.instruction_set == InstructionSet::kAmxBf16 && call.inputs[0].dtype == CP_BF16;
}

}  // namespace compact::COMPACT_ISA

namespace compact::amx {

void attention(CpDevice* device, const CpCall* call);
void attention_backward(CpDevice* device, const CpCall* call);

}  // namespace compact::amx
