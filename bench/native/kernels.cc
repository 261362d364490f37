// Rates of products and of the random projection on this machine, beside what its instructions can
// reach, as one JSON object per line.
//
//   compact-native-bench [--threads N] [--seconds S] [--set NAME] [M K N]...
//
// Products alternate with loops of the instruction that they are made of; `share` is the ratio of
// the medians.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <utility>
#include <vector>

#include "native/backend/call.h"
#include "native/base/bf16.h"
#include "native/base/host_memory.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/projection/projection.h"
#include "native/cpu/runtime/peak.h"

namespace compact::bench {
namespace {

struct Shape {
    int64_t m, k, n;
    bool transpose_a = false, transpose_b = false;
};

struct Options {
    int threads = 2;
    double seconds = 0.5;  // per measurement
    const char* set = nullptr;
    std::vector<Shape> shapes;
};

// A linear layer of the 60M model over 2048 tokens, its two gradients, and the output layer.
const std::vector<Shape> kDefaultShapes = {{2048, 512, 1376},
                                           {2048, 1376, 512, false, true},
                                           {512, 2048, 1376, true, false},
                                           {1024, 512, 32000}};

double now() {
    const auto time = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(time).count();
}

struct Rate {
    double best, median;  // per second
};

Rate rate_of(std::vector<double> rates) {
    std::sort(rates.begin(), rates.end());
    return {rates.back(), rates[rates.size() / 2]};
}

// Repeats `work`, which returns how much it did, and takes each repetition's rate.
Rate measure(double seconds, const std::function<double()>& work) {
    std::vector<double> rates;
    const double end = now() + seconds;
    do {
        const double begin = now();
        const double done = work();
        rates.push_back(done / (now() - begin));
    } while (now() < end || rates.size() < 5);
    return rate_of(rates);
}

// Operations of the loop on every thread.
double run_peak(CpDevice& device, const PeakLoop& loop, int64_t rounds) {
    const int threads = device.pool.num_threads();
    std::vector<double> done(static_cast<size_t>(threads));
    device.pool.parallel_for(
        threads, [&](int64_t task, int) { done[static_cast<size_t>(task)] = loop.run(rounds); });
    return done[0] * threads;
}

// Alternates the work with a loop of as many operations, so that both meet the same clock and the
// same neighbours.
std::pair<Rate, Rate> measure_beside_peak(CpDevice& device, const PeakLoop& loop, double seconds,
                                          double operations, const std::function<double()>& work) {
    constexpr int64_t kProbe = 1000;
    const auto rounds = static_cast<int64_t>(operations / run_peak(device, loop, kProbe) * kProbe);
    std::vector<double> rates, peaks;
    const double end = now() + seconds;
    do {
        const double begin = now();
        const double done = work();
        const double middle = now();
        const double peak_done = run_peak(device, loop, std::max<int64_t>(rounds, kProbe));
        rates.push_back(done / (middle - begin));
        peaks.push_back(peak_done / (now() - middle));
    } while (now() < end || rates.size() < 5);
    return {rate_of(rates), rate_of(peaks)};
}

const PeakLoop& peak_of(InstructionSet set, int32_t dtype) {
    if (dtype == CP_BF16 && set == InstructionSet::kAmxBf16) return kPeakBf16Amx;
    if (dtype == CP_BF16 && set == InstructionSet::kAvx512Bf16) return kPeakBf16Dot;
    return set >= InstructionSet::kAvx512 ? kPeakF32Avx512 : kPeakF32Avx2;
}

// Memory as an engine has it, filled with numbers in [-1, 1).
class Buffer {
  public:
    Buffer(int64_t elements, int32_t dtype)
        : bytes_(elements * dtype_bytes(dtype)), data_(host_allocate(bytes_)) {
        if (data_ == nullptr) throw std::bad_alloc();
        uint32_t state = 1;
        for (int64_t i = 0; i < elements; ++i) {
            state = state * 1664525u + 1013904223u;
            const float value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
            if (dtype == CP_F32) static_cast<float*>(data_)[i] = value;
            if (dtype == CP_BF16) static_cast<uint16_t*>(data_)[i] = bf16_from_float(value);
        }
    }
    ~Buffer() { host_release(data_, bytes_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    void* data() const { return data_; }

  private:
    int64_t bytes_;
    void* data_;
};

void bench_gemm(CpDevice& device, const Shape& shape, int32_t dtype, double seconds) {
    const int threads = device.pool.num_threads();
    const Buffer a(shape.m * shape.k, dtype), b(shape.k * shape.n, dtype);
    const Buffer c(shape.m * shape.n, dtype);
    const Buffer workspace(gemm_workspace_bytes(shape.m, shape.n, shape.k, dtype, threads) / 4 + 1,
                           CP_F32);
    Gemm problem;
    problem.m = shape.m;
    problem.n = shape.n;
    problem.k = shape.k;
    problem.dtype = dtype;
    problem.a.data = a.data();
    problem.a.transposed = shape.transpose_a;
    problem.a.stride = shape.transpose_a ? shape.m : shape.k;
    problem.b.data = b.data();
    problem.b.transposed = shape.transpose_b;
    problem.b.stride = shape.transpose_b ? shape.k : shape.n;
    problem.c = c.data();
    problem.c_dtype = dtype;
    problem.c_stride = shape.n;

    const double operations = 2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) *
                              static_cast<double>(shape.k);
    const auto work = [&] {
        gemm(device, problem, workspace.data());
        return operations;
    };
    const bool has_peak = device.instruction_set != InstructionSet::kScalar;
    const PeakLoop& loop = peak_of(device.instruction_set, dtype);
    const auto [found, peak] = has_peak
                                   ? measure_beside_peak(device, loop, seconds, operations, work)
                                   : std::pair<Rate, Rate>{measure(seconds, work), {}};
    std::printf(
        "{\"kernel\":\"gemm\",\"instructionSet\":\"%s\",\"dtype\":\"%s\",\"m\":%lld,"
        "\"k\":%lld,\"n\":%lld,\"transposes\":\"%c%c\",\"threads\":%d,\"best\":%.4g,"
        "\"median\":%.4g",
        instruction_set_name(device.instruction_set), dtype == CP_F32 ? "f32" : "bf16",
        static_cast<long long>(shape.m), static_cast<long long>(shape.k),
        static_cast<long long>(shape.n), shape.transpose_a ? 'T' : 'N',
        shape.transpose_b ? 'T' : 'N', threads, found.best, found.median);
    if (has_peak)
        std::printf(",\"peak\":\"%s\",\"peakMedian\":%.4g,\"share\":%.3f", loop.name, peak.median,
                    found.median / peak.median);
    std::printf(",\"unit\":\"flop/s\"}\n");
    std::fflush(stdout);
}

void bench_projection(InstructionSet set, double seconds) {
    // A panel of the product: 32 columns of P for 512 rows.
    const RandomBlock panel = {0, 512, 0, 4};
    std::vector<uint16_t> out(512 * 32);
    for (const int32_t distribution : {kGaussian, kRademacher}) {
        const ProjectionKey key = {1, 2, 3, 4, distribution};
        const Rate found = measure(seconds, [&] {
            projection_block(set, key, panel, out.data());
            return static_cast<double>(out.size());
        });
        std::printf(
            "{\"kernel\":\"projection\",\"instructionSet\":\"%s\",\"distribution\":\"%s\","
            "\"threads\":1,\"best\":%.4g,\"median\":%.4g,\"unit\":\"values/s\"}\n",
            instruction_set_name(set), distribution == kGaussian ? "gaussian" : "rademacher",
            found.best, found.median);
        std::fflush(stdout);
    }
}

bool parse(int count, char** words, Options& options) {
    for (int i = 1; i < count; ++i) {
        const bool more = i + 1 < count;
        if (std::strcmp(words[i], "--threads") == 0 && more) {
            options.threads = std::max(1, std::atoi(words[++i]));
        } else if (std::strcmp(words[i], "--seconds") == 0 && more) {
            options.seconds = std::atof(words[++i]);
        } else if (std::strcmp(words[i], "--set") == 0 && more) {
            options.set = words[++i];
        } else if (i + 2 < count && std::atoll(words[i]) > 0 && std::atoll(words[i + 1]) > 0 &&
                   std::atoll(words[i + 2]) > 0) {
            options.shapes.push_back(
                {std::atoll(words[i]), std::atoll(words[i + 1]), std::atoll(words[i + 2])});
            i += 2;
        } else {
            return false;
        }
    }
    if (options.shapes.empty()) options.shapes = kDefaultShapes;
    return true;
}

int run(const Options& options) {
    for (InstructionSet set :
         {InstructionSet::kScalar, InstructionSet::kAvx2, InstructionSet::kAvx512,
          InstructionSet::kAvx512Bf16, InstructionSet::kAmxBf16}) {
        if (!instruction_set_available(set)) continue;
        if (options.set != nullptr && std::strcmp(options.set, instruction_set_name(set)) != 0) {
            continue;
        }
        // These sets differ from the one before in bf16 products alone.
        if (set <= InstructionSet::kAvx512) bench_projection(set, options.seconds);
        CpDevice device{ThreadPool(options.threads), set};
        for (const Shape& shape : options.shapes) {
            if (set <= InstructionSet::kAvx512) bench_gemm(device, shape, CP_F32, options.seconds);
            bench_gemm(device, shape, CP_BF16, options.seconds);
        }
    }
    return 0;
}

}  // namespace
}  // namespace compact::bench

int main(int count, char** words) {
    compact::bench::Options options;
    if (!compact::bench::parse(count, words, options)) {
        std::fprintf(stderr,
                     "usage: compact-native-bench [--threads N] [--seconds S] [--set NAME] "
                     "[M K N]...\n");
        return 2;
    }
    return compact::bench::run(options);
}
