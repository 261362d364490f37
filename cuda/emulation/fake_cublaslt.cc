// Stands in for cuBLASLt on the emulation: the functions that cuda/gemm/blas_lt.cu looks for, with
// the same values and layouts, computing in fp64. It is strict where the library is, so that what
// the emulation accepts has a fair chance on a GPU.
#include <cstdint>
#include <cstring>
#include <vector>

#include "cuda/gemm/blas_lt_api.h"
#include "native/base/bf16.h"

namespace {

using namespace compact;
using namespace compact::lt;

constexpr Status kInvalidValue = 7;
constexpr int64_t kRefusedInner = 77;  // a shape for which it knows no algorithm

struct Description {
    int32_t transpose_a = 0, transpose_b = 0;
};
struct Layout {
    int type;
    int64_t rows, columns, stride;
};
struct Limits {
    uint64_t workspace_bytes = 0;
};

int num_heuristics = 0;

double element(const void* data, const Layout& layout, int64_t row, int64_t column) {
    const int64_t i = column * layout.stride + row;
    if (layout.type == kBFloat16) return bf16_to_float(static_cast<const uint16_t*>(data)[i]);
    return static_cast<const float*>(data)[i];
}

bool fits(const Description& how, const Layout& a, const Layout& b, const Layout& c) {
    const int64_t inner_a = how.transpose_a != 0 ? a.rows : a.columns;
    const int64_t inner_b = how.transpose_b != 0 ? b.columns : b.rows;
    return inner_a == inner_b && (how.transpose_a != 0 ? a.columns : a.rows) == c.rows &&
           (how.transpose_b != 0 ? b.rows : b.columns) == c.columns && a.type == b.type &&
           (c.type == a.type || c.type == kFloat32);
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int fake_num_heuristics() { return num_heuristics; }

EXPORT Status cublasLtCreate(Handle* handle) {
    *handle = new char;
    return kSuccess;
}
EXPORT Status cublasLtDestroy(Handle handle) {
    delete static_cast<char*>(handle);
    return kSuccess;
}
EXPORT size_t cublasLtGetVersion() { return 130100; }

EXPORT Status cublasLtMatmulDescCreate(MatmulDescription* out, int compute, int scale) {
    if (compute != kComputeFloat32 || scale != kFloat32) return kNotSupported;
    *out = new Description;
    return kSuccess;
}
EXPORT Status cublasLtMatmulDescDestroy(MatmulDescription description) {
    delete static_cast<Description*>(description);
    return kSuccess;
}
EXPORT Status cublasLtMatmulDescSetAttribute(MatmulDescription description, int attribute,
                                             const void* value, size_t bytes) {
    if (bytes != sizeof(int32_t)) return kInvalidValue;
    auto* how = static_cast<Description*>(description);
    if (attribute != kTransposeA && attribute != kTransposeB) return kInvalidValue;
    std::memcpy(attribute == kTransposeA ? &how->transpose_a : &how->transpose_b, value, bytes);
    return kSuccess;
}

EXPORT Status cublasLtMatrixLayoutCreate(MatrixLayout* out, int type, uint64_t rows,
                                         uint64_t columns, int64_t stride) {
    const auto count = static_cast<int64_t>(rows);
    if (stride < count || rows == 0 || columns == 0) return kInvalidValue;
    *out = new Layout{type, count, static_cast<int64_t>(columns), stride};
    return kSuccess;
}
EXPORT Status cublasLtMatrixLayoutDestroy(MatrixLayout layout) {
    delete static_cast<Layout*>(layout);
    return kSuccess;
}

EXPORT Status cublasLtMatmulPreferenceCreate(Preference* out) {
    *out = new Limits;
    return kSuccess;
}
EXPORT Status cublasLtMatmulPreferenceDestroy(Preference preference) {
    delete static_cast<Limits*>(preference);
    return kSuccess;
}
EXPORT Status cublasLtMatmulPreferenceSetAttribute(Preference preference, int attribute,
                                                   const void* value, size_t bytes) {
    if (attribute != kMaxWorkspaceBytes || bytes != sizeof(uint64_t)) return kInvalidValue;
    std::memcpy(&static_cast<Limits*>(preference)->workspace_bytes, value, bytes);
    return kSuccess;
}

EXPORT Status cublasLtMatmulAlgoGetHeuristic(Handle, MatmulDescription description, MatrixLayout a,
                                             MatrixLayout b, MatrixLayout c, MatrixLayout d,
                                             Preference preference, int wanted,
                                             HeuristicResult* results, int* num_results) {
    ++num_heuristics;
    const auto& how = *static_cast<Description*>(description);
    const auto& layout_a = *static_cast<Layout*>(a);
    *num_results = 0;
    if (wanted < 1 || c != d ||
        !fits(how, layout_a, *static_cast<Layout*>(b), *static_cast<Layout*>(c)))
        return kInvalidValue;
    if ((how.transpose_a != 0 ? layout_a.rows : layout_a.columns) == kRefusedInner)
        return kNotSupported;
    *results = {};
    results->algorithm.data[0] = 42;
    results->workspace_bytes = static_cast<Limits*>(preference)->workspace_bytes;
    *num_results = 1;
    return kSuccess;
}

EXPORT Status cublasLtMatmul(Handle, MatmulDescription description, const void* alpha,
                             const void* a, MatrixLayout layout_a, const void* b,
                             MatrixLayout layout_b, const void* beta, const void* c,
                             MatrixLayout layout_c, void* d, MatrixLayout layout_d,
                             const Algorithm* algorithm, void*, size_t, cudaStream_t) {
    if (algorithm->data[0] != 42 || c != d || layout_c != layout_d) return kInvalidValue;
    const auto& how = *static_cast<Description*>(description);
    const auto &x = *static_cast<Layout*>(layout_a), &y = *static_cast<Layout*>(layout_b);
    const auto& z = *static_cast<Layout*>(layout_c);
    const float scale = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
    const int64_t inner = how.transpose_a != 0 ? x.rows : x.columns;
    for (int64_t column = 0; column < z.columns; ++column) {
        for (int64_t row = 0; row < z.rows; ++row) {
            double sum = 0.0;
            for (int64_t k = 0; k < inner; ++k) {
                const double left =
                    how.transpose_a != 0 ? element(a, x, k, row) : element(a, x, row, k);
                const double right =
                    how.transpose_b != 0 ? element(b, y, column, k) : element(b, y, k, column);
                sum += left * right;
            }
            double result = scale * sum;
            if (keep != 0.0f) result += keep * element(c, z, row, column);
            const int64_t i = column * z.stride + row;
            if (z.type == kBFloat16) {
                static_cast<uint16_t*>(d)[i] = bf16_from_float(static_cast<float>(result));
            } else {
                static_cast<float*>(d)[i] = static_cast<float>(result);
            }
        }
    }
    return kSuccess;
}
