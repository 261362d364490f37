// divideByNorm: y = factor x / max(norm, epsilon), with the norm of the matrix or of each column or
// row. Squares are added in fp32: of a row along it, of a column over fixed chunks of rows, then in
// order; those of the columns in fp64 for the matrix.
#include <cmath>

#include "native/backend/op_checks.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/row_reduction.h"

namespace compact::COMPACT_ISA {
namespace {

enum Of : int { kMatrix = 0, kColumns = 1, kRows = 2 };

Of norms_of(const CpCall& call) { return static_cast<Of>(attribute(call, "of")); }

CpStatus check(const CpCall* call, CpError* error) {
    return check_norms(call, "divideByNorm", error);
}

// Partial sums, then the sums of the columns.
int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    if (norms_of(*call) == kRows) return 0;
    const int64_t rows = call->inputs[0].shape[0], columns = call->inputs[0].shape[1];
    return reduction_workspace_bytes(rows, columns) + aligned(columns * 4);
}

// Sums of the squares of each column.
float* column_squares(CpDevice& device, const CpCall& call) {
    const CpTensor& input = call.inputs[0];
    const int64_t rows = input.shape[0], columns = input.shape[1];
    const int64_t chunk_rows = reduction_chunk_rows(rows);
    with_dtype(input.dtype, [&](auto type) {
        const auto* x = data<decltype(type)>(input);
        for_chunks(device, rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
            float* partial = partial_sum(call.workspace, begin / chunk_rows, columns);
            std::fill_n(partial, columns, 0.0f);
            for (int64_t row = begin; row < end; ++row) {
                const auto* from = x + row * columns;
                for_lanes(columns, [=](int64_t i, auto lanes) {
                    const Vec value = load(from + i, lanes);
                    store(partial + i, fma(value, value, load(partial + i, lanes)), lanes);
                });
            }
        });
    });
    float* squares = partial_sum(call.workspace, num_chunks(rows, chunk_rows), columns);
    CpTensor output{};
    output.data = squares;
    output.dtype = CP_F32;
    output.num_dims = 1;
    output.shape[0] = columns;
    reduce_partial_sums(device, call.workspace, rows, output, false);
    return squares;
}

// What a norm divides by.
struct Scaling {
    double factor, epsilon;

    // NaN stays.
    float operator()(double square) const {
        const double norm = std::sqrt(square);
        return static_cast<float>(factor / (norm < epsilon ? epsilon : norm));
    }
};

// Each row by its own norm. y may be x.
void divide_rows(CpDevice& device, const CpCall& call, Scaling scaling) {
    const CpTensor &input = call.inputs[0], &output = call.outputs[0];
    const int64_t rows = input.shape[0], columns = input.shape[1];
    with_dtype(input.dtype, [&](auto input_type) {
        with_dtype(output.dtype, [&](auto output_type) {
            const auto* x = data<decltype(input_type)>(input);
            auto* y = data<decltype(output_type)>(output);
            for_chunks(device, rows, rows_per_chunk(columns), [=](int64_t begin, int64_t end, int) {
                for (int64_t row = begin; row < end; ++row) {
                    const int64_t at = row * columns;
                    Vec squares = splat(0.0f);
                    for_lanes(columns, [&](int64_t i, auto lanes) {
                        const Vec value = load(x + at + i, lanes);
                        squares = fma(value, value, squares);
                    });
                    const Vec scale = splat(scaling(sum(squares)));
                    for_lanes(columns, [=](int64_t i, auto lanes) {
                        store(y + at + i, load(x + at + i, lanes) * scale, lanes);
                    });
                }
            });
        });
    });
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &input = call->inputs[0], &output = call->outputs[0];
    const int64_t rows = input.shape[0], columns = input.shape[1];
    const Scaling scaling = {attribute(*call, "factor"), attribute(*call, "epsilon")};
    if (norms_of(*call) == kRows) {
        divide_rows(*device, *call, scaling);
        return CP_OK;
    }
    float* factors = column_squares(*device, *call);
    if (norms_of(*call) == kColumns) {
        for (int64_t i = 0; i < columns; ++i) factors[i] = scaling(factors[i]);
    } else {
        double square = 0.0;
        for (int64_t i = 0; i < columns; ++i) square += factors[i];
        std::fill_n(factors, columns, scaling(square));
    }
    with_dtype(input.dtype, [&](auto input_type) {
        with_dtype(output.dtype, [&](auto output_type) {
            const auto* x = data<decltype(input_type)>(input);
            auto* y = data<decltype(output_type)>(output);
            for_chunks(*device, rows, rows_per_chunk(columns),
                       [=](int64_t begin, int64_t end, int) {
                           for (int64_t row = begin; row < end; ++row) {
                               const int64_t at = row * columns;
                               for_lanes(columns, [=](int64_t i, auto lanes) {
                                   store(y + at + i,
                                         load(x + at + i, lanes) * load(factors + i, lanes), lanes);
                               });
                           }
                       });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kDivideByNormOp = {"divideByNorm", workspace_bytes, check, run};

}  // namespace compact::COMPACT_ISA
