// cachedAttention: rows of k and v into the caches at their positions, then per row and head
// o = softmax(score) v over the keys up to the row's position. Keys pass in blocks, whose maximum
// and sum rescale what came before, as in attention. A token at a time this reads every key and
// value once; limit: memory bandwidth.
#include <cmath>
#include <cstring>

#include "native/backend/cached_attention_shape.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/soft_cap.h"

namespace compact::COMPACT_ISA {
namespace {

constexpr int64_t kKeys = 64;  // of one block
constexpr int kChains = 4;     // independent sums: a multiply-add waits for the one before it

using Shape = CachedAttentionShape;

CpStatus check_positions(const Shape& shape, const int32_t* positions, CpError* error) {
    for (int64_t row = 0; row < shape.tokens; ++row) {
        if (positions[row] < 0 || positions[row] >= shape.capacity) {
            return fail_index(error, "cachedAttention", "positions", shape.capacity, positions[row],
                              row);
        }
    }
    return CP_OK;
}

// Where the part of a row's sequence begins in the caches.
int64_t first_row_of(const Shape& shape, int64_t row) {
    return row / shape.new_tokens * shape.capacity;
}

void write_rows(CpDevice& device, const Shape& shape, const CpTensor& rows, const CpTensor& cache,
                const int32_t* positions) {
    const int64_t bytes = shape.kv_width * dtype_bytes(rows.dtype);
    const auto copy = [&](int64_t begin, int64_t end, int) {
        for (int64_t row = begin; row < end; ++row) {
            const int64_t place = first_row_of(shape, row) + positions[row];
            std::memcpy(data<char>(cache) + place * bytes, data<char>(rows) + row * bytes,
                        static_cast<size_t>(bytes));
        }
    };
    for_chunks(device, shape.tokens, rows_per_chunk(shape.kv_width), copy);
}

// scores[j] = query k_j for `count` keys, rows of `stride` elements.
template <class T>
void score_keys(const float* query, int64_t size, const T* keys, int64_t stride, int64_t count,
                float* scores) {
    int64_t j = 0;
    for (; j + kChains <= count; j += kChains) {
        Vec sums[kChains];
        for (Vec& one : sums) one = splat(0.0f);
        for_lanes(size, [&](int64_t i, auto lanes) {
            const Vec x = load(query + i, lanes);
            for (int c = 0; c < kChains; ++c) {
                sums[c] = fma(x, load(keys + (j + c) * stride + i, lanes), sums[c]);
            }
        });
        for (int c = 0; c < kChains; ++c) scores[j + c] = sum(sums[c]);
    }
    for (; j < count; ++j) {
        Vec one = splat(0.0f);
        for_lanes(size, [&](int64_t i, auto lanes) {
            one = fma(load(query + i, lanes), load(keys + j * stride + i, lanes), one);
        });
        scores[j] = sum(one);
    }
}

// output = factor output + sum of weights[j] v_j.
template <class T>
void add_values(const float* weights, const T* values, int64_t stride, int64_t count, int64_t size,
                float factor, float* output) {
    for_lanes(size, [&](int64_t i, auto lanes) {
        Vec sums[kChains];
        for (Vec& one : sums) one = splat(0.0f);
        sums[0] = load(output + i, lanes) * splat(factor);
        int64_t j = 0;
        for (; j + kChains <= count; j += kChains) {
            for (int c = 0; c < kChains; ++c) {
                const Vec value = load(values + (j + c) * stride + i, lanes);
                sums[c] = fma(splat(weights[j + c]), value, sums[c]);
            }
        }
        for (; j < count; ++j) {
            sums[0] = fma(splat(weights[j]), load(values + j * stride + i, lanes), sums[0]);
        }
        store(output + i, (sums[0] + sums[1]) + (sums[2] + sums[3]), lanes);
    });
}

// The softmax of scores that come in blocks.
struct RunningSoftmax {
    float maximum = -kInfinity, total = 0.0f;

    // Turns scores into e^(score - maximum), with zeros up to whole vectors; returns what rescales
    // sums from before.
    float add(float* scores, int64_t count) {
        const float before = maximum;
        for (int64_t j = 0; j < count; ++j) maximum = scores[j] > maximum ? scores[j] : maximum;
        const int64_t padded = num_chunks(count, kWidth) * kWidth;
        std::fill(scores + count, scores + padded, -kInfinity);
        Vec sums = splat(0.0f);
        for (int64_t j = 0; j < padded; j += kWidth) {
            const Vec power = exp(load(scores + j, AllLanes{}) - splat(maximum));
            store(scores + j, power, AllLanes{});
            sums = sums + power;
        }
        const float factor = std::exp(before - maximum);
        total = total * factor + sum(sums);
        return factor;
    }
};

template <class T>
void attend(const Shape& shape, const SoftCap& cap, const CpCall& call, int64_t row, int64_t head) {
    alignas(64) float query[kMaxHeadSize], output[kMaxHeadSize] = {}, scores[kKeys];
    const int64_t size = shape.head_size, stride = shape.kv_width;
    const int64_t column = head / shape.group * size;
    const int64_t at = row * shape.query_width + head * size;
    const T* q = data<T>(call.inputs[0]) + at;
    for_lanes(size, [&](int64_t i, auto lanes) {
        store(query + i, load(q + i, lanes) * splat(shape.scale), lanes);
    });

    const int64_t end = data<int32_t>(call.inputs[5])[row] + 1;
    const int64_t first = shape.window == 0 ? 0 : std::max<int64_t>(0, end - shape.window);
    RunningSoftmax softmax;
    for (int64_t key = first; key < end; key += kKeys) {
        const int64_t count = std::min(kKeys, end - key);
        const int64_t place = (first_row_of(shape, row) + key) * stride + column;
        score_keys(query, size, data<T>(call.outputs[1]) + place, stride, count, scores);
        cap.apply(count, scores);
        const float factor = softmax.add(scores, count);
        add_values(scores, data<T>(call.outputs[2]) + place, stride, count, size, factor, output);
    }

    T* o = data<T>(call.outputs[0]) + at;
    const Vec factor = splat(1.0f / softmax.total);
    for_lanes(size, [&](int64_t i, auto lanes) {
        store(o + i, load(output + i, lanes) * factor, lanes);
    });
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const Shape shape(*call);
    const int32_t* positions = data<int32_t>(call->inputs[5]);
    if (check_positions(shape, positions, error) != CP_OK) return CP_FAILED;
    write_rows(*device, shape, call->inputs[1], call->outputs[1], positions);
    write_rows(*device, shape, call->inputs[2], call->outputs[2], positions);
    with_dtype(call->inputs[0].dtype, [&](auto type) {
        const int64_t chunk = rows_per_chunk(shape.capacity * shape.head_size);
        const SoftCap cap(*call);
        const auto attend_all = [&](int64_t begin, int64_t end, int) {
            for (int64_t pair = begin; pair < end; ++pair) {
                attend<decltype(type)>(shape, cap, *call, pair / shape.heads, pair % shape.heads);
            }
        };
        for_chunks(*device, shape.tokens * shape.heads, chunk, attend_all);
    });
    return CP_OK;
}

}  // namespace

const CpOp kCachedAttentionOp = {"cachedAttention", no_workspace, check_cached_attention, run};

}  // namespace compact::COMPACT_ISA
