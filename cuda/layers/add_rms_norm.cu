// addRmsNorm: sum = a + b, rstd = 1 / sqrt(mean(sum^2) + epsilon), y = sum rstd weight
//
// The bits of add and then rmsNorm. Four accesses per element where the two have five (a row of the
// sum is read back from the cache); limit: memory bandwidth.
#include "cuda/layers/rms_norm_row.cuh"
#include "cuda/runtime/device.h"
#include "cuda/runtime/ops.h"

namespace compact {
namespace {

template <class T>
struct AddRmsNorm {
    const T* a;       // (rows, width)
    const T* b;       // (rows, width)
    const T* weight;  // (width)
    T* sum;           // (rows, width), may be a or b
    T* y;             // (rows, width), may be a or b
    float* rstd;      // (rows)
    int64_t width;
    float epsilon, weight_offset;
};

// values = the sum of two packs, as T holds it.
template <class T>
__device__ __forceinline__ void add_pack(float (&values)[kPackSize],
                                         const float (&added)[kPackSize], T (&sum)[kPackSize]) {
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        store_element(&sum[i], values[i] + added[i]);
        values[i] = load_element(&sum[i]);
    }
}

// A block has one row.
template <class T, bool kHeld>
__global__ void __launch_bounds__(kNormThreads) add_rms_norm_kernel(AddRmsNorm<T> p) {
    CP_SHARED(float[kMaxWarps], scratch);
    const int64_t row = blockIdx.x, at = row * p.width;
    float added[kPackSize];
    T sum[kPackSize];
    if constexpr (kHeld) {
        const auto load = [&](int column, float(&values)[kPackSize]) {
            load_whole_pack(p.a + at + column, values);
            load_whole_pack(p.b + at + column, added);
            add_pack(values, added, sum);
            store_whole_pack(p.sum + at + column, sum);
        };
        rms_norm_held_row(load, p.weight, p.weight_offset, p.y + at, p.rstd + row,
                          static_cast<int>(p.width), p.epsilon, scratch);
    } else {
        const auto load = [&](int64_t column, int count, float(&values)[kPackSize]) {
            load_pack(p.a + at + column, count, values);
            load_pack(p.b + at + column, count, added);
            add_pack(values, added, sum);
            store_pack(p.sum + at + column, count, sum);
        };
        rms_norm_row(load, p.sum + at, p.weight, p.weight_offset, p.y + at, p.rstd + row, p.width,
                     p.epsilon, scratch);
    }
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    const float epsilon = static_cast<float>(attribute(*call, "epsilon"));
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const AddRmsNorm<T> work{data<T>(input),
                                 data<T>(call->inputs[1]),
                                 data<T>(call->inputs[2]),
                                 data<T>(call->outputs[0]),
                                 data<T>(call->outputs[1]),
                                 data<float>(call->outputs[2]),
                                 width,
                                 epsilon,
                                 static_cast<float>(attribute(*call, "weightOffset"))};
        const auto kernel = fits_registers(width, work.a, work.b, work.weight, work.sum, work.y)
                                ? add_rms_norm_kernel<T, true>
                                : add_rms_norm_kernel<T, false>;
        CP_LAUNCH(kernel, dim3(static_cast<unsigned>(rows)), norm_threads(width), 0, device->stream,
                  work);
    });
    return check_launch(*device, "addRmsNorm", error);
}

}  // namespace

const CpOp kCudaAddRmsNormOp = {"addRmsNorm", no_workspace, nullptr, run};

}  // namespace compact
