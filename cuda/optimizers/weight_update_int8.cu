// weightUpdateInt8: the step of weightUpdate for a weight in int8 groups: what the codes stand for
// is moved along the direction and rounded stochastically to codes again. A group keeps its scale
// while the largest of its weights stays within the upper half of the codes, so that what does not
// move is not rounded anew. Two accesses per code and one per direction (both are read a second
// time from the cache); limit: memory bandwidth.
#include "cuda/optimizers/int8_groups.h"
#include "cuda/optimizers/weight_update.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/op_checks.h"
#include "native/base/int8_group.h"

namespace compact {
namespace {

constexpr int kGroupsPerBlock = 8;  // a warp each

struct Int8Update {
    int8_t* codes;
    float* scales;
    AnyTensor direction;
    const float* direction_scale;
    int64_t count, group_size, first_group;
    StepSize size;
    RoundingKey key;

    explicit Int8Update(const Int8Step& step)
        : codes(step.codes),
          scales(step.scales),
          direction_scale(step.direction_scale),
          count(step.count),
          group_size(step.group_size),
          first_group(step.first_group),
          size{step.keep, step.rate},
          key(step.key) {
        direction.data = const_cast<void*>(step.direction);
        direction.dtype = step.direction_dtype;
    }

    // Weights from `first` on after the step.
    __device__ __forceinline__ void moved(int64_t first, int present, float scale, float factor,
                                          float (&w)[kPackSize]) const {
        float d[kPackSize];
        direction.load(first, present, d);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            const float code = i < present ? static_cast<float>(codes[first + i]) : 0.0f;
            w[i] = i < present ? stepped(code * scale, d[i] * factor, size) : 0.0f;
        }
    }
};

__global__ void __launch_bounds__(32 * kGroupsPerBlock) weight_update_int8_kernel(Int8Update p) {
    const int64_t group = static_cast<int64_t>(blockIdx.x) * kGroupsPerBlock + threadIdx.x / 32;
    const int64_t begin = group * p.group_size;
    if (begin >= p.count) return;
    const int64_t end = begin + p.group_size < p.count ? begin + p.group_size : p.count;
    const int64_t first = begin + threadIdx.x % 32 * kPackSize;
    constexpr int64_t kStride = 32 * kPackSize;
    const float scale = p.scales[group], factor = gradient_scale(p.direction_scale);
    float w[kPackSize];
    // Magnitudes compare as integers, with infinity and then NaN above everything.
    uint32_t largest = 0;
    for (int64_t at = first; at < end; at += kStride) {
        p.moved(at, pack_count(end, at), scale, factor, w);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            largest = Maximum{}(largest, float_bits(w[i]) & 0x7fffffffu);
        }
    }
    const float new_scale = int8_scale(float_from_bits(warp_reduce(largest, Maximum{})), scale);
    const bool finite = new_scale > 0.0f && new_scale < INFINITY;
    for (int64_t at = first; at < end; at += kStride) {
        const int present = pack_count(end, at);
        p.moved(at, present, scale, factor, w);
        const PhiloxWords words =
            rounding_words(p.key, static_cast<uint32_t>(p.first_group + group),
                           static_cast<uint32_t>((at - begin) / kPackSize));
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            const float fraction = static_cast<float>(philox_half(words, i)) * 0x1p-16f;
            const float code = floorf(w[i] / new_scale + fraction);
            const float limited = fminf(fmaxf(code, -127.0f), 127.0f);
            if (i < present) p.codes[at + i] = finite ? static_cast<int8_t>(limited) : int8_t{0};
        }
    }
    if (threadIdx.x % 32 == 0) p.scales[group] = new_scale;
}

CpStatus check(const CpCall* call, CpError* error) {
    return check_groups(call, "weightUpdateInt8", call->inputs[0], call->inputs[1], error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const StepSize size = step_size(*call, attribute(*call, "updateScale"));
    Int8Step step;
    step.codes = data<int8_t>(call->outputs[0]);
    step.scales = data<float>(call->outputs[1]);
    step.count = num_elements(call->inputs[2]);
    step.group_size = static_cast<int64_t>(attribute(*call, "groupSize"));
    step.direction = call->inputs[2].data;
    step.direction_dtype = call->inputs[2].dtype;
    step.direction_scale = data<const float>(call->inputs[3]);
    step.keep = size.keep;
    step.rate = size.rate;
    step.key = {attribute_word(*call, "roundingSeed"), attribute_word(*call, "tensorId"),
                attribute_word(*call, "step")};
    return update_int8_groups(*device, "weightUpdateInt8", step, error);
}

}  // namespace

CpStatus update_int8_groups(CpDevice& device, const char* op, const Int8Step& step,
                            CpError* error) {
    const int64_t blocks = ceil_div(ceil_div(step.count, step.group_size), kGroupsPerBlock);
    CP_LAUNCH(weight_update_int8_kernel, dim3(static_cast<unsigned>(blocks)),
              dim3(32 * kGroupsPerBlock), 0, device.stream, Int8Update(step));
    return check_launch(device, op, error);
}

const CpOp kCudaWeightUpdateInt8Op = {"weightUpdateInt8", no_workspace, check, run};

}  // namespace compact
