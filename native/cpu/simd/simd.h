// Vectors of floats for the instruction set that a file is compiled for.
//
// Op files are compiled once per instruction set, in the namespace COMPACT_ISA (scalar, avx2 or
// avx512). Every set offers the same names: Vec with kWidth lanes, Mask, loads and stores of f32
// and bf16 (whole vectors or the first few lanes), arithmetic, and conversions. Functions of more
// than one instruction stand in simd_math.h, written once over these.
//
// Comparisons with NaN are false, and `max(a, b)`, `min(a, b)` give `b` when either is NaN.
#pragma once

#include <cstdint>

#include "native/base/bf16.h"

namespace compact::COMPACT_ISA {

// Storage of a bf16 number: the upper half of an fp32.
struct BFloat16 {
    uint16_t bits;
};

// Which lanes of a vector take part in a load or store.
struct AllLanes {};
struct FirstLanes {
    int count;  // 1 ... kWidth - 1
};

}  // namespace compact::COMPACT_ISA

#if defined(COMPACT_ISA_AVX512)
#include "native/cpu/simd/simd_avx512.h"
#elif defined(COMPACT_ISA_AVX2)
#include "native/cpu/simd/simd_avx2.h"
#else
#include "native/cpu/simd/simd_portable.h"
#endif

#include "native/cpu/simd/simd_math.h"
