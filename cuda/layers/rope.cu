// rope: rotates each pair (i, i + headSize/2) of a head by the angle of its token's position, whose
// cosines and sines are a row of the tables; inverse=1 rotates back, which is the gradient.
// Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
// Two accesses per element and the tables from the cache; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/divisor.h"
#include "cuda/simt/elementwise.cuh"
#include "cuda/simt/launch_group.cuh"
#include "native/backend/op_checks.h"

namespace compact {
namespace {

template <class T>
struct Rotation {
    const T* x;                        // (rows, heads, 2, half)
    const float* cosines;              // (table_rows, half)
    const float* sines;                // (table_rows, half)
    const int32_t* positions;          // (rows) or null
    T* y;                              // may be x
    uint32_t all_heads;                // rows * heads
    Divisor packs, heads, table_rows;  // packs of half a head
    int32_t half;
    float direction;  // 1, or -1 for the inverse

    // Positions are checked on the host; one that is out of range here takes the nearest.
    __device__ __forceinline__ int32_t position(uint32_t row) const {
        if (positions == nullptr) return static_cast<int32_t>(table_rows.remainder(row));
        const int32_t given = positions[row], last = static_cast<int32_t>(table_rows.value()) - 1;
        return given < 0 ? 0 : (given < last ? given : last);
    }
};

// One thread has up to eight pairs of one head.
template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    rope_kernel(const CP_GRID_CONSTANT LaunchGroup<Rotation<T>> group) {
    uint32_t block = 0;
    const Rotation<T>& p = group.of_block(&block);
    const uint32_t thread = block * kElementwiseThreads + threadIdx.x;
    const uint32_t head = p.packs.quotient(thread);
    if (head >= p.all_heads) return;
    const auto pair = static_cast<int32_t>((thread - head * p.packs.value()) * kPackSize);
    const int count = pack_count(p.half, pair);
    const int64_t at = int64_t{head} * (2 * p.half) + pair;
    const int64_t in_table = int64_t{p.position(p.heads.quotient(head))} * p.half + pair;
    float a[kPackSize], b[kPackSize], c[kPackSize], s[kPackSize];
    load_pack(p.x + at, count, a);
    load_pack(p.x + at + p.half, count, b);
    load_pack(p.cosines + in_table, count, c);
    load_pack(p.sines + in_table, count, s);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        const float sine = p.direction * s[i];
        const float first = a[i] * c[i] - b[i] * sine;
        b[i] = b[i] * c[i] + a[i] * sine;
        a[i] = first;
    }
    store_pack(p.y + at, count, a);
    store_pack(p.y + at + p.half, count, b);
}

template <class T>
void add_rotation(LaunchGroup<Rotation<T>>& group, const CpCall& call) {
    const CpTensor& input = call.inputs[0];
    const int64_t table_rows = call.inputs[1].shape[0], half = call.inputs[1].shape[1];
    const int64_t packs = ceil_div(half, kPackSize), all_heads = num_elements(input) / (2 * half);
    group.add(
        {data<T>(input), data<float>(call.inputs[1]), data<float>(call.inputs[2]),
         data<int32_t>(call.inputs[3]), data<T>(call.outputs[0]), static_cast<uint32_t>(all_heads),
         Divisor(packs), Divisor(input.shape[1] / (2 * half)), Divisor(table_rows),
         static_cast<int32_t>(half), attribute(call, "inverse") != 0.0 ? -1.0f : 1.0f},
        ceil_div(all_heads * packs, kElementwiseThreads));
}

CpStatus check(const CpCall* call, CpError* error) {
    if (check_rope(call, error) != CP_OK) return CP_FAILED;
    const int64_t half = call->inputs[1].shape[1];
    const int64_t heads = num_elements(call->inputs[0]) / (2 * half);
    return check_thread_numbers("rope", heads * ceil_div(half, kPackSize), error);
}

CpStatus run_group(CpDevice* device, const CpCall* calls, int32_t count, CpError* error) {
    for (int32_t dtype : {CP_F32, CP_BF16}) {
        dispatch(dtype, [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            LaunchGroup<Rotation<T>> group;
            for (int32_t i = 0; i < count; ++i) {
                if (calls[i].inputs[0].dtype == dtype) add_rotation(group, calls[i]);
            }
            if (group.count == 0) return;
            CP_LAUNCH(rope_kernel<T>, dim3(group.num_blocks()), dim3(kElementwiseThreads), 0,
                      device->stream, group);
        });
    }
    return check_launch(*device, "rope", error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    return run_group(device, call, 1, error);
}

}  // namespace

const CpOp kCudaRopeOp = {"rope", no_workspace, check, run, nullptr, run_group};

}  // namespace compact
