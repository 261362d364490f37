// embedding: y[i] = table[ids[i]]; its gradient sums the rows of dy that share an id, for all rows
// of the table or some. embeddingInt8: the same of a table in int8 groups.
//
// The gradient is deterministic: a stable counting sort lists the positions of each id in ascending
// order, and the sum of one row of the table belongs to one thread per column, which adds in that
// order. Only integers are counted with atomics.
//
// Two accesses per element; backward one of dy, and one or two of the table; limit: memory
// bandwidth.
#include <algorithm>

#include "cuda/quantization/decode.cuh"
#include "cuda/runtime/device.h"
#include "cuda/runtime/ops.h"
#include "cuda/simt/pack.cuh"
#include "native/backend/quantized_operands.h"

namespace compact {
namespace {

constexpr int kRowThreads = 128;  // eight columns each
// Of dy, under way together: a frequent id's rows are added one after the other, as on the CPU.
constexpr int kRowsAtOnce = 4;
constexpr int kSortThreads = 256;
constexpr int kScanThreads = 1024;
// Parts of the tokens that are sorted side by side, each with its own counts of every id.
constexpr int64_t kMaxChunks = 32;
constexpr int64_t kMinChunkTokens = 512;

// ---- Rows --------------------------------------------------------------------------------------

// Blocks of a row; those of the next row follow.
__host__ __device__ inline uint32_t row_blocks(int64_t width) {
    constexpr int64_t kColumns = kRowThreads * kPackSize;
    return static_cast<uint32_t>((width + kColumns - 1) / kColumns);
}

__device__ __forceinline__ int64_t first_column(int64_t width) {
    const int64_t block = blockIdx.x % row_blocks(width);
    return (block * kRowThreads + threadIdx.x) * kPackSize;
}

// ---- Forward -----------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(kRowThreads)
    embedding_kernel(const T* __restrict__ table, const int32_t* __restrict__ ids,
                     T* __restrict__ y, int64_t width, IndexCheck check) {
    const int64_t token = blockIdx.x / row_blocks(width);
    const int64_t column = first_column(width);
    if (column >= width) return;
    const int count = pack_count(width, column);
    const int32_t id = ids[token];
    float values[kPackSize] = {};
    if (!check.bad(id, token)) load_pack(table + id * width + column, count, values);
    store_pack(y + token * width + column, count, values);
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor &table = call->inputs[0], &output = call->outputs[0];
    const int64_t tokens = output.shape[0], width = output.shape[1];
    const IndexCheck check = check_indices(*device, "embedding", "ids", table.shape[0]);
    const dim3 grid(static_cast<unsigned>(tokens * row_blocks(width)));
    dispatch(table.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(embedding_kernel<T>, grid, dim3(kRowThreads), 0, device->stream,
                  data<const T>(table), data<const int32_t>(call->inputs[1]), data<T>(output),
                  width, check);
    });
    return check_launch(*device, "embedding", error);
}

template <class T>
__global__ void __launch_bounds__(kRowThreads)
    embedding_int8_kernel(QuantizedMatrix table, const int32_t* __restrict__ ids, T* __restrict__ y,
                          IndexCheck check) {
    const int64_t width = table.stride;
    const int64_t token = blockIdx.x / row_blocks(width);
    const int64_t column = first_column(width);
    if (column >= width) return;
    const int count = pack_count(width, column);
    const int32_t id = ids[token];
    float values[kPackSize] = {};
    if (!check.bad(id, token)) {
        decode_pack(table, id * width + column, count, kConstantNf4Levels, values);
    }
    store_pack(y + token * width + column, count, values);
}

CpStatus check_int8_table(const CpCall* call, CpError* error) {
    return check_int8(call, "embeddingInt8", call->inputs[0], call->inputs[1], error);
}

CpStatus run_int8(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    const QuantizedMatrix table = int8_matrix(*call, call->inputs[0], call->inputs[1]);
    const IndexCheck check =
        check_indices(*device, "embeddingInt8", "ids", call->inputs[0].shape[0]);
    const dim3 grid(static_cast<unsigned>(output.shape[0] * row_blocks(output.shape[1])));
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(embedding_int8_kernel<T>, grid, dim3(kRowThreads), 0, device->stream, table,
                  data<const int32_t>(call->inputs[2]), data<T>(output), check);
    });
    return check_launch(*device, "embeddingInt8", error);
}

// ---- Positions by id ---------------------------------------------------------------------------

// What the kernels of the sort share, with its parts of the workspace.
struct Sort {
    const int32_t* ids;  // (tokens)
    int64_t first;       // id of the first row; ids of other rows are left out
    int64_t tokens, vocab, chunk_tokens, chunks;
    int32_t* counts;  // (chunks, vocab): of the id in the chunk, then where the chunk's run starts
    int32_t* starts;  // (vocab + 1) where the run of each id starts
    int32_t* positions;  // (tokens) by id, ascending within an id
    IndexCheck check;
};

__global__ void __launch_bounds__(kSortThreads) count_ids_kernel(Sort sort) {
    const int64_t token = static_cast<int64_t>(blockIdx.x) * kSortThreads + threadIdx.x;
    if (token >= sort.tokens) return;
    if (sort.check.bad(sort.ids[token], token)) return;
    const int64_t id = sort.ids[token] - sort.first;
    if (id < 0 || id >= sort.vocab) return;
    atomicAdd(sort.counts + token / sort.chunk_tokens * sort.vocab + id, 1);
}

// Counts of an id become offsets within the run of that id; starts[id] becomes its total.
__global__ void __launch_bounds__(kSortThreads) offset_chunks_kernel(Sort sort) {
    const int64_t id = static_cast<int64_t>(blockIdx.x) * kSortThreads + threadIdx.x;
    if (id >= sort.vocab) return;
    int32_t total = 0;
    for (int64_t chunk = 0; chunk < sort.chunks; ++chunk) {
        int32_t* count = sort.counts + chunk * sort.vocab + id;
        const int32_t here = *count;
        *count = total;
        total += here;
    }
    sort.starts[id] = total;
}

// Totals become starts: an exclusive prefix sum, by one block.
__global__ void __launch_bounds__(kScanThreads) scan_totals_kernel(Sort sort) {
    CP_SHARED(int32_t[kScanThreads], sums);
    const int thread = static_cast<int>(threadIdx.x);
    int32_t before = 0;  // ids of earlier rounds
    for (int64_t first = 0; first < sort.vocab; first += kScanThreads) {
        const int64_t id = first + thread;
        const int32_t own = id < sort.vocab ? sort.starts[id] : 0;
        sums[thread] = own;
        __syncthreads();
        for (int distance = 1; distance < kScanThreads; distance *= 2) {
            const int32_t other = thread >= distance ? sums[thread - distance] : 0;
            __syncthreads();
            sums[thread] += other;
            __syncthreads();
        }
        if (id < sort.vocab) sort.starts[id] = before + sums[thread] - own;
        before += sums[kScanThreads - 1];
        __syncthreads();
    }
    if (thread == 0) sort.starts[sort.vocab] = before;
}

// One warp has a chunk and goes through it in order, 32 tokens at a time.
__global__ void __launch_bounds__(32) place_positions_kernel(Sort sort) {
    const int lane = static_cast<int>(threadIdx.x);
    int32_t* const offsets = sort.counts + blockIdx.x * sort.vocab;
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * sort.chunk_tokens;
    const int64_t end =
        begin + sort.chunk_tokens < sort.tokens ? begin + sort.chunk_tokens : sort.tokens;
    for (int64_t first = begin; first < end; first += 32) {
        const int64_t token = first + lane;
        const int64_t row = token < end ? sort.ids[token] - sort.first : -1;
        const int32_t id = row < 0 || row >= sort.vocab ? -1 : static_cast<int32_t>(row);
        int earlier = 0, equal = 0;  // lanes with the same id
        for (int other = 0; other < 32; ++other) {
            const bool same = __shfl_sync(0xffffffffu, id, other) == id;
            earlier += same && other < lane ? 1 : 0;
            equal += same ? 1 : 0;
        }
        const int32_t offset = id >= 0 ? offsets[id] : 0;
        __syncwarp();
        if (id >= 0) {
            sort.positions[sort.starts[id] + offset + earlier] = static_cast<int32_t>(token);
            if (earlier == 0) offsets[id] = offset + equal;
        }
        __syncwarp();
    }
}

// ---- Backward ----------------------------------------------------------------------------------

template <class T, class G>
__global__ void __launch_bounds__(kRowThreads)
    embedding_backward_kernel(Sort sort, const T* __restrict__ dy, G* d_table, int64_t width,
                              bool accumulate) {
    const int64_t id = blockIdx.x / row_blocks(width);
    const int64_t column = first_column(width);
    if (column >= width) return;
    const int32_t begin = sort.starts[id], end = sort.starts[id + 1];
    if (accumulate && begin == end) return;
    const int count = pack_count(width, column);
    float sums[kPackSize] = {}, values[kPackSize];
    const auto add = [&sums](const float(&row)[kPackSize]) {
        CP_UNROLL
        for (int k = 0; k < kPackSize; ++k) sums[k] += row[k];
    };
    int32_t i = begin;
    for (; i + kRowsAtOnce <= end; i += kRowsAtOnce) {
        float rows[kRowsAtOnce][kPackSize];
        CP_UNROLL
        for (int r = 0; r < kRowsAtOnce; ++r) {
            load_pack(dy + sort.positions[i + r] * width + column, count, rows[r]);
        }
        CP_UNROLL
        for (int r = 0; r < kRowsAtOnce; ++r) add(rows[r]);
    }
    for (; i < end; ++i) {
        load_pack(dy + sort.positions[i] * width + column, count, values);
        add(values);
    }
    G* target = d_table + id * width + column;
    if (accumulate) {
        load_pack(target, count, values);
        CP_UNROLL
        for (int k = 0; k < kPackSize; ++k) sums[k] = values[k] + sums[k];
    }
    store_pack(target, count, sums);
}

int64_t chunk_tokens(int64_t tokens) {
    return std::max(kMinChunkTokens, ceil_div(tokens, kMaxChunks));
}

int64_t counts_bytes(int64_t tokens, int64_t vocab) {
    return aligned(ceil_div(tokens, chunk_tokens(tokens)) * vocab * 4);
}

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const int64_t tokens = call->inputs[0].shape[0], vocab = call->outputs[0].shape[0];
    return counts_bytes(tokens, vocab) + aligned((vocab + 1) * 4) + aligned(tokens * 4);
}

CpStatus check_backward(const CpCall* call, CpError* error) {
    if (check_embedding_backward(call, error) != CP_OK) return CP_FAILED;
    // Positions are 32-bit.
    const int64_t tokens = call->inputs[0].shape[0], most = (int64_t{1} << 31) - 1;
    if (tokens <= most) return CP_OK;
    return fail_shape(error, "embeddingBackward", message("at most %lld tokens", most),
                      message("%lld", tokens));
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "embeddingBackward";
    const CpTensor &gradient = call->inputs[1], &output = call->outputs[0];
    const int64_t tokens = gradient.shape[0], width = gradient.shape[1], vocab = output.shape[0];
    auto* counts = static_cast<int32_t*>(call->workspace);
    int32_t* starts = counts + counts_bytes(tokens, vocab) / 4;
    int32_t* positions = starts + aligned((vocab + 1) * 4) / 4;
    const int64_t per_chunk = chunk_tokens(tokens), chunks = ceil_div(tokens, per_chunk);
    const Sort sort{data<int32_t>(call->inputs[0]),
                    static_cast<int64_t>(attribute(*call, "first")),
                    tokens,
                    vocab,
                    per_chunk,
                    chunks,
                    counts,
                    starts,
                    positions,
                    check_indices(*device, op, "ids", ids_of_embedding(*call))};
    CUDA_CHECK(*device, op, error,
               cudaMemsetAsync(counts, 0, static_cast<size_t>(counts_bytes(tokens, vocab)),
                               device->stream));
    const auto blocks = [](int64_t count) {
        return dim3(static_cast<unsigned>(ceil_div(count, kSortThreads)));
    };
    CP_LAUNCH(count_ids_kernel, blocks(tokens), dim3(kSortThreads), 0, device->stream, sort);
    CP_LAUNCH(offset_chunks_kernel, blocks(vocab), dim3(kSortThreads), 0, device->stream, sort);
    CP_LAUNCH(scan_totals_kernel, dim3(1), dim3(kScanThreads), 0, device->stream, sort);
    CP_LAUNCH(place_positions_kernel, dim3(static_cast<unsigned>(chunks)), dim3(32), 0,
              device->stream, sort);
    const dim3 grid(static_cast<unsigned>(vocab * row_blocks(width)));
    const bool accumulate = attribute(*call, "accumulate") != 0.0;
    dispatch(gradient.dtype, [&](auto* type) {
        dispatch(output.dtype, [&](auto* output_type) {
            using T = std::remove_pointer_t<decltype(type)>;
            using G = std::remove_pointer_t<decltype(output_type)>;
            CP_LAUNCH((embedding_backward_kernel<T, G>), grid, dim3(kRowThreads), 0, device->stream,
                      sort, data<const T>(gradient), data<G>(output), width, accumulate);
        });
    });
    return check_launch(*device, op, error);
}

}  // namespace

const CpOp kCudaEmbeddingOp = {"embedding", no_workspace, nullptr, run_forward};
const CpOp kCudaEmbeddingInt8Op = {"embeddingInt8", no_workspace, check_int8_table, run_int8};
const CpOp kCudaEmbeddingBackwardOp = {"embeddingBackward", backward_workspace_bytes,
                                       check_backward, run_backward};

}  // namespace compact
