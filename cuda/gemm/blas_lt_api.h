// The part of cuBLASLt's C interface that is used here, declared by hand: the library is opened at
// run time (blas_lt.cu), so that neither its headers nor the library itself is needed. Values and
// layouts are those of versions 11 to 13.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/simt/gpu.h"

namespace compact::lt {

using Status = int;
using Handle = void*;
using MatmulDescription = void*;
using MatrixLayout = void*;
using Preference = void*;

struct Algorithm {
    uint64_t data[8];
};

struct HeuristicResult {
    Algorithm algorithm;
    size_t workspace_bytes;
    Status state;
    float waves_count;
    int reserved[4];
};
static_assert(sizeof(HeuristicResult) == 96);

constexpr Status kSuccess = 0, kNotSupported = 15;

// cudaDataType, cublasComputeType_t, cublasOperation_t
constexpr int kFloat32 = 0, kBFloat16 = 14;
constexpr int kComputeFloat32 = 68;
constexpr int32_t kTranspose = 1;

// Attributes of a description, and of a preference.
constexpr int kTransposeA = 3, kTransposeB = 4;
constexpr int kMaxWorkspaceBytes = 1;

// Name in the library, name here, result, arguments.
#define COMPACT_LT_FUNCTIONS(X)                                                             \
    X(cublasLtCreate, create, Status, (Handle*))                                            \
    X(cublasLtDestroy, destroy, Status, (Handle))                                           \
    X(cublasLtGetVersion, version, size_t, ())                                              \
    X(cublasLtMatmulDescCreate, create_description, Status, (MatmulDescription*, int, int)) \
    X(cublasLtMatmulDescDestroy, destroy_description, Status, (MatmulDescription))          \
    X(cublasLtMatmulDescSetAttribute, set_description, Status,                              \
      (MatmulDescription, int, const void*, size_t))                                        \
    X(cublasLtMatrixLayoutCreate, create_layout, Status,                                    \
      (MatrixLayout*, int, uint64_t, uint64_t, int64_t))                                    \
    X(cublasLtMatrixLayoutDestroy, destroy_layout, Status, (MatrixLayout))                  \
    X(cublasLtMatmulPreferenceCreate, create_preference, Status, (Preference*))             \
    X(cublasLtMatmulPreferenceDestroy, destroy_preference, Status, (Preference))            \
    X(cublasLtMatmulPreferenceSetAttribute, set_preference, Status,                         \
      (Preference, int, const void*, size_t))                                               \
    X(cublasLtMatmulAlgoGetHeuristic, find_algorithms, Status,                              \
      (Handle, MatmulDescription, MatrixLayout, MatrixLayout, MatrixLayout, MatrixLayout,   \
       Preference, int, HeuristicResult*, int*))                                            \
    X(cublasLtMatmul, matmul, Status,                                                       \
      (Handle, MatmulDescription, const void*, const void*, MatrixLayout, const void*,      \
       MatrixLayout, const void*, const void*, MatrixLayout, void*, MatrixLayout,           \
       const Algorithm*, void*, size_t, cudaStream_t))

struct Api {
#define COMPACT_LT_MEMBER(symbol, name, result, arguments) result(*name) arguments = nullptr;
    COMPACT_LT_FUNCTIONS(COMPACT_LT_MEMBER)
#undef COMPACT_LT_MEMBER
};

}  // namespace compact::lt
