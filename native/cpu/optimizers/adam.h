// Attributes of Adam as the vectors of native/base/adam.h.
#pragma once

#include <cmath>

#include "native/base/adam.h"
#include "native/cpu/simd/simd.h"

namespace compact::COMPACT_ISA {

struct AdamSettings {
    double beta1, beta2, epsilon, first_moment_step, second_moment_step;
};

// Differences from 1 are taken in fp64: 1 - 0.999 in fp32 would be off by 1e-5 of itself.
inline AdamFactors<Vec> adam_factors(const AdamSettings& settings) {
    const auto narrow = [](double x) { return splat(static_cast<float>(x)); };
    return {narrow(settings.beta1),
            narrow(1.0 - settings.beta1),
            narrow(settings.beta2),
            narrow(1.0 - settings.beta2),
            narrow(1.0 / (1.0 - std::pow(settings.beta1, settings.first_moment_step))),
            narrow(1.0 / (1.0 - std::pow(settings.beta2, settings.second_moment_step))),
            narrow(settings.epsilon)};
}

}  // namespace compact::COMPACT_ISA
