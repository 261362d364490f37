// Channels of a matrix: its rows, its columns, or all of it as one. The same for every backend.
#pragma once

#include "native/backend/op_checks.h"

namespace compact {

enum ChannelAxis : int64_t { kRowChannels = 0, kColumnChannels = 1, kOneChannel = 2 };

inline int64_t channel_axis(const CpCall& call) {
    return static_cast<int64_t>(attribute(call, "axis"));
}

// Sums of squares that are made of a matrix: one for each column, or for each row.
inline int64_t channel_sums(const CpTensor& matrix, int64_t axis) {
    return matrix.shape[axis == kColumnChannels ? 1 : 0];
}

inline int64_t channel_sums(const CpCall& call) {
    int64_t sums = 0;
    for (int i = 0; i < 3; ++i) sums += channel_sums(call.inputs[i], channel_axis(call));
    return sums;
}

// `factors` has an element for each channel of `matrix`.
inline CpStatus check_channels(const CpCall* call, const char* op, const CpTensor& matrix,
                               const CpTensor& factors, CpError* error) {
    int64_t axis = 0;
    if (constant_integer(*call, op, "axis", 0, &axis, error) != CP_OK) return CP_FAILED;
    if (axis > kOneChannel) {
        return fail(error, "ERR_COMPACT_ARGUMENT", op, "axis 0, 1 or 2",
                    message("%lld", axis).text);
    }
    const int64_t channels = axis == kOneChannel ? 1 : matrix.shape[axis];
    if (factors.shape[0] == channels) return CP_OK;
    return fail_shape(error, op, message("%lld factors", channels),
                      message("%lld factors", factors.shape[0]));
}

inline CpStatus check_channel_factors(const CpCall* call, CpError* error) {
    const char* op = "channelFactors";
    const CpTensor& factors = call->outputs[0];
    if (check_channels(call, op, call->inputs[0], factors, error) != CP_OK) return CP_FAILED;
    return check_channels(call, op, call->inputs[1], factors, error);
}

inline CpStatus check_scale_channels(const CpCall* call, CpError* error) {
    return check_channels(call, "scaleChannels", call->inputs[0], call->inputs[1], error);
}

}  // namespace compact
