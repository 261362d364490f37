// gradientNorm: norm = sqrt(sum of partials) and the factor min(1, maxNorm / (norm + 1e-6)) that
// clips gradients to it; maxNorm <= 0 clips nothing.
#include <cmath>

#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice*, const CpCall* call, CpError*) {
    const float* partials = data<float>(call->inputs[0]);
    double total = 0.0;
    for (int64_t i = 0; i < num_elements(call->inputs[0]); ++i) total += partials[i];
    const double norm = std::sqrt(total);
    const double max_norm = attribute(*call, "maxNorm");
    double scale = 1.0;
    if (max_norm > 0.0) {
        const double ratio = max_norm / (norm + 1e-6);
        scale = ratio > 1.0 ? 1.0 : ratio;  // NaN stays
    }
    *data<float>(call->outputs[0]) = static_cast<float>(norm);
    *data<float>(call->outputs[1]) = static_cast<float>(scale);
    return CP_OK;
}

}  // namespace

const CpOp kGradientNormOp = {"gradientNorm", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
