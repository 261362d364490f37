// States of optimizers in memory: numbers of f32 or bf16, or codes of eight bits with a scale for
// each block (native/base/dynamic_map.h), which are decoded and encoded a block at a time.
#pragma once

#include <limits>

#include "native/base/dynamic_map.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {

// A tensor of states, with the scales of its blocks when it holds codes.
struct StateTensor {
    void* data;
    float* scales;

    StateTensor(const CpTensor& tensor, const CpTensor& scale_tensor)
        : data(tensor.data), scales(static_cast<float*>(scale_tensor.data)) {}
};

inline void decode_block(const StateTensor& state, const DynamicMap& map, int64_t begin,
                         int64_t size, float* values) {
    const uint8_t* codes = static_cast<const uint8_t*>(state.data) + begin;
    const Vec scale = splat(state.scales[begin / kStateBlock]);
    for_lanes(size, [&](int64_t i, auto lanes) {
        store(values + i, lookup(map.values, codes + i, lanes) * scale, lanes);
    });
}

// dynamic_code of every lane.
inline Vec dynamic_codes(Vec share, const DynamicMap& map) {
    const Vec magnitude = abs(share);
    Vec slope = splat(map.slope[0]), offset = splat(map.offset[0]), last = splat(map.last[0]);
    for (int decade = 1; decade < kDynamicDecades; ++decade) {
        const Mask below = less(magnitude, splat(map.least[decade]));
        slope = select(below, slope, splat(map.slope[decade]));
        offset = select(below, offset, splat(map.offset[decade]));
        last = select(below, last, splat(map.last[decade]));
    }
    const Vec nearest = min(round_even(magnitude * slope + offset), last);
    const Vec ranked = select(less(magnitude, splat(map.least_top)), nearest, splat(map.top));
    const Vec rank = select(less(magnitude, splat(map.least[0])), splat(0.0f), ranked);
    const Vec zero = splat(map.zero);
    return max(select(less(share, splat(0.0f)), zero - rank, zero + rank), splat(0.0f));
}

// Of a block whose largest magnitude is subnormal all numbers become 0; one with NaN or infinity
// has that scale, so that it does not come back finite by accident.
inline void encode_block(const StateTensor& state, const DynamicMap& map, int64_t begin,
                         int64_t size, const float* values) {
    uint8_t* codes = static_cast<uint8_t*>(state.data) + begin;
    Vec magnitude = splat(0.0f);
    for_lanes(size, [&](int64_t i, auto lanes) {
        magnitude = max_magnitude(magnitude, load(values + i, lanes));
    });
    const float largest = largest_magnitude(magnitude);
    const bool is_zero = largest < std::numeric_limits<float>::min();
    const bool finite = !is_zero && largest < kInfinity;
    state.scales[begin / kStateBlock] = is_zero ? 0.0f : largest;
    const Vec share = splat(1.0f / (finite ? largest : 1.0f));
    for_lanes(size, [&](int64_t i, auto lanes) {
        const Vec code = dynamic_codes(load(values + i, lanes) * share, map);
        store(codes + i, finite ? code : splat(map.zero), lanes);
    });
}

// The two moments of Adam. Calls body(begin, size, first, second) in parallel for ranges of [0,
// count); first and second point to their numbers of the range, which the body moves in place.
template <class Body>
inline void for_moments(CpDevice& device, int32_t dtype, const StateTensor& exp_avg,
                        const StateTensor& exp_avg_sq, int64_t count, Body body) {
    for_chunks(device, count, kChunkElements, [&](int64_t begin, int64_t end, int) {
        if (dtype != CP_U8) {
            with_dtype(dtype, [&](auto type) {
                using S = decltype(type);
                body(begin, end - begin, static_cast<S*>(exp_avg.data) + begin,
                     static_cast<S*>(exp_avg_sq.data) + begin);
            });
            return;
        }
        alignas(64) float first[kStateBlock], second[kStateBlock];
        for (; begin < end; begin += kStateBlock) {
            const int64_t size = std::min<int64_t>(kStateBlock, end - begin);
            decode_block(exp_avg, kSignedMap, begin, size, first);
            decode_block(exp_avg_sq, kUnsignedMap, begin, size, second);
            body(begin, size, first, second);
            encode_block(exp_avg, kSignedMap, begin, size, first);
            encode_block(exp_avg_sq, kUnsignedMap, begin, size, second);
        }
    });
}

}  // namespace compact::COMPACT_ISA
