// The gradient of attention on CUDA cores (attention_backward.h), any dtype and head size: a block
// has 32 rows of keys or of queries, and 16 of the others pass by at a time.
#include <cmath>

#include "cuda/attention/attention_backward.h"
#include "cuda/attention/attention_rows.cuh"

namespace compact {
namespace {

// Shared memory: two sets of the block's rows, two of the passing ones.
struct SharedRows {
    float *outer[2], *inner[2];

    __device__ __forceinline__ SharedRows(float* memory, int stride)
        : outer{memory, memory + kBlockRows * stride},
          inner{memory + 2 * kBlockRows * stride, memory + (2 * kBlockRows + kInnerRows) * stride} {
    }

    static int bytes(int64_t head_size) {
        return 2 * (kBlockRows + kInnerRows) * row_stride(head_size) * 4;
    }
};

template <class T>
__global__ void __launch_bounds__(kRowThreads, 1)
    key_gradient_row_kernel(AttentionShape shape, AttentionGradients<T> p) {
    CP_SHARED_DYNAMIC(float, shared);
    const int size = static_cast<int>(shape.head_size), stride = row_stride(size);
    const SharedRows rows(shared, stride);
    const int row = static_cast<int>(threadIdx.x) / kRowLanes;
    const int lane = static_cast<int>(threadIdx.x) % kRowLanes;
    const TilePlace place(blockIdx.x, shape.kv_heads, (shape.length + kBlockRows - 1) / kBlockRows);
    const int first_key = place.tile * kBlockRows, key = first_key + row;
    const int64_t first_token = place.sequence * shape.length;
    const int64_t kv_at = (first_token + first_key) * shape.kv_width + place.head * shape.head_size;
    load_rows_f32<kBlockRows>(rows.outer[0], p.k + kv_at, shape.kv_width, shape.length - first_key,
                              size);
    load_rows_f32<kBlockRows>(rows.outer[1], p.v + kv_at, shape.kv_width, shape.length - first_key,
                              size);
    // Earlier queries see none of these keys.
    const int first_tile = shape.causal ? first_key / kInnerRows : 0;
    const int end = kInnerRows * shape.end_of_query_tiles(place.sequence, first_tile, kInnerRows,
                                                          first_key + kBlockRows - 1);
    RowSums d_key, d_value;
    for (int head = place.head * shape.group; head < (place.head + 1) * shape.group; ++head) {
        const int64_t statistics = p.statistics.begin(place.sequence, shape.heads, head);
        for (int first = first_tile * kInnerRows; first < end; first += kInnerRows) {
            const int64_t at = (first_token + first) * shape.query_width + head * shape.head_size;
            __syncthreads();
            load_rows_f32<kInnerRows>(rows.inner[0], p.q + at, shape.query_width,
                                      shape.length - first, size);
            load_rows_f32<kInnerRows>(rows.inner[1], p.d_o + at, shape.query_width,
                                      shape.length - first, size);
            __syncthreads();
            for (int part = 0; part < kInnerRows; part += kRowLanes) {
                const int query = first + part + lane;
                const int offset = (part + lane) * stride;
                float probability = 0.0f, d_score = 0.0f;
                if (shape.visible(place.sequence, query, key)) {
                    const float score =
                        shape.soft_cap.value(shape.scale * dot_rows(rows.outer[0] + row * stride,
                                                                    rows.inner[0] + offset, size));
                    probability = expf(score - p.statistics.lse[statistics + query]);
                    d_score =
                        probability *
                        (dot_rows(rows.outer[1] + row * stride, rows.inner[1] + offset, size) -
                         p.statistics.dots[statistics + query]) *
                        shape.soft_cap.slope(score);
                }
                d_value.add(probability, rows.inner[1] + part * stride, size);
                d_key.add(d_score, rows.inner[0] + part * stride, size);
            }
        }
    }
    if (key >= shape.length) return;
    d_key.store(p.dk + kv_at + row * shape.kv_width, shape.scale, size);
    d_value.store(p.dv + kv_at + row * shape.kv_width, 1.0f, size);
}

template <class T>
__global__ void __launch_bounds__(kRowThreads, 2)
    query_gradient_row_kernel(AttentionShape shape, AttentionGradients<T> p) {
    CP_SHARED_DYNAMIC(float, shared);
    const int size = static_cast<int>(shape.head_size), stride = row_stride(size);
    const SharedRows rows(shared, stride);
    const int row = static_cast<int>(threadIdx.x) / kRowLanes;
    const int lane = static_cast<int>(threadIdx.x) % kRowLanes;
    const TilePlace place(blockIdx.x, shape.heads, (shape.length + kBlockRows - 1) / kBlockRows);
    const int first_query = place.tile * kBlockRows, query = first_query + row;
    const int64_t first_token = place.sequence * shape.length;
    const int64_t query_at =
        (first_token + first_query) * shape.query_width + place.head * shape.head_size;
    const int64_t kv_at = first_token * shape.kv_width + place.head / shape.group * shape.head_size;
    const int64_t statistics = p.statistics.begin(place.sequence, shape.heads, place.head) + query;
    const float lse = p.statistics.lse[statistics], dot = p.statistics.dots[statistics];
    load_rows_f32<kBlockRows>(rows.outer[0], p.q + query_at, shape.query_width,
                              shape.length - first_query, size);
    load_rows_f32<kBlockRows>(rows.outer[1], p.d_o + query_at, shape.query_width,
                              shape.length - first_query, size);
    RowSums d_query;
    const int visible = shape.visible_keys(first_query, kBlockRows);
    const int begin =
        kInnerRows * shape.first_tile_of_keys(place.sequence, first_query, kBlockRows, kInnerRows);
    for (int first = begin; first < visible; first += kInnerRows) {
        const int64_t at = kv_at + first * shape.kv_width;
        __syncthreads();
        load_rows_f32<kInnerRows>(rows.inner[0], p.k + at, shape.kv_width, shape.length - first,
                                  size);
        load_rows_f32<kInnerRows>(rows.inner[1], p.v + at, shape.kv_width, shape.length - first,
                                  size);
        __syncthreads();
        for (int part = 0; part < kInnerRows; part += kRowLanes) {
            const int offset = (part + lane) * stride;
            float d_score = 0.0f;
            if (shape.visible(place.sequence, query, first + part + lane)) {
                const float score =
                    shape.soft_cap.value(shape.scale * dot_rows(rows.outer[0] + row * stride,
                                                                rows.inner[0] + offset, size));
                d_score =
                    expf(score - lse) *
                    (dot_rows(rows.outer[1] + row * stride, rows.inner[1] + offset, size) - dot) *
                    shape.soft_cap.slope(score);
            }
            d_query.add(d_score, rows.inner[0] + part * stride, size);
        }
    }
    if (query >= shape.length) return;
    d_query.store(p.dq + query_at + row * shape.query_width, shape.scale, size);
}

template <class T>
cudaError_t launch(CpDevice& device, void (*kernel)(AttentionShape, AttentionGradients<T>),
                   int64_t blocks, const AttentionShape& shape,
                   const AttentionGradients<T>& gradients) {
    const int shared_bytes = SharedRows::bytes(shape.head_size);
    // The most of any head size, for another thread may launch the same kernel with another one.
    const cudaError_t status = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, SharedRows::bytes(kMaxHeadSize));
    if (status != cudaSuccess) return status;
    CP_LAUNCH(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kRowThreads),
              static_cast<size_t>(shared_bytes), device.stream, shape, gradients);
    return cudaGetLastError();
}

}  // namespace

template <class T>
cudaError_t attention_backward_rows(CpDevice& device, const AttentionShape& shape,
                                    const AttentionGradients<T>& gradients) {
    const int64_t blocks = shape.sequences * shape.tiles(kBlockRows);
    const cudaError_t status =
        launch(device, key_gradient_row_kernel<T>, blocks * shape.kv_heads, shape, gradients);
    if (status != cudaSuccess) return status;
    return launch(device, query_gradient_row_kernel<T>, blocks * shape.heads, shape, gradients);
}

template cudaError_t attention_backward_rows(CpDevice&, const AttentionShape&,
                                             const AttentionGradients<float>&);
template cudaError_t attention_backward_rows(CpDevice&, const AttentionShape&,
                                             const AttentionGradients<Bf16>&);

}  // namespace compact
