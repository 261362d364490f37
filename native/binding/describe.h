// What this build can do, as plain JavaScript values: backends, ops, workspaces, CPU features.
#pragma once

#include <napi.h>

namespace compact {

// (): { kind, numDevices, reason? }[]
Napi::Value devices(const Napi::CallbackInfo& info);

// (device): { name, operands, attributes }[] of the ops that the device's backend has
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
