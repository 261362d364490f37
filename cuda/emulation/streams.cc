#include "cuda/emulation/streams.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "cuda/emulation/fibers.h"

namespace compact::emulation {
namespace {

using Clock = std::chrono::steady_clock;

struct Node {
    WorkKind kind;
    std::vector<size_t> after;  // nodes, all of them earlier ones
    Work work;
};
using Nodes = std::vector<Node>;

struct Stream;

struct Capture {
    Nodes nodes;
    Stream* origin = nullptr;
    std::vector<std::shared_ptr<Stream>> streams;  // the origin and those that joined
    bool invalid = false;
};

struct Stream {
    std::deque<Work> waiting;
    int64_t enqueued = 0, done = 0;
    std::shared_ptr<Capture> capture;
    std::vector<size_t> frontier;  // nodes that the next one comes after

    void drain(int64_t until) {
        while (done < until && !waiting.empty()) {
            Work work = std::move(waiting.front());
            waiting.pop_front();
            work();
            ++done;
        }
    }
};

// What an event stands for: a place in a stream, or in a capture.
struct Place {
    std::shared_ptr<Stream> stream;
    int64_t position = 0;
    std::shared_ptr<Capture> capture;
    std::vector<size_t> frontier;

    void drain() const {
        if (stream != nullptr) stream->drain(position);
    }
    bool is_done() const { return stream == nullptr || stream->done >= position; }
};

// The newest capture of this thread.
thread_local std::weak_ptr<Capture> thread_capture;

void put(Stream& stream, Work work) {
    stream.waiting.push_back(std::move(work));
    ++stream.enqueued;
    if (!current_machine().lazy) stream.drain(stream.enqueued);
}

void merge(std::vector<size_t>& into, const std::vector<size_t>& from) {
    std::set<size_t> all(into.begin(), into.end());
    all.insert(from.begin(), from.end());
    into.assign(all.begin(), all.end());
}

// Takes the streams out of a capture.
void end(Capture& capture) {
    for (const auto& stream : capture.streams) {
        stream->capture.reset();
        stream->frontier.clear();
    }
}

// Whether everything that was captured comes before what the origin would be given next.
bool is_joined(const Capture& capture) {
    std::vector<bool> reached(capture.nodes.size());
    for (size_t node : capture.origin->frontier) reached[node] = true;
    for (size_t i = capture.nodes.size(); i-- > 0;) {
        if (!reached[i]) return false;
        for (size_t node : capture.nodes[i].after) reached[node] = true;
    }
    return true;
}

void run_nodes(const Nodes& nodes) {
    if (!current_machine().lazy) {
        for (const Node& node : nodes) node.work();
        return;
    }
    // The newest that may run comes first.
    std::vector<bool> done(nodes.size());
    for (size_t count = 0; count < nodes.size(); ++count) {
        for (size_t i = nodes.size(); i-- > 0;) {
            const auto is_done = [&](size_t node) { return done[node]; };
            if (done[i] || !std::all_of(nodes[i].after.begin(), nodes[i].after.end(), is_done))
                continue;
            nodes[i].work();
            done[i] = true;
            break;
        }
    }
}

bool has_same_shape(const Nodes& a, const Nodes& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Node& x, const Node& y) {
        return x.kind == y.kind && x.after == y.after;
    });
}

cudaError_t invalidate(Capture& capture, cudaError_t status) {
    capture.invalid = true;
    return noted(status);
}

}  // namespace

cudaError_t refuse_in_capture() {
    const auto capture = thread_capture.lock();
    if (capture == nullptr) return cudaSuccess;
    return invalidate(*capture, cudaErrorStreamCaptureUnsupported);
}

}  // namespace compact::emulation

using namespace compact::emulation;

struct CUstream_st {
    std::shared_ptr<Stream> state = std::make_shared<Stream>();
};
struct CUevent_st {
    Place place;
    std::shared_ptr<Clock::time_point> at = std::make_shared<Clock::time_point>();
};
struct CUgraph_st {
    Nodes nodes;
};
struct CUgraphExec_st {
    std::shared_ptr<const Nodes> nodes;
};

namespace compact::emulation {

cudaError_t enqueue(cudaStream_t stream, WorkKind kind, Work work) {
    if (stream == nullptr) stop("work for the default stream, which nothing here orders");
    Stream& state = *stream->state;
    if (state.capture == nullptr) {
        const cudaError_t status = use_current();
        if (status == cudaSuccess) put(state, std::move(work));
        return status;
    }
    Capture& capture = *state.capture;
    if (!may_capture()) return invalidate(capture, cudaErrorStreamCaptureUnsupported);
    if (capture.invalid) return noted(cudaErrorStreamCaptureInvalidated);
    capture.nodes.push_back({kind, std::exchange(state.frontier, {}), std::move(work)});
    state.frontier = {capture.nodes.size() - 1};
    return cudaSuccess;
}

}  // namespace compact::emulation

cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
    return enqueue(stream, WorkKind::kCopy, [=] {
        if (bytes > 0) std::memmove(target, source, bytes);
    });
}

cudaError_t cudaMemcpy2DAsync(void* target, size_t target_pitch, const void* source,
                              size_t source_pitch, size_t width, size_t height, cudaMemcpyKind,
                              cudaStream_t stream) {
    return enqueue(stream, WorkKind::kCopy, [=] {
        for (size_t row = 0; row < height; ++row)
            std::memcpy(static_cast<char*>(target) + row * target_pitch,
                        static_cast<const char*>(source) + row * source_pitch, width);
    });
}

cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
    return enqueue(stream, WorkKind::kSet, [=] {
        if (bytes > 0) std::memset(target, value, bytes);
    });
}

// ---- Streams

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    const cudaError_t status = use_current();
    if (status == cudaSuccess) *stream = new CUstream_st;
    return status;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    Stream& state = *stream->state;
    if (state.capture != nullptr) stop("a stream is destroyed while it captures");
    state.drain(state.enqueued);
    delete stream;
    return use_current();
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    if (stream == nullptr) return use_current();  // the default stream, which is given nothing
    Stream& state = *stream->state;
    if (state.capture != nullptr)
        return invalidate(*state.capture, cudaErrorStreamCaptureUnsupported);
    const cudaError_t status = use_current();
    if (status != cudaSuccess) return status;
    return state.done == state.enqueued ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    Stream& state = *stream->state;
    if (state.capture != nullptr)
        return invalidate(*state.capture, cudaErrorStreamCaptureUnsupported);
    count(&CallCounts::synchronizations);
    state.drain(state.enqueued);
    return use_current();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    const std::shared_ptr<Stream>& state = stream->state;
    const Place& place = event->place;
    if (place.capture == nullptr) {
        if (state->capture != nullptr)
            return invalidate(*state->capture, cudaErrorStreamCaptureIsolation);
        const cudaError_t status = use_current();
        if (status == cudaSuccess) put(*state, [place] { place.drain(); });
        return status;
    }
    Capture& capture = *place.capture;
    // Of a capture that has ended.
    if (capture.origin == nullptr) return noted(cudaErrorCapturedEvent);
    if (state->capture == nullptr) {
        state->capture = place.capture;
        capture.streams.push_back(state);
    } else if (state->capture != place.capture) {
        return invalidate(capture, cudaErrorStreamCaptureMerge);
    }
    merge(state->frontier, place.frontier);
    return cudaSuccess;
}

// ---- Events

cudaError_t cudaEventCreate(cudaEvent_t* event) {
    const cudaError_t status = use_current();
    if (status == cudaSuccess) *event = new CUevent_st;
    return status;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    return cudaEventCreate(event);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return use_current();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const std::shared_ptr<Stream>& state = stream->state;
    if (state->capture != nullptr) {
        event->place = {nullptr, 0, state->capture, state->frontier};
        return cudaSuccess;
    }
    const cudaError_t status = use_current();
    if (status != cudaSuccess) return status;
    event->place = {state, state->enqueued + 1, nullptr, {}};
    put(*state, [at = event->at] { *at = Clock::now(); });
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    if (event->place.capture != nullptr) return noted(cudaErrorCapturedEvent);
    if (refuse_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    const cudaError_t status = use_current();
    if (status != cudaSuccess || event->place.is_done()) return status;
    // Time passes for those who ask.
    event->place.stream->drain(event->place.stream->done + 1);
    return cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    if (event->place.capture != nullptr) return noted(cudaErrorCapturedEvent);
    if (refuse_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    count(&CallCounts::event_waits);
    event->place.drain();
    return use_current();
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    *milliseconds = std::chrono::duration<float, std::milli>(*end->at - *begin->at).count();
    return use_current();
}

// ---- Captures and graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    const std::shared_ptr<Stream>& state = stream->state;
    if (state->capture != nullptr) return noted(cudaErrorIllegalState);
    const cudaError_t status = use_current();
    if (status != cudaSuccess) return status;
    state->capture = std::make_shared<Capture>();
    state->capture->origin = state.get();
    state->capture->streams = {state};
    thread_capture = state->capture;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    *graph = nullptr;
    const std::shared_ptr<Capture> capture = stream->state->capture;
    if (capture == nullptr) return noted(cudaErrorIllegalState);
    if (capture->origin != stream->state.get())
        return invalidate(*capture, cudaErrorStreamCaptureUnmatched);
    const bool joined = is_joined(*capture);
    end(*capture);
    capture->origin = nullptr;
    thread_capture.reset();
    if (capture->invalid) return noted(cudaErrorStreamCaptureInvalidated);
    if (!joined) return noted(cudaErrorStreamCaptureUnjoined);
    *graph = new CUgraph_st{std::move(capture->nodes)};
    count(&CallCounts::graphs_alive);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    count(&CallCounts::graphs_alive, -1);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
    if (current_machine().refuse_graphs) return noted(cudaErrorMemoryAllocation);
    const cudaError_t status = use_current();
    if (status != cudaSuccess) return status;
    *exec = new CUgraphExec_st{std::make_shared<const Nodes>(graph->nodes)};
    count(&CallCounts::instantiations);
    count(&CallCounts::graphs_alive);
    return cudaSuccess;
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* info) {
    const cudaError_t status = use_current();
    if (status != cudaSuccess) return status;
    *info = {};
    if (current_machine().refuse_updates || !has_same_shape(*exec->nodes, graph->nodes))
        return noted(cudaErrorGraphExecUpdateFailure);
    // What was launched keeps the nodes that it was launched with.
    exec->nodes = std::make_shared<const Nodes>(graph->nodes);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    delete exec;
    count(&CallCounts::graphs_alive, -1);
    return use_current();
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    if (stream->state->capture != nullptr) stop("a graph is launched into a capture");
    const cudaError_t status = use_current();
    if (status != cudaSuccess) return status;
    count(&CallCounts::graph_launches);
    put(*stream->state, [nodes = exec->nodes] { run_nodes(*nodes); });
    return cudaSuccess;
}
