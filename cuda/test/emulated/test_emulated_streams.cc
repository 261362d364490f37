// The emulation's streams and captures refuse what CUDA refuses, and promise no order that CUDA
// does not.
#include <functional>

#include "cuda/simt/gpu.h"
#include "cuda/test/emulated/on_machine.h"
#include "native/test/check.h"

namespace compact::test {

TEST(cuda_emulated_captures_catch_misuse) {
    cudaStream_t stream = nullptr, side = nullptr;
    cudaEvent_t event = nullptr;
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    CHECK(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking) == cudaSuccess);
    CHECK(cudaEventCreate(&event) == cudaSuccess);
    int source = 1, target = 0;
    const auto copy = [&](cudaStream_t to) {
        return cudaMemcpyAsync(&target, &source, sizeof source, cudaMemcpyHostToHost, to);
    };
    const auto captured = [&](const std::function<void()>& work) {
        cudaGraph_t graph = nullptr;
        CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
        work();
        const cudaError_t status = cudaStreamEndCapture(stream, &graph);
        CHECK((graph != nullptr) == (status == cudaSuccess));
        if (graph != nullptr) cudaGraphDestroy(graph);
        cudaGetLastError();
        return status;
    };
    const cudaError_t unsupported = cudaErrorStreamCaptureUnsupported;
    const cudaError_t invalidated = cudaErrorStreamCaptureInvalidated;
    CHECK(captured([&] { CHECK(copy(stream) == cudaSuccess && target == 0); }) == cudaSuccess);
    CHECK(captured([&] { CHECK(cudaStreamSynchronize(stream) == unsupported); }) == invalidated);
    CHECK(captured([&] { CHECK(cudaStreamQuery(stream) == unsupported); }) == invalidated);
    void* memory = nullptr;
    CHECK(captured([&] { CHECK(cudaMalloc(&memory, 16) == unsupported); }) == invalidated);
    CHECK(captured([&] {
              CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) ==
                    cudaErrorIllegalState);
          }) == cudaSuccess);
    CHECK(cudaEventRecord(event, side) == cudaSuccess);
    CHECK(captured([&] {
              CHECK(cudaStreamWaitEvent(stream, event) == cudaErrorStreamCaptureIsolation);
          }) == invalidated);
    const auto fork = [&] {
        cudaEventRecord(event, stream);
        cudaStreamWaitEvent(side, event);
        CHECK(copy(side) == cudaSuccess);
    };
    CHECK(captured(fork) == cudaErrorStreamCaptureUnjoined);
    CHECK(captured([&] {
              fork();
              cudaEventRecord(event, side);
              CHECK(cudaEventSynchronize(event) == cudaErrorCapturedEvent);
              cudaStreamWaitEvent(stream, event);
          }) == cudaSuccess);
    CHECK(target == 0 && copy(side) == cudaSuccess && target == 1);
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorIllegalState);
    cudaEventDestroy(event);
    cudaStreamDestroy(side);
    cudaStreamDestroy(stream);
    cudaGetLastError();
}

TEST(cuda_emulated_lazy_streams_wait_to_be_waited_for) {
    const OnMachine on({.lazy = true});
    cudaStream_t stream = nullptr, side = nullptr;
    cudaEvent_t event = nullptr;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking);
    cudaEventCreate(&event);
    int one = 1, two = 2, target = 0;
    const auto copy = [&](int& source, cudaStream_t to) {
        cudaMemcpyAsync(&target, &source, sizeof source, cudaMemcpyHostToHost, to);
    };
    copy(one, side);
    cudaEventRecord(event, side);
    CHECK(target == 0 && cudaEventQuery(event) == cudaErrorNotReady);
    cudaStreamWaitEvent(stream, event);
    copy(two, stream);
    CHECK(cudaStreamQuery(stream) == cudaErrorNotReady && target != 2);
    cudaStreamSynchronize(stream);
    CHECK(target == 2 && cudaEventQuery(event) == cudaSuccess);
    cudaEventDestroy(event);
    cudaStreamDestroy(side);
    cudaStreamDestroy(stream);
}

}  // namespace compact::test
