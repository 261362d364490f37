// cachedAttention: rows of k and v into the caches at their positions, then per row and head
// o = softmax(score) v over the keys up to the row's position. A block has one row and head; its
// warps take keys in turn, each with a softmax of its own, and are put together at the end. Every
// key and value is read once per row and head; limit: memory bandwidth.
#include "cuda/runtime/device.h"
#include "cuda/runtime/index_check.h"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"
#include "cuda/simt/soft_cap.cuh"
#include "native/backend/cached_attention_shape.h"

namespace compact {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kLaneColumns =
    kMaxHeadSize / 32;  // of a head, 32 apart, so that a warp reads whole lines

template <class T>
struct Work {
    CachedAttentionShape shape;
    const T* q;                // (tokens, query_width)
    const T* k;                // (tokens, kv_width)
    const T* v;                // (tokens, kv_width)
    T* keys;                   // (sequences, capacity, kv_width)
    T* values;                 // (sequences, capacity, kv_width)
    const int32_t* positions;  // (tokens)
    T* o;                      // (tokens, query_width)
    IndexCheck check;

    __device__ __forceinline__ int64_t first_row_of(int64_t row) const {
        return row / shape.new_tokens * shape.capacity;
    }
};

// A block has one row.
template <class T>
__global__ void __launch_bounds__(kThreads) write_cache_kernel(Work<T> p) {
    const int64_t row = blockIdx.x, width = p.shape.kv_width;
    if (p.check.bad(p.positions[row], row)) return;
    const int64_t place = p.first_row_of(row) + p.positions[row];
    for (int64_t i = threadIdx.x; i < width; i += kThreads) {
        p.keys[place * width + i] = p.k[row * width + i];
        p.values[place * width + i] = p.v[row * width + i];
    }
}

template <class T>
__global__ void __launch_bounds__(kThreads) cached_attention_kernel(Work<T> p) {
    CP_SHARED(float[kWarps * kMaxHeadSize], sums);
    CP_SHARED(float[kWarps * 2], statistics);  // maximum and total of each warp
    const int64_t row = blockIdx.x / p.shape.heads, head = blockIdx.x % p.shape.heads;
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int size = static_cast<int>(p.shape.head_size);
    const int64_t at = row * p.shape.query_width + head * size;
    const int64_t end = p.positions[row] + static_cast<int64_t>(1);
    if (end < 1 || end > p.shape.capacity) return;  // recorded by the kernel before
    const int64_t window = p.shape.window;
    const int64_t first = window > 0 && end > window ? end - window : 0;
    const int64_t cache = p.first_row_of(row) * p.shape.kv_width + head / p.shape.group * size;

    float query[kLaneColumns], total_of[kLaneColumns] = {};
    CP_UNROLL
    for (int i = 0; i < kLaneColumns; ++i) {
        const int column = lane + 32 * i;
        query[i] = column < size ? load_element(p.q + at + column) * p.shape.scale : 0.0f;
    }
    float maximum = -INFINITY, total = 0.0f;
    for (int64_t key = first + warp; key < end; key += kWarps) {
        const int64_t place = cache + key * p.shape.kv_width;
        float product = 0.0f;
        CP_UNROLL
        for (int i = 0; i < kLaneColumns; ++i) {
            const int column = lane + 32 * i;
            if (column < size) {
                product = __fmaf_rn(query[i], load_element(p.keys + place + column), product);
            }
        }
        const float score = SoftCap{p.shape.soft_cap}.value(warp_reduce(product, Sum{}));
        const float larger = fmaxf(maximum, score);
        const float factor = expf(maximum - larger), power = expf(score - larger);
        maximum = larger;
        total = __fmaf_rn(total, factor, power);
        CP_UNROLL
        for (int i = 0; i < kLaneColumns; ++i) {
            const int column = lane + 32 * i;
            if (column < size) {
                const float value = load_element(p.values + place + column);
                total_of[i] = __fmaf_rn(power, value, total_of[i] * factor);
            }
        }
    }

    CP_UNROLL
    for (int i = 0; i < kLaneColumns; ++i) sums[warp * kMaxHeadSize + lane + 32 * i] = total_of[i];
    if (lane == 0) {
        statistics[2 * warp] = maximum;
        statistics[2 * warp + 1] = total;
    }
    __syncthreads();
    float largest = statistics[0];
    for (int other = 1; other < kWarps; ++other) {
        largest = fmaxf(largest, statistics[2 * other]);
    }
    float whole = 0.0f, factors[kWarps];
    CP_UNROLL
    for (int other = 0; other < kWarps; ++other) {
        factors[other] = expf(statistics[2 * other] - largest);  // 0 of a warp without keys
        whole = __fmaf_rn(statistics[2 * other + 1], factors[other], whole);
    }
    for (int column = static_cast<int>(threadIdx.x); column < size; column += kThreads) {
        float sum = 0.0f;
        CP_UNROLL
        for (int other = 0; other < kWarps; ++other) {
            sum = __fmaf_rn(sums[other * kMaxHeadSize + column], factors[other], sum);
        }
        store_element(p.o + at + column, sum / whole);
    }
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CachedAttentionShape shape(*call);
    const IndexCheck check = check_indices(*device, "cachedAttention", "positions", shape.capacity);
    dispatch(call->inputs[0].dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const Work<T> work{shape,
                           data<T>(call->inputs[0]),
                           data<T>(call->inputs[1]),
                           data<T>(call->inputs[2]),
                           data<T>(call->outputs[1]),
                           data<T>(call->outputs[2]),
                           data<int32_t>(call->inputs[5]),
                           data<T>(call->outputs[0]),
                           check};
        CP_LAUNCH(write_cache_kernel<T>, dim3(static_cast<unsigned>(shape.tokens)), dim3(kThreads),
                  0, device->stream, work);
        CP_LAUNCH(cached_attention_kernel<T>,
                  dim3(static_cast<unsigned>(shape.tokens * shape.heads)), dim3(kThreads), 0,
                  device->stream, work);
    });
    return check_launch(*device, "cachedAttention", error);
}

}  // namespace

const CpOp kCudaCachedAttentionOp = {"cachedAttention", no_workspace, check_cached_attention, run};

}  // namespace compact
