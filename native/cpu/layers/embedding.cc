// embedding: y[i] = table[ids[i]]; its gradient sums the rows of dy that share an id, for all rows
// of the table or some. embeddingInt8: the same of a table in int8 groups.
//
// The gradient is deterministic: a counting sort lists the positions of each id in ascending order,
// and each row of the table belongs to one task, which sums its rows in that order.
#include <cstring>

#include "native/backend/quantized_operands.h"
#include "native/cpu/quantization/decode.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus check_ids(const char* op, const int32_t* ids, int64_t count, int64_t vocab,
                   CpError* error) {
    for (int64_t i = 0; i < count; ++i) {
        if (ids[i] < 0 || ids[i] >= vocab) return fail_index(error, op, "ids", vocab, ids[i], i);
    }
    return CP_OK;
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor &table = call->inputs[0], &output = call->outputs[0];
    const int32_t* ids = data<int32_t>(call->inputs[1]);  // (tokens)
    const int64_t tokens = output.shape[0], vocab = table.shape[0];
    if (check_ids("embedding", ids, tokens, vocab, error) != CP_OK) return CP_FAILED;
    const int64_t row_bytes = table.shape[1] * dtype_bytes(table.dtype);
    const char* from = data<char>(table);  // (vocab, width)
    char* to = data<char>(output);         // (tokens, width)
    for_chunks(*device, tokens, rows_per_chunk(table.shape[1]),
               [=](int64_t begin, int64_t end, int) {
                   for (int64_t token = begin; token < end; ++token) {
                       std::memcpy(to + token * row_bytes, from + ids[token] * row_bytes,
                                   static_cast<size_t>(row_bytes));
                   }
               });
    return CP_OK;
}

CpStatus check_int8_table(const CpCall* call, CpError* error) {
    return check_int8(call, "embeddingInt8", call->inputs[0], call->inputs[1], error);
}

CpStatus run_int8(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    const QuantizedMatrix table = int8_matrix(*call, call->inputs[0], call->inputs[1]);
    const int32_t* ids = data<int32_t>(call->inputs[2]);  // (tokens)
    const int64_t tokens = output.shape[0], width = output.shape[1];
    if (check_ids("embeddingInt8", ids, tokens, call->inputs[0].shape[0], error) != CP_OK) {
        return CP_FAILED;
    }
    char* to = data<char>(output);  // (tokens, width)
    const int64_t row_bytes = width * dtype_bytes(output.dtype);
    for_chunks(*device, tokens, rows_per_chunk(width), [=](int64_t begin, int64_t end, int) {
        for (int64_t token = begin; token < end; ++token) {
            decode_block(table, {ids[token], 1, 0, width}, output.dtype, to + token * row_bytes);
        }
    });
    return CP_OK;
}

// Workspace of the gradient: where the positions of each id start, and the positions by id. Ids are
// those of `vocab` rows from `first` on; others are left out.
struct SortedPositions {
    int64_t* starts;     // (vocab + 1)
    int64_t* positions;  // (tokens)

    static int64_t workspace_bytes(int64_t vocab, int64_t tokens) {
        return aligned((vocab + 1 + tokens) * static_cast<int64_t>(sizeof(int64_t)));
    }
    SortedPositions(void* workspace, int64_t vocab)
        : starts(static_cast<int64_t*>(workspace)), positions(starts + vocab + 1) {}

    void sort(const int32_t* ids, int64_t tokens, int64_t first, int64_t vocab) {
        const auto for_each = [=](auto visit) {
            for (int64_t i = 0; i < tokens; ++i) {
                const int64_t id = ids[i] - first;
                if (id >= 0 && id < vocab) visit(id, i);
            }
        };
        // starts[id + 1] counts id, then becomes the end of the ids before it.
        std::fill_n(starts, vocab + 1, int64_t{0});
        for_each([this](int64_t id, int64_t) { ++starts[id + 1]; });
        for (int64_t id = 0; id < vocab; ++id) starts[id + 1] += starts[id];
        // Placing moves each start to the end of its run, which is the start of the next id.
        for_each([this](int64_t id, int64_t i) { positions[starts[id]++] = i; });
        for (int64_t id = vocab; id > 0; --id) starts[id] = starts[id - 1];
        starts[0] = 0;
    }
};

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    return SortedPositions::workspace_bytes(call->outputs[0].shape[0], call->inputs[0].shape[0]);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor &gradient = call->inputs[1], &output = call->outputs[0];
    const int32_t* ids = data<int32_t>(call->inputs[0]);  // (tokens)
    const int64_t tokens = gradient.shape[0], width = gradient.shape[1], vocab = output.shape[0];
    if (check_ids("embeddingBackward", ids, tokens, ids_of_embedding(*call), error) != CP_OK) {
        return CP_FAILED;
    }
    const bool accumulate = attribute(*call, "accumulate") != 0.0;
    SortedPositions sorted(call->workspace, vocab);
    sorted.sort(ids, tokens, static_cast<int64_t>(attribute(*call, "first")), vocab);
    with_dtype(gradient.dtype, [&](auto type) {
        with_dtype(output.dtype, [&](auto output_type) {
            const auto* dy = data<decltype(type)>(gradient);      // (tokens, width)
            auto* d_table = data<decltype(output_type)>(output);  // (vocab, width)
            for_chunks(*device, vocab, rows_per_chunk(width), [=](int64_t begin, int64_t end, int) {
                for (int64_t id = begin; id < end; ++id) {
                    const int64_t first = sorted.starts[id], last = sorted.starts[id + 1];
                    if (accumulate && first == last) continue;
                    auto* row = d_table + id * width;
                    for_lanes(width, [=](int64_t i, auto lanes) {
                        Vec total = splat(0.0f);
                        for (int64_t k = first; k < last; ++k) {
                            total = total + load(dy + sorted.positions[k] * width + i, lanes);
                        }
                        store(row + i, accumulate ? load(row + i, lanes) + total : total, lanes);
                    });
                }
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kEmbeddingOp = {"embedding", no_workspace, nullptr, run_forward};
const CpOp kEmbeddingInt8Op = {"embeddingInt8", no_workspace, check_int8_table, run_int8};
const CpOp kEmbeddingBackwardOp = {"embeddingBackward", backward_workspace_bytes,
                                   check_embedding_backward, run_backward};

}  // namespace compact::COMPACT_ISA
