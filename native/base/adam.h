// The arithmetic of Adam for one element, or one vector of elements.
// Kingma, Ba: Adam (2014), algorithm 1, with separate steps for the two bias corrections.
#pragma once

#include <cmath>

#include "native/base/host_device.h"

namespace compact {

// Number is float or a vector with the same operators.
template <class Number>
struct AdamFactors {
    Number beta1, one_minus_beta1;
    Number beta2, one_minus_beta2;
    Number first_correction;   // 1 / (1 - beta1^firstMomentStep)
    Number second_correction;  // 1 / (1 - beta2^secondMomentStep)
    Number epsilon;
};

// Moves the moments and returns mHat / (sqrt(vHat) + epsilon).
template <class Number>
COMPACT_HOST_DEVICE Number adam_direction(Number gradient, Number& exp_avg, Number& exp_avg_sq,
                                          const AdamFactors<Number>& factors) {
    exp_avg = factors.beta1 * exp_avg + factors.one_minus_beta1 * gradient;
    exp_avg_sq = factors.beta2 * exp_avg_sq + factors.one_minus_beta2 * (gradient * gradient);
    using std::sqrt;
    return (exp_avg * factors.first_correction) /
           (sqrt(exp_avg_sq * factors.second_correction) + factors.epsilon);
}

}  // namespace compact
