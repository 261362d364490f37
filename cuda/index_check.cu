#include "cuda/device.h"
#include "cuda/index_check.h"
#include "native/backend/op_checks.h"

namespace compact {
namespace {

constexpr unsigned long long kNoBadIndex = ~0ull;

}  // namespace

cudaError_t open_index_checks(IndexChecks& checks) {
    // Pinned memory has one address on the host and on the device.
    const cudaError_t status =
        cudaHostAlloc(&checks.found, kIndexChecks * sizeof(*checks.found), cudaHostAllocDefault);
    if (status != cudaSuccess) return status;
    for (int i = 0; i < kIndexChecks; ++i) checks.found[i] = kNoBadIndex;
    return cudaSuccess;
}

void close_index_checks(IndexChecks& checks) {
    if (checks.found != nullptr) cudaFreeHost(checks.found);
    checks.found = nullptr;
}

IndexCheck check_indices(CpDevice& device, const char* op, const char* what, int64_t count) {
    IndexChecks& checks = device.index_checks;
    const int slot = checks.next;
    checks.next = (slot + 1) % kIndexChecks;
    checks.launches[slot] = {op, what, count};
    return {checks.found + slot, count};
}

CpStatus report_bad_index(IndexChecks& checks, CpError* error) {
    CpStatus status = CP_OK;
    for (int i = 0; i < kIndexChecks; ++i) {
        const unsigned long long found = checks.found[i];
        if (found == kNoBadIndex) continue;
        checks.found[i] = kNoBadIndex;
        if (status != CP_OK) continue;
        const IndexChecks::Launch& launch = checks.launches[i];
        status = fail_index(error, launch.op, launch.what, launch.count,
                            static_cast<int32_t>(found), static_cast<int64_t>(found >> 32));
    }
    checks.next = 0;
    return status;
}

}  // namespace compact
