#include "native/binding/errors.h"

namespace compact {

Napi::Error to_js(Napi::Env env, const Error& error) {
    Napi::Error result = Napi::Error::New(env, error.code);
    const auto set = [&](const char* name, const std::string& text) {
        if (!text.empty()) result.Set(name, Napi::String::New(env, text));
    };
    set("code", error.code);
    set("op", error.op);
    set("expected", error.expected);
    set("received", error.received);
    set("entry", error.entry);
    set("layer", error.layer);
    set("value", error.value);
    return result;
}

Error current_error() {
    try {
        throw;
    } catch (const Error& error) {
        return error;
    } catch (const std::bad_alloc&) {
        return Error("ERR_COMPACT_OUT_OF_MEMORY", "", "host memory", "none left");
    } catch (const std::exception& error) {
        return Error("ERR_COMPACT_NATIVE", "", "", error.what());
    } catch (...) {
        return Error("ERR_COMPACT_NATIVE", "", "", "an unknown exception");
    }
}

}  // namespace compact
