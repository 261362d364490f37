// The step of weights in int8 groups, for whatever moves such weights.
#pragma once

#include <cstdint>

#include "native/backend/backend.h"
#include "native/base/stochastic_rounding.h"
#include "native/cpu/runtime/cpu_device.h"

namespace compact {

// Groups of a weight, the first of them number `first_group` of the whole weight.
struct Int8Step {
    int8_t* codes = nullptr;
    float* scales = nullptr;
    int64_t count = 0, group_size = 0, first_group = 0;
    CpTensor direction{};  // as many elements
    float direction_scale = 1.0f;
    float keep = 1.0f;  // 1 - learning rate * weight decay
    float rate = 0.0f;
    RoundingKey key{};
};

namespace scalar {
void update_int8_groups(CpDevice& device, const Int8Step& step);
}
#if defined(COMPACT_X86)
namespace avx2 {
void update_int8_groups(CpDevice& device, const Int8Step& step);
}
namespace avx512 {
void update_int8_groups(CpDevice& device, const Int8Step& step);
}
#endif

inline void update_int8_groups(CpDevice& device, const Int8Step& step) {
#if defined(COMPACT_X86)
    if (device.instruction_set >= InstructionSet::kAvx512) {
        return avx512::update_int8_groups(device, step);
    }
    if (device.instruction_set == InstructionSet::kAvx2) {
        return avx2::update_int8_groups(device, step);
    }
#endif
    scalar::update_int8_groups(device, step);
}

}  // namespace compact
