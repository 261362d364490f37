#include <cstdlib>
#include <cstring>

#include "cuda/gemm/kernel_choice.h"
#include "cuda/gemm/tensor_map.h"
#include "cuda/gemm/tuning.h"
#include "cuda/runtime/device.h"

namespace compact {
namespace {

bool switched(const char* variable, bool otherwise) {
    const char* value = std::getenv(variable);
    if (value == nullptr) return otherwise;
    if (std::strcmp(value, "1") == 0) return true;
    return std::strcmp(value, "0") == 0 ? false : otherwise;
}

// Code of 90a runs on exactly that chip, and has to be in this build.
bool has_warpgroup_code(const CpDevice& device) {
    if (device.properties.major != 9 || device.properties.minor != 0) return false;
#if defined(__CUDACC__)
    return std::strstr(COMPACT_CUDA_ARCHITECTURES, "90a") != nullptr;
#else
    return true;
#endif
}

}  // namespace

void choose_kernels(CpDevice& device) {
    const GemmTuning& tuning = gemm_tuning(10 * device.properties.major + device.properties.minor);
    device.projection_in_kernel =
        switched("COMPACT_CUDA_PROJECTION_IN_KERNEL", tuning.projection_in_kernel);
    device.narrow_tiles = switched("COMPACT_CUDA_NARROW_TILES", tuning.narrow_tiles);
    if (switched("COMPACT_CUDA_WARPGROUPS", false) && has_warpgroup_code(device)) {
        device.tensor_map_encoder = find_tensor_map_encoder();
    }
}

}  // namespace compact
