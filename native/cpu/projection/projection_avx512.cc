// Eight Philox counters at a time, one per 64-bit lane; their 64 numbers leave in order.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "native/base/normal.h"
#include "native/base/philox.h"
#include "native/cpu/projection/projection_kernels.h"

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

// The upper half of each 64-bit lane in its lower half. A shuffle, for shifts share the one port
// that multiplies on many processors.
inline __m512i upper_words(__m512i lanes) { return _mm512_shuffle_epi32(lanes, _MM_PERM_DDBB); }

inline __m512i words64(uint32_t word) { return _mm512_set1_epi64(word); }

constexpr int kXor3 = 0x96;

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
    __m512i operator()(int round, int word) const {
        return _mm512_set1_epi64(static_cast<int64_t>(keys[round][word]));
    }
};

// Up to eight neighbouring groups. A vector has their counters of one row, or of as many rows as
// there is room for. Row by row, the first four stand in even lanes and the others in odd ones,
// from where their numbers come out in order.
struct Stripe {
    int64_t groups, padded_groups, rows;  // rows of a vector
    __m512i group, row;                   // of each lane, the latter from 0

    Stripe(int64_t first, int64_t count) : groups(count) {
        const int shift = count > 4 ? 3 : count > 2 ? 2 : count > 1 ? 1 : 0;
        padded_groups = int64_t{1} << shift;
        rows = 8 / padded_groups;
        const __m512i number_in_lane = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
        group = _mm512_add_epi64(
            _mm512_set1_epi64(first),
            _mm512_and_si512(number_in_lane, _mm512_set1_epi64(padded_groups - 1)));
        row = _mm512_srl_epi64(number_in_lane, _mm_cvtsi32_si128(shift));
    }
};

// 64 halves in order.
struct Numbers {
    __m512i low, high;
};

// Philox for the rows of a stripe. Of the counter (group, row, word2, word3) two words are the same
// everywhere, so half of the first three rounds depends on the group alone or on the row alone: the
// former is done once a stripe, and 16 products of 20 are left for a vector.
class Philox {
  public:
    Philox(const RandomStream& stream, const KeySchedule& keys, const Stripe& stripe)
        : keys_(keys),
          multiplier0_(words64(kPhiloxMultiplier0)),
          multiplier1_(words64(kPhiloxMultiplier1)) {
        const uint64_t fixed = uint64_t{kPhiloxMultiplier1} * stream.word2;
        mixed_row_ = words64(static_cast<uint32_t>(fixed >> 32) ^ stream.key0);
        const __m512i product0 = _mm512_mul_epu32(stripe.group, multiplier0_);
        const __m512i group2 = _mm512_ternarylogic_epi64(upper_words(product0),
                                                         words64(stream.word3), keys(0, 1), kXor3);
        second2_ = _mm512_xor_si512(product0, keys(1, 1));
        const __m512i product1 = _mm512_mul_epu32(group2, multiplier1_);
        const __m512i second0 = _mm512_ternarylogic_epi64(
            upper_words(product1), words64(static_cast<uint32_t>(fixed)), keys(1, 0), kXor3);
        third0_ = _mm512_xor_si512(product1, keys(2, 0));
        third3_ = _mm512_mul_epu32(second0, multiplier0_);
        third2_ = _mm512_xor_si512(upper_words(third3_), keys(2, 1));
    }

    // The products of a chain wait for each other, so several run abreast.
    template <int kChains>
    void operator()(const __m512i (&rows)[kChains], Numbers (&numbers)[kChains]) const {
        __m512i c0[kChains], c1[kChains], c2[kChains], c3[kChains];
        // Upper halves of lanes gather junk: the products read lower halves only.
        for (int i = 0; i < kChains; ++i) {
            const __m512i row = _mm512_xor_si512(rows[i], mixed_row_);
            const __m512i product0 = _mm512_mul_epu32(row, multiplier0_);
            c2[i] = _mm512_xor_si512(upper_words(product0), second2_);
            const __m512i product1 = _mm512_mul_epu32(c2[i], multiplier1_);
            c0[i] = _mm512_xor_si512(upper_words(product1), third0_);
            c1[i] = product1;
            c2[i] = _mm512_xor_si512(product0, third2_);
            c3[i] = third3_;
        }
        for (int round = 3; round < kPhiloxRounds; ++round) {
            const __m512i key0 = keys_(round, 0), key1 = keys_(round, 1);
            for (int i = 0; i < kChains; ++i) {
                const __m512i product0 = _mm512_mul_epu32(c0[i], multiplier0_);
                const __m512i product1 = _mm512_mul_epu32(c2[i], multiplier1_);
                c0[i] = _mm512_ternarylogic_epi64(upper_words(product1), c1[i], key0, kXor3);
                c2[i] = _mm512_ternarylogic_epi64(upper_words(product0), c3[i], key1, kXor3);
                c1[i] = product1;
                c3[i] = product0;
            }
        }
        constexpr __mmask16 kOddWords = 0xaaaa;
        for (int i = 0; i < kChains; ++i) {
            const __m512i front = _mm512_mask_shuffle_epi32(c0[i], kOddWords, c1[i], _MM_PERM_CCAA);
            const __m512i back = _mm512_mask_shuffle_epi32(c2[i], kOddWords, c3[i], _MM_PERM_CCAA);
            numbers[i] = {_mm512_unpacklo_epi64(front, back), _mm512_unpackhi_epi64(front, back)};
        }
    }

  private:
    const KeySchedule& keys_;
    __m512i multiplier0_, multiplier1_;
    // Words of the second and third round that do not depend on the row, with their keys.
    __m512i mixed_row_, second2_, third0_, third2_, third3_;
};

inline __mmask32 first_halves(int64_t count) {
    return count >= 32 ? 0xffffffffu : (1u << (count < 0 ? 0 : count)) - 1u;
}

// Stores the rows of one vector, `rows` of them at most, `row_halves` apart.
inline void store(const Numbers& numbers, const Stripe& stripe, int64_t rows, int64_t row_halves,
                  uint16_t* out) {
    const int64_t halves = 8 * stripe.groups;
    if (stripe.padded_groups == 8) {
        if (rows <= 0) return;
        _mm512_storeu_si512(out, numbers.low);
        _mm512_mask_storeu_epi16(out + 32, first_halves(halves - 32), numbers.high);
    } else if (stripe.padded_groups == 4) {
        const __mmask32 inside = first_halves(halves);
        if (rows > 0) _mm512_mask_storeu_epi16(out, inside, numbers.low);
        if (rows > 1) _mm512_mask_storeu_epi16(out + row_halves, inside, numbers.high);
    } else {
        alignas(64) uint16_t all[64];
        _mm512_store_si512(all, numbers.low);
        _mm512_store_si512(all + 32, numbers.high);
        for (int64_t row = 0; row < std::min(rows, stripe.rows); ++row) {
            std::memcpy(out + row * row_halves, all + row * 8 * stripe.padded_groups,
                        static_cast<size_t>(halves) * sizeof(uint16_t));
        }
    }
}

template <class Transform>
void generate(const Transform& transform, const RandomStream& stream, const RandomBlock& block,
              uint16_t* out) {
    constexpr int kChains = 3;
    const KeySchedule keys(stream);
    const int64_t row_halves = 8 * block.groups;
    for (int64_t group = 0; group < block.groups; group += 8, out += 64) {
        const Stripe stripe(block.group0 + group, std::min<int64_t>(8, block.groups - group));
        const Philox philox(stream, keys, stripe);
        for (int64_t done = 0; done < block.rows; done += kChains * stripe.rows) {
            __m512i rows[kChains];
            Numbers numbers[kChains];
            for (int i = 0; i < kChains; ++i) {
                rows[i] = _mm512_add_epi64(stripe.row,
                                           _mm512_set1_epi64(block.row0 + done + i * stripe.rows));
            }
            philox(rows, numbers);
            for (int i = 0; i < kChains; ++i) {
                const int64_t row = done + i * stripe.rows;
                store({transform(numbers[i].low), transform(numbers[i].high)}, stripe,
                      block.rows - row, row_halves, out + row * row_halves);
            }
        }
    }
}

void block_avx512(Draw draw, const RandomStream& stream, const RandomBlock& block, uint16_t* out) {
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
