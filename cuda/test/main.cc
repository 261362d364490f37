// Tests of the CUDA backend, on a GPU or on its emulation.
//
//   [--reduced] [--large] [--shard i/n] [--json] [--list] [part of a name ...]
//
// Exits with 0 when all passed, 1 when one failed, 2 when there is no device.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <set>

#include "cuda/runtime/backend_cuda.h"
#include "cuda/test/comparison.h"
#include "cuda/test/large.h"
#include "native/backend/registry.h"
#include "native/base/op_table.h"

namespace compact::test {
namespace {

using Names = std::vector<std::string>;

Options parsed;
std::string skipped;  // why the running test could not run

bool wanted(const std::string& name) {
    if (parsed.names.empty()) return true;
    return std::any_of(parsed.names.begin(), parsed.names.end(), [&](const std::string& part) {
        return name.find(part) != std::string::npos;
    });
}

bool parse_shard(const char* text) {
    const bool is_parsed = std::sscanf(text, "%d/%d", &parsed.shard, &parsed.shards) == 2;
    const bool is_within = parsed.shard >= 1 && parsed.shard <= parsed.shards;
    --parsed.shard;
    return is_parsed && is_within;
}

std::string version(int32_t number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

// One line for each test; with --json an object that says on what it ran.
class Report {
  public:
    explicit Report(const CpBackendInfo& info) {
        const CpDeviceInfo& device = info.devices[0];
        const bool emulated = std::strcmp(info.architectures, "emulated") == 0;
        const int32_t capability = device.compute_capability;
        device_ = "\"device\":\"" + std::string(emulated ? "emulated" : device.name) +
                  "\",\"driver\":\"" + version(info.driver) + "\",\"runtime\":\"" +
                  version(info.runtime) + "\",\"computeCapability\":\"" +
                  std::to_string(capability / 10) + "." + std::to_string(capability % 10) + "\"";
    }

    void line(const std::string& name, const char* result, double seconds,
              const std::string& reason) {
        if (parsed.json) {
            std::printf("{%s,\"check\":\"%s\",\"result\":\"%s\",\"seconds\":%.2f", device_.c_str(),
                        name.c_str(), result, seconds);
            if (!reason.empty()) std::printf(",\"reason\":\"%s\"", reason.c_str());
            std::printf("}\n");
        } else {
            std::printf("%-7s %-50s %6.2f s  %s\n", result, name.c_str(), seconds, reason.c_str());
        }
        std::fflush(stdout);
    }

  private:
    std::string device_;
};

bool has_both_dtypes(const OpSignature& signature) {
    for (const char* c = signature.operands; *c != 0; ++c) {
        if (c[0] == ':' && c[1] >= 'A' && c[1] <= 'Z') return true;
    }
    return false;
}

// Whether the tests that ran have compared every op, in both dtypes where it takes both.
void check_coverage() {
    for (const OpSignature& signature : kOpSignatures) {
        for (int32_t dtype : kDtypes) {
            if (dtype == CP_BF16 && !has_both_dtypes(signature)) continue;
            if (!CHECK(compared().count({signature.name, dtype}) == 1)) {
                std::printf("      %s, %s\n", signature.name, dtype == CP_F32 ? "f32" : "bf16");
            }
        }
    }
}

// Whether every op has run on a large tensor. On a GPU some may lack the memory. gradientNorm has
// one number per parameter, squaredError and preferenceLoss one per sequence: no model and no batch
// has so many.
void check_large_coverage() {
    for (const OpSignature& signature : kOpSignatures) {
        const std::string name = signature.name;
        const bool is_never_large = name == "gradientNorm" || name.rfind("squaredError", 0) == 0 ||
                                    name.rfind("preferenceLoss", 0) == 0;
        if (is_never_large || run_large().count(name) == 1) continue;
        skip("the device lacks the memory for " + name);
        if (cuda_machine().is_emulated() && !CHECK(false)) std::printf("      %s\n", name.c_str());
    }
}

bool run(const std::string& name, void (*body)(), Report& report) {
    const int before = failures();
    const auto begin = std::chrono::steady_clock::now();
    skipped.clear();
    try {
        body();
    } catch (const std::exception& error) {
        ++failures();
        std::printf("    threw %s\n", error.what());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const bool passed = failures() == before;
    report.line(name,
                !passed           ? "failed"
                : skipped.empty() ? "passed"
                                  : "skipped",
                took.count(), skipped);
    return passed;
}

int run_all() {
    CpBackendInfo info;
    compact_cuda_backend()->describe(&info);
    if (info.num_devices == 0 || info.devices[0].problem[0] != 0) {
        std::fprintf(stderr, "no device: %s\n",
                     info.num_devices == 0 ? info.problem : info.devices[0].problem);
        return 2;
    }
    Report report(info);
    int count = 0, failed = 0;
    int position = 0;
    for (const Case& test : cases()) {
        if (!wanted(test.name) || position++ % parsed.shards != parsed.shard) continue;
        ++count;
        failed += run(test.name, test.run, report) ? 0 : 1;
    }
    const bool is_sharded = parsed.shards > 1;
    if (parsed.names.empty() && !is_sharded) {
        ++count;
        failed += run("cuda_every_op_was_compared", check_coverage, report) ? 0 : 1;
    }
    const bool has_large = parsed.names.empty() || parsed.names == Names{"cuda_large"};
    if (parsed.large && has_large && !is_sharded) {
        ++count;
        failed += run("cuda_large_has_every_op", check_large_coverage, report) ? 0 : 1;
    }
    if (!parsed.json) std::printf("%d tests, %d failed\n", count, failed);
    return failed == 0 && count > 0 ? 0 : 1;
}

}  // namespace

const Options& options() { return parsed; }
void skip(const std::string& reason) { skipped = reason; }

Machine& cpu_machine() {
    static Machine machine(compact_cpu_backend());
    return machine;
}

Machine& cuda_machine() {
    static Machine machine(compact_cuda_backend());
    return machine;
}

std::unique_ptr<Machine> machine_with(const char* variable, const char* value) {
    setenv(variable, value, 1);
    auto machine = std::make_unique<Machine>(compact_cuda_backend());
    unsetenv(variable);
    return machine;
}

}  // namespace compact::test

int main(int argc, char** argv) {
    using namespace compact::test;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--list") {
            for (const Case& test : cases()) std::printf("%s\n", test.name);
            return 0;
        }
        if (word == "--reduced") {
            is_reduced() = true;
        } else if (word == "--large") {
            parsed.large = true;
        } else if (word == "--shard" && i + 1 < argc) {
            if (!parse_shard(argv[++i])) {
                std::fprintf(stderr, "--shard is %s, expected i/n with 1 <= i <= n\n", argv[i]);
                return 1;
            }
        } else if (word == "--json") {
            parsed.json = true;
        } else if (word.rfind("--", 0) == 0) {
            std::fprintf(stderr,
                         "usage: %s [--reduced] [--large] [--shard i/n] [--json] [--list] "
                         "[name ...]\n",
                         argv[0]);
            return 1;
        } else {
            parsed.names.push_back(word);
        }
    }
    return run_all();
}
