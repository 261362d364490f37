// channelFactors: for each channel of a gradient, the length of the direction of its compressed
// gradient over the length of that, so that the whole step grows by a limited factor at most.
#include "native/base/channel_factors.h"

#include "native/backend/channel_checks.h"
#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

constexpr int64_t kColumnsOfTask = 64;

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    return aligned(channel_sums(*call) * static_cast<int64_t>(sizeof(double)));
}

// squares[i] = sum of the squares of row i
template <class T>
void row_squares(CpDevice& device, const CpTensor& matrix, double* squares) {
    const int64_t rows = matrix.shape[0], columns = matrix.shape[1];
    const T* x = data<T>(matrix);
    for_chunks(device, rows, rows_per_chunk(columns), [=](int64_t begin, int64_t end, int) {
        for (int64_t row = begin; row < end; ++row) {
            SquareSum sum;
            for_lanes(columns,
                      [&](int64_t i, auto lanes) { sum.add(load(x + row * columns + i, lanes)); });
            squares[row] = sum.total();
        }
    });
}

// squares[i] = sum of the squares of column i
template <class T>
void column_squares(CpDevice& device, const CpTensor& matrix, double* squares) {
    const int64_t rows = matrix.shape[0], columns = matrix.shape[1];
    const T* x = data<T>(matrix);
    for_chunks(device, columns, kColumnsOfTask, [=](int64_t begin, int64_t end, int) {
        float sums[kColumnsOfTask] = {};
        for (int64_t row = 0; row < rows; ++row) {
            const T* from = x + row * columns + begin;
            for_lanes(end - begin, [&](int64_t i, auto lanes) {
                const Vec value = load(from + i, lanes);
                store(sums + i, fma(value, value, load(sums + i, lanes)), lanes);
            });
        }
        for (int64_t i = begin; i < end; ++i) squares[i] = sums[i - begin];
    });
}

void channel_squares(CpDevice& device, const CpTensor& matrix, int64_t axis, double* squares) {
    with_dtype(matrix.dtype, [&](auto type) {
        using T = decltype(type);
        if (axis == kColumnChannels) {
            column_squares<T>(device, matrix, squares);
        } else {
            row_squares<T>(device, matrix, squares);
        }
    });
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const int64_t axis = channel_axis(*call);
    double* sums[3];
    double* next = static_cast<double*>(call->workspace);
    for (int i = 0; i < 3; ++i) {  // gradient, compressed, direction
        const int64_t count = channel_sums(call->inputs[i], axis);
        channel_squares(*device, call->inputs[i], axis, next);
        sums[i] = next;
        next += count;
        if (axis != kOneChannel) continue;
        for (int64_t row = 1; row < count; ++row) sums[i][0] += sums[i][row];
    }
    const ChannelScaling scaling = {attribute(*call, "epsilon"), attribute(*call, "growthLimit")};
    const double clipping = gradient_scale(call->inputs[4]);
    float* factors = data<float>(call->outputs[0]);
    float& previous_norm = *data<float>(call->outputs[1]);
    const int64_t channels = num_elements(call->outputs[0]);
    double square = 0.0;
    for (int64_t i = 0; i < channels; ++i) {
        const double factor = channel_factor(sums[1][i], sums[2][i], clipping, scaling);
        factors[i] = static_cast<float>(factor);
        square += factor * factor * sums[0][i];
    }
    const double norm = std::sqrt(square);
    const double limiter = growth_limiter(norm, previous_norm, scaling);
    for (int64_t i = 0; i < channels; ++i) {
        factors[i] = static_cast<float>(factors[i] / limiter);
    }
    previous_norm = static_cast<float>(norm / limiter);
    return CP_OK;
}

}  // namespace

const CpOp kChannelFactorsOp = {"channelFactors", workspace_bytes, check_channel_factors, run};

}  // namespace compact::COMPACT_ISA
