#include "native/test/stub_backend.h"

#include <cstring>
#include <iterator>

#include "native/backend/call.h"
#include "native/base/host_memory.h"

namespace compact::test {
namespace {

// The table passes the device as an opaque pointer; this backend's device holds nothing.
struct StubDevice {};

float* floats(const CpTensor& tensor) { return static_cast<float*>(tensor.data); }

int64_t no_workspace(const CpCall*, const CpLimits*) { return 0; }

int64_t matmul_workspace(const CpCall*, const CpLimits* limits) {
    return int64_t{4096} * limits->threads;
}

CpStatus run_fill(CpDevice*, const CpCall* call, CpError*) {
    const auto value = static_cast<float>(attribute(*call, "value"));
    for (int64_t i = 0; i < num_elements(call->outputs[0]); ++i)
        floats(call->outputs[0])[i] = value;
    return CP_OK;
}

CpStatus run_copy(CpDevice*, const CpCall* call, CpError*) {
    const CpTensor& y = call->outputs[0];
    std::memcpy(y.data, call->inputs[0].data,
                static_cast<size_t>(num_elements(y) * dtype_bytes(y.dtype)));
    return CP_OK;
}

CpStatus run_add(CpDevice*, const CpCall* call, CpError*) {
    for (int64_t i = 0; i < num_elements(call->outputs[0]); ++i)
        floats(call->outputs[0])[i] = floats(call->inputs[0])[i] + floats(call->inputs[1])[i];
    return CP_OK;
}

// Tells a group from calls one by one: its sums begin at 1000, and a member of zeros fails it.
CpStatus run_add_group(CpDevice* device, const CpCall* calls, int32_t count, CpError* error) {
    for (int32_t i = 0; i < count; ++i) {
        if (floats(calls[i].inputs[0])[0] == 0.0f && floats(calls[i].inputs[1])[0] == 0.0f)
            return fail(error, "ERR_COMPACT_NATIVE", "add", "success", "failure on purpose");
        run_add(device, &calls[i], error);
        for (int64_t j = 0; j < num_elements(calls[i].outputs[0]); ++j)
            floats(calls[i].outputs[0])[j] += 1000.0f;
    }
    return CP_OK;
}

CpStatus run_sgd(CpDevice*, const CpCall* call, CpError*) {
    const auto rate = static_cast<float>(attribute(*call, "learningRate"));
    for (int64_t i = 0; i < num_elements(call->outputs[0]); ++i)
        floats(call->outputs[0])[i] -= rate * floats(call->inputs[1])[i];
    return CP_OK;
}

CpStatus check_row(const CpCall* call, CpError* error) {
    const CpAttribute& row = call->attributes[0];
    if (row.scalar_slot >= 0) return CP_OK;
    if (row.value >= 0.0 && row.value < static_cast<double>(call->inputs[0].shape[0])) return CP_OK;
    return fail(error, "ERR_COMPACT_INDEX", "selectRow", "a row of x", "another");
}

CpStatus run_select_row(CpDevice*, const CpCall* call, CpError*) {
    const int64_t width = call->inputs[0].shape[1];
    const auto row = static_cast<int64_t>(attribute(*call, "row"));
    std::memcpy(call->outputs[0].data, floats(call->inputs[0]) + row * width,
                static_cast<size_t>(width) * sizeof(float));
    return CP_OK;
}

CpStatus run_select_row_group(CpDevice* device, const CpCall* calls, int32_t count,
                              CpError* error) {
    for (int32_t i = 0; i < count; ++i) run_select_row(device, &calls[i], error);
    return CP_OK;
}

CpStatus run_gelu(CpDevice*, const CpCall*, CpError* error) {
    return fail(error, "ERR_COMPACT_NATIVE", "gelu", "success", "failure on purpose");
}

CpStatus run_matmul(CpDevice*, const CpCall*, CpError*) { return CP_OK; }

constexpr CpOp kOps[] = {
    {"fill", no_workspace, nullptr, run_fill},
    {"copy", no_workspace, nullptr, run_copy},
    {"add", no_workspace, nullptr, run_add, nullptr, run_add_group},
    {"sgd", no_workspace, nullptr, run_sgd},
    {"selectRow", no_workspace, check_row, run_select_row, nullptr, run_select_row_group},
    {"gelu", no_workspace, nullptr, run_gelu},
    {"matmul", matmul_workspace, nullptr, run_matmul},
};

void describe(CpBackendInfo* info) {
    *info = {};
    info->num_devices = 1;
}

void probe(int32_t, CpDeviceInfo*) {}

CpStatus open(const CpDeviceOptions* options, CpDevice** device, CpError* error) {
    if (options->threads < 1)
        return fail(error, "ERR_COMPACT_ARGUMENT", "open", "at least 1 thread", "fewer");
    *device = reinterpret_cast<CpDevice*>(new StubDevice);
    return CP_OK;
}

void close(CpDevice* device) { delete reinterpret_cast<StubDevice*>(device); }

CpStatus allocate(CpDevice*, int64_t bytes, void** data, CpError* error) {
    *data = host_allocate(bytes);
    if (*data == nullptr)
        return fail(error, "ERR_COMPACT_OUT_OF_MEMORY", "allocate", "memory", "none");
    std::memset(*data, 0xff, static_cast<size_t>(bytes));  // every float is NaN
    return CP_OK;
}

void release(CpDevice*, void* data, int64_t bytes) { host_release(data, bytes); }

CpStatus write(CpDevice*, void* target, const void* host, int64_t bytes, CpError*) {
    if (bytes > 0) std::memcpy(target, host, static_cast<size_t>(bytes));
    return CP_OK;
}

// One by one, the last one first.
CpStatus write_rows(CpDevice*, void* target, int64_t stride, const CpRowSource* rows, CpError*) {
    for (int64_t row = rows->num_rows - 1; row >= 0; --row)
        rows->make(rows->context, row, 1, static_cast<char*>(target) + row * stride, stride);
    return CP_OK;
}

CpStatus read(CpDevice*, void* host, const void* source, int64_t bytes, CpError*) {
    if (bytes > 0) std::memcpy(host, source, static_cast<size_t>(bytes));
    return CP_OK;
}

CpStatus synchronize(CpDevice*, CpError*) { return CP_OK; }

int64_t overhead_bytes(CpDevice*) { return 0; }

int64_t free_bytes(CpDevice*) { return 0; }

// A clock that counts marks, so that profiles can be foreseen.
CpStatus mark(CpDevice*, int32_t, CpError*) { return CP_OK; }

CpStatus elapsed_us(CpDevice*, int32_t first, int32_t last, double* microseconds, CpError*) {
    *microseconds = last - first;
    return CP_OK;
}

constexpr CpBackend kBackend = {CP_BACKEND_VERSION,
                                "cpu",
                                static_cast<int32_t>(std::size(kOps)),
                                kOps,
                                describe,
                                probe,
                                open,
                                close,
                                allocate,
                                release,
                                write,
                                write_rows,
                                read,
                                synchronize,
                                overhead_bytes,
                                free_bytes,
                                mark,
                                elapsed_us};

}  // namespace

const CpBackend& stub_backend() { return kBackend; }

}  // namespace compact::test
