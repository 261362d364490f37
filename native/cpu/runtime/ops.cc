#include "native/cpu/runtime/ops.h"

#include <exception>

#include "native/backend/call.h"
#include "native/cpu/runtime/cpu_device.h"

namespace compact {
namespace {

// Runs the kernel of the device's instruction set. A plain C table must not let exceptions out:
// they come from starting threads alone.
template <const CpOp& kScalar, const CpOp& kAvx2, const CpOp& kAvx512>
CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    try {
        if (device->instruction_set >= InstructionSet::kAvx512) {
            return kAvx512.run(device, call, error);
        }
        if (device->instruction_set == InstructionSet::kAvx2) {
            return kAvx2.run(device, call, error);
        }
        return kScalar.run(device, call, error);
    } catch (const std::exception& exception) {
        return fail(error, "ERR_COMPACT_NATIVE", kScalar.name, "a finished op", exception.what());
    }
}

// Workspaces and checks do not depend on the instruction set.
template <const CpOp& kScalar, const CpOp& kAvx2, const CpOp& kAvx512>
CpOp op() {
    return {kScalar.name, kScalar.workspace_bytes, kScalar.check, run<kScalar, kAvx2, kAvx512>};
}

}  // namespace

OpTable cpu_ops() {
#if defined(COMPACT_X86)
#define COMPACT_ENTRY(Name) op<scalar::k##Name##Op, avx2::k##Name##Op, avx512::k##Name##Op>(),
#else
#define COMPACT_ENTRY(Name) op<scalar::k##Name##Op, scalar::k##Name##Op, scalar::k##Name##Op>(),
#endif
#define COMPACT_PLAIN_ENTRY(Name) op<k##Name##Op, k##Name##Op, k##Name##Op>(),
    // Made on the first call and never changed.
    static const CpOp table[] = {COMPACT_CPU_OPS(COMPACT_PLAIN_ENTRY)
                                     COMPACT_CPU_ISA_OPS(COMPACT_ENTRY)};
    return {table, static_cast<int32_t>(sizeof table / sizeof table[0])};
}

}  // namespace compact
