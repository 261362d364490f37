// Refusals of the conditions that an op's signature cannot say, with the numbers in the message.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>

#include "native/backend/call.h"
#include "native/cpu/simd.h"

namespace compact::COMPACT_ISA {

struct Message {
    char text[192];
};

// A format whose conversions are all %lld.
template <class... Integers>
inline Message message(const char* format, Integers... values) {
    Message result;
    std::snprintf(result.text, sizeof result.text, format, static_cast<long long>(values)...);
    return result;
}

inline CpStatus fail_shape(CpError* error, const char* op, const Message& expected,
                           const Message& received) {
    return fail(error, "ERR_COMPACT_SHAPE", op, expected.text, received.text);
}

// Reads an attribute that shapes depend on: a constant integer of at least `minimum`.
inline CpStatus constant_integer(const CpCall& call, const char* op, const char* name,
                                 int64_t minimum, int64_t* value, CpError* error) {
    for (int32_t i = 0; i < call.num_attributes; ++i) {
        const CpAttribute& found = call.attributes[i];
        if (std::strcmp(found.name, name) != 0) continue;
        const bool integer = std::floor(found.value) == found.value && found.value < 0x1p53;
        if (found.scalar_slot < 0 && integer && found.value >= static_cast<double>(minimum)) {
            *value = static_cast<int64_t>(found.value);
            return CP_OK;
        }
        Message expected, received;
        std::snprintf(expected.text, sizeof expected.text, "%s a constant integer of at least %lld",
                      name, static_cast<long long>(minimum));
        std::snprintf(received.text, sizeof received.text, "%g%s", found.value,
                      found.scalar_slot < 0 ? "" : " from a runtime scalar");
        return fail(error, "ERR_COMPACT_ARGUMENT", op, expected.text, received.text);
    }
    return fail(error, "ERR_COMPACT_ARGUMENT", op, name, "no such attribute");
}

// An index that must lie in [0, count): ids of tokens, targets, rows.
inline CpStatus fail_index(CpError* error, const char* op, const char* what, int64_t count,
                           int64_t index, int64_t position) {
    Message expected;
    std::snprintf(expected.text, sizeof expected.text, "%s from 0 to %lld", what,
                  static_cast<long long>(count - 1));
    return fail(error, "ERR_COMPACT_INDEX", op, expected.text,
                message("%lld at position %lld", index, position).text);
}

}  // namespace compact::COMPACT_ISA
