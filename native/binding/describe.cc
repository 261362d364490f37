#include "native/binding/describe.h"

#include <string>
#include <vector>

#include "native/backend/registry.h"
#include "native/base/op_table.h"
#include "native/binding/errors.h"
#include "native/core/plan_check.h"
#include "native/core/signature.h"
#include "native/cpu/projection/projection.h"

namespace compact {
namespace {

constexpr InstructionSet kInstructionSets[] = {InstructionSet::kScalar, InstructionSet::kAvx2,
                                               InstructionSet::kAvx512, InstructionSet::kAvx512Bf16,
                                               InstructionSet::kAmxBf16};

const CpBackend& backend_of(const std::string& device) {
    const CpBackend* backend = find_backend(device);
    if (backend == nullptr)
        throw Error("ERR_COMPACT_DEVICE_UNAVAILABLE", "", "a backend of this build", device);
    return *backend;
}

int32_t dtype_of(const std::string& name) {
    for (int32_t dtype = CP_F32; dtype <= CP_I8; ++dtype)
        if (name == dtype_name(dtype)) return dtype;
    throw Error("ERR_COMPACT_TYPE", "dtype", "f32, bf16, i32, u8 or i8", name);
}

CpTensor tensor_of(const Napi::Value& value) {
    CpTensor tensor{};
    if (value.IsUndefined()) return tensor;
    const auto operand = value.As<Napi::Object>();
    const auto shape = operand.Get("shape").As<Napi::Array>();
    tensor.dtype = dtype_of(operand.Get("dtype").As<Napi::String>());
    if (shape.Length() < 1 || shape.Length() > CP_MAX_DIMS)
        throw Error("ERR_COMPACT_SHAPE", "shape", "1 to 4 dimensions",
                    std::to_string(shape.Length()));
    tensor.num_dims = static_cast<int32_t>(shape.Length());
    for (uint32_t i = 0; i < shape.Length(); ++i)
        tensor.shape[i] = shape.Get(i).As<Napi::Number>().Int64Value();
    return tensor;
}

std::vector<PlanAttribute> attributes_of(const Napi::Object& object) {
    std::vector<PlanAttribute> attributes;
    const Napi::Array names = object.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
        const std::string name = names.Get(i).As<Napi::String>();
        const Napi::Value value = object.Get(name);
        if (value.IsNumber()) {
            attributes.push_back({name, -1, value.As<Napi::Number>().DoubleValue()});
        } else {
            attributes.push_back({name, 0, 0.0});
        }
    }
    return attributes;
}

}  // namespace

Napi::Value load_module(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&]() -> Napi::Value {
        const auto problem =
            load_module(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::String>());
        if (!problem) return env.Undefined();
        const auto result = Napi::Object::New(env);
        result.Set("reason", problem->reason);
        result.Set("expected", problem->expected);
        result.Set("received", problem->received);
        return result;
    });
}

Napi::Value describe(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
        CpBackendInfo found{};
        backend_of(info[0].As<Napi::String>()).describe(&found);
        const auto result = Napi::Object::New(env);
        result.Set("architectures", found.architectures);
        result.Set("driver", found.driver);
        result.Set("runtime", found.runtime);
        result.Set("problem", found.problem);
        const auto devices = Napi::Array::New(env);
        for (int32_t i = 0; i < found.num_devices; ++i) {
            const CpDeviceInfo& device = found.devices[i];
            const auto entry = Napi::Object::New(env);
            entry.Set("name", device.name);
            entry.Set("computeCapability", device.compute_capability);
            entry.Set("totalBytes", static_cast<double>(device.total_bytes));
            entry.Set("problem", device.problem);
            devices.Set(devices.Length(), entry);
        }
        result.Set("devices", devices);
        return result;
    });
}

Napi::Value probe(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
        CpDeviceInfo found{};
        backend_of(info[0].As<Napi::String>()).probe(info[1].As<Napi::Number>(), &found);
        const auto result = Napi::Object::New(env);
        result.Set("freeBytes", static_cast<double>(found.free_bytes));
        result.Set("problem", found.problem);
        return result;
    });
}

Napi::Value ops(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
        const CpBackend& backend = backend_of(info[0].As<Napi::String>());
        const auto result = Napi::Array::New(env);
        for (const OpSignature& signature : kOpSignatures) {
            const CpOp* kernel = find_op(backend, signature.name);
            if (kernel == nullptr) continue;
            const auto op = Napi::Object::New(env);
            op.Set("name", signature.name);
            op.Set("operands", signature.operands);
            op.Set("attributes", signature.attributes);
            op.Set("isPrepared", Napi::Boolean::New(env, kernel->prepare != nullptr));
            op.Set("isGrouped", Napi::Boolean::New(env, kernel->run_group != nullptr));
            result.Set(result.Length(), op);
        }
        return result;
    });
}

Napi::Value workspace_bytes(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
        const CpBackend& backend = backend_of(info[0].As<Napi::String>());
        const std::string op = info[1].As<Napi::String>();
        const Signature* signature = find_signature(op);
        const CpOp* kernel = find_op(backend, op);
        if (signature == nullptr || kernel == nullptr)
            throw Error("ERR_COMPACT_OP_UNSUPPORTED", op,
                        std::string("an op of the ") + backend.name + " backend", op);
        const auto inputs = info[2].As<Napi::Array>();
        const auto outputs = info[3].As<Napi::Array>();
        const auto check = [&](const std::optional<Mismatch>& mismatch) {
            if (mismatch)
                throw Error("ERR_COMPACT_SHAPE", op, mismatch->expected, mismatch->received);
        };
        if (inputs.Length() > signature->inputs.size() ||
            outputs.Length() > signature->outputs.size())
            throw Error("ERR_COMPACT_SHAPE", op, "the operands of its signature",
                        std::to_string(inputs.Length()) + " inputs and " +
                            std::to_string(outputs.Length()) + " outputs");
        CpCall call{};
        call.num_inputs = static_cast<int32_t>(signature->inputs.size());
        for (uint32_t i = 0; i < inputs.Length(); ++i) call.inputs[i] = tensor_of(inputs.Get(i));
        call.num_outputs = static_cast<int32_t>(outputs.Length());
        for (uint32_t i = 0; i < outputs.Length(); ++i) call.outputs[i] = tensor_of(outputs.Get(i));
        check(fill_attributes(*signature, attributes_of(info[4].As<Napi::Object>()), call));
        check(check_operands(*signature, call));
        CpError error{};
        if (kernel->check != nullptr) throw_if_failed(kernel->check(&call, &error), error);
        CpLimits limits{};
        limits.threads = info[5].As<Napi::Number>();
        return Napi::Number::New(env, static_cast<double>(kernel->workspace_bytes(&call, &limits)));
    });
}

Napi::Value cpu_features(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
        const auto features = Napi::Array::New(env);
#if defined(__x86_64__) && defined(__GNUC__)
        const auto add = [&](const char* name, bool has) {
            if (has) features.Set(features.Length(), name);
        };
        add("avx", __builtin_cpu_supports("avx"));
        add("avx2", __builtin_cpu_supports("avx2"));
        add("fma", __builtin_cpu_supports("fma"));
        add("f16c", __builtin_cpu_supports("f16c"));
        add("avx512f", __builtin_cpu_supports("avx512f"));
        add("avx512bw", __builtin_cpu_supports("avx512bw"));
        add("avx512vl", __builtin_cpu_supports("avx512vl"));
        add("avx512dq", __builtin_cpu_supports("avx512dq"));
        add("avx512vnni", __builtin_cpu_supports("avx512vnni"));
        add("avx512bf16", __builtin_cpu_supports("avx512bf16"));
        add("amx-bf16", instruction_set_available(InstructionSet::kAmxBf16));
#endif
        const auto sets = Napi::Array::New(env);
        for (const InstructionSet set : kInstructionSets)
            if (instruction_set_available(set)) sets.Set(sets.Length(), instruction_set_name(set));
        const auto result = Napi::Object::New(env);
        result.Set("features", features);
        result.Set("instructionSets", sets);
        result.Set("best", instruction_set_name(detect_instruction_set()));
        return result;
    });
}

Napi::Value projection_table(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
        const std::string name = info[0].As<Napi::String>();
        for (const InstructionSet set : kInstructionSets) {
            if (name != instruction_set_name(set) || !instruction_set_available(set)) continue;
            auto table = Napi::Uint16Array::New(env, 65536);
            projection_table(set, table.Data());
            return table;
        }
        throw Error("ERR_COMPACT_ARGUMENT", "instructionSet", "one that this CPU has", name);
    });
}

}  // namespace compact
