// What the ops of segments (native/base/segments.h) share in every backend.
#pragma once

#include "native/backend/op_checks.h"
#include "native/base/segments.h"

namespace compact {

// Three thresholds.
struct SegmentThresholds {
    float threshold[3];

    explicit SegmentThresholds(const CpCall& call)
        : threshold{static_cast<float>(attribute(call, "threshold1")),
                    static_cast<float>(attribute(call, "threshold2")),
                    static_cast<float>(attribute(call, "threshold3"))} {}
};

// The slope of each segment: none in the first.
struct SegmentSlopes {
    float slope[4];

    explicit SegmentSlopes(const CpCall& call)
        : slope{0.0f, static_cast<float>(attribute(call, "slope1")),
                static_cast<float>(attribute(call, "slope2")),
                static_cast<float>(attribute(call, "slope3"))} {}
};

inline CpStatus check_segments(const char* op, const CpTensor& codes, const CpTensor& elements,
                               CpError* error) {
    const int64_t bytes = segment_bytes(num_elements(elements));
    if (codes.shape[0] == bytes) return CP_OK;
    return fail_shape(error, op, message("%lld bytes of segments", bytes),
                      message("%lld bytes", codes.shape[0]));
}

}  // namespace compact
