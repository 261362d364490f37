// Native errors as JavaScript sees them: an Error whose own properties are the code and the fields.
// lib/runtime makes the sentence.
#pragma once

#include <napi.h>

#include <new>

#include "native/core/error.h"

namespace compact {

Napi::Error to_js(Napi::Env env, const Error& error);

// The exception in flight as an Error; call it from a catch block.
Error current_error();

// Runs a body that JavaScript called; what it throws becomes a JavaScript exception.
template <typename Body>
auto guarded(Napi::Env env, Body&& body) {
    try {
        return body();
    } catch (const Napi::Error&) {
        throw;
    } catch (...) {
        throw to_js(env, current_error());
    }
}

}  // namespace compact
