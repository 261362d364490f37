#include "native/core/signature.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "native/backend/call.h"
#include "native/base/op_table.h"

namespace compact {
namespace {

constexpr double kMaxAttribute = 9007199254740992.0;  // 2^53: converts to any integer type safely

// ---- Parsing: the table is part of the program, so its syntax is taken as correct.

OperandSpec parse_operand(std::string_view text) {
    OperandSpec operand;
    const size_t colon = text.find(':');
    std::string_view name = text.substr(0, colon);
    if (name.ends_with('?')) {
        operand.optional = true;
        name.remove_suffix(1);
    }
    operand.name = name;
    if (colon == std::string_view::npos) return operand;
    const std::string_view type = text.substr(colon + 1);
    const size_t bracket = type.find('[');
    operand.dtype = type.substr(0, bracket);
    std::istringstream dims(std::string(type.substr(bracket + 1, type.size() - bracket - 2)));
    for (std::string dim; std::getline(dims, dim, ',');) operand.dims.push_back(dim);
    return operand;
}

int32_t index_of(const std::vector<OperandSpec>& operands, std::string_view name) {
    for (size_t i = 0; i < operands.size(); ++i)
        if (operands[i].name == name) return static_cast<int32_t>(i);
    return -1;
}

OperandSpec parse_output(std::string_view text, const std::vector<OperandSpec>& inputs) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) return parse_operand(text);
    if (equals == 0) {  // =name or =name[attribute]
        const size_t bracket = text.find('[');
        const int32_t input = index_of(inputs, text.substr(1, bracket - 1));
        OperandSpec output = inputs[static_cast<size_t>(input)];
        output.input = input;
        output.updates = true;
        if (bracket != std::string_view::npos)
            output.element = text.substr(bracket + 1, text.size() - bracket - 2);
        return output;
    }
    OperandSpec output = parse_operand(text.substr(equals + 1));  // c=accumulator:C[m,n]
    output.input = index_of(inputs, output.name);
    output.name = text.substr(0, equals);
    output.accumulates = true;
    return output;
}

Signature parse_signature(const OpSignature& source) {
    Signature signature;
    signature.name = source.name;
    std::istringstream operands(source.operands);
    bool after_arrow = false;
    for (std::string word; operands >> word;) {
        if (word == "->") {
            after_arrow = true;
        } else if (after_arrow) {
            signature.outputs.push_back(parse_output(word, signature.inputs));
        } else {
            signature.inputs.push_back(parse_operand(word));
        }
    }
    std::istringstream attributes(source.attributes);
    for (std::string word; attributes >> word;) {
        AttributeSpec attribute;
        const size_t equals = word.find('=');
        attribute.name = word.substr(0, equals);
        if (equals != std::string::npos)
            attribute.default_value = std::strtod(word.c_str() + equals + 1, nullptr);
        if (attribute.name == "accumulate")
            signature.accumulate = static_cast<int32_t>(signature.attributes.size());
        signature.attributes.push_back(std::move(attribute));
    }
    return signature;
}

// ---- Checking

std::string describe(const CpTensor& tensor) {
    if (!present(tensor)) return "nothing";
    std::string text = dtype_name(tensor.dtype);
    text += '[';
    for (int32_t i = 0; i < tensor.num_dims; ++i) {
        if (i > 0) text += ',';
        text += std::to_string(tensor.shape[i]);
    }
    return text + ']';
}

std::string describe(const OperandSpec& operand) {
    std::string text = operand.name + ' ' + operand.dtype + '[';
    for (size_t i = 0; i < operand.dims.size(); ++i) {
        if (i > 0) text += ',';
        text += operand.dims[i];
    }
    return text + ']';
}

constexpr std::string_view kOrCodes = "|u8";  // after a letter that may stand for u8 as well

bool is_letter(const std::string& dtype) { return dtype[0] >= 'A' && dtype[0] <= 'Z'; }

// What the letters of a signature stand for in one call.
struct Bindings {
    std::array<int32_t, 26> dtypes;
    std::array<int64_t, 26> sizes;

    Bindings() {
        dtypes.fill(-1);
        sizes.fill(-1);
    }

    bool bind_dtype(const std::string& spec, int32_t dtype) {
        if (!is_letter(spec)) return spec == dtype_name(dtype);
        int32_t& bound = dtypes[static_cast<size_t>(spec[0] - 'A')];
        if (bound < 0) bound = dtype;
        const bool codes = dtype == CP_U8 && spec.ends_with(kOrCodes);
        return bound == dtype && (dtype == CP_F32 || dtype == CP_BF16 || codes);
    }

    bool bind_size(char letter, int64_t size) {
        int64_t& bound = sizes[static_cast<size_t>(letter - 'a')];
        if (bound < 0) bound = size;
        return bound == size;
    }

    bool bind(const OperandSpec& operand, const CpTensor& tensor) {
        if (!bind_dtype(operand.dtype, tensor.dtype)) return false;
        if (operand.dims.size() == 1 && operand.dims[0][0] == '#')
            return bind_size(operand.dims[0][1], num_elements(tensor));
        if (operand.dims.size() != static_cast<size_t>(tensor.num_dims)) return false;
        for (size_t i = 0; i < operand.dims.size(); ++i) {
            const std::string& dim = operand.dims[i];
            const int64_t size = tensor.shape[i];
            if (dim == "*") continue;
            const bool is_letter = dim[0] >= 'a' && dim[0] <= 'z';
            if (is_letter ? !bind_size(dim[0], size)
                          : std::strtoll(dim.c_str(), nullptr, 10) != size)
                return false;
        }
        return true;
    }

    // How an operand should have looked, with the letters that are known filled in.
    std::string expectation(const OperandSpec& operand) const {
        OperandSpec filled = operand;
        if (is_letter(operand.dtype)) {
            const int32_t bound = dtypes[static_cast<size_t>(operand.dtype[0] - 'A')];
            const bool codes = operand.dtype.ends_with(kOrCodes);
            filled.dtype = bound >= 0 ? dtype_name(bound)
                           : codes    ? "f32, bf16 or u8 "
                                      : "f32 or bf16 ";
        }
        for (std::string& dim : filled.dims) {
            const char letter = dim.back();
            if (letter < 'a' || letter > 'z') continue;
            const int64_t bound = sizes[static_cast<size_t>(letter - 'a')];
            if (bound < 0) continue;
            dim = dim[0] == '#' ? std::to_string(bound) + " elements" : std::to_string(bound);
        }
        return describe(filled);
    }
};

std::optional<Mismatch> bind_operand(Bindings& bindings, const OperandSpec& operand,
                                     const CpTensor& tensor) {
    if (present(tensor)) {
        const Bindings before = bindings;
        if (bindings.bind(operand, tensor)) return std::nullopt;
        return Mismatch{before.expectation(operand), describe(tensor)};
    }
    if (operand.optional) return std::nullopt;
    return Mismatch{bindings.expectation(operand), "nothing"};
}

}  // namespace

// Never destroyed: process.exit() ends the process while engines are still at work.
const std::vector<Signature>& signatures() {
    static const std::vector<Signature>* const all = [] {
        auto* parsed = new std::vector<Signature>;
        for (const OpSignature& source : kOpSignatures) parsed->push_back(parse_signature(source));
        return parsed;
    }();
    return *all;
}

const Signature* find_signature(std::string_view op) {
    for (const Signature& signature : signatures())
        if (signature.name == op) return &signature;
    return nullptr;
}

std::vector<const OperandSpec*> expected_outputs(const Signature& signature, const CpCall& call) {
    std::vector<const OperandSpec*> outputs;
    for (const OperandSpec& output : signature.outputs) {
        if (output.updates && !present(call.inputs[output.input])) continue;
        outputs.push_back(&output);
    }
    return outputs;
}

std::optional<Mismatch> check_operands(const Signature& signature, const CpCall& call) {
    if (static_cast<size_t>(call.num_inputs) != signature.inputs.size())
        return Mismatch{std::to_string(signature.inputs.size()) + " inputs",
                        std::to_string(call.num_inputs)};
    Bindings bindings;
    for (size_t i = 0; i < signature.inputs.size(); ++i) {
        auto mismatch = bind_operand(bindings, signature.inputs[i], call.inputs[i]);
        if (mismatch) return mismatch;
    }
    const auto outputs = expected_outputs(signature, call);
    if (static_cast<size_t>(call.num_outputs) != outputs.size())
        return Mismatch{std::to_string(outputs.size()) + " outputs",
                        std::to_string(call.num_outputs)};
    for (size_t i = 0; i < outputs.size(); ++i) {
        auto mismatch = bind_operand(bindings, *outputs[i], call.outputs[i]);
        if (mismatch) return mismatch;
    }
    return std::nullopt;
}

std::optional<Mismatch> fill_attributes(const Signature& signature,
                                        const std::vector<PlanAttribute>& given, CpCall& call) {
    call.num_attributes = static_cast<int32_t>(signature.attributes.size());
    std::vector<bool> is_set(signature.attributes.size(), false);
    for (size_t i = 0; i < signature.attributes.size(); ++i) {
        const AttributeSpec& spec = signature.attributes[i];
        call.attributes[i] = {spec.name.c_str(), spec.default_value.value_or(0.0), -1};
        is_set[i] = spec.default_value.has_value();
    }
    std::vector<bool> is_given(signature.attributes.size(), false);
    for (const PlanAttribute& attribute : given) {
        size_t i = 0;
        while (i < signature.attributes.size() && signature.attributes[i].name != attribute.name)
            ++i;
        if (i == signature.attributes.size())
            return Mismatch{"no attribute of that name", attribute.name};
        if (is_given[i]) return Mismatch{"each attribute once", attribute.name + " twice"};
        is_given[i] = is_set[i] = true;
        if (!(std::abs(attribute.value) <= kMaxAttribute))
            return Mismatch{attribute.name + " between -2^53 and 2^53",
                            std::to_string(attribute.value)};
        call.attributes[i].value = attribute.scalar_slot >= 0 ? 0.0 : attribute.value;
        call.attributes[i].scalar_slot = attribute.scalar_slot;
    }
    for (size_t i = 0; i < is_set.size(); ++i)
        if (!is_set[i]) return Mismatch{"the attribute " + signature.attributes[i].name, "none"};
    return std::nullopt;
}

bool may_alias(const Signature& signature, const OperandSpec& output, const OperandSpec& input) {
    for (const OpAlias& alias : kOpAliases) {
        if (signature.name == alias.op && output.name == alias.output && input.name == alias.input)
            return true;
    }
    return false;
}

const char* dtype_name(int32_t dtype) {
    switch (dtype) {
        case CP_F32:
            return "f32";
        case CP_BF16:
            return "bf16";
        case CP_I32:
            return "i32";
        case CP_U8:
            return "u8";
        case CP_I8:
            return "i8";
        case CP_F16:
            return "f16";
        case CP_F64:
            return "f64";
        default:
            return "unknown";
    }
}

}  // namespace compact
