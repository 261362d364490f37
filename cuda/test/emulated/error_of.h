// What a call throws.
#pragma once

#include "native/core/error.h"

namespace compact::test {

// The error of `body`, or one without a code.
template <class Body>
Error error_of(Body&& body) {
    try {
        body();
    } catch (const Error& error) {
        return error;
    }
    return {"", "", "", ""};
}

}  // namespace compact::test
