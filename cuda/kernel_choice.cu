#include "cuda/kernel_choice.h"

#include <cstdlib>
#include <cstring>

#include "cuda/device.h"
#include "cuda/tuning.h"

namespace compact {
namespace {

bool switched(const char* variable, bool otherwise) {
    const char* value = std::getenv(variable);
    if (value == nullptr) return otherwise;
    if (std::strcmp(value, "1") == 0) return true;
    return std::strcmp(value, "0") == 0 ? false : otherwise;
}

}  // namespace

void choose_kernels(CpDevice& device) {
    const GemmTuning& tuning =
        gemm_tuning(10 * device.properties.major + device.properties.minor);
    device.projection_in_kernel =
        switched("COMPACT_CUDA_PROJECTION_IN_KERNEL", tuning.projection_in_kernel);
}

}  // namespace compact
