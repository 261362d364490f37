// randomNormal: standardDeviation times standard normal numbers of a seed.
#include <algorithm>

#include "native/backend/call.h"
#include "native/base/bf16.h"
#include "native/cpu/projection/projection.h"
#include "native/cpu/runtime/ops.h"

namespace compact {
namespace {

constexpr int64_t kTaskElements = 65536, kPieceElements = 512;

int64_t workspace_bytes(const CpCall*, const CpLimits*) { return 0; }

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& y = call->outputs[0];
    const int64_t count = num_elements(y);
    const NormalStream stream = {attribute_word(*call, "seedLow"),
                                 attribute_word(*call, "seedHigh"),
                                 attribute_word(*call, "tensorId")};
    const float deviation = static_cast<float>(attribute(*call, "standardDeviation"));
    const int64_t tasks = (count + kTaskElements - 1) / kTaskElements;
    device->pool.parallel_for(tasks, [&](int64_t task, int) {
        const int64_t end = std::min(count, (task + 1) * kTaskElements);
        for (int64_t first = task * kTaskElements; first < end; first += kPieceElements) {
            float values[kPieceElements];
            const int64_t size = std::min(kPieceElements, end - first);
            normal_floats(device->instruction_set, stream, first / 8, (size + 7) / 8, values);
            for (int64_t i = 0; i < size; ++i) {
                const float value = deviation * values[i];
                if (y.dtype == CP_F32) {
                    static_cast<float*>(y.data)[first + i] = value;
                } else {
                    static_cast<uint16_t*>(y.data)[first + i] = bf16_from_float(value);
                }
            }
        }
    });
    return CP_OK;
}

}  // namespace

const CpOp kRandomNormalOp = {"randomNormal", workspace_bytes, nullptr, run};

}  // namespace compact
