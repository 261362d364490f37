// Division of 32-bit numbers by one that is known when a kernel is launched: a multiplication and
// two shifts, exact for all of them. Granlund, Montgomery, "Division by Invariant Integers using
// Multiplication", 1994, figure 4.1.
#pragma once

#include <cstdint>

#include "native/base/host_device.h"

namespace compact {

class Divisor {
  public:
    Divisor() = default;
    // 1 ... 2^32 - 1
    explicit Divisor(int64_t value) : value_(static_cast<uint32_t>(value)) {
        int bits = 0;
        while ((int64_t{1} << bits) < value) ++bits;
        const uint64_t above = (uint64_t{1} << bits) - static_cast<uint64_t>(value);
        multiplier_ = static_cast<uint32_t>((above << 32) / static_cast<uint64_t>(value) + 1);
        first_shift_ = bits > 0 ? 1 : 0;
        second_shift_ = bits > 0 ? bits - 1 : 0;
    }

    COMPACT_HOST_DEVICE uint32_t value() const { return value_; }
    COMPACT_HOST_DEVICE uint32_t quotient(uint32_t number) const {
        const auto high = static_cast<uint32_t>((uint64_t{multiplier_} * number) >> 32);
        return (high + ((number - high) >> first_shift_)) >> second_shift_;
    }
    COMPACT_HOST_DEVICE uint32_t remainder(uint32_t number) const {
        return number - quotient(number) * value_;
    }

  private:
    uint32_t value_ = 1, multiplier_ = 1;
    int32_t first_shift_ = 0, second_shift_ = 0;
};

}  // namespace compact
