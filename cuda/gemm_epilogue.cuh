// What happens to finished fp32 sums of a product: two neighbouring columns of one row at a time.
#pragma once

#include "cuda/gpu.h"
#include "native/base/bf16.h"
#include "native/base/stochastic_rounding.h"

namespace compact {

__device__ __forceinline__ float load_element(const float* p) { return *p; }
__device__ __forceinline__ float load_element(const Bf16* p) { return bf16_to_float(*p); }
__device__ __forceinline__ void store_element(float* p, float value) { *p = value; }
__device__ __forceinline__ void store_element(Bf16* p, float value) { *p = bf16_from_float(value); }

// c = alpha * sum (+ c)
template <class C>
struct StoreEpilogue {
    C* c;  // (rows, columns)
    int64_t stride, rows, columns;
    float alpha;
    bool accumulate;

    __device__ __forceinline__ void one(int64_t row, int64_t column, float sum) const {
        if (row >= rows || column >= columns) return;
        C* target = c + row * stride + column;
        const float value = alpha * sum;
        store_element(target, accumulate ? load_element(target) + value : value);
    }
    __device__ __forceinline__ void operator()(int64_t row, int64_t column, float s0, float s1,
                                               int64_t) const {
        one(row, column, s0);
        one(row, column + 1, s1);
    }
};

// Partial sums of one part of the inner dimension, (splits, rows, columns).
struct PartialEpilogue {
    float* partials;
    int64_t rows, columns;

    __device__ __forceinline__ void operator()(int64_t row, int64_t column, float s0, float s1,
                                               int64_t split) const {
        if (row >= rows) return;
        float* target = partials + (split * rows + row) * columns + column;
        if (column < columns) target[0] = s0;
        if (column + 1 < columns) target[1] = s1;
    }
};

// The 16 random bits of one column among those of its group.
__device__ __forceinline__ uint16_t rounding_half(const PhiloxWords& words, int64_t column) {
    // Selected by comparisons: an indexed array would live in local memory.
    const uint32_t low = (column & 2) != 0 ? words.word[1] : words.word[0];
    const uint32_t high = (column & 2) != 0 ? words.word[3] : words.word[2];
    const uint32_t word = (column & 4) != 0 ? high : low;
    return static_cast<uint16_t>((column & 1) != 0 ? word >> 16 : word);
}

// w = keep * w - step_size * sum: touches each weight once.
template <class W, bool kStochastic>
struct UpdateEpilogue {
    W* weight;  // (rows, columns)
    int64_t stride, rows, columns;
    float keep, step_size;
    RoundingKey key;
    int64_t first_row;

    __device__ __forceinline__ float updated(const W* target, float sum) const {
        return __fmaf_rn(load_element(target), keep, -__fmul_rn(step_size, sum));
    }
    // `column` is even, so both have random numbers of one group.
    __device__ __forceinline__ void operator()(int64_t row, int64_t column, float s0, float s1,
                                               int64_t) const {
        if (row >= rows || column >= columns) return;
        W* target = weight + row * stride + column;
        const bool both = column + 1 < columns;
        if constexpr (kStochastic) {
            const PhiloxWords words = rounding_words(key, static_cast<uint32_t>(first_row + row),
                                                     static_cast<uint32_t>(column >> 3));
            target[0] = bf16_stochastic(updated(target, s0), rounding_half(words, column));
            if (both) {
                target[1] =
                    bf16_stochastic(updated(target + 1, s1), rounding_half(words, column + 1));
            }
        } else {
            store_element(target, updated(target, s0));
            if (both) store_element(target + 1, updated(target + 1, s1));
        }
    }
};

}  // namespace compact
