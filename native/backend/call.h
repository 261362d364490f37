// Small C++ helpers over CpCall for op files of any backend. Header-only, no allocation.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "native/backend/backend.h"

namespace compact {

// Value of a named attribute. The engine has checked that every attribute of the signature is
// there, so a missing name is a programming error in the op and reads as 0.
inline double attribute(const CpCall& call, const char* name) {
    for (int32_t i = 0; i < call.num_attributes; ++i) {
        if (std::strcmp(call.attributes[i].name, name) == 0) return call.attributes[i].value;
    }
    return 0.0;
}

// A seed, counter or number of a tensor: 32 bits held in a double.
inline uint32_t attribute_word(const CpCall& call, const char* name) {
    return static_cast<uint32_t>(static_cast<int64_t>(attribute(call, name)));
}

inline bool present(const CpTensor& tensor) { return tensor.num_dims > 0; }

inline int64_t num_elements(const CpTensor& tensor) {
    int64_t count = 1;
    for (int32_t i = 0; i < tensor.num_dims; ++i) count *= tensor.shape[i];
    return count;
}

inline int64_t dtype_bytes(int32_t dtype) {
    switch (dtype) {
        case CP_F32:
        case CP_I32:
            return 4;
        case CP_BF16:
        case CP_F16:
            return 2;
        case CP_F64:
            return 8;
        default:
            return 1;
    }
}

// Fills an error and returns CP_FAILED, so an op can say `return fail(...)`.
inline CpStatus fail(CpError* error, const char* code, const char* op, const char* expected,
                     const char* received) {
    std::snprintf(error->code, sizeof error->code, "%s", code);
    std::snprintf(error->op, sizeof error->op, "%s", op);
    std::snprintf(error->expected, sizeof error->expected, "%s", expected);
    std::snprintf(error->received, sizeof error->received, "%s", received);
    return CP_FAILED;
}

}  // namespace compact
