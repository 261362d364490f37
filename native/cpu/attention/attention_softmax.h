// The softmax of attention over tiles of scores S^T (keys, kTile queries), and its gradient.
#pragma once

#include <cmath>

#include "native/cpu/attention/attention_tiles.h"

namespace compact::COMPACT_ISA {

// The softmax of a tile of queries while tiles of keys pass by.
struct OnlineSoftmax {
    float* maxima;   // (kTile) of each query so far
    float* sums;     // (kTile)
    float* rescale;  // (kTile) what the last keys have made of the powers before them

    static constexpr int64_t kElements = 3 * kTile;
    explicit OnlineSoftmax(float* memory)
        : maxima(memory), sums(maxima + kTile), rescale(sums + kTile) {}

    void begin() const {
        std::fill_n(maxima, kTile, -kInfinity);
        std::fill_n(sums, kTile, 0.0f);
    }

    // Turns scores into e^(score - maximum), moves maxima and sums, and sets what rescales the
    // output.
    void add(int64_t keys, float* scores) const {
        for (int64_t i = 0; i < kTile; i += kWidth) {
            const Vec old_maximum = load(maxima + i, AllLanes{});
            Vec maximum = old_maximum;
            for (int64_t j = 0; j < keys; ++j) {
                maximum = max(load(scores + j * kTile + i, AllLanes{}), maximum);
            }
            store(maxima + i, maximum, AllLanes{});
            // A query that has seen no key yet has maximum -infinity: any finite shift gives zeros.
            const Vec shift = select(equal(maximum, splat(-kInfinity)), splat(0.0f), maximum);
            const Vec factor = exp(old_maximum - shift);
            store(rescale + i, factor, AllLanes{});
            Vec total = load(sums + i, AllLanes{}) * factor;
            for (int64_t j = 0; j < keys; ++j) {
                float* entry = scores + j * kTile + i;
                const Vec power = exp(load(entry, AllLanes{}) - shift);
                store(entry, power, AllLanes{});
                total = total + power;
            }
            store(sums + i, total, AllLanes{});
        }
    }

    // Writes o and lse from `output` (queries, padded_size), the sums of powers times values.
    template <class T>
    void finish(const AttentionShape& shape, const CpCall& call, int64_t row, int64_t head,
                int64_t queries, const float* output) const {
        T* o = data<T>(call.outputs[0]) + row * shape.query_width + head * shape.head_size;
        float* lse = data<float>(call.outputs[1]) + row * shape.heads + head;  // (tokens, heads)
        for (int64_t i = 0; i < queries; ++i) {
            const float total = sums[i];
            const bool nothing_seen = total == 0.0f;
            narrow_rows(shape, output + i * shape.padded_size, 1,
                        nothing_seen ? 0.0f : 1.0f / total, o + i * shape.query_width,
                        shape.query_width);
            lse[i * shape.heads] = nothing_seen ? -kInfinity : maxima[i] + std::log(total);
        }
    }
};

// What the gradient needs of a tile of queries: lse, and the row sums of dO o.
struct QueryStatistics {
    float *lse, *dots;  // (kTile)

    static constexpr int64_t kElements = 2 * kTile;
    explicit QueryStatistics(float* memory) : lse(memory), dots(lse + kTile) {}

    template <class T>
    void load_from(const AttentionShape& shape, const CpCall& call, int64_t row, int64_t head,
                   int64_t queries) const {
        const int64_t at = row * shape.query_width + head * shape.head_size;
        const T *o = data<T>(call.inputs[3]) + at, *d_output = data<T>(call.inputs[5]) + at;
        const float* lse_input = data<float>(call.inputs[4]) + row * shape.heads + head;
        for (int64_t i = 0; i < kTile; ++i) {
            // Absent queries, and those that saw no key, have probabilities exp(score - infinity)
            // = 0.
            const float value = i < queries ? lse_input[i * shape.heads] : -kInfinity;
            lse[i] = value == -kInfinity ? kInfinity : value;
            Vec products = splat(0.0f);
            if (i < queries) {
                const int64_t first = i * shape.query_width;
                for_lanes(shape.head_size, [&](int64_t j, auto lanes) {
                    products = fma(load(d_output + first + j, lanes), load(o + first + j, lanes),
                                   products);
                });
            }
            dots[i] = sum(products);
        }
    }

    // From S^T in `probabilities` and (dO V^T)^T in `d_scores` to P^T and dS^T.
    void differentiate(const SoftCap& soft_cap, int64_t keys, float* probabilities,
                       float* d_scores) const {
        for (int64_t i = 0; i < kTile; i += kWidth) {
            const Vec shift = load(lse + i, AllLanes{}), dot = load(dots + i, AllLanes{});
            for (int64_t j = 0; j < keys; ++j) {
                float* probability = probabilities + j * kTile + i;
                float* d_score = d_scores + j * kTile + i;
                const Vec score = load(probability, AllLanes{});
                const Vec p = exp(score - shift);
                store(probability, p, AllLanes{});
                const Vec slope = soft_cap.slope(score);
                store(d_score, p * (load(d_score, AllLanes{}) - dot) * slope, AllLanes{});
            }
        }
    }
};

}  // namespace compact::COMPACT_ISA
