// Softmax cross-entropy of rows of logits, for both losses.
//
//   loss = lse(logits) - logits[target],  dLogits = (softmax(logits) - onehot(target)) scale
#pragma once

#include <cmath>

#include "native/backend/op_checks.h"
#include "native/cpu/simd/soft_cap.h"

namespace compact::COMPACT_ISA {

struct Targets {
    const int32_t* ids;  // (tokens)
    int64_t tokens;
    int64_t classes;
    int64_t ignore_index;

    Targets(const CpCall& call, const CpTensor& targets, int64_t num_classes)
        : ids(data<int32_t>(targets)),
          tokens(num_elements(targets)),
          classes(num_classes),
          ignore_index(static_cast<int64_t>(attribute(call, "ignoreIndex"))) {}

    bool ignored(int64_t token) const { return ids[token] == ignore_index; }

    CpStatus check(const char* op, CpError* error) const {
        for (int64_t i = 0; i < tokens; ++i) {
            if (!ignored(i) && (ids[i] < 0 || ids[i] >= classes)) {
                return fail_index(error, op, "targets", classes, ids[i], i);
            }
        }
        return CP_OK;
    }
};

// Maximum of a row; 0 when it is -infinity, so that differences to it are numbers.
template <class T>
inline float row_shift(const T* logits, int64_t classes) {
    Vec most = splat(-kInfinity);
    for_lanes(classes, [&](int64_t i, auto lanes) {
        most = max(keep(load(logits + i, lanes), lanes, -kInfinity), most);
    });
    const float shift = largest(most);
    return shift == -kInfinity ? 0.0f : shift;
}

// Loss of one row. `exponentials` (classes) receives e^(logit - shift), whose sum goes to `total`;
// it may be null, or the logits themselves.
template <class T>
inline double row_loss(const T* logits, int64_t classes, int64_t target, float* exponentials,
                       float* total) {
    const double target_logit = element(logits + target);
    const float shift = row_shift(logits, classes);
    Vec totals = splat(0.0f);
    for_lanes(classes, [&](int64_t i, auto lanes) {
        const Vec power = exp(load(logits + i, lanes) - splat(shift));
        totals = totals + keep(power, lanes, 0.0f);
        if (exponentials != nullptr) store(exponentials + i, power, lanes);
    });
    *total = sum(totals);
    return static_cast<double>(shift) + std::log(static_cast<double>(*total)) - target_logit;
}

// Gradient of one row from what row_loss left. d_logits (classes) may start where `exponentials`
// does: elements are written no later in memory than they are read.
template <class D>
inline void row_gradient(const float* exponentials, float total, int64_t classes, int64_t target,
                         float scale, D* d_logits) {
    const float at_target = (exponentials[target] / total - 1.0f) * scale;
    const Vec factor = splat(scale / total);
    for_lanes(classes, [&](int64_t i, auto lanes) {
        store(d_logits + i, load(exponentials + i, lanes) * factor, lanes);
    });
    store(d_logits + target, splat(at_target), FirstLanes{1});
}

// The same of some classes, from their logits, which may be capped, and the log-sum-exp of all; the
// target may be none of them. d_logits (classes) may start where the logits do.
template <class D>
inline void row_gradient_from_lse(const float* logits, const SoftCap& soft_cap, float lse,
                                  int64_t classes, int64_t target, float scale, D* d_logits) {
    const bool has_target = target >= 0 && target < classes;
    const Vec target_logit = splat(has_target ? logits[target] : 0.0f);
    const Vec shift = splat(lse), factor = splat(scale);
    for_lanes(classes, [&](int64_t i, auto lanes) {
        const Vec logit = load(logits + i, lanes);
        store(d_logits + i, exp(logit - shift) * factor * soft_cap.slope(logit), lanes);
    });
    if (!has_target) return;
    const Vec at_target = (exp(target_logit - shift) - splat(1.0f)) * factor;
    store(d_logits + target, at_target * soft_cap.slope(target_logit), FirstLanes{1});
}

// A row whose target is ignored.
template <class D>
inline void zero_row(D* d_logits, int64_t classes) {
    for_lanes(classes, [&](int64_t i, auto lanes) { store(d_logits + i, splat(0.0f), lanes); });
}

// lossScale times the losses of all tokens, in order.
inline float total_loss(const double* losses, int64_t tokens, double loss_scale) {
    double total = 0.0;
    for (int64_t i = 0; i < tokens; ++i) total += losses[i];
    return static_cast<float>(total * loss_scale);
}

}  // namespace compact::COMPACT_ISA
