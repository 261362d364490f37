// Eight Philox counters at a time, one per 64-bit lane; their 64 numbers leave in order.
#include <immintrin.h>

#include "native/base/normal.h"
#include "native/base/philox.h"
#include "native/cpu/projection_kernels.h"

namespace compact {
namespace {

// The rows of the table for a two-register permutation. The index is the top of the pattern of x
// without subtracting kNormalFirstRow: only its five lowest bits count, so the rows are rotated.
struct Table {
    __m512 low[4], high[4];

    Table() {
        alignas(64) float rotated[4][32];
        for (uint32_t row = 0; row < 32; ++row) {
            const NormalCubic& cubic = kNormalTable[row];
            const uint32_t place = (row + kNormalFirstRow) % 32;
            rotated[0][place] = cubic.a;
            rotated[1][place] = cubic.b;
            rotated[2][place] = cubic.c;
            rotated[3][place] = cubic.d;
        }
        for (int i = 0; i < 4; ++i) {
            low[i] = _mm512_load_ps(rotated[i]);
            high[i] = _mm512_load_ps(rotated[i] + 16);
        }
    }
    __m512 look_up(int coefficient, __m512i index) const {
        return _mm512_permutex2var_ps(low[coefficient], index, high[coefficient]);
    }
};

// normal_from_bits; `mantissa` is the 15 bits shifted left by 8, `sign` bit 31.
inline __m512i normal(__m512i mantissa, __m512i sign, const Table& table) {
    const __m512i one_and_x = _mm512_or_si512(mantissa, _mm512_set1_epi32(0x3f800080));
    const __m512 x = _mm512_sub_ps(_mm512_castsi512_ps(one_and_x), _mm512_set1_ps(1.0f));
    const __m512i row = _mm512_srli_epi32(_mm512_castps_si512(x), 22);
    __m512 z = _mm512_fmadd_ps(x, table.look_up(3, row), table.look_up(2, row));
    z = _mm512_fmadd_ps(x, z, table.look_up(1, row));
    z = _mm512_fmadd_ps(x, z, table.look_up(0, row));
    return _mm512_xor_si512(_mm512_castps_si512(z), sign);
}

inline __m512i normal_of_low_halves(__m512i words, const Table& table) {
    const __m512i mantissa = _mm512_set1_epi32(0x7fff00), sign = _mm512_set1_epi32(INT32_MIN);
    return normal(_mm512_and_si512(_mm512_slli_epi32(words, 8), mantissa),
                  _mm512_and_si512(_mm512_slli_epi32(words, 16), sign), table);
}

inline __m512i normal_of_high_halves(__m512i words, const Table& table) {
    const __m512i mantissa = _mm512_set1_epi32(0x7fff00), sign = _mm512_set1_epi32(INT32_MIN);
    return normal(_mm512_and_si512(_mm512_srli_epi32(words, 8), mantissa),
                  _mm512_and_si512(words, sign), table);
}

// Adds what rounds the upper half to nearest even.
inline __m512i rounded(__m512i bits) {
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
}

// 32 random halves to 32 numbers.
struct Bits {
    __m512i operator()(__m512i words) const { return words; }
};
struct Sign {
    __m512i operator()(__m512i words) const {
        const __m512i sign = _mm512_and_si512(words, _mm512_set1_epi16(INT16_MIN));
        return _mm512_or_si512(sign, _mm512_set1_epi16(0x3f80));
    }
};
struct Normal {
    Table table;
    __m512i operator()(__m512i words) const {
        const __m512i low = rounded(normal_of_low_halves(words, table));
        const __m512i high = rounded(normal_of_high_halves(words, table));
        constexpr __mmask32 kOddHalves = 0xaaaaaaaa;
        return _mm512_mask_blend_epi16(kOddHalves, _mm512_srli_epi32(low, 16), high);
    }
};

// (group, row) of eight counters that follow each other in a block, and the step to the next eight.
class Counters {
  public:
    explicit Counters(const RandomBlock& block)
        : first_(_mm512_set1_epi64(block.group0)),
          groups_(_mm512_set1_epi64(block.groups)),
          group_step_(_mm512_set1_epi64(8 % block.groups)),
          row_step_(_mm512_set1_epi64(8 / block.groups)) {
        alignas(64) int64_t group[8], row[8];
        for (int64_t lane = 0; lane < 8; ++lane) {
            group[lane] = lane % block.groups;
            row[lane] = block.row0 + lane / block.groups;
        }
        group_ = _mm512_load_si512(group);
        row_ = _mm512_load_si512(row);
    }
    __m512i group() const { return _mm512_add_epi64(first_, group_); }
    __m512i row() const { return row_; }
    void advance() {
        const __m512i one = _mm512_set1_epi64(1);
        group_ = _mm512_add_epi64(group_, group_step_);
        const __mmask8 wrapped = _mm512_cmpge_epi64_mask(group_, groups_);
        group_ = _mm512_mask_sub_epi64(group_, wrapped, group_, groups_);
        row_ = _mm512_add_epi64(row_, row_step_);
        row_ = _mm512_mask_add_epi64(row_, wrapped, row_, one);
    }

  private:
    __m512i first_, groups_, group_step_, row_step_, group_, row_;
};

// The upper half of each 64-bit lane in its lower half. A shuffle, for shifts share the one port
// that multiplies on many processors.
inline __m512i upper_words(__m512i lanes) { return _mm512_shuffle_epi32(lanes, _MM_PERM_DDBB); }

// The keys of all rounds, in memory: moving them from general registers would hold up the shuffles.
struct KeySchedule {
    uint64_t keys[kPhiloxRounds][2];

    explicit KeySchedule(const RandomStream& stream) {
        uint32_t key0 = stream.key0, key1 = stream.key1;
        for (auto& round : keys) {
            round[0] = key0;
            round[1] = key1;
            key0 += kPhiloxWeyl0;
            key1 += kPhiloxWeyl1;
        }
    }
};

// 64 halves in order: words 0 and 1 of eight counters in `front`, words 2 and 3 in `back`.
struct Words {
    __m512i front, back;
};

// Takes 8 * kChains counters. The products of a chain wait for each other, so several run abreast.
template <int kChains>
inline void philox(const RandomStream& stream, const KeySchedule& schedule, Counters& counters,
                   Words* words) {
    const __m512i multiplier0 = _mm512_set1_epi64(kPhiloxMultiplier0);
    const __m512i multiplier1 = _mm512_set1_epi64(kPhiloxMultiplier1);
    __m512i c0[kChains], c1[kChains], c2[kChains], c3[kChains];
    for (int i = 0; i < kChains; ++i) {
        c0[i] = counters.group();
        c1[i] = counters.row();
        c2[i] = _mm512_set1_epi64(stream.word2);
        c3[i] = _mm512_set1_epi64(stream.word3);
        counters.advance();
    }
    constexpr int kXor3 = 0x96;
    // Upper halves of lanes gather junk: the products read lower halves only.
    for (const auto& keys : schedule.keys) {
        const __m512i key0 = _mm512_set1_epi64(static_cast<int64_t>(keys[0]));
        const __m512i key1 = _mm512_set1_epi64(static_cast<int64_t>(keys[1]));
        for (int i = 0; i < kChains; ++i) {
            const __m512i product0 = _mm512_mul_epu32(c0[i], multiplier0);
            const __m512i product1 = _mm512_mul_epu32(c2[i], multiplier1);
            c0[i] = _mm512_ternarylogic_epi64(upper_words(product1), c1[i], key0, kXor3);
            c2[i] = _mm512_ternarylogic_epi64(upper_words(product0), c3[i], key1, kXor3);
            c1[i] = product1;
            c3[i] = product0;
        }
    }
    constexpr __mmask16 kOddWords = 0xaaaa;
    for (int i = 0; i < kChains; ++i) {
        words[i].front = _mm512_mask_blend_epi32(kOddWords, c0[i], _mm512_slli_epi64(c1[i], 32));
        words[i].back = _mm512_mask_blend_epi32(kOddWords, c2[i], _mm512_slli_epi64(c3[i], 32));
    }
}

// Stores the first `count` of 64 halves.
inline void store(const Words& words, int64_t count, uint16_t* out) {
    const __m512i first_four = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i last_four = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    const __m512i low = _mm512_permutex2var_epi64(words.front, first_four, words.back);
    const __m512i high = _mm512_permutex2var_epi64(words.front, last_four, words.back);
    if (count >= 64) {
        _mm512_storeu_si512(out, low);
        _mm512_storeu_si512(out + 32, high);
    } else if (count > 0) {
        const uint64_t mask = (uint64_t{1} << count) - 1;
        _mm512_mask_storeu_epi16(out, static_cast<__mmask32>(mask), low);
        _mm512_mask_storeu_epi16(out + 32, static_cast<__mmask32>(mask >> 32), high);
    }
}

template <class Transform>
void generate(const Transform& transform, RandomStream stream, const RandomBlock& block,
              uint16_t* out) {
    constexpr int kChains = 2;
    const KeySchedule schedule(stream);
    Counters counters(block);
    for (int64_t left = 8 * block.rows * block.groups; left > 0; left -= 64 * kChains) {
        Words words[kChains];
        philox<kChains>(stream, schedule, counters, words);
        for (int i = 0; i < kChains; ++i) {
            words[i] = {transform(words[i].front), transform(words[i].back)};
        }
        for (int i = 0; i < kChains; ++i) store(words[i], left - 64 * i, out + 64 * i);
        out += 64 * kChains;
    }
}

void block_avx512(Draw draw, const RandomStream& stream, const RandomBlock& block, uint16_t* out) {
    if (block.groups <= 0) return;
    if (draw == Draw::kBits) generate(Bits{}, stream, block, out);
    if (draw == Draw::kNormal) generate(Normal{}, stream, block, out);
    if (draw == Draw::kSign) generate(Sign{}, stream, block, out);
}

void normal_bf16_avx512(const uint16_t* bits, int64_t count, uint16_t* out) {
    const Normal transform;
    for (int64_t i = 0; i < count; i += 32) {
        _mm512_storeu_si512(out + i, transform(_mm512_loadu_si512(bits + i)));
    }
}

void normal_f32_avx512(const uint16_t* bits, int64_t count, float* out) {
    const Table table;
    for (int64_t i = 0; i < count; i += 16) {
        const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits + i));
        _mm512_storeu_si512(out + i, normal_of_low_halves(_mm512_cvtepu16_epi32(halves), table));
    }
}

}  // namespace

const ProjectionKernels kProjectionAvx512 = {block_avx512, normal_bf16_avx512, normal_f32_avx512};

}  // namespace compact
