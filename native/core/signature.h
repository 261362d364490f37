// The signatures of native/base/op_table.h, parsed, and the checks that follow from them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "native/core/plan.h"

namespace compact {

struct OperandSpec {
    std::string name;
    bool optional = false;
    std::string dtype;              // "f32", "i32", ..., one capital letter, or "S|u8"
    std::vector<std::string> dims;  // "n", "2", "*", or a single "#e"
    // Outputs only: the input whose memory this is. `updates`: always, and absent when the input
    // is; `accumulates`: when that input is present.
    int32_t input = -1;
    bool updates = false;
    bool accumulates = false;
    std::string element;  // of updates of one element: the attribute that is its number
};

struct AttributeSpec {
    std::string name;
    std::optional<double> default_value;
};

struct Signature {
    std::string name;
    std::vector<OperandSpec> inputs;
    std::vector<OperandSpec> outputs;
    std::vector<AttributeSpec> attributes;
    int32_t accumulate = -1;  // index of the attribute `accumulate`
};

// Every signature, in the order of the table.
const std::vector<Signature>& signatures();
const Signature* find_signature(std::string_view op);

struct Mismatch {
    std::string expected;
    std::string received;
};

// Numbers, dtypes and shapes of the operands of a call (data pointers are not looked at). Inputs
// that are left out at the end must be there as absent tensors.
std::optional<Mismatch> check_operands(const Signature& signature, const CpCall& call);

// Writes the attributes of a call in the signature's order, with defaults for those not given.
std::optional<Mismatch> fill_attributes(const Signature& signature,
                                        const std::vector<PlanAttribute>& given, CpCall& call);

// Outputs that a call must have: all but the updates of absent inputs.
std::vector<const OperandSpec*> expected_outputs(const Signature& signature, const CpCall& call);

// Whether an output may be exactly the memory of an input (updates and accumulators aside).
bool may_alias(const Signature& signature, const OperandSpec& output, const OperandSpec& input);

const char* dtype_name(int32_t dtype);

}  // namespace compact
