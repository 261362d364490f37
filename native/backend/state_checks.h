// Refusals of states of optimizers that a signature cannot say, the same for every backend.
#pragma once

#include <cmath>
#include <initializer_list>

#include "native/backend/op_checks.h"

namespace compact {

// Ops with two states: both have scales, one for each block, when they hold codes, and none when
// they hold numbers.
inline CpStatus check_states(const char* op, const CpTensor& states, const CpTensor& first_scales,
                             const CpTensor& second_scales, int64_t block_elements,
                             CpError* error) {
    const int64_t blocks =
        states.dtype == CP_U8 ? (num_elements(states) + block_elements - 1) / block_elements : 0;
    for (const CpTensor* scales : {&first_scales, &second_scales}) {
        const int64_t received = present(*scales) ? scales->shape[0] : 0;
        if (received != blocks) {
            return fail_shape(error, op, message("%lld scales of states", blocks),
                              message("%lld scales", received));
        }
    }
    return CP_OK;
}

// A second moment of `elements` as means of rows and columns.
inline CpStatus check_factored_moment(const char* op, const CpTensor& elements,
                                      const CpTensor& rows, const CpTensor& columns,
                                      CpError* error) {
    if (num_elements(rows) * num_elements(columns) == num_elements(elements)) return CP_OK;
    return fail_shape(
        error, op, message("means of %lld elements", num_elements(elements)),
        message("%lld rows, %lld columns", num_elements(rows), num_elements(columns)));
}

// The factor of running means at a step: 0 at the first one.
inline double moment_decay(const CpCall& call) {
    return 1.0 - std::pow(attribute(call, "step"), -attribute(call, "decayExponent"));
}

}  // namespace compact
