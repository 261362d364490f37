// Every line of the op table parses into something that can be checked.
#include "native/base/op_table.h"
#include "native/core/signature.h"
#include "native/test/check.h"

namespace compact::test {

TEST(signatures_fit_the_call) {
    CHECK(signatures().size() == std::size(kOpSignatures));
    for (const Signature& signature : signatures()) {
        CHECK(!signature.outputs.empty());
        CHECK(signature.inputs.size() <= CP_MAX_INPUTS);
        CHECK(signature.outputs.size() <= CP_MAX_OUTPUTS);
        CHECK(signature.attributes.size() <= CP_MAX_ATTRIBUTES);
        for (const OperandSpec& operand : signature.inputs)
            CHECK(!operand.dtype.empty() && !operand.dims.empty());
        for (const OperandSpec& output : signature.outputs) {
            CHECK(!output.dtype.empty() && !output.dims.empty());
            CHECK((output.updates || output.accumulates) == (output.input >= 0));
            if (output.accumulates) CHECK(signature.accumulate >= 0);
        }
    }
}

TEST(aliases_name_operands) {
    for (const OpAlias& alias : kOpAliases) {
        const Signature* signature = find_signature(alias.op);
        if (!CHECK(signature != nullptr)) continue;
        bool output = false;
        bool input = false;
        for (const OperandSpec& operand : signature->outputs)
            output |= operand.name == alias.output;
        for (const OperandSpec& operand : signature->inputs) input |= operand.name == alias.input;
        CHECK(output && input);
    }
}

TEST(signature_of_one_op) {
    const Signature* back = find_signature("rmsNormBackward");
    if (!CHECK(back != nullptr)) return;
    CHECK(back->inputs.size() == 6);
    CHECK(back->inputs[4].name == "residualGradient" && back->inputs[4].optional);
    CHECK(back->outputs[1].name == "dWeight" && back->outputs[1].accumulates);
    CHECK(back->outputs[1].input == 5);
    CHECK(back->attributes.size() == 2 && back->attributes[1].name == "accumulate");
    CHECK(back->attributes[1].default_value == 0.0);
    const Signature* loss = find_signature("linearCrossEntropy");
    CHECK(loss != nullptr && loss->attributes[1].default_value == -100.0);
    CHECK(find_signature("softmax") == nullptr);
}

}  // namespace compact::test
