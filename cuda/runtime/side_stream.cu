#include <algorithm>
#include <iterator>

#include "cuda/runtime/device.h"
#include "cuda/runtime/side_stream.h"

namespace compact {

cudaError_t open_side_stream(SideStream& side) {
    cudaError_t status = cudaStreamCreateWithFlags(&side.stream, cudaStreamNonBlocking);
    if (status != cudaSuccess) return status;
    status = cudaEventCreateWithFlags(&side.fork, cudaEventDisableTiming);
    for (SideStream::Prepared& prepared : side.prepared) {
        if (status != cudaSuccess) return status;
        status = cudaEventCreateWithFlags(&prepared.done, cudaEventDisableTiming);
    }
    return status;
}

void close_side_stream(SideStream& side) {
    for (SideStream::Prepared& prepared : side.prepared)
        if (prepared.done != nullptr) cudaEventDestroy(prepared.done);
    if (side.fork != nullptr) cudaEventDestroy(side.fork);
    if (side.stream != nullptr) cudaStreamDestroy(side.stream);
}

CpStatus fork_side(CpDevice& device, const char* op, CpError* error) {
    CUDA_CHECK(device, op, error, cudaEventRecord(device.side.fork, device.stream));
    CUDA_CHECK(device, op, error, cudaStreamWaitEvent(device.side.stream, device.side.fork, 0));
    return CP_OK;
}

CpStatus note_prepared(CpDevice& device, const CpCall& call, const char* op, CpError* error) {
    SideStream& side = device.side;
    SideStream::Prepared& prepared = side.prepared[side.next];
    side.next = (side.next + 1) % kMaxPrepared;
    CUDA_CHECK(device, op, error, cudaEventRecord(prepared.done, side.stream));
    prepared.workspace = call.workspace;
    return CP_OK;
}

CpStatus join_prepared(CpDevice& device, const CpCall& call, const char* op, bool& was_prepared,
                       CpError* error) {
    was_prepared = false;
    for (SideStream::Prepared& prepared : device.side.prepared) {
        if (prepared.workspace == nullptr || prepared.workspace != call.workspace) continue;
        prepared.workspace = nullptr;
        CUDA_CHECK(device, op, error, cudaStreamWaitEvent(device.stream, prepared.done, 0));
        was_prepared = true;
        return CP_OK;
    }
    return CP_OK;
}

bool has_prepared(const SideStream& side) {
    return std::any_of(std::begin(side.prepared), std::end(side.prepared),
                       [](const auto& prepared) { return prepared.workspace != nullptr; });
}

void forget_prepared(SideStream& side) {
    for (SideStream::Prepared& prepared : side.prepared) prepared.workspace = nullptr;
}

}  // namespace compact
