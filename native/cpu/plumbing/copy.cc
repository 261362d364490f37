// copy: y = x
#include <cstring>

#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const char* x = data<char>(call->inputs[0]);
    char* y = data<char>(call->outputs[0]);
    const int64_t bytes = num_elements(call->outputs[0]) * dtype_bytes(call->outputs[0].dtype);
    for_chunks(*device, bytes, 4 * kChunkElements, [=](int64_t begin, int64_t end, int) {
        std::memcpy(y + begin, x + begin, static_cast<size_t>(end - begin));
    });
    return CP_OK;
}

}  // namespace

const CpOp kCopyOp = {"copy", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
