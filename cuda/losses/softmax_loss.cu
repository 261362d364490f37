// Limit: memory bandwidth; one access per logit for the loss, another and a store for the gradient.
#include <cmath>

#include "cuda/losses/softmax_loss.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"

namespace compact {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kStride = kThreads * kPackSize;

struct RowSoftmax {
    float shift, total;  // softmax = exp(logit - shift) / total
};

// Logits, capped.
template <class T>
__device__ __forceinline__ void load_capped(const T* logits, int count, SoftCap soft_cap,
                                            float (&values)[kPackSize]) {
    load_pack(logits, count, values);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) values[i] = soft_cap.value(values[i]);
}

// Running maximum and sum, rescaled when the maximum moves.
// Milakov, Gimelshein, "Online normalizer calculation for softmax", 2018.
template <class T>
__device__ __forceinline__ RowSoftmax row_softmax(const T* logits, int64_t classes,
                                                  SoftCap soft_cap, float* scratch) {
    float maximum = -INFINITY, total = 0.0f;
    for (int64_t column = static_cast<int64_t>(threadIdx.x) * kPackSize; column < classes;
         column += kStride) {
        const int count = pack_count(classes, column);
        float values[kPackSize];
        load_capped(logits + column, count, soft_cap, values);
        float largest = maximum;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            if (i < count) largest = fmaxf(largest, values[i]);
        }
        // Any finite shift gives zeros while everything is -infinity.
        const float shift = largest == -INFINITY ? 0.0f : largest;
        if (largest > maximum) total *= expf(maximum - shift);
        maximum = largest;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            if (i < count) total += expf(values[i] - shift);
        }
    }
    const float largest = block_reduce(maximum, Maximum{}, scratch);
    const float shift = largest == -INFINITY ? 0.0f : largest;
    // A NaN total stays NaN; a thread that has seen nothing has total 0.
    total = block_reduce(total * expf(maximum - shift), Sum{}, scratch);
    return {shift, total};
}

// A block has one row. Returns whether the row counts.
template <class T>
__device__ __forceinline__ bool row_loss(const SoftmaxRows& rows, RowSoftmax* softmax,
                                         int64_t* target, float* scratch) {
    const int64_t token = rows.first_token + blockIdx.x;
    const T* logits = static_cast<const T*>(rows.logits) + blockIdx.x * rows.stride;
    *target = rows.targets[token];
    if (*target == rows.ignore_index || rows.check.bad(static_cast<int32_t>(*target), token)) {
        if (threadIdx.x == 0) {
            rows.losses[token] = 0.0;
            if (rows.lse != nullptr) rows.lse[token] = 0.0f;
        }
        return false;
    }
    *softmax = row_softmax(logits, rows.classes, rows.soft_cap, scratch);
    if (threadIdx.x == 0) {
        const double lse =
            static_cast<double>(softmax->shift) + log(static_cast<double>(softmax->total));
        const float logit = rows.soft_cap.value(load_element(logits + *target));
        rows.losses[token] = lse - static_cast<double>(logit);
        if (rows.lse != nullptr) rows.lse[token] = static_cast<float>(lse);
    }
    return true;
}

template <class D>
__device__ __forceinline__ void store_gradients(const SoftmaxGradient& gradient, D* target,
                                                int count, float (&values)[kPackSize]) {
    if (count == 0) return;
    if (gradient.padded) {
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) values[i] = i < count ? values[i] : 0.0f;
    }
    store_pack(target, gradient.padded ? kPackSize : count, values);
}

template <class T>
__global__ void __launch_bounds__(kThreads) softmax_loss_kernel(SoftmaxRows rows) {
    CP_SHARED(float[kMaxWarps], scratch);
    RowSoftmax softmax;
    int64_t target;
    row_loss<T>(rows, &softmax, &target, scratch);
}

template <class T, class D>
__global__ void __launch_bounds__(kThreads)
    softmax_gradient_kernel(SoftmaxRows rows, SoftmaxGradient gradient) {
    CP_SHARED(float[kMaxWarps], scratch);
    const T* logits = static_cast<const T*>(rows.logits) + blockIdx.x * rows.stride;
    D* gradients = static_cast<D*>(gradient.data) + blockIdx.x * gradient.stride;
    RowSoftmax softmax;
    int64_t target;
    const bool counts = row_loss<T>(rows, &softmax, &target, scratch);
    const float factor = counts ? gradient.scale / softmax.total : 0.0f;
    for (int64_t first = 0; first < rows.classes; first += kStride) {
        const int64_t column = first + static_cast<int64_t>(threadIdx.x) * kPackSize;
        const int count = column < rows.classes ? pack_count(rows.classes, column) : 0;
        float values[kPackSize] = {};
        if (counts && count > 0) {
            load_capped(logits + column, count, rows.soft_cap, values);
            CP_UNROLL
            for (int i = 0; i < kPackSize; ++i) {
                const float power = expf(values[i] - softmax.shift);
                const float slope = rows.soft_cap.slope(values[i]);
                values[i] = (column + i == target ? (power / softmax.total - 1.0f) * gradient.scale
                                                  : power * factor) *
                            slope;
            }
        }
        // Gradients lie no further in memory than the logits that have been read by now.
        __syncthreads();
        store_gradients(gradient, gradients + column, count, values);
    }
}

template <class D>
__global__ void __launch_bounds__(kThreads)
    gradient_from_lse_kernel(SoftmaxRows rows, SoftmaxGradient gradient, SequenceScales scales) {
    const int64_t token = rows.first_token + blockIdx.x;
    const float* logits = static_cast<const float*>(rows.logits) + blockIdx.x * rows.stride;
    D* gradients = static_cast<D*>(gradient.data) + blockIdx.x * gradient.stride;
    const bool counts = rows.targets[token] != rows.ignore_index;
    const int64_t target = rows.targets[token] - rows.first_class;
    const float lse = rows.lse[token];
    const float scale = scales.values == nullptr
                            ? gradient.scale
                            : gradient.scale * scales.values[token / scales.length];
    for (int64_t first = 0; first < rows.classes; first += kStride) {
        const int64_t column = first + static_cast<int64_t>(threadIdx.x) * kPackSize;
        const int count = column < rows.classes ? pack_count(rows.classes, column) : 0;
        float values[kPackSize] = {};
        if (counts && count > 0) {
            load_capped(logits + column, count, rows.soft_cap, values);
            CP_UNROLL
            for (int i = 0; i < kPackSize; ++i) {
                const float probability = expf(values[i] - lse);
                const float slope = rows.soft_cap.slope(values[i]);
                values[i] =
                    (column + i == target ? probability - 1.0f : probability) * scale * slope;
            }
        }
        // Gradients lie no further in memory than the logits that have been read by now.
        __syncthreads();
        store_gradients(gradient, gradients + column, count, values);
    }
}

// A block has the `tokens` of one sum.
__global__ void __launch_bounds__(kThreads)
    add_losses_kernel(const double* __restrict__ losses, int64_t tokens, double scale,
                      float* sums) {
    CP_SHARED(double[kMaxWarps], scratch);
    const double* first = losses + blockIdx.x * tokens;
    const int64_t per_thread = (tokens + kThreads - 1) / kThreads;
    const int64_t begin = threadIdx.x * per_thread;
    const int64_t end = begin + per_thread < tokens ? begin + per_thread : tokens;
    double total = 0.0;
    for (int64_t token = begin; token < end; ++token) total += first[token];
    total = block_reduce(total, Sum{}, scratch);
    if (threadIdx.x == 0) sums[blockIdx.x] = static_cast<float>(total * scale);
}

}  // namespace

CpStatus softmax_losses(CpDevice& device, const char* op, const SoftmaxRows& rows, CpError* error) {
    dispatch(rows.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(softmax_loss_kernel<T>, dim3(static_cast<unsigned>(rows.count)), dim3(kThreads),
                  0, device.stream, rows);
    });
    return check_launch(device, op, error);
}

CpStatus softmax_gradients(CpDevice& device, const char* op, const SoftmaxRows& rows,
                           const SoftmaxGradient& gradient, CpError* error) {
    dispatch(rows.dtype, [&](auto* type) {
        dispatch(gradient.dtype, [&](auto* gradient_type) {
            using T = std::remove_pointer_t<decltype(type)>;
            using D = std::remove_pointer_t<decltype(gradient_type)>;
            CP_LAUNCH((softmax_gradient_kernel<T, D>), dim3(static_cast<unsigned>(rows.count)),
                      dim3(kThreads), 0, device.stream, rows, gradient);
        });
    });
    return check_launch(device, op, error);
}

CpStatus softmax_gradients_from_lse(CpDevice& device, const char* op, const SoftmaxRows& rows,
                                    const SoftmaxGradient& gradient, const SequenceScales& scales,
                                    CpError* error) {
    dispatch(gradient.dtype, [&](auto* gradient_type) {
        using D = std::remove_pointer_t<decltype(gradient_type)>;
        CP_LAUNCH(gradient_from_lse_kernel<D>, dim3(static_cast<unsigned>(rows.count)),
                  dim3(kThreads), 0, device.stream, rows, gradient, scales);
    });
    return check_launch(device, op, error);
}

CpStatus add_losses(CpDevice& device, const char* op, const double* losses, int64_t tokens,
                    double loss_scale, float* loss, CpError* error) {
    return add_losses_of_sequences(device, op, losses, 1, tokens, loss_scale, loss, error);
}

CpStatus add_losses_of_sequences(CpDevice& device, const char* op, const double* losses,
                                 int64_t sequences, int64_t length, double scale, float* sums,
                                 CpError* error) {
    CP_LAUNCH(add_losses_kernel, dim3(static_cast<unsigned>(sequences)), dim3(kThreads), 0,
              device.stream, losses, length, scale, sums);
    return check_launch(device, op, error);
}

}  // namespace compact
