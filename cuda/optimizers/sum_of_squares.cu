// sumOfSquares: partials[index] = sum of x^2, eight of them in fp32, and these in fp64 over fixed
// chunks that are added in order: consumer GPUs do fp64 at a 64th of the rate.
// One access per element; limit: memory bandwidth.
#include "cuda/optimizers/square_sums.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"
#include "native/backend/op_checks.h"

namespace compact {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kChunk = 16384;  // elements of a block: eight packs a thread
constexpr int kAddThreads = 1024;

template <class T>
__global__ void __launch_bounds__(kThreads)
    square_sums_kernel(const T* __restrict__ x, double* __restrict__ sums, int64_t count) {
    CP_SHARED(double[kMaxWarps], scratch);
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * kChunk;
    const int64_t end = begin + kChunk < count ? begin + kChunk : count;
    double sum = 0.0;
    for (int64_t first = begin + static_cast<int64_t>(threadIdx.x) * kPackSize; first < end;
         first += kThreads * kPackSize) {
        float values[kPackSize];
        load_pack(x + first, pack_count(end, first), values);
        float squares = 0.0f;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            squares = __fmaf_rn(values[i], values[i], squares);
        }
        sum += squares;
    }
    sum = block_reduce(sum, Sum{}, scratch);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// A block for each sum.
__global__ void __launch_bounds__(kAddThreads)
    add_sums_kernel(const CP_GRID_CONSTANT LaunchGroup<SquareSums> group) {
    CP_SHARED(double[kMaxWarps], scratch);
    uint32_t block = 0;
    const SquareSums& p = group.of_block(&block);
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < p.count; i += kAddThreads) sum += p.sums[i];
    sum = block_reduce(sum, Sum{}, scratch);
    if (threadIdx.x == 0) *p.result = static_cast<float>(sum);
}

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    return square_sums_bytes(num_elements(call->inputs[0]));
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t count = num_elements(input), slots = num_elements(call->outputs[0]);
    const int64_t index = static_cast<int64_t>(attribute(*call, "index"));
    if (index < 0 || index >= slots) {
        return fail_index(error, "sumOfSquares", "an index", slots, index, 0);
    }
    CUDA_CHECK(*device, "sumOfSquares", error,
               sum_of_squares(*device, input.data, input.dtype, count,
                              static_cast<double*>(call->workspace),
                              data<float>(call->outputs[0]) + index));
    return CP_OK;
}

}  // namespace

int64_t square_sums_bytes(int64_t count) { return aligned(ceil_div(count, kChunk) * 8); }

cudaError_t sum_of_squares(CpDevice& device, const void* x, int32_t dtype, int64_t count,
                           double* sums, float* result) {
    const int64_t chunks = ceil_div(count, kChunk);
    dispatch(dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(square_sums_kernel<T>, dim3(static_cast<unsigned>(chunks)), dim3(kThreads), 0,
                  device.stream, static_cast<const T*>(x), sums, count);
    });
    LaunchGroup<SquareSums> alone;
    alone.add({sums, chunks, result}, 1);
    return add_square_sums(device, alone);
}

cudaError_t add_square_sums(CpDevice& device, const LaunchGroup<SquareSums>& group) {
    CP_LAUNCH(add_sums_kernel, dim3(group.num_blocks()), dim3(kAddThreads), 0, device.stream,
              group);
    return cudaGetLastError();
}

const CpOp kCudaSumOfSquaresOp = {"sumOfSquares", workspace_bytes, nullptr, run};

}  // namespace compact
