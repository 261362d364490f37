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

constexpr int kKeys = 64;  // of a tile: their scores take 32 registers a thread
constexpr float kLn2 = 0.6931471806f;

template <class T>
struct Operands {
    const T *q, *k, *v;
    T* o;
    float* lse;  // (tokens, heads)
};

// ---- Tensor cores ------------------------------------------------------------------------------

// Two rows of scores of one thread, and what has been seen of them; everything in powers of two.
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

template <int kSize, bool kCapped>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    attention_tile_kernel(AttentionShape shape, Operands<Bf16> p) {
    CP_SHARED_DYNAMIC(unsigned char, shared);
    unsigned char* const queries = shared;
    unsigned char* const keys = queries + kAttentionRows * kSize * 2;
    unsigned char* const values = keys + kKeys * kSize * 2;
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int warp_row = static_cast<int>(threadIdx.x) / 32 * 16;
    const TilePlace place(blockIdx.x, shape.heads,
                          (shape.length + kAttentionRows - 1) / kAttentionRows);
    const int first_query = place.tile * kAttentionRows;
    const int64_t first_token = place.sequence * shape.length;
    const int64_t query_at =
        (first_token + first_query) * shape.query_width + place.head * shape.head_size;
    const int64_t kv_at = first_token * shape.kv_width + place.head / shape.group * shape.head_size;
    const int visible = shape.visible_keys(first_query, kAttentionRows);
    const int begin =
        kKeys * shape.first_tile_of_keys(place.sequence, first_query, kAttentionRows, kKeys);
    const auto load_keys = [&](unsigned char* tile, const Bf16* source, int first) {
        load_rows<kSize, kKeys>(tile, source + kv_at + first * shape.kv_width, shape.kv_width,
                                shape.length - first, shape.head_size);
        copy_async_commit();
    };

    const Exponents<kCapped> exponents(shape);
    float output[kSize / 8][4] = {};
    SoftmaxState upper, lower;  // of rows lane / 4 and lane / 4 + 8
    load_rows<kSize, kAttentionRows>(queries, p.q + query_at, shape.query_width,
                                     shape.length - first_query, shape.head_size);
    load_keys(keys, p.k, begin);
    for (int first_key = begin; first_key < visible; first_key += kKeys) {
        copy_async_wait<0>();
        __syncthreads();  // keys are there, values are no longer needed
        load_keys(values, p.v, first_key);
        float scores[kKeys / 8][4];
        multiply_rows<kSize, kKeys>(scores, queries, warp_row, keys);

        const int column = lane % 4 * 2;
        CP_UNROLL
        for (int j = 0; j < kKeys / 8; ++j) {
            CP_UNROLL
            for (int i = 0; i < 4; ++i) {
                scores[j][i] = exponents(scores[j][i]) * exponents.factor;
            }
        }
        if (shape.hides_keys(first_query, first_key, kKeys)) {
            // Keys of the tile that each of the two queries may see.
            const int query = first_query + warp_row + lane / 4;
            const int upper_begin = shape.begin_of_keys(place.sequence, query) - first_key;
            const int lower_begin = shape.begin_of_keys(place.sequence, query + 8) - first_key;
            const int upper_end = shape.end_of_keys(query) - first_key;
            const int lower_end = shape.end_of_keys(query + 8) - first_key;
            CP_UNROLL
            for (int j = 0; j < kKeys / 8; ++j) {
                CP_UNROLL
                for (int i = 0; i < 4; ++i) {
                    const int key = j * 8 + column + i % 2;
                    const bool visible_key = key >= (i >= 2 ? lower_begin : upper_begin) &&
                                             key < (i >= 2 ? lower_end : upper_end) &&
                                             shape.unmasked(place.sequence, first_key + key);
                    if (!visible_key) scores[j][i] = -INFINITY;
                }
            }
        }
        float upper_largest = -INFINITY, lower_largest = -INFINITY;
        CP_UNROLL
        for (int j = 0; j < kKeys / 8; ++j) {
            upper_largest = fmaxf(upper_largest, fmaxf(scores[j][0], scores[j][1]));
            lower_largest = fmaxf(lower_largest, fmaxf(scores[j][2], scores[j][3]));
        }
        const float upper_factor = upper.raise(quad_reduce(upper_largest, Maximum{}));
        const float lower_factor = lower.raise(quad_reduce(lower_largest, Maximum{}));
        CP_UNROLL
        for (int j = 0; j < kKeys / 8; ++j) {
            CP_UNROLL
            for (int i = 0; i < 4; ++i) {
                SoftmaxState& state = i >= 2 ? lower : upper;
                scores[j][i] = exp2_fast(scores[j][i] - state.shift());
                state.total += scores[j][i];
            }
        }
        CP_UNROLL
        for (int j = 0; j < kSize / 8; ++j) {
            CP_UNROLL
            for (int i = 0; i < 4; ++i) output[j][i] *= i >= 2 ? lower_factor : upper_factor;
        }

        copy_async_wait<0>();
        __syncthreads();  // values are there, keys are no longer needed
        if (first_key + kKeys < visible) load_keys(keys, p.k, first_key + kKeys);
        add_weighted_rows<kSize, kKeys>(output, scores, values);
    }

    const auto finish = [&](SoftmaxState& state, int row) {
        state.total = quad_reduce(state.total, Sum{});
        const bool nothing_seen = state.total == 0.0f;
        if (lane % 4 == 0 && first_query + row < shape.length) {
            p.lse[(first_token + first_query + row) * shape.heads + place.head] =
                nothing_seen ? -INFINITY : state.maximum * kLn2 + logf(state.total);
        }
        return nothing_seen ? 0.0f : 1.0f / state.total;
    };
    const float upper_factor = finish(upper, warp_row + lane / 4);
    const float lower_factor = finish(lower, warp_row + lane / 4 + 8);
    store_rows<kSize>(output, upper_factor, lower_factor, queries, warp_row, p.o + query_at,
                      shape.query_width, shape.length - first_query, shape.head_size);
}

template <int kSize, bool kCapped>
cudaError_t launch_tile(CpDevice& device, const AttentionShape& shape,
                        const Operands<Bf16>& operands) {
    const auto kernel = attention_tile_kernel<kSize, kCapped>;
    constexpr int kSharedBytes = (kAttentionRows + 2 * kKeys) * kSize * 2;
    const cudaError_t status =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
    if (status != cudaSuccess) return status;
    const int64_t blocks = shape.sequences * shape.heads * shape.tiles(kAttentionRows);
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
    const int shared_bytes = (kBlockRows + 2 * kInnerRows) * row_stride(shape.head_size) * 4;
    const cudaError_t status =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
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
            if (shape.head_size <= kMaxTileSize) {
                with_tile_kind(shape, [&](auto size, auto capped) {
                    status = launch_tile<decltype(size)::value, decltype(capped)::value>(
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
