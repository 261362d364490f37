/* A CUDA module without kernels, for tests of what loads modules. */
#include <string.h>

#include "native/backend/backend.h"

#ifndef STUB_VERSION
#define STUB_VERSION CP_BACKEND_VERSION
#endif
#ifndef STUB_NAME
#define STUB_NAME "cuda"
#endif

/* A machine with an old GPU, a broken one and a good one. */
static void describe(CpBackendInfo *info) {
    memset(info, 0, sizeof *info);
    strcpy(info->architectures, "80 90a compute_80");
    info->driver = 13020;
    info->runtime = 13000;
    info->num_devices = 3;
    const int32_t capabilities[3] = {75, 80, 90};
    for (int i = 0; i < 3; ++i) {
        strcpy(info->devices[i].name, "stub");
        info->devices[i].compute_capability = capabilities[i];
        info->devices[i].total_bytes = (int64_t)1 << 34;
    }
    strcpy(info->devices[0].problem, "compute capability 7.5");
}

static void probe(int32_t index, CpDeviceInfo *info) {
    if (index == 1) strcpy(info->problem, "no answer");
    info->free_bytes = (int64_t)1 << 33;
}

static const CpBackend backend = {
    .version = STUB_VERSION, .name = STUB_NAME, .describe = describe, .probe = probe};

const CpBackend *compact_cuda_backend(void) { return &backend; }
