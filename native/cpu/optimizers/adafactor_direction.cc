// adafactorDirection: the second moment of a gradient (rows, columns) as running means of the
// squares of its rows and columns, of which the direction is g / sqrt(row column / mean of rows),
// limited in its root mean square.
// Shazeer, Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018.
#include <cmath>

#include "native/backend/state_checks.h"
#include "native/base/factored_moment.h"
#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/row_reduction.h"

namespace compact::COMPACT_ISA {
namespace {

// Parts of the workspace: partial sums of columns, then factors of rows and columns, then sums of
// squares of every chunk of the direction and of the parameter.
struct Scratch {
    float *row_factors, *column_factors;
    double *direction_sums, *parameter_sums;
    int64_t bytes;

    Scratch(void* workspace, int64_t rows, int64_t columns, int64_t parameter_elements) {
        int64_t at = reduction_workspace_bytes(rows, columns);
        const auto take = [&](int64_t size) {
            char* part = workspace == nullptr ? nullptr : static_cast<char*>(workspace) + at;
            at += aligned(size);
            return static_cast<void*>(part);
        };
        row_factors = static_cast<float*>(take(rows * 4));
        column_factors = static_cast<float*>(take(columns * 4));
        direction_sums = static_cast<double*>(take(num_chunks(rows, rows_per_chunk(columns)) * 8));
        parameter_sums =
            static_cast<double*>(take(num_chunks(parameter_elements, kChunkElements) * 8));
        bytes = at;
    }
};

int64_t parameter_elements(const CpCall& call) {
    return present(call.inputs[3]) ? num_elements(call.inputs[3]) : 0;
}

Scratch scratch_of(const CpCall& call) {
    return {call.workspace, num_elements(call.inputs[1]), num_elements(call.inputs[2]),
            parameter_elements(call)};
}

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    return Scratch(nullptr, num_elements(call->inputs[1]), num_elements(call->inputs[2]),
                   parameter_elements(*call))
        .bytes;
}

double total_of(const double* sums, int64_t count) {
    double total = 0.0;
    for (int64_t i = 0; i < count; ++i) total += sums[i];
    return total;
}

// Moves the means of rows and adds up the squares of columns in partial sums.
template <class G>
void move_rows(CpDevice& device, const CpCall& call, const G* g, Vec scale, double decay) {
    float* means = data<float>(call.inputs[1]);
    const int64_t rows = num_elements(call.inputs[1]), columns = num_elements(call.inputs[2]);
    const int64_t chunk_rows = reduction_chunk_rows(rows);
    const double epsilon = attribute(call, "epsilon");
    for_chunks(device, rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
        float* partial = partial_sum(call.workspace, begin / chunk_rows, columns);
        std::fill_n(partial, columns, 0.0f);
        for (int64_t row = begin; row < end; ++row) {
            SquareSum squares;
            for_lanes(columns, [&](int64_t i, auto lanes) {
                const Vec x = load(g + row * columns + i, lanes) * scale;
                squares.add(x);
                store(partial + i, load(partial + i, lanes) + x * x, lanes);
            });
            const double mean = squares.total() / static_cast<double>(columns) + epsilon;
            means[row] = moved_mean(means[row], mean, decay);
        }
    });
}

void move_columns(CpDevice& device, const CpCall& call, double decay, float* factors) {
    float* means = data<float>(call.inputs[2]);
    const int64_t rows = num_elements(call.inputs[1]), columns = num_elements(call.inputs[2]);
    const int64_t chunks = num_chunks(rows, reduction_chunk_rows(rows));
    const double epsilon = attribute(call, "epsilon");
    for_chunks(device, columns, 512, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) {
            double total = 0.0;
            for (int64_t chunk = 0; chunk < chunks; ++chunk) {
                total += partial_sum(call.workspace, chunk, columns)[i];
            }
            means[i] = moved_mean(means[i], total / static_cast<double>(rows) + epsilon, decay);
            factors[i] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(means[i])));
        }
    });
}

void find_row_factors(const CpTensor& rows, float* factors) {
    const float* means = data<float>(rows);
    const int64_t count = num_elements(rows);
    double total = 0.0;
    for (int64_t i = 0; i < count; ++i) total += means[i];
    const double mean = total / static_cast<double>(count);
    for (int64_t i = 0; i < count; ++i) factors[i] = static_cast<float>(std::sqrt(mean / means[i]));
}

double parameter_scale(CpDevice& device, const CpCall& call, double* sums) {
    const CpTensor& parameter = call.inputs[3];
    if (!present(parameter)) return 1.0;
    const int64_t count = num_elements(parameter);
    with_dtype(parameter.dtype, [&](auto type) {
        const auto* w = data<decltype(type)>(parameter);
        for_chunks(device, count, kChunkElements, [=](int64_t begin, int64_t end, int) {
            SquareSum squares;
            for_lanes(end - begin,
                      [&](int64_t i, auto lanes) { squares.add(load(w + begin + i, lanes)); });
            sums[begin / kChunkElements] = squares.total();
        });
    });
    const double total = total_of(sums, num_chunks(count, kChunkElements));
    return std::fmax(attribute(call, "leastParameter"),
                     std::sqrt(total / static_cast<double>(count)));
}

CpStatus check(const CpCall* call, CpError* error) {
    return check_factored_moment("adafactorDirection", call->inputs[0], call->inputs[1],
                                 call->inputs[2], error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &gradient = call->inputs[0], &direction = call->outputs[0];
    const int64_t rows = num_elements(call->inputs[1]), columns = num_elements(call->inputs[2]);
    const Scratch scratch = scratch_of(*call);
    const float *row_factors = scratch.row_factors, *column_factors = scratch.column_factors;
    const Vec scale = splat(gradient_scale(call->inputs[4]));
    const double decay = moment_decay(*call);
    const int64_t chunk_rows = rows_per_chunk(columns);
    with_dtype(gradient.dtype, [&](auto gradient_type) {
        const auto* g = data<decltype(gradient_type)>(gradient);
        move_rows(*device, *call, g, scale, decay);
        move_columns(*device, *call, decay, scratch.column_factors);
        find_row_factors(call->inputs[1], scratch.row_factors);
        // Both passes over the direction compute it from the gradient, which is there anyway.
        const auto unclipped = [=](int64_t row, int64_t i, auto lanes) {
            return load(g + row * columns + i, lanes) * scale *
                   (splat(row_factors[row]) * load(column_factors + i, lanes));
        };
        for_chunks(*device, rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
            SquareSum squares;
            for (int64_t row = begin; row < end; ++row) {
                for_lanes(columns,
                          [&](int64_t i, auto lanes) { squares.add(unclipped(row, i, lanes)); });
            }
            scratch.direction_sums[begin / chunk_rows] = squares.total();
        });
        const double total = total_of(scratch.direction_sums, num_chunks(rows, chunk_rows));
        const double rms = std::sqrt(total / static_cast<double>(rows * columns));
        const Vec factor =
            splat(static_cast<float>(parameter_scale(*device, *call, scratch.parameter_sums) /
                                     at_least_one(rms / attribute(*call, "clipThreshold"))));
        with_dtype(direction.dtype, [&](auto direction_type) {
            auto* d = data<decltype(direction_type)>(direction);
            for_chunks(*device, rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
                for (int64_t row = begin; row < end; ++row) {
                    for_lanes(columns, [&](int64_t i, auto lanes) {
                        store(d + row * columns + i, unclipped(row, i, lanes) * factor, lanes);
                    });
                }
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kAdafactorDirectionOp = {"adafactorDirection", workspace_bytes, check, run};

}  // namespace compact::COMPACT_ISA
