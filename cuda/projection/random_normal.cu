// randomNormal: standardDeviation times standard normal numbers of a seed. One access per element;
// limit: instruction issue, about 20 instructions per element.
#include "cuda/projection/normal_table.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "native/base/philox.h"

namespace compact {
namespace {

// Sets parameters apart from projections, whose epochs count up from zero.
constexpr uint32_t kNormalEpoch = 0xffffffffu;

struct Normal {
    uint32_t seed_low, seed_high, tensor_id;
    float deviation;
};

template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    random_normal_kernel(T* __restrict__ y, int64_t count, Normal normal) {
    CP_SHARED(NormalCubic[kNormalRows], table);
    load_normal_table(table);
    const int64_t group = static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x;
    const int64_t first = group * kPackSize;
    if (first >= count) return;
    const PhiloxWords words =
        philox({{static_cast<uint32_t>(group), static_cast<uint32_t>(group >> 32), normal.tensor_id,
                 kNormalEpoch}},
               normal.seed_low, normal.seed_high);
    float values[kPackSize];
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        values[i] = normal.deviation * normal_from_bits(philox_half(words, i), table);
    }
    store_pack(y + first, pack_count(count, first), values);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    const int64_t count = num_elements(output);
    const Normal normal{attribute_word(*call, "seedLow"), attribute_word(*call, "seedHigh"),
                        attribute_word(*call, "tensorId"),
                        static_cast<float>(attribute(*call, "standardDeviation"))};
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(random_normal_kernel<T>, elementwise_grid(count), dim3(kElementwiseThreads), 0,
                  device->stream, data<T>(output), count, normal);
    });
    return check_launch(*device, "randomNormal", error);
}

}  // namespace

const CpOp kCudaRandomNormalOp = {"randomNormal", no_workspace, nullptr, run};

}  // namespace compact
