#include "native/cpu/projection/projection.h"

#include <algorithm>
#include <cmath>

#include "native/base/normal.h"
#include "native/base/philox.h"
#include "native/cpu/projection/projection_kernels.h"

namespace compact {
namespace {

constexpr uint16_t kOne = 0x3f80, kMinusOne = 0xbf80;  // bf16

uint16_t normal_bf16_from_bits(uint16_t bits) {
    return bf16_from_float(normal_from_bits(bits, kNormalTable));
}

void block_scalar(Draw draw, const RandomStream& stream, const RandomBlock& block, uint16_t* out) {
    for (int64_t row = block.row0; row < block.row0 + block.rows; ++row) {
        for (int64_t group = block.group0; group < block.group0 + block.groups; ++group) {
            const PhiloxWords words =
                philox({{static_cast<uint32_t>(group), static_cast<uint32_t>(row), stream.word2,
                         stream.word3}},
                       stream.key0, stream.key1);
            for (int half = 0; half < 8; ++half) {
                const uint16_t bits = philox_half(words, half);
                if (draw == Draw::kBits) *out++ = bits;
                if (draw == Draw::kNormal) *out++ = normal_bf16_from_bits(bits);
                if (draw == Draw::kSign) *out++ = (bits & 0x8000u) != 0 ? kMinusOne : kOne;
            }
        }
    }
}

void normal_bf16_scalar(const uint16_t* bits, int64_t count, uint16_t* out) {
    for (int64_t i = 0; i < count; ++i) out[i] = normal_bf16_from_bits(bits[i]);
}

void normal_f32_scalar(const uint16_t* bits, int64_t count, float* out) {
    for (int64_t i = 0; i < count; ++i) out[i] = normal_from_bits(bits[i], kNormalTable);
}

const ProjectionKernels& kernels(InstructionSet set) {
#if defined(__x86_64__)
    if (set >= InstructionSet::kAvx512) return kProjectionAvx512;
    if (set == InstructionSet::kAvx2) return kProjectionAvx2;
#endif
    (void)set;
    return kProjectionScalar;
}

void identity_block(const RandomBlock& block, uint16_t* out) {
    const int64_t columns = 8 * block.groups;
    std::fill(out, out + block.rows * columns, uint16_t{0});
    for (int64_t i = 0; i < block.rows; ++i) {
        const int64_t diagonal = block.row0 + i - 8 * block.group0;
        if (diagonal >= 0 && diagonal < columns) out[i * columns + diagonal] = kOne;
    }
}

}  // namespace

const ProjectionKernels kProjectionScalar = {block_scalar, normal_bf16_scalar, normal_f32_scalar};

ProjectionKey projection_key(const CpCall& call, const char* epoch_name) {
    return {attribute_word(call, "seedLow"), attribute_word(call, "seedHigh"),
            attribute_word(call, "tensorId"), attribute_word(call, epoch_name),
            static_cast<int32_t>(attribute(call, "distribution"))};
}

float projection_scale(const ProjectionKey& key, int64_t rank) {
    if (key.distribution == kIdentity) return 1.0f;
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(rank)));
}

void projection_block(InstructionSet set, const ProjectionKey& key, const RandomBlock& block,
                      uint16_t* out) {
    if (key.distribution == kIdentity) return identity_block(block, out);
    const Draw draw = key.distribution == kRademacher ? Draw::kSign : Draw::kNormal;
    kernels(set).block(draw, {key.seed_low, key.seed_high, key.tensor_id, key.epoch}, block, out);
}

void rounding_block(InstructionSet set, const RoundingKey& key, const RandomBlock& block,
                    uint16_t* out) {
    kernels(set).block(Draw::kBits, {key.seed, 0, key.tensor_id | kRoundingStream, key.step}, block,
                       out);
}

void normal_floats(InstructionSet set, const NormalStream& stream, int64_t group0, int64_t groups,
                   float* out) {
    // Sets parameters apart from projections, whose epochs count up from zero.
    constexpr uint32_t kNormalEpoch = 0xffffffffu;
    constexpr int64_t kGroups = 64;
    uint16_t bits[8 * kGroups] = {};
    float values[8 * kGroups];
    for (int64_t done = 0; done < groups;) {
        const int64_t group = group0 + done;
        const int64_t to_carry = (int64_t{1} << 32) - (group & 0xffffffff);
        const int64_t count = std::min({kGroups, groups - done, to_carry});
        kernels(set).block(Draw::kBits,
                           {stream.seed_low, stream.seed_high, stream.tensor_id, kNormalEpoch},
                           {group >> 32, 1, group & 0xffffffff, count}, bits);
        kernels(set).normal_f32(bits, 8 * kGroups, values);
        std::copy(values, values + 8 * count, out + 8 * done);
        done += count;
    }
}

void projection_table(InstructionSet set, uint16_t* out) {
    uint16_t bits[1024];
    for (int64_t first = 0; first < 65536; first += 1024) {
        for (int64_t i = 0; i < 1024; ++i) bits[i] = static_cast<uint16_t>(first + i);
        kernels(set).normal_bf16(bits, 1024, out + first);
    }
}

}  // namespace compact
