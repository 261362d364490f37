// The gradient of attention on tensor cores (attention_backward.h): a block has 64 rows of keys or
// of queries, 16 a warp, and tiles of the others pass by through two stages of asynchronous copies.
#include <cmath>

#include "cuda/attention/attention_backward.h"
#include "cuda/attention/attention_tile.cuh"

namespace compact {
namespace {

// Rows of a passing tile: fewer where the sums of the block's own rows fill the registers.
template <int kSize>
constexpr int kInnerRows = kSize > 64 ? 32 : 64;

// Shared memory: two tiles of the block's rows, two stages of two passing tiles, two stages of the
// statistics of the passing queries.
template <int kSize>
struct SharedTiles {
    static constexpr int kInner = kInnerRows<kSize>;
    static constexpr int kOuterBytes = kAttentionRows * kSize * 2;
    static constexpr int kInnerBytes = kInner * kSize * 2;
    static constexpr int kStatisticsBytes = kInner * 4;
    static constexpr int kBytes = 2 * kOuterBytes + 4 * kInnerBytes + 4 * kStatisticsBytes;

    unsigned char* memory;

    __device__ __forceinline__ unsigned char* outer(int which) const {
        return memory + which * kOuterBytes;
    }
    __device__ __forceinline__ unsigned char* inner(int which, int stage) const {
        return memory + 2 * kOuterBytes + (which * 2 + stage) * kInnerBytes;
    }
    __device__ __forceinline__ float* statistics(int which, int stage) const {
        return reinterpret_cast<float*>(memory + 2 * kOuterBytes + 4 * kInnerBytes +
                                        (which * 2 + stage) * kStatisticsBytes);
    }
};

// dK and dV of 64 keys, over the queries of the heads that share them, in order.
template <int kSize, ScoreKind kKind>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    key_gradient_tile_kernel(AttentionShape shape, AttentionGradients<Bf16> p) {
    constexpr int kInner = kInnerRows<kSize>;
    CP_SHARED_DYNAMIC(unsigned char, shared);
    const SharedTiles<kSize> tiles{shared};
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int warp_row = static_cast<int>(threadIdx.x) / 32 * 16;
    const TilePlace place(blockIdx.x, shape.kv_heads,
                          (shape.length + kAttentionRows - 1) / kAttentionRows);
    const int first_key = place.tile * kAttentionRows;
    const int64_t first_token = place.sequence * shape.length;
    const int64_t kv_at = (first_token + first_key) * shape.kv_width + place.head * shape.head_size;
    // Earlier tiles hold no query that sees these keys.
    const int first_tile = shape.causal ? first_key / kInner : 0;
    const int tiles_per_head = shape.end_of_query_tiles(place.sequence, first_tile, kInner,
                                                        first_key + kAttentionRows - 1) -
                               first_tile;
    const int steps = shape.group * tiles_per_head;

    const auto load_queries = [&](int step) {
        const int head = place.head * shape.group + step / tiles_per_head;
        const int query = (first_tile + step % tiles_per_head) * kInner;
        const int64_t at = (first_token + query) * shape.query_width + head * shape.head_size;
        const int left = shape.length - query;
        const int stage = step & 1;
        load_rows<kSize, kInner>(tiles.inner(0, stage), p.q + at, shape.query_width, left,
                                 shape.head_size);
        load_rows<kSize, kInner>(tiles.inner(1, stage), p.d_o + at, shape.query_width, left,
                                 shape.head_size);
        const int chunk = static_cast<int>(threadIdx.x) * 4;
        if (chunk < kInner) {
            const int64_t from =
                p.statistics.begin(place.sequence, shape.heads, head) + query + chunk;
            copy_async_16(tiles.statistics(0, stage) + chunk, p.statistics.lse + from);
            copy_async_16(tiles.statistics(1, stage) + chunk, p.statistics.dots + from);
        }
    };

    const Exponents<kKind == kCappedScores> exponents(shape);
    // Where the queries that see the two keys of a thread end.
    const int ends[2] = {shape.end_of_queries(place.sequence, first_key + warp_row + lane / 4),
                         shape.end_of_queries(place.sequence, first_key + warp_row + lane / 4 + 8)};
    const TileRows<kSize> keys(tiles.outer(0), warp_row, lane);
    const TileRows<kSize> values(tiles.outer(1), warp_row, lane);
    float d_keys[1][kSize / 8][4] = {}, d_values[1][kSize / 8][4] = {};
    load_rows<kSize, kAttentionRows>(tiles.outer(0), p.k + kv_at, shape.kv_width,
                                     shape.length - first_key, shape.head_size);
    load_rows<kSize, kAttentionRows>(tiles.outer(1), p.v + kv_at, shape.kv_width,
                                     shape.length - first_key, shape.head_size);
    load_queries(0);
    copy_async_commit();
    for (int step = 0; step < steps; ++step) {
        copy_async_wait<0>();
        __syncthreads();  // this stage is there, the other one is no longer needed
        if (step + 1 < steps) load_queries(step + 1);
        copy_async_commit();
        const int stage = step & 1;
        // S^T and (dO V^T)^T: 16 keys of this warp by the queries of the tile.
        float probabilities[1][kInner / 8][4], d_scores[1][kInner / 8][4];
        multiply_rows<kSize, kInner, 1>(probabilities, keys, tiles.inner(0, stage));
        multiply_rows<kSize, kInner, 1>(d_scores, values, tiles.inner(1, stage));

        const int first_query = (first_tile + step % tiles_per_head) * kInner;
        const bool hides = shape.hides_keys(first_query, first_key, kAttentionRows);
        CP_UNROLL
        for (int i = 0; i < 2; ++i) {
            // The first query of the tile that sees the key, and the first after it that does not.
            int first_seeing = 0;
            const int end_seeing = ends[i] - first_query;
            if (hides) {
                const int key = first_key + warp_row + lane / 4 + i * 8;
                const bool absent = key >= shape.length ||
                                    (kKind != kPlainScores && !shape.unmasked(place.sequence, key));
                if (shape.causal && key > first_query) first_seeing = key - first_query;
                if (absent) first_seeing = kInner;
            }
            CP_UNROLL
            for (int j = 0; j < kInner / 8; ++j) {
                CP_UNROLL
                for (int e = 0; e < 2; ++e) {
                    const int query = j * 8 + lane % 4 * 2 + e;
                    const float lse = tiles.statistics(0, stage)[query] * kLog2E;
                    const float dot = tiles.statistics(1, stage)[query];
                    float& probability = probabilities[0][j][i * 2 + e];
                    float& d_score = d_scores[0][j][i * 2 + e];
                    const float bent = exponents(probability);
                    probability = exp2_fast(__fmaf_rn(bent, exponents.factor, -lse));
                    const bool is_seen =
                        query >= first_seeing && (kKind == kPlainScores || query < end_seeing);
                    if (!is_seen) probability = 0.0f;
                    d_score = probability * (d_score - dot) * exponents.slope(bent);
                }
            }
        }
        add_weighted_rows<kSize, kInner, 1>(d_values, probabilities, tiles.inner(1, stage));
        add_weighted_rows<kSize, kInner, 1>(d_keys, d_scores, tiles.inner(0, stage));
    }
    const int left = shape.length - first_key;
    store_rows<kSize>(d_keys[0], shape.scale, shape.scale, tiles.outer(0), warp_row, p.dk + kv_at,
                      shape.kv_width, left, shape.head_size);
    store_rows<kSize>(d_values[0], 1.0f, 1.0f, tiles.outer(1), warp_row, p.dv + kv_at,
                      shape.kv_width, left, shape.head_size);
}

// dQ of 64 queries of one head, over the keys they see.
template <int kSize, ScoreKind kKind>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    query_gradient_tile_kernel(AttentionShape shape, AttentionGradients<Bf16> p) {
    constexpr int kInner = kInnerRows<kSize>;
    CP_SHARED_DYNAMIC(unsigned char, shared);
    const SharedTiles<kSize> tiles{shared};
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int warp_row = static_cast<int>(threadIdx.x) / 32 * 16;
    const TilePlace place(blockIdx.x, shape.heads,
                          (shape.length + kAttentionRows - 1) / kAttentionRows);
    const int first_query = place.tile * kAttentionRows;
    const int64_t first_token = place.sequence * shape.length;
    const int64_t query_at =
        (first_token + first_query) * shape.query_width + place.head * shape.head_size;
    const int64_t kv_at = first_token * shape.kv_width + place.head / shape.group * shape.head_size;
    const int first_tile =
        shape.first_tile_of_keys(place.sequence, first_query, kAttentionRows, kInner);
    const int steps =
        (shape.visible_keys(first_query, kAttentionRows) + kInner - 1) / kInner - first_tile;

    const auto load_keys = [&](int step) {
        const int key = (first_tile + step) * kInner;
        const int64_t at = kv_at + key * shape.kv_width, left = shape.length - key;
        const int stage = step & 1;
        load_rows<kSize, kInner>(tiles.inner(0, stage), p.k + at, shape.kv_width, left,
                                 shape.head_size);
        load_rows<kSize, kInner>(tiles.inner(1, stage), p.v + at, shape.kv_width, left,
                                 shape.head_size);
    };

    const Exponents<kKind == kCappedScores> exponents(shape);
    // Of rows lane / 4 and lane / 4 + 8.
    const int row = first_query + warp_row + lane / 4;
    const int64_t statistics = p.statistics.begin(place.sequence, shape.heads, place.head) + row;
    const float lse[2] = {p.statistics.lse[statistics] * kLog2E,
                          p.statistics.lse[statistics + 8] * kLog2E};
    const float dots[2] = {p.statistics.dots[statistics], p.statistics.dots[statistics + 8]};

    const TileRows<kSize> queries(tiles.outer(0), warp_row, lane);
    const TileRows<kSize> gradients(tiles.outer(1), warp_row, lane);
    float d_queries[1][kSize / 8][4] = {};
    load_rows<kSize, kAttentionRows>(tiles.outer(0), p.q + query_at, shape.query_width,
                                     shape.length - first_query, shape.head_size);
    load_rows<kSize, kAttentionRows>(tiles.outer(1), p.d_o + query_at, shape.query_width,
                                     shape.length - first_query, shape.head_size);
    load_keys(0);
    copy_async_commit();
    for (int step = 0; step < steps; ++step) {
        copy_async_wait<0>();
        __syncthreads();  // this stage is there, the other one is no longer needed
        if (step + 1 < steps) load_keys(step + 1);
        copy_async_commit();
        const int stage = step & 1;
        // S and dO V^T: 16 queries of this warp by the keys of the tile.
        float scores[1][kInner / 8][4], d_scores[1][kInner / 8][4];
        multiply_rows<kSize, kInner, 1>(scores, queries, tiles.inner(0, stage));
        multiply_rows<kSize, kInner, 1>(d_scores, gradients, tiles.inner(1, stage));

        const int first_key = (first_tile + step) * kInner;
        const bool hides = shape.hides_keys(first_query, first_key, kInner);
        CP_UNROLL
        for (int i = 0; i < 2; ++i) {
            const int begin = kKind == kPlainScores
                                  ? 0
                                  : shape.begin_of_keys(place.sequence, row + i * 8) - first_key;
            const int end = shape.end_of_keys(row + i * 8) - first_key;
            CP_UNROLL
            for (int j = 0; j < kInner / 8; ++j) {
                CP_UNROLL
                for (int e = 0; e < 2; ++e) {
                    const int key = j * 8 + lane % 4 * 2 + e;
                    float& d_score = d_scores[0][j][i * 2 + e];
                    const float bent = exponents(scores[0][j][i * 2 + e]);
                    float probability = exp2_fast(__fmaf_rn(bent, exponents.factor, -lse[i]));
                    bool is_seen = key < end;
                    if constexpr (kKind != kPlainScores) {
                        is_seen = is_seen && key >= begin &&
                                  shape.unmasked(place.sequence, first_key + key);
                    }
                    if (hides && !is_seen) probability = 0.0f;
                    d_score = probability * (d_score - dots[i]) * exponents.slope(bent);
                }
            }
        }
        add_weighted_rows<kSize, kInner, 1>(d_queries, d_scores, tiles.inner(0, stage));
    }
    store_rows<kSize>(d_queries[0], shape.scale, shape.scale, tiles.outer(0), warp_row,
                      p.dq + query_at, shape.query_width, shape.length - first_query,
                      shape.head_size);
}

template <class Kernel>
cudaError_t launch(CpDevice& device, Kernel kernel, int shared_bytes, int64_t blocks,
                   const AttentionShape& shape, const AttentionGradients<Bf16>& gradients) {
    const cudaError_t status =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
    if (status != cudaSuccess) return status;
    CP_LAUNCH(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kAttentionThreads),
              static_cast<size_t>(shared_bytes), device.stream, shape, gradients);
    return cudaGetLastError();
}

}  // namespace

cudaError_t attention_backward_tiles(CpDevice& device, const AttentionShape& shape,
                                     const AttentionGradients<Bf16>& gradients) {
    const int64_t blocks = shape.sequences * shape.tiles(kAttentionRows);
    cudaError_t status = cudaSuccess;
    with_tile_kind(shape, [&](auto size, auto kind) {
        constexpr int kSize = decltype(size)::value;
        constexpr ScoreKind kKind = decltype(kind)::value;
        constexpr int kBytes = SharedTiles<kSize>::kBytes;
        status = launch(device, key_gradient_tile_kernel<kSize, kKind>, kBytes,
                        blocks * shape.kv_heads, shape, gradients);
        if (status != cudaSuccess) return;
        status = launch(device, query_gradient_tile_kernel<kSize, kKind>, kBytes,
                        blocks * shape.heads, shape, gradients);
    });
    return status;
}

}  // namespace compact
