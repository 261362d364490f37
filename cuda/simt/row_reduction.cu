#include "cuda/simt/pack.cuh"
#include "cuda/simt/row_reduction.h"

namespace compact {
namespace {

// 32 columns; eight warps have an eighth of the chunks each.
constexpr int kColumns = 32, kParts = 8;

template <class G>
__global__ void __launch_bounds__(kColumns* kParts)
    reduce_partial_sums_kernel(const float* __restrict__ partials, int64_t chunks, int64_t columns,
                               G* output, bool accumulate) {
    CP_SHARED(float[kParts * kColumns], sums);
    const int lane = static_cast<int>(threadIdx.x) % kColumns;
    const int part = static_cast<int>(threadIdx.x) / kColumns;
    const int64_t column = static_cast<int64_t>(blockIdx.x) * kColumns + lane;
    const int64_t per_part = (chunks + kParts - 1) / kParts;
    const int64_t begin = part * per_part;
    const int64_t end = begin + per_part < chunks ? begin + per_part : chunks;
    float total = 0.0f;
    if (column < columns) {
        for (int64_t chunk = begin; chunk < end; ++chunk) {
            total += partials[chunk * columns + column];
        }
    }
    sums[part * kColumns + lane] = total;
    __syncthreads();
    if (part != 0 || column >= columns) return;
    for (int other = 1; other < kParts; ++other) total += sums[other * kColumns + lane];
    store_element(output + column, accumulate ? load_element(output + column) + total : total);
}

}  // namespace

CpStatus reduce_partial_sums(CpDevice& device, const char* op, const float* partials, int64_t rows,
                             const CpTensor& output, bool accumulate, CpError* error) {
    const int64_t columns = num_elements(output);
    const dim3 grid(static_cast<unsigned>(ceil_div(columns, kColumns)));
    dispatch(output.dtype, [&](auto* type) {
        using G = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(reduce_partial_sums_kernel<G>, grid, dim3(kColumns * kParts), 0, device.stream,
                  partials, reduction_chunks(rows), columns, data<G>(output), accumulate);
    });
    return check_launch(device, op, error);
}

}  // namespace compact
