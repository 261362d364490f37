#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

#include "cuda/runtime/device.h"
#include "cuda/runtime/runs.h"

namespace compact {
namespace {

constexpr const char* kOp = "run";

void drop_graphs(DeviceRuns& runs) {
    for (cudaGraphExec_t graph : runs.graphs)
        if (graph != nullptr) cudaGraphExecDestroy(graph);
    runs.graphs.clear();
}

void drop_outputs(DeviceRuns& runs) {
    if (runs.outputs != nullptr) cudaFreeHost(std::exchange(runs.outputs, nullptr));
    runs.output_bytes = 0;
}

unsigned char* outputs_of(const DeviceRuns& runs, int32_t slot) {
    return runs.outputs + slot * runs.output_bytes;
}

struct DestroyGraph {
    void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
};
using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, DestroyGraph>;

cudaError_t end_recording(CpDevice& device, Graph& graph) {
    device.runs.recorded_entry = -1;
    cudaGraph_t recorded = nullptr;
    const cudaError_t status = cudaStreamEndCapture(device.stream, &recorded);
    graph.reset(recorded);
    return status;
}

CpStatus set_plan(CpDevice* device, int32_t num_entries, int64_t output_bytes, CpError* error) {
    DeviceRuns& runs = device->runs;
    drop_graphs(runs);
    drop_outputs(runs);
    if (device->lost) return num_entries == 0 ? CP_OK : refuse_lost("load", error);
    runs.graphs.resize(static_cast<size_t>(num_entries));
    if (output_bytes == 0) return CP_OK;
    CUDA_CHECK(*device, "load", error,
               cudaHostAlloc(&runs.outputs, static_cast<size_t>(CP_RUNS_IN_FLIGHT * output_bytes),
                             cudaHostAllocDefault));
    runs.output_bytes = output_bytes;
    return CP_OK;
}

CpStatus begin(CpDevice* device, int32_t slot, int32_t recorded_entry, CpError* error) {
    if (device->lost) return refuse_lost(kOp, error);
    begin_index_checks(device->index_checks, slot);
    if (recorded_entry < 0) return CP_OK;
    CUDA_CHECK(*device, kOp, error,
               cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal));
    device->runs.recorded_entry = recorded_entry;
    return CP_OK;
}

CpStatus launch(CpDevice* device, CpError* error) {
    cudaGraphExec_t& exec = device->runs.graphs[static_cast<size_t>(device->runs.recorded_entry)];
    Graph graph;
    CUDA_CHECK(*device, kOp, error, end_recording(*device, graph));
    cudaGraphExecUpdateResultInfo changes;
    // A launch that is still under way keeps the arguments that it was launched with.
    if (exec != nullptr && cudaGraphExecUpdate(exec, graph.get(), &changes) != cudaSuccess) {
        cudaGetLastError();  // the graph has another shape, which a new one may have
        cudaGraphExecDestroy(std::exchange(exec, nullptr));
    }
    if (exec == nullptr)
        CUDA_CHECK(*device, kOp, error, cudaGraphInstantiate(&exec, graph.get(), 0));
    CUDA_CHECK(*device, kOp, error, cudaGraphLaunch(exec, device->stream));
    return CP_OK;
}

void discard(CpDevice* device) {
    forget_prepared(device->side);
    if (!device->runs.is_recording()) {
        // Nobody joins any more what is still prepared, in memory that the next run uses.
        if (!device->lost) cudaStreamSynchronize(device->side.stream);
        return;
    }
    Graph graph;
    end_recording(*device, graph);
    cudaGetLastError();  // whatever spoiled the recording has been told
}

CpStatus end(CpDevice* device, int32_t slot, const CpOutput* outputs, int32_t num_outputs,
             CpError* error) {
    unsigned char* target = outputs_of(device->runs, slot);
    for (int32_t i = 0; i < num_outputs; ++i) {
        CUDA_CHECK(*device, kOp, error,
                   cudaMemcpyAsync(target, outputs[i].source, static_cast<size_t>(outputs[i].bytes),
                                   cudaMemcpyDeviceToHost, device->stream));
        target += round_up(outputs[i].bytes, CP_OUTPUT_ALIGNMENT);
    }
    CUDA_CHECK(*device, kOp, error, cudaEventRecord(device->runs.ends[slot], device->stream));
    return CP_OK;
}

int32_t is_done(CpDevice* device, int32_t slot) {
    const cudaError_t status = cudaEventQuery(device->runs.ends[slot]);
    if (status == cudaErrorNotReady) cudaGetLastError();  // not a failure of the next launch
    return status == cudaErrorNotReady ? 0 : 1;
}

// Asks the runtime even of a device that is lost: the run that lost it has something else to say
// than the run behind it, which may have noticed first.
CpStatus collect(CpDevice* device, int32_t slot, const CpOutput* outputs, int32_t num_outputs,
                 CpError* error) {
    CUDA_CHECK(*device, kOp, error, cudaEventSynchronize(device->runs.ends[slot]));
    if (report_bad_index(device->index_checks, slot, error) != CP_OK) return CP_FAILED;
    const unsigned char* source = outputs_of(device->runs, slot);
    for (int32_t i = 0; i < num_outputs; ++i) {
        std::memcpy(outputs[i].host, source, static_cast<size_t>(outputs[i].bytes));
        source += round_up(outputs[i].bytes, CP_OUTPUT_ALIGNMENT);
    }
    return CP_OK;
}

}  // namespace

cudaError_t open_runs(DeviceRuns& runs) {
    for (cudaEvent_t& event : runs.ends) {
        const cudaError_t status = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
        if (status != cudaSuccess) return status;
    }
    return cudaSuccess;
}

void close_runs(DeviceRuns& runs) {
    drop_graphs(runs);
    drop_outputs(runs);
    for (cudaEvent_t event : runs.ends)
        if (event != nullptr) cudaEventDestroy(event);
}

const CpRuns kCudaRuns = {set_plan, begin, launch, discard, end, is_done, collect};

}  // namespace compact
