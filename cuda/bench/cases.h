// What the benchmark times: kernels of a training step at one size of layer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "native/backend/backend.h"

namespace compact::bench {

// One linear layer n -> m with its rank, and what surrounds it.
struct Sizes {
    int64_t tokens = 16384, hidden = 4096, out = 4096, ffn = 11008, rank = 1024;
    int64_t vocabulary = 32000, sequence = 2048, head = 128;
};

enum class Contents { kNormal, kPositive, kTokens, kNothing };

struct Operand {
    std::vector<int64_t> shape;
    int32_t dtype = CP_BF16;
    Contents contents = Contents::kNormal;
    int same_as_input = -1;  // an output in the memory of an input
};

struct KernelCase {
    std::string kernel;  // what it is in a step: "y", "compressed gradient", ...
    std::string op;      // of the backend; "panel" for the random projection alone
    std::string shape;
    std::vector<Operand> inputs, outputs;  // an absent input has no shape
    std::vector<CpAttribute> attributes;
    double flops = 0.0;
    double bytes = 0.0;  // each operand once
};

std::vector<KernelCase> kernel_cases(const Sizes& sizes);

}  // namespace compact::bench
