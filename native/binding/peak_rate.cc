#include "native/binding/peak_rate.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "native/binding/errors.h"
#include "native/cpu/runtime/cpu_device.h"
#include "native/cpu/runtime/peak.h"
#include "native/cpu/runtime/thread_pool.h"

namespace compact {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSeconds = 0.1;
constexpr int64_t kRounds = 20000;  // of one measurement: well below a millisecond

const PeakLoop& loop_of(const std::string& set, bool is_bf16) {
    const auto is = [&](InstructionSet other) { return set == instruction_set_name(other); };
    if (is_bf16 && is(InstructionSet::kAmxBf16)) return kPeakBf16Amx;
    if (is_bf16 && is(InstructionSet::kAvx512Bf16)) return kPeakBf16Dot;
    // Without instructions for it bf16 is widened, and runs at the rate of fp32.
    if (is(InstructionSet::kScalar) || is(InstructionSet::kAvx2)) return kPeakF32Avx2;
    return kPeakF32Avx512;
}

}  // namespace

Napi::Value peak_rate(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&]() -> Napi::Value {
        const std::string set = info[0].As<Napi::String>();
        const PeakLoop& loop = loop_of(set, info[1].As<Napi::String>().Utf8Value() == "bf16");
        const bool can_run = set != instruction_set_name(InstructionSet::kScalar) ||
                             instruction_set_available(InstructionSet::kAvx2);
        if (loop.run == nullptr || !can_run) return env.Undefined();
        const int threads = info[2].As<Napi::Number>();
        ThreadPool pool(threads);
        double best = 0.0;
        const auto end = Clock::now() + std::chrono::duration<double>(kSeconds);
        while (Clock::now() < end) {
            std::vector<double> done(static_cast<size_t>(threads));
            const auto begin = Clock::now();
            pool.parallel_for(threads, [&](int64_t task, int) {
                done[static_cast<size_t>(task)] = loop.run(kRounds);
            });
            const std::chrono::duration<double> elapsed = Clock::now() - begin;
            best = std::max(best, done[0] * threads / elapsed.count());
        }
        return Napi::Number::New(env, best);
    });
}

}  // namespace compact
