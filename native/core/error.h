// The one exception of native code: a code and fields. TypeScript (lib/errors.ts) makes the
// sentence.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "native/backend/backend.h"

namespace compact {

struct Error : std::exception {
    std::string code;      // "ERR_COMPACT_..."
    std::string op;        // op or call that failed, may be empty
    std::string expected;  // what would have been right
    std::string received;  // what was found
    std::string entry;     // entry of the plan, layer and value concerned; may be empty
    std::string layer;
    std::string value;

    Error(std::string code_, std::string op_, std::string expected_, std::string received_)
        : code(std::move(code_)),
          op(std::move(op_)),
          expected(std::move(expected_)),
          received(std::move(received_)) {}

    explicit Error(const CpError& error)
        : Error(error.code, error.op, error.expected, error.received) {}

    const char* what() const noexcept override { return code.c_str(); }
};

// Throws when a call through the backend table failed.
inline void throw_if_failed(CpStatus status, const CpError& error) {
    if (status != CP_OK) throw Error(error);
}

}  // namespace compact
