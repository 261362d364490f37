// What this build can do, as plain JavaScript values: backends, ops, workspaces, CPU features.
#pragma once

#include <napi.h>

namespace compact {

// (kind, path): undefined, or { reason, expected, received } when the module cannot be used
Napi::Value load_module(const Napi::CallbackInfo& info);

// (kind): { architectures, driver, runtime, problem, devices: { name, computeCapability,
// totalBytes, problem }[] }; versions are 0 and texts empty where there is none
Napi::Value describe(const Napi::CallbackInfo& info);

// (kind, index of a device without problem): { freeBytes, problem }
Napi::Value probe(const Napi::CallbackInfo& info);

// (device): { name, operands, attributes, isPrepared, isGrouped }[] of the ops that the device's
// backend has
Napi::Value ops(const Napi::CallbackInfo& info);

// (device, op, inputs, outputs, attributes, threads): bytes of scratch that one call needs.
// Operands are { dtype, shape } or undefined; an attribute that is not a number is a runtime
// scalar.
Napi::Value workspace_bytes(const Napi::CallbackInfo& info);

// (): { features, instructionSets, best }
Napi::Value cpu_features(const Napi::CallbackInfo& info);

// (instructionSet): Uint16Array of the 65,536 outputs of the projection's generator
Napi::Value projection_table(const Napi::CallbackInfo& info);

}  // namespace compact
