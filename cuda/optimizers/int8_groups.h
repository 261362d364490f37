// The step of weights in int8 groups, for whatever moves such weights.
#pragma once

#include "cuda/runtime/device.h"
#include "native/base/stochastic_rounding.h"

namespace compact {

// Groups of a weight, the first of them number `first_group` of the whole weight.
struct Int8Step {
    int8_t* codes = nullptr;
    float* scales = nullptr;
    int64_t count = 0, group_size = 0, first_group = 0;
    const void* direction = nullptr;  // as many elements
    int32_t direction_dtype = CP_F32;
    const float* direction_scale = nullptr;  // one fp32, or null: 1
    float keep = 1.0f;                       // 1 - learning rate * weight decay
    float rate = 0.0f;
    RoundingKey key{};
};

CpStatus update_int8_groups(CpDevice& device, const char* op, const Int8Step& step, CpError* error);

}  // namespace compact
