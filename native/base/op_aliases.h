// Which output of an op may take the memory of one of its inputs, beyond the updates and
// accumulators that its signature names. Only exactly the same bytes are allowed, never a part.
#pragma once

namespace compact {

struct OpAlias {
    const char* op;
    const char* output;
    const char* input;
};

inline constexpr OpAlias kOpAliases[] = {
    {"add", "y", "a"},
    {"add", "y", "b"},
    {"multiply", "y", "a"},
    {"multiply", "y", "b"},
    {"scale", "y", "x"},
    {"bias", "y", "x"},
    {"swiglu", "y", "gate"},
    {"swiglu", "y", "up"},
    {"swigluBackward", "dGate", "gate"},
    {"swigluBackward", "dGate", "dy"},
    {"swigluBackward", "dUp", "up"},
    {"swigluBackward", "dUp", "dy"},
    {"silu", "y", "x"},
    {"siluBackward", "dx", "x"},
    {"siluBackward", "dx", "dy"},
    {"gelu", "y", "x"},
    {"geluBackward", "dx", "x"},
    {"geluBackward", "dx", "dy"},
    {"rope", "y", "x"},
    {"dropout", "y", "x"},
    {"cast", "y", "x"},
    {"adamDirection", "direction", "gradient"},
    {"addRmsNorm", "sum", "a"},
    {"addRmsNorm", "sum", "b"},
    {"addRmsNorm", "y", "a"},
    {"addRmsNorm", "y", "b"},
    {"rmsNormBackward", "dx", "dy"},
    {"rmsNormBackward", "dx", "residualGradient"},
};

}  // namespace compact
