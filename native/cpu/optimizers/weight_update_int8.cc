// weightUpdateInt8: the step of weightUpdate for a weight in int8 groups: what the codes stand for
// is moved along the direction and rounded stochastically to codes again. A group keeps its scale
// while the largest of its weights stays within the upper half of the codes, so that what does not
// move is not rounded anew.
#include "native/backend/op_checks.h"
#include "native/base/int8_group.h"
#include "native/cpu/optimizers/int8_groups.h"
#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

Vec floor_of(Vec x) {
    const Vec nearest = round_even(x);
    return select(less(x, nearest), nearest - splat(1.0f), nearest);
}

// In [0, 1).
Vec fractions(const uint16_t* halves, int64_t count) {
    float result[kWidth] = {};
    for (int64_t i = 0; i < std::min(kWidth, count); ++i) {
        result[i] = static_cast<float>(halves[i]) * 0x1p-16f;
    }
    return load(result, AllLanes{});
}

template <class D>
void update_group(const RoundingKey& key, int64_t group, int64_t count, const StepSize& step,
                  Vec direction_scale, const D* direction, int8_t* codes, float& scale) {
    const Vec old_scale = splat(scale);
    const auto moved = [&](int64_t i, auto lanes) {
        return stepped(load(codes + i, lanes) * old_scale,
                       load(direction + i, lanes) * direction_scale, step);
    };
    Vec largest = splat(0.0f);
    for_lanes(count,
              [&](int64_t i, auto lanes) { largest = max_magnitude(largest, moved(i, lanes)); });
    const float new_scale = int8_scale(largest_magnitude(largest), scale);
    const bool finite = new_scale > 0.0f && new_scale < kInfinity;
    uint32_t words[kRoundingPiece / 2 + 8 * kPhiloxBlock];
    for (int64_t begin = 0; begin < count; begin += kRoundingPiece) {
        const int64_t size = std::min(kRoundingPiece, count - begin);
        const uint16_t* random = rounding_halves(key, group, begin, size, words);
        for_lanes(size, [&](int64_t i, auto lanes) {
            const Vec share = moved(begin + i, lanes) / splat(new_scale);
            const Vec code = floor_of(share + fractions(random + i, size - i));
            const Vec limited = max(splat(-127.0f), min(splat(127.0f), code));
            store(codes + begin + i, finite ? limited : splat(0.0f), lanes);
        });
    }
    scale = new_scale;
}

CpStatus check(const CpCall* call, CpError* error) {
    return check_groups(call, "weightUpdateInt8", call->inputs[0], call->inputs[1], error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const double learning_rate = attribute(*call, "learningRate");
    Int8Step step;
    step.codes = data<int8_t>(call->outputs[0]);
    step.scales = data<float>(call->outputs[1]);
    step.count = num_elements(call->inputs[2]);
    step.group_size = static_cast<int64_t>(attribute(*call, "groupSize"));
    step.direction = call->inputs[2];
    step.direction_scale = gradient_scale(call->inputs[3]);
    step.keep = static_cast<float>(1.0 - learning_rate * attribute(*call, "weightDecay"));
    step.rate = static_cast<float>(learning_rate * attribute(*call, "updateScale"));
    step.key = {attribute_word(*call, "roundingSeed"), attribute_word(*call, "tensorId"),
                attribute_word(*call, "step")};
    COMPACT_ISA::update_int8_groups(*device, step);
    return CP_OK;
}

}  // namespace

void update_int8_groups(CpDevice& device, const Int8Step& step) {
    const StepSize size = {splat(step.keep), splat(step.rate)};
    const Vec direction_scale = splat(step.direction_scale);
    const int64_t group_size = step.group_size;
    with_dtype(step.direction.dtype, [&](auto type) {
        const auto* direction = data<decltype(type)>(step.direction);
        for_chunks(device, num_chunks(step.count, group_size), rows_per_chunk(group_size),
                   [=](int64_t begin, int64_t end, int) {
                       for (int64_t group = begin; group < end; ++group) {
                           const int64_t first = group * group_size;
                           const int64_t count = std::min(group_size, step.count - first);
                           update_group(step.key, step.first_group + group, count, size,
                                        direction_scale, direction + first, step.codes + first,
                                        step.scales[group]);
                       }
                   });
    });
}

const CpOp kWeightUpdateInt8Op = {"weightUpdateInt8", no_workspace, check, run};

}  // namespace compact::COMPACT_ISA
