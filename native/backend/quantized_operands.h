// Quantised matrices among the operands of a call, and refusals of what their signatures cannot
// say. The same for every backend.
#pragma once

#include "native/backend/op_checks.h"
#include "native/base/quantized_matrix.h"

namespace compact {

// The exponent of a power of two. CUDA's compiler is run as C++17, which has no <bit>.
inline int exponent_of(int64_t power) {
    int exponent = 0;
    while ((int64_t{1} << exponent) < power) ++exponent;
    return exponent;
}

// Codes (rows, columns) and a scale for each group of `groupSize`, a power of two.
inline QuantizedMatrix int8_matrix(const CpCall& call, const CpTensor& codes,
                                   const CpTensor& scales) {
    QuantizedMatrix matrix;
    matrix.codes = codes.data;
    matrix.stride = codes.shape[1];
    matrix.group_shift = exponent_of(static_cast<int64_t>(attribute(call, "groupSize")));
    matrix.scales = static_cast<const float*>(scales.data);
    return matrix;
}

// Codes (rows, half the columns), magnitudes (spans, 256), ranges (spans, 2).
inline QuantizedMatrix nf4_matrix(const CpTensor& codes, const CpTensor& magnitudes,
                                  const CpTensor& ranges) {
    QuantizedMatrix matrix;
    matrix.codes = codes.data;
    matrix.stride = 2 * codes.shape[1];
    matrix.group_shift = exponent_of(kNf4Block);
    matrix.scales = static_cast<const float*>(ranges.data);
    matrix.magnitudes = static_cast<const uint8_t*>(magnitudes.data);
    return matrix;
}

// Bytes of NF4 codes in a row of so many columns.
inline int64_t nf4_row_bytes(int64_t columns) { return (columns + 1) / 2; }

// As many magnitudes and ranges as go with the codes.
inline CpStatus check_nf4(const char* op, const CpTensor& codes, const CpTensor& magnitudes,
                          CpError* error) {
    const int64_t spans = (2 * num_elements(codes) + kNf4Span - 1) / kNf4Span;
    if (magnitudes.shape[0] == spans) return CP_OK;
    return fail_shape(error, op, message("%lld rows of magnitudes and ranges", spans),
                      message("%lld", magnitudes.shape[0]));
}

// c (m, n) = a w, or a w^T, of a quantised w (rows, columns)
struct QuantizedProductShape {
    int64_t m, n, k;
    bool transposed;

    explicit QuantizedProductShape(const CpCall& call)
        : m(call.inputs[0].shape[0]),
          n(call.outputs[0].shape[1]),
          k(call.inputs[0].shape[1]),
          transposed(attribute(call, "transposeB") != 0.0) {}

    int64_t rows() const { return transposed ? n : k; }
    int64_t columns() const { return transposed ? k : n; }
};

// `row_bytes`: of codes, in a row of w.
inline CpStatus check_quantized_product(const CpCall* call, const char* op, int64_t row_bytes,
                                        CpError* error) {
    int64_t transposed = 0;
    if (constant_integer(*call, op, "transposeB", 0, &transposed, error) != CP_OK) return CP_FAILED;
    const int64_t rows = QuantizedProductShape(*call).rows();
    const CpTensor& codes = call->inputs[1];
    if (codes.shape[0] == rows && codes.shape[1] == row_bytes) return CP_OK;
    return fail_shape(error, op, message("codes (%lld, %lld)", rows, row_bytes),
                      message("(%lld, %lld)", codes.shape[0], codes.shape[1]));
}

// Codes and scales that int8_matrix() can be made of.
inline CpStatus check_int8(const CpCall* call, const char* op, const CpTensor& codes,
                           const CpTensor& scales, CpError* error) {
    if (check_groups(call, op, codes, scales, error) != CP_OK) return CP_FAILED;
    const auto group_size = static_cast<int64_t>(attribute(*call, "groupSize"));
    if (group_size > 0 && (group_size & (group_size - 1)) == 0) return CP_OK;
    return fail(error, "ERR_COMPACT_ARGUMENT", op, "a groupSize that is a power of two",
                message("%lld", group_size).text);
}

inline CpStatus check_matmul_int8(const CpCall* call, CpError* error) {
    if (check_int8(call, "matmulInt8", call->inputs[1], call->inputs[2], error) != CP_OK) {
        return CP_FAILED;
    }
    const int64_t columns = QuantizedProductShape(*call).columns();
    return check_quantized_product(call, "matmulInt8", columns, error);
}

inline CpStatus check_matmul_nf4(const CpCall* call, CpError* error) {
    const int64_t columns = QuantizedProductShape(*call).columns();
    if (check_nf4("matmulNf4", call->inputs[1], call->inputs[2], error) != CP_OK) return CP_FAILED;
    return check_quantized_product(call, "matmulNf4", nf4_row_bytes(columns), error);
}

inline CpStatus check_linear_cross_entropy_int8(const CpCall* call, const char* op,
                                                CpError* error) {
    if (check_int8(call, op, call->inputs[1], call->inputs[2], error) != CP_OK) return CP_FAILED;
    return check_linear_cross_entropy(call, op, error);
}

// quantizeNf4 and dequantizeNf4: weights (rows, columns), codes (rows, half the columns).
inline CpStatus check_nf4_matrix(const char* op, const CpTensor& weights, const CpTensor& codes,
                                 const CpTensor& magnitudes, CpError* error) {
    const int64_t row_bytes = nf4_row_bytes(weights.shape[1]);
    if (codes.shape[1] != row_bytes) {
        return fail_shape(error, op, message("%lld bytes of codes in a row", row_bytes),
                          message("%lld", codes.shape[1]));
    }
    return check_nf4(op, codes, magnitudes, error);
}

inline CpStatus check_quantize_nf4(const CpCall* call, CpError* error) {
    return check_nf4_matrix("quantizeNf4", call->inputs[0], call->outputs[0], call->outputs[1],
                            error);
}

inline CpStatus check_dequantize_nf4(const CpCall* call, CpError* error) {
    return check_nf4_matrix("dequantizeNf4", call->outputs[0], call->inputs[0], call->inputs[1],
                            error);
}

}  // namespace compact
