// Refusals of products that their signatures cannot say. The same for every backend.
#pragma once

#include "native/backend/op_checks.h"

namespace compact {

// c (m, n) = op(a) op(b) over k
struct MatmulShape {
    int64_t m, n, k;
    bool transpose_a, transpose_b;

    explicit MatmulShape(const CpCall& call)
        : transpose_a(attribute(call, "transposeA") != 0.0),
          transpose_b(attribute(call, "transposeB") != 0.0) {
        const CpTensor &a = call.inputs[0], &b = call.inputs[1];
        m = a.shape[transpose_a ? 1 : 0];
        k = a.shape[transpose_a ? 0 : 1];
        n = b.shape[transpose_b ? 0 : 1];
    }
};

// Where the sum of the squares of c goes; null where it is not wanted.
inline float* squares_of_matmul(const CpCall& call) {
    if (!present(call.inputs[3])) return nullptr;
    return static_cast<float*>(call.outputs[1].data) +
           static_cast<int64_t>(attribute(call, "squaresIndex"));
}

inline CpStatus check_matmul(const CpCall* call, CpError* error) {
    int64_t transpose_a = 0, transpose_b = 0;
    if (constant_integer(*call, "matmul", "transposeA", 0, &transpose_a, error) != CP_OK ||
        constant_integer(*call, "matmul", "transposeB", 0, &transpose_b, error) != CP_OK) {
        return CP_FAILED;
    }
    const MatmulShape shape(*call);
    const int64_t found = call->inputs[1].shape[shape.transpose_b ? 1 : 0];
    if (found != shape.k) {
        return fail_shape(error, "matmul", message("b with an inner size of %lld", shape.k),
                          message("%lld", found));
    }
    const CpTensor& c = call->outputs[0];
    if (c.shape[0] != shape.m || c.shape[1] != shape.n) {
        return fail_shape(error, "matmul", message("c (%lld, %lld)", shape.m, shape.n),
                          message("(%lld, %lld)", c.shape[0], c.shape[1]));
    }
    if (!present(call->inputs[3])) return CP_OK;
    int64_t index = 0;
    if (constant_integer(*call, "matmul", "squaresIndex", 0, &index, error) != CP_OK) {
        return CP_FAILED;
    }
    const int64_t count = num_elements(call->inputs[3]);
    if (index >= count) return fail_index(error, "matmul", "a squaresIndex", count, index, 0);
    return CP_OK;
}

inline CpStatus check_distribution(const CpCall* call, const char* op, CpError* error) {
    int64_t distribution = 0;
    if (constant_integer(*call, op, "distribution", 0, &distribution, error) != CP_OK) {
        return CP_FAILED;
    }
    if (distribution > 2) {
        return fail(error, "ERR_COMPACT_ARGUMENT", op, "distribution 0, 1 or 2",
                    message("%lld", distribution).text);
    }
    return CP_OK;
}

inline CpStatus check_project(const CpCall* call, CpError* error) {
    return check_distribution(call, "project", error);
}

inline CpStatus check_project_left(const CpCall* call, CpError* error) {
    return check_distribution(call, "projectLeft", error);
}

inline CpStatus check_project_back_update(const CpCall* call, CpError* error) {
    return check_distribution(call, "projectBackUpdate", error);
}

inline CpStatus check_project_back_update_int8(const CpCall* call, CpError* error) {
    const char* op = "projectBackUpdateInt8";
    if (check_distribution(call, op, error) != CP_OK) return CP_FAILED;
    return check_groups(call, op, call->inputs[0], call->inputs[1], error);
}

inline CpStatus check_project_transfer(const CpCall* call, CpError* error) {
    int64_t rows = 0;
    if (constant_integer(*call, "projectTransfer", "rows", 1, &rows, error) != CP_OK) {
        return CP_FAILED;
    }
    return check_distribution(call, "projectTransfer", error);
}

inline CpStatus check_orthonormalize(const CpCall* call, CpError* error) {
    const int64_t rows = call->inputs[0].shape[0], columns = call->inputs[0].shape[1];
    if (columns <= rows) return CP_OK;
    return fail_shape(error, "orthonormalize", message("at most %lld columns", rows),
                      message("%lld", columns));
}

}  // namespace compact
