// Times of the CUDA backend's kernels, one JSON object a line.
//
//   compact-cuda-bench [--tiny] [--samples N] [--only PART] [--blas own|vendor] [--list]
//
// --tiny: sizes for the emulated device, whose times say nothing. Exits with 0, with 1 when a
// kernel failed or no kernel has that name, with 2 when there is no device.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "cuda/bench/timed_case.h"
#include "cuda/runtime/backend_cuda.h"

namespace compact::bench {
namespace {

constexpr double kSampleUs = 1000.0;  // of a sample at least, so that events cost nothing

struct Options {
    Sizes sizes;
    std::string only, blas = "own";
    int samples = 20, warmup = 5, max_runs = 50;
    bool list = false;
};

double quantile(const std::vector<double>& sorted, double share) {
    const double at = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (at - static_cast<double>(below));
}

void time_case(const CpBackend& backend, CpDevice* device, const KernelCase& kernel,
               const Options& options) {
    TimedCase timed(backend, device, kernel);
    const double once = timed.measure(1, 1, options.warmup)[0];
    const int runs = static_cast<int>(
        std::clamp(kSampleUs / std::max(once, 1.0), 1.0, static_cast<double>(options.max_runs)));
    std::vector<double> us = timed.measure(options.samples, runs, options.warmup);
    std::sort(us.begin(), us.end());
    const double median = quantile(us, 0.5);
    std::printf(
        "{\"case\":\"gpu-kernel\",\"kernel\":\"%s\",\"op\":\"%s\",\"shape\":\"%s\","
        "\"dtype\":\"bf16\",\"metric\":\"time\",\"unit\":\"us\",\"p25\":%.3f,\"p50\":%.3f,"
        "\"p75\":%.3f,\"repeats\":%d,\"runsPerRepeat\":%d,\"sets\":%lld,\"flops\":%.0f,"
        "\"bytes\":%.0f}\n",
        kernel.kernel.c_str(), kernel.op.c_str(), kernel.shape.c_str(), quantile(us, 0.25), median,
        quantile(us, 0.75), options.samples, runs, static_cast<long long>(timed.num_sets()),
        kernel.flops, kernel.bytes);
    std::fflush(stdout);
}

int run_all(const Options& options) {
    const CpBackend& backend = *compact_cuda_backend();
    const std::vector<KernelCase> cases = kernel_cases(options.sizes);
    if (options.list) {
        for (const KernelCase& kernel : cases)
            std::printf("%s, %s\n", kernel.kernel.c_str(), kernel.shape.c_str());
        return 0;
    }
    CpDeviceOptions device_options{};
    device_options.blas = options.blas.c_str();
    CpDevice* device = nullptr;
    CpError error{};
    if (backend.open(&device_options, &device, &error) != CP_OK) {
        std::fprintf(stderr, "no device: %s\n", error.received);
        return 2;
    }
    int count = 0, failed = 0;
    for (const KernelCase& kernel : cases) {
        const std::string name = kernel.kernel + ", " + kernel.shape;
        if (name.find(options.only) == std::string::npos) continue;
        ++count;
        try {
            time_case(backend, device, kernel, options);
        } catch (const std::exception& problem) {
            ++failed;
            std::fprintf(stderr, "%s: %s\n", name.c_str(), problem.what());
        }
    }
    backend.close(device);
    return count > 0 && failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace compact::bench

int main(int argc, char** argv) {
    compact::bench::Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const bool has_value = i + 1 < argc;
        if (word == "--tiny") {
            options.sizes = {48, 32, 24, 40, 8, 101, 16, 8};
            options.samples = 2;
            options.warmup = options.max_runs = 1;
        } else if (word == "--list") {
            options.list = true;
        } else if (word == "--samples" && has_value) {
            options.samples = std::max(1, std::atoi(argv[++i]));
        } else if (word == "--blas" && has_value) {
            options.blas = argv[++i];
        } else if (word == "--only" && has_value) {
            options.only = argv[++i];
        } else {
            std::fprintf(
                stderr,
                "usage: %s [--tiny] [--samples N] [--only PART] [--blas own|vendor] [--list]\n",
                argv[0]);
            return 1;
        }
    }
    return compact::bench::run_all(options);
}
