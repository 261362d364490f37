// The loops that op files share: over lanes, over fixed chunks in parallel, over dtypes.
//
// Chunks depend on shapes alone, so results are the same for any number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "native/backend/call.h"
#include "native/cpu/runtime/cpu_device.h"
#include "native/cpu/simd/simd.h"

namespace compact::COMPACT_ISA {

// Elements of one parallel task of an element-wise op: 128 KiB of f32, a part of an L2 cache.
inline constexpr int64_t kChunkElements = 32768;

inline int64_t num_chunks(int64_t count, int64_t chunk) { return (count + chunk - 1) / chunk; }

// Bytes rounded up, so that parts of a workspace stay aligned to vectors and cache lines.
inline int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

inline int64_t no_workspace(const CpCall*, const CpLimits*) { return 0; }

template <class T>
inline T* data(const CpTensor& tensor) {
    return static_cast<T*>(tensor.data);
}

// Calls body(i, lanes) for i = 0, kWidth, ... with lanes saying how many of the vector's elements
// are below `count`.
template <class Body>
inline void for_lanes(int64_t count, Body body) {
    int64_t i = 0;
    for (; i + kWidth <= count; i += kWidth) body(i, AllLanes{});
    if (i < count) body(i, FirstLanes{static_cast<int>(count - i)});
}

// Calls body(begin, end, thread) in parallel for consecutive ranges of `chunk` of [0, count).
template <class Body>
inline void for_chunks(CpDevice& device, int64_t count, int64_t chunk, Body body) {
    device.pool.parallel_for(num_chunks(count, chunk), [&](int64_t task, int thread) {
        body(task * chunk, std::min(count, (task + 1) * chunk), thread);
    });
}

// Element-wise: body(i, lanes) over all of [0, count) in parallel.
template <class Body>
inline void for_elements(CpDevice& device, int64_t count, Body body) {
    for_chunks(device, count, kChunkElements, [&](int64_t begin, int64_t end, int) {
        for_lanes(end - begin, [&](int64_t i, auto lanes) { body(begin + i, lanes); });
    });
}

// Rows of one parallel task when a task should touch about kChunkElements elements.
inline int64_t rows_per_chunk(int64_t row_elements) {
    return std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, row_elements));
}

// Calls body(T{}) with T = float or BFloat16 for a dtype that the signature has checked.
template <class Body>
inline void with_dtype(int32_t dtype, Body body) {
    if (dtype == CP_BF16) {
        body(BFloat16{});
    } else {
        body(float{});
    }
}

}  // namespace compact::COMPACT_ISA
