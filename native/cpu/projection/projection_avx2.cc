// Four Philox counters at a time, one per 64-bit lane; their 32 numbers leave in order.
#include <immintrin.h>

#include <cstring>

#include "native/base/normal.h"
#include "native/base/philox.h"
#include "native/cpu/projection/projection_kernels.h"

namespace compact {
namespace {

// The rows of the table as four registers of eight. The index is the top of the pattern of x
// without subtracting kNormalFirstRow: only its five lowest bits count, so the rows are rotated.
struct Table {
    alignas(32) float rotated[4][32];

    Table() {
        for (uint32_t row = 0; row < 32; ++row) {
            const NormalCubic& cubic = kNormalTable[row];
            const uint32_t place = (row + kNormalFirstRow) % 32;
            rotated[0][place] = cubic.a;
            rotated[1][place] = cubic.b;
            rotated[2][place] = cubic.c;
            rotated[3][place] = cubic.d;
        }
    }
    // Bits 0 to 2 of the index choose within a register, bits 3 and 4 between registers.
    __m256 look_up(int coefficient, __m256i index, __m256 bit3, __m256 bit4) const {
        const float* row = rotated[coefficient];
        const __m256 row0 = _mm256_permutevar8x32_ps(_mm256_load_ps(row), index);
        const __m256 row1 = _mm256_permutevar8x32_ps(_mm256_load_ps(row + 8), index);
        const __m256 row2 = _mm256_permutevar8x32_ps(_mm256_load_ps(row + 16), index);
        const __m256 row3 = _mm256_permutevar8x32_ps(_mm256_load_ps(row + 24), index);
        return _mm256_blendv_ps(_mm256_blendv_ps(row0, row1, bit3),
                                _mm256_blendv_ps(row2, row3, bit3), bit4);
    }
};

// normal_from_bits; `mantissa` is the 15 bits shifted left by 8, `sign` bit 31.
inline __m256i normal(__m256i mantissa, __m256i sign, const Table& table) {
    const __m256i one_and_x = _mm256_or_si256(mantissa, _mm256_set1_epi32(0x3f800080));
    const __m256 x = _mm256_sub_ps(_mm256_castsi256_ps(one_and_x), _mm256_set1_ps(1.0f));
    const __m256i row = _mm256_srli_epi32(_mm256_castps_si256(x), 22);
    const __m256 bit3 = _mm256_castsi256_ps(_mm256_slli_epi32(row, 28));
    const __m256 bit4 = _mm256_castsi256_ps(_mm256_slli_epi32(row, 27));
    __m256 z =
        _mm256_fmadd_ps(x, table.look_up(3, row, bit3, bit4), table.look_up(2, row, bit3, bit4));
    z = _mm256_fmadd_ps(x, z, table.look_up(1, row, bit3, bit4));
    z = _mm256_fmadd_ps(x, z, table.look_up(0, row, bit3, bit4));
    return _mm256_xor_si256(_mm256_castps_si256(z), sign);
}

inline __m256i normal_of_low_halves(__m256i words, const Table& table) {
    const __m256i mantissa = _mm256_set1_epi32(0x7fff00), sign = _mm256_set1_epi32(INT32_MIN);
    return normal(_mm256_and_si256(_mm256_slli_epi32(words, 8), mantissa),
                  _mm256_and_si256(_mm256_slli_epi32(words, 16), sign), table);
}

inline __m256i normal_of_high_halves(__m256i words, const Table& table) {
    const __m256i mantissa = _mm256_set1_epi32(0x7fff00), sign = _mm256_set1_epi32(INT32_MIN);
    return normal(_mm256_and_si256(_mm256_srli_epi32(words, 8), mantissa),
                  _mm256_and_si256(words, sign), table);
}

// Adds what rounds the upper half to nearest even.
inline __m256i rounded(__m256i bits) {
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
}

// 16 random halves to 16 numbers.
struct Bits {
    __m256i operator()(__m256i words) const { return words; }
};
struct Sign {
    __m256i operator()(__m256i words) const {
        const __m256i sign = _mm256_and_si256(words, _mm256_set1_epi16(INT16_MIN));
        return _mm256_or_si256(sign, _mm256_set1_epi16(0x3f80));
    }
};
struct Normal {
    Table table;
    __m256i operator()(__m256i words) const {
        const __m256i low = rounded(normal_of_low_halves(words, table));
        const __m256i high = rounded(normal_of_high_halves(words, table));
        return _mm256_blend_epi16(_mm256_srli_epi32(low, 16), high, 0xaa);
    }
};

// The keys of all rounds, each in every lane.
struct KeySchedule {
    alignas(32) uint64_t keys[kPhiloxRounds][2][4];

    explicit KeySchedule(const RandomStream& stream) {
        uint32_t key0 = stream.key0, key1 = stream.key1;
        for (auto& round : keys) {
            for (int lane = 0; lane < 4; ++lane) {
                round[0][lane] = key0;
                round[1][lane] = key1;
            }
            key0 += kPhiloxWeyl0;
            key1 += kPhiloxWeyl1;
        }
    }
};

// The next four of a block's counters: (group, row) per lane.
struct Counters {
    __m256i group, row;

    Counters(const RandomBlock& block, int64_t first) {
        alignas(32) int64_t groups[4], rows[4];
        for (int64_t lane = 0; lane < 4; ++lane) {
            groups[lane] = block.group0 + (first + lane) % block.groups;
            rows[lane] = block.row0 + (first + lane) / block.groups;
        }
        group = _mm256_load_si256(reinterpret_cast<const __m256i*>(groups));
        row = _mm256_load_si256(reinterpret_cast<const __m256i*>(rows));
    }
    void advance(const RandomBlock& block, int64_t count) {
        group = _mm256_add_epi64(group, _mm256_set1_epi64x(count % block.groups));
        row = _mm256_add_epi64(row, _mm256_set1_epi64x(count / block.groups));
        const __m256i last = _mm256_set1_epi64x(block.group0 + block.groups - 1);
        const __m256i wrapped = _mm256_cmpgt_epi64(group, last);
        group =
            _mm256_sub_epi64(group, _mm256_and_si256(wrapped, _mm256_set1_epi64x(block.groups)));
        row = _mm256_sub_epi64(row, wrapped);
    }
};

// 32 halves in order: words 0 and 1 of four counters in `front`, words 2 and 3 in `back`.
struct Words {
    __m256i front, back;
};

// The products of a chain wait for each other, so several run abreast.
constexpr int kChains = 2;

inline void philox(const RandomStream& stream, const KeySchedule& schedule,
                   const Counters* counters, Words* words) {
    const __m256i multiplier0 = _mm256_set1_epi64x(kPhiloxMultiplier0);
    const __m256i multiplier1 = _mm256_set1_epi64x(kPhiloxMultiplier1);
    __m256i c0[kChains], c1[kChains], c2[kChains], c3[kChains];
    for (int i = 0; i < kChains; ++i) {
        c0[i] = counters[i].group;
        c1[i] = counters[i].row;
        c2[i] = _mm256_set1_epi64x(stream.word2);
        c3[i] = _mm256_set1_epi64x(stream.word3);
    }
    // Upper halves of lanes gather junk: the products read lower halves only.
    for (const auto& keys : schedule.keys) {
        const __m256i key0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(keys[0]));
        const __m256i key1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(keys[1]));
        for (int i = 0; i < kChains; ++i) {
            const __m256i product0 = _mm256_mul_epu32(c0[i], multiplier0);
            const __m256i product1 = _mm256_mul_epu32(c2[i], multiplier1);
            const __m256i mixed1 = _mm256_xor_si256(c1[i], key0);
            const __m256i mixed3 = _mm256_xor_si256(c3[i], key1);
            c0[i] = _mm256_xor_si256(_mm256_srli_epi64(product1, 32), mixed1);
            c2[i] = _mm256_xor_si256(_mm256_srli_epi64(product0, 32), mixed3);
            c1[i] = product1;
            c3[i] = product0;
        }
    }
    for (int i = 0; i < kChains; ++i) {
        words[i].front = _mm256_blend_epi32(c0[i], _mm256_slli_epi64(c1[i], 32), 0xaa);
        words[i].back = _mm256_blend_epi32(c2[i], _mm256_slli_epi64(c3[i], 32), 0xaa);
    }
}

// Stores the first `count` of 32 halves.
inline void store(const Words& words, int64_t count, uint16_t* out) {
    const __m256i even = _mm256_unpacklo_epi64(words.front, words.back);  // counters 0 and 2
    const __m256i odd = _mm256_unpackhi_epi64(words.front, words.back);   // counters 1 and 3
    const __m256i halves[2] = {_mm256_permute2x128_si256(even, odd, 0x20),
                               _mm256_permute2x128_si256(even, odd, 0x31)};
    if (count >= 32) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), halves[0]);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16), halves[1]);
    } else if (count > 0) {
        std::memcpy(out, halves, static_cast<size_t>(count) * sizeof(uint16_t));
    }
}

template <class Transform>
void generate(const Transform& transform, RandomStream stream, const RandomBlock& block,
              uint16_t* out) {
    const KeySchedule schedule(stream);
    Counters counters[kChains] = {Counters(block, 0), Counters(block, 4)};
    for (int64_t left = 8 * block.rows * block.groups; left > 0; left -= 32 * kChains) {
        Words words[kChains];
        philox(stream, schedule, counters, words);
        for (int i = 0; i < kChains; ++i) {
            counters[i].advance(block, 4 * kChains);
            words[i] = {transform(words[i].front), transform(words[i].back)};
            store(words[i], left - 32 * i, out + 32 * i);
        }
        out += 32 * kChains;
    }
}

void block_avx2(Draw draw, const RandomStream& stream, const RandomBlock& block, uint16_t* out) {
    if (block.groups <= 0) return;
    if (draw == Draw::kBits) generate(Bits{}, stream, block, out);
    if (draw == Draw::kNormal) generate(Normal{}, stream, block, out);
    if (draw == Draw::kSign) generate(Sign{}, stream, block, out);
}

void normal_bf16_avx2(const uint16_t* bits, int64_t count, uint16_t* out) {
    const Normal transform;
    for (int64_t i = 0; i < count; i += 16) {
        const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits + i));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), transform(words));
    }
}

void normal_f32_avx2(const uint16_t* bits, int64_t count, float* out) {
    const Table table;
    for (int64_t i = 0; i < count; i += 8) {
        const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bits + i));
        const __m256i z = normal_of_low_halves(_mm256_cvtepu16_epi32(halves), table);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), z);
    }
}

}  // namespace

const ProjectionKernels kProjectionAvx2 = {block_avx2, normal_bf16_avx2, normal_f32_avx2};

}  // namespace compact
