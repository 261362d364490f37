#include <utility>

#include "cuda/runtime/device.h"
#include "cuda/runtime/index_check.h"
#include "native/backend/op_checks.h"

namespace compact {
namespace {

constexpr unsigned long long kNoBadIndex = ~0ull;
constexpr int kAllChecks = CP_RUNS_IN_FLIGHT * kIndexChecks;

unsigned long long* found_of(const IndexChecks& checks, int slot) {
    return checks.found + slot * kIndexChecks;
}

}  // namespace

cudaError_t open_index_checks(IndexChecks& checks) {
    // Pinned memory has one address on the host and on the device.
    const cudaError_t status =
        cudaHostAlloc(&checks.found, kAllChecks * sizeof(*checks.found), cudaHostAllocDefault);
    if (status != cudaSuccess) return status;
    for (int i = 0; i < kAllChecks; ++i) checks.found[i] = kNoBadIndex;
    return cudaSuccess;
}

void close_index_checks(IndexChecks& checks) {
    if (checks.found != nullptr) cudaFreeHost(checks.found);
    checks.found = nullptr;
}

IndexCheck check_indices(CpDevice& device, const char* op, const char* what, int64_t count) {
    IndexChecks& checks = device.index_checks;
    const int place = checks.next;
    checks.next = (place + 1) % kIndexChecks;
    checks.launches[checks.slot][place] = {op, what, count};
    return {found_of(checks, checks.slot) + place, count};
}

void begin_index_checks(IndexChecks& checks, int slot) {
    checks.slot = slot;
    checks.next = 0;
}

CpStatus report_bad_index(IndexChecks& checks, int slot, CpError* error) {
    CpStatus status = CP_OK;
    for (int i = 0; i < kIndexChecks; ++i) {
        unsigned long long& place = found_of(checks, slot)[i];
        const unsigned long long found = std::exchange(place, kNoBadIndex);
        if (found == kNoBadIndex || status != CP_OK) continue;
        const IndexChecks::Launch& launch = checks.launches[slot][i];
        status = fail_index(error, launch.op, launch.what, launch.count,
                            static_cast<int32_t>(found), static_cast<int64_t>(found >> 32));
    }
    if (slot == checks.slot) checks.next = 0;
    return status;
}

}  // namespace compact
