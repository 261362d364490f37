// attention: o = softmax(scale q k^T) v, with a soft cap of scores where there is one, per sequence
// and head, without the matrix of scores: tiles of keys pass by a tile of queries, whose running
// maximum and sum rescale what came before. Dao, "FlashAttention-2", 2023. Milakov, Gimelshein,
// "Online normalizer calculation for softmax", 2018.
//
// Reads q once and k, v once per tile of queries, writes o; limit: tensor-core rate (bf16, heads up
// to 128), or shared-memory reads on CUDA cores (f32, larger heads).
#include <cmath>

#include "cuda/attention/attention.h"
#include "cuda/attention/attention_rows.cuh"
#include "cuda/attention/attention_tile.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "native/backend/op_checks.h"

namespace compact {
namespace {

// Of a tile: fewer where the sums of a block's own rows fill the registers.
template <int kSize>
constexpr int kKeys = kSize > 64 ? 32 : 64;
constexpr float kLn2 = 0.6931471806f;

template <class T>
struct Operands {
    const T *q, *k, *v;
    T* o;
    float* lse;  // (tokens, heads)
};

// ---- Tensor cores ------------------------------------------------------------------------------

// What has been seen of a row of scores; everything in powers of two.
struct SoftmaxState {
    float maximum = -INFINITY, total = 0.0f;

    // The new maximum; returns the factor on what was summed before.
    __device__ __forceinline__ float raise(float largest) {
        const float raised = fmaxf(maximum, largest);
        const float factor = exp2_fast(maximum - finite(raised));
        maximum = raised;
        total *= factor;
        return factor;
    }
    // Any finite shift gives zeros while nothing has been seen.
    static __device__ __forceinline__ float finite(float x) { return x == -INFINITY ? 0.0f : x; }
    __device__ __forceinline__ float shift() const { return finite(maximum); }
};

// Scores of 16 rows, `factor` > 0 times which are exponents, become weights, and the states and
// sums of the rows take them in.
template <int kTiles, int kColumns>
__device__ __forceinline__ void weigh_keys(float (&scores)[kTiles][4], SoftmaxState (&states)[2],
                                           float (&sums)[kColumns][4], float factor) {
    float factors[2];
    CP_UNROLL
    for (int i = 0; i < 2; ++i) {
        SoftmaxState& state = states[i];
        float largest = -INFINITY;
        CP_UNROLL
        for (int j = 0; j < kTiles; ++j) {
            CP_UNROLL
            for (int e = 0; e < 2; ++e) largest = fmaxf(largest, scores[j][i * 2 + e]);
        }
        factors[i] = state.raise(quad_reduce(largest, Maximum{}) * factor);
        const float shift = -state.shift();
        CP_UNROLL
        for (int j = 0; j < kTiles; ++j) {
            CP_UNROLL
            for (int e = 0; e < 2; ++e) {
                float& score = scores[j][i * 2 + e];
                score = exp2_fast(__fmaf_rn(score, factor, shift));
                state.total += score;
            }
        }
    }
    // Maxima rarely rise after the first tiles.
    if (factors[0] == 1.0f && factors[1] == 1.0f) return;
    CP_UNROLL
    for (int j = 0; j < kColumns; ++j) {
        CP_UNROLL
        for (int i = 0; i < 4; ++i) sums[j][i] *= factors[i / 2];
    }
}

// Blocks of 16 queries that a warp has. Two share what is read of keys and values; soft caps leave
// no registers for the second.
template <ScoreKind kKind>
constexpr int kWarpBlocks = kKind == kCappedScores ? 1 : 2;
// Of all warps.
template <ScoreKind kKind>
constexpr int kTileQueries = 16 * kWarpBlocks<kKind> * kAttentionThreads / 32;

// Hides the keys of a tile that queries may not see: those of lane / 4 + 8 i among 16 rows from
// `first_query` on.
template <ScoreKind kKind, int kTiles>
__device__ __forceinline__ void hide_keys(float (&scores)[kTiles][4], const AttentionShape& shape,
                                          int64_t sequence, int first_query, int first_key,
                                          int lane) {
    CP_UNROLL
    for (int i = 0; i < 2; ++i) {
        const int query = first_query + lane / 4 + i * 8;
        const int end = shape.end_of_keys(query) - first_key;
        const int begin =
            kKind == kPlainScores ? 0 : shape.begin_of_keys(sequence, query) - first_key;
        CP_UNROLL
        for (int j = 0; j < kTiles; ++j) {
            CP_UNROLL
            for (int e = 0; e < 2; ++e) {
                const int key = j * 8 + lane % 4 * 2 + e;
                bool is_seen = key < end;
                if constexpr (kKind != kPlainScores) {
                    is_seen = is_seen && key >= begin && shape.unmasked(sequence, first_key + key);
                }
                if (!is_seen) scores[j][i * 2 + e] = -INFINITY;
            }
        }
    }
}

template <int kSize, ScoreKind kKind>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    attention_tile_kernel(AttentionShape shape, Operands<Bf16> p) {
    constexpr int kInner = kKeys<kSize>, kBlocks = kWarpBlocks<kKind>;
    constexpr int kQueries = kTileQueries<kKind>;
    CP_SHARED_DYNAMIC(unsigned char, shared);
    unsigned char* const queries = shared;
    unsigned char* const keys = queries + kQueries * kSize * 2;
    unsigned char* const values = keys + kInner * kSize * 2;
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int warp_row = static_cast<int>(threadIdx.x) / 32 * 16 * kBlocks;
    const TilePlace place(blockIdx.x, shape.heads, (shape.length + kQueries - 1) / kQueries);
    const int first_query = place.tile * kQueries, warp_query = first_query + warp_row;
    const int64_t first_token = place.sequence * shape.length;
    const int64_t query_at =
        (first_token + first_query) * shape.query_width + place.head * shape.head_size;
    const int64_t kv_at = first_token * shape.kv_width + place.head / shape.group * shape.head_size;
    const int visible = shape.visible_keys(first_query, kQueries);
    const int begin =
        kKind == kPlainScores
            ? 0
            : kInner * shape.first_tile_of_keys(place.sequence, first_query, kQueries, kInner);
    const auto load_keys = [&](unsigned char* tile, const Bf16* source, int first) {
        load_rows<kSize, kInner>(tile, source + kv_at + first * shape.kv_width, shape.kv_width,
                                 shape.length - first, shape.head_size);
        copy_async_commit();
    };

    const Exponents<kKind == kCappedScores> exponents(shape);
    float output[kBlocks][kSize / 8][4] = {};
    SoftmaxState states[kBlocks][2];  // of rows lane / 4 and lane / 4 + 8 of a block
    load_rows<kSize, kQueries>(queries, p.q + query_at, shape.query_width,
                               shape.length - first_query, shape.head_size);
    load_keys(keys, p.k, begin);
    copy_async_wait<0>();
    __syncthreads();
    // Sums of a large head leave no registers for queries.
    using Rows = std::conditional_t<(kSize > 64), TileRows<kSize>, HeldRows<kSize, kBlocks>>;
    const Rows rows(TileRows<kSize>(queries, warp_row, lane));
    for (int first_key = begin; first_key < visible; first_key += kInner) {
        copy_async_wait<0>();
        __syncthreads();  // keys are there, values are no longer needed
        load_keys(values, p.v, first_key);
        // With causal queries a warp has nothing to see beyond its own place.
        const bool is_seen = shape.causal ? first_key < warp_query + 16 * kBlocks : true;
        float scores[kBlocks][kInner / 8][4];
        if (is_seen) {
            multiply_rows<kSize, kInner, kBlocks>(scores, rows, keys);
            const bool hides = kKind == kPlainScores
                                   ? first_key + kInner > shape.end_of_keys(warp_query)
                                   : shape.hides_keys(warp_query, first_key, kInner);
            CP_UNROLL
            for (int block = 0; block < kBlocks; ++block) {
                if constexpr (kKind == kCappedScores) {
                    CP_UNROLL
                    for (int i = 0; i < kInner / 2; ++i) {
                        float& score = scores[block][i / 4][i % 4];
                        score = exponents(score);
                    }
                }
                if (hides) {
                    hide_keys<kKind>(scores[block], shape, place.sequence, warp_query + block * 16,
                                     first_key, lane);
                }
                weigh_keys(scores[block], states[block], output[block], exponents.factor);
            }
        }
        copy_async_wait<0>();
        __syncthreads();  // values are there, keys are no longer needed
        if (first_key + kInner < visible) load_keys(keys, p.k, first_key + kInner);
        if (is_seen) add_weighted_rows<kSize, kInner, kBlocks>(output, scores, values);
    }

    CP_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
        const int block_row = warp_row + block * 16;
        float factors[2];
        CP_UNROLL
        for (int i = 0; i < 2; ++i) {
            SoftmaxState& state = states[block][i];
            const int row = block_row + lane / 4 + i * 8;
            state.total = quad_reduce(state.total, Sum{});
            const bool nothing_seen = state.total == 0.0f;
            if (lane % 4 == 0 && first_query + row < shape.length) {
                p.lse[(first_token + first_query + row) * shape.heads + place.head] =
                    nothing_seen ? -INFINITY : state.maximum * kLn2 + logf(state.total);
            }
            factors[i] = nothing_seen ? 0.0f : 1.0f / state.total;
        }
        store_rows<kSize>(output[block], factors[0], factors[1], queries, block_row, p.o + query_at,
                          shape.query_width, shape.length - first_query, shape.head_size);
    }
}

template <int kSize, ScoreKind kKind>
cudaError_t launch_tile(CpDevice& device, const AttentionShape& shape,
                        const Operands<Bf16>& operands) {
    const auto kernel = attention_tile_kernel<kSize, kKind>;
    constexpr int kQueries = kTileQueries<kKind>;
    constexpr int kSharedBytes = (kQueries + 2 * kKeys<kSize>)*kSize * 2;
    const cudaError_t status =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
    if (status != cudaSuccess) return status;
    const int64_t blocks = shape.sequences * shape.heads * shape.tiles(kQueries);
    CP_LAUNCH(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kAttentionThreads), kSharedBytes,
              device.stream, shape, operands);
    return cudaGetLastError();
}

// ---- CUDA cores --------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(kRowThreads, 2)
    attention_row_kernel(AttentionShape shape, Operands<T> p) {
    CP_SHARED_DYNAMIC(float, shared);
    const int size = static_cast<int>(shape.head_size), stride = row_stride(size);
    float* const queries = shared;
    float* const keys = queries + kBlockRows * stride;
    float* const values = keys + kInnerRows * stride;
    const int row = static_cast<int>(threadIdx.x) / kRowLanes;
    const int lane = static_cast<int>(threadIdx.x) % kRowLanes;
    const TilePlace place(blockIdx.x, shape.heads, (shape.length + kBlockRows - 1) / kBlockRows);
    const int first_query = place.tile * kBlockRows, query = first_query + row;
    const int64_t first_token = place.sequence * shape.length;
    const int64_t query_at =
        (first_token + first_query) * shape.query_width + place.head * shape.head_size;
    const int64_t kv_at = first_token * shape.kv_width + place.head / shape.group * shape.head_size;
    const int visible = shape.visible_keys(first_query, kBlockRows);
    const int begin =
        kInnerRows * shape.first_tile_of_keys(place.sequence, first_query, kBlockRows, kInnerRows);

    load_rows_f32<kBlockRows>(queries, p.q + query_at, shape.query_width,
                              shape.length - first_query, size);
    RowSums output;
    float maximum = -INFINITY, total = 0.0f;
    for (int first_key = begin; first_key < visible; first_key += kInnerRows) {
        __syncthreads();
        load_rows_f32<kInnerRows>(keys, p.k + kv_at + first_key * shape.kv_width, shape.kv_width,
                                  shape.length - first_key, size);
        load_rows_f32<kInnerRows>(values, p.v + kv_at + first_key * shape.kv_width, shape.kv_width,
                                  shape.length - first_key, size);
        __syncthreads();
        for (int part = 0; part < kInnerRows; part += kRowLanes) {
            const bool seen = shape.visible(place.sequence, query, first_key + part + lane);
            const float score =
                seen ? shape.soft_cap.value(shape.scale * dot_rows(queries + row * stride,
                                                                   keys + (part + lane) * stride,
                                                                   size))
                     : -INFINITY;
            const float raised = fmaxf(maximum, row_reduce(score, Maximum{}));
            const float shift = raised == -INFINITY ? 0.0f : raised;
            const float factor = expf(maximum - shift), power = expf(score - shift);
            maximum = raised;
            total = total * factor + row_reduce(power, Sum{});
            output.scale(factor);
            output.add(power, values + part * stride, size);
        }
    }
    if (query >= shape.length) return;
    const bool nothing_seen = total == 0.0f;
    output.store(p.o + query_at + row * shape.query_width, nothing_seen ? 0.0f : 1.0f / total,
                 size);
    if (lane == 0) {
        p.lse[(first_token + query) * shape.heads + place.head] =
            nothing_seen ? -INFINITY : maximum + logf(total);
    }
}

template <class T>
cudaError_t launch_rows(CpDevice& device, const AttentionShape& shape,
                        const Operands<T>& operands) {
    const auto kernel = attention_row_kernel<T>;
    const auto bytes_of = [](int64_t head_size) {
        return (kBlockRows + 2 * kInnerRows) * row_stride(head_size) * 4;
    };
    const int shared_bytes = bytes_of(shape.head_size);
    // The most of any head size, for another thread may launch the same kernel with another one.
    const cudaError_t status = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes_of(kMaxHeadSize));
    if (status != cudaSuccess) return status;
    const int64_t blocks = shape.sequences * shape.heads * shape.tiles(kBlockRows);
    CP_LAUNCH(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kRowThreads),
              static_cast<size_t>(shared_bytes), device.stream, shape, operands);
    return cudaGetLastError();
}

// ---- Op ----------------------------------------------------------------------------------------

CpStatus check(const CpCall* call, CpError* error) {
    return check_attention_shape(call, "attention", call->outputs[1], error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const AttentionShape shape(*call, 3);
    cudaError_t status = cudaSuccess;
    dispatch(call->inputs[0].dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const Operands<T> operands{data<T>(call->inputs[0]), data<T>(call->inputs[1]),
                                   data<T>(call->inputs[2]), data<T>(call->outputs[0]),
                                   data<float>(call->outputs[1])};
        if constexpr (std::is_same_v<T, Bf16>) {
            // The largest product is the largest score where the scale is positive, as it always
            // is.
            if (shape.head_size <= kMaxTileSize && shape.scale > 0.0f) {
                with_tile_kind(shape, [&](auto size, auto kind) {
                    status = launch_tile<decltype(size)::value, decltype(kind)::value>(
                        *device, shape, operands);
                });
                return;
            }
        }
        status = launch_rows(*device, shape, operands);
    });
    CUDA_CHECK(*device, "attention", error, status);
    return CP_OK;
}

}  // namespace

CpStatus check_attention_shape(const CpCall* call, const char* op, const CpTensor& lse,
                               CpError* error) {
    if (check_attention(call, op, lse, error) != CP_OK) return CP_FAILED;
    const auto length = static_cast<int64_t>(attribute(*call, "sequenceLength"));
    if (length <= kMaxSequenceLength) return CP_OK;
    return fail_shape(error, op, message("sequences of at most %lld tokens", kMaxSequenceLength),
                      message("%lld", length));
}

const CpOp kCudaAttentionOp = {"attention", no_workspace, check, run};

}  // namespace compact
