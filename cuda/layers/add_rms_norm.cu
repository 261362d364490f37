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

// A block has one row. Six of them fill a processor; left to itself the compiler aims at as many
// threads on 10.0, but keeps a register in memory for them.
template <class T>
__global__ void __launch_bounds__(256, 6) add_rms_norm_kernel(AddRmsNorm<T> p) {
    CP_SHARED(float[kMaxWarps], scratch);
    const int64_t row = blockIdx.x, at = row * p.width;
    const auto load = [&p, at](int64_t column, int count, float(&values)[kPackSize]) {
        float added[kPackSize];
        T rounded[kPackSize];
        load_pack(p.a + at + column, count, values);
        load_pack(p.b + at + column, count, added);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            store_element(&rounded[i], values[i] + added[i]);
            values[i] = load_element(&rounded[i]);
        }
        store_pack(p.sum + at + column, count, rounded);
    };
    rms_norm_row(load, p.sum + at, p.weight, p.weight_offset, p.y + at, p.rstd + row, p.width,
                 p.epsilon, scratch);
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
        CP_LAUNCH(add_rms_norm_kernel<T>, dim3(static_cast<unsigned>(rows)),
                  dim3(static_cast<unsigned>(row_threads(width))), 0, device->stream, work);
    });
    return check_launch(*device, "addRmsNorm", error);
}

}  // namespace

const CpOp kCudaAddRmsNormOp = {"addRmsNorm", no_workspace, nullptr, run};

}  // namespace compact
