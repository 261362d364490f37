// The contract between the engine (native/core) and a backend (native/cpu, cuda).
//
// A backend is one table of function pointers with its own version number, so that a backend built
// as a separate module can be checked before a single call. Plain C types only: a module and the
// addon may have been built by different compilers. Nothing here throws; every function that can
// fail fills a CpError and returns a status other than CP_OK.
#pragma once

#include <stdint.h>

// A pointer that tables may leave out at their end.
#ifdef __cplusplus
#define CP_OPTIONAL = nullptr
extern "C" {
#else
#define CP_OPTIONAL
#endif

#define CP_BACKEND_VERSION 5
#define CP_MAX_DIMS 4
#define CP_MAX_INPUTS 16
#define CP_MAX_OUTPUTS 8
#define CP_MAX_ATTRIBUTES 24
#define CP_MAX_DEVICES 16
#define CP_RUNS_IN_FLIGHT 2
#define CP_OUTPUT_ALIGNMENT 64
#define CP_MAX_GROUP 4
#define CP_MAX_ROW_BYTES (4 << 20)

// Values of plans have the first five; numbers on the host may have all.
typedef enum {
    CP_F32 = 0,
    CP_BF16 = 1,
    CP_I32 = 2,
    CP_U8 = 3,
    CP_I8 = 4,
    CP_F16 = 5,
    CP_F64 = 6
} CpDtype;

typedef enum { CP_OK = 0, CP_FAILED = 1 } CpStatus;

// Code and fields of an error; the sentence is composed in TypeScript (lib/errors.ts).
typedef struct {
    char code[48];       // "ERR_COMPACT_..."
    char op[32];         // op or call that failed, may be empty
    char expected[192];  // what would have been right
    char received[192];  // what was found
} CpError;

// A dense row-major view. An absent optional input has data == NULL and num_dims == 0.
typedef struct {
    void* data;
    int64_t shape[CP_MAX_DIMS];
    int32_t num_dims;
    int32_t dtype;  // CpDtype
} CpTensor;

// A named number. Runtime scalars (learning rate, step, epoch) are already resolved in `value`
// when an op runs; `scalar_slot` >= 0 says that the value may differ on the next run.
typedef struct {
    const char* name;
    double value;
    int32_t scalar_slot;
} CpAttribute;

// One call of one op. Attributes stand in the order of the op's signature, defaults filled in.
typedef struct {
    CpTensor inputs[CP_MAX_INPUTS];
    CpTensor outputs[CP_MAX_OUTPUTS];
    CpAttribute attributes[CP_MAX_ATTRIBUTES];
    int32_t num_inputs;
    int32_t num_outputs;
    int32_t num_attributes;
    void* workspace;  // at least workspace_bytes(...) bytes, 64-byte aligned, contents undefined
    int64_t workspace_bytes;
} CpCall;

// What workspace formulas may depend on. It is data, so a plan can be made for a machine that is
// not here.
typedef struct {
    int32_t threads;  // CPU worker threads (CPU backend), ignored elsewhere
    int32_t reserved[7];
} CpLimits;

typedef struct CpDevice CpDevice;

typedef struct {
    int32_t index;                // device number within the backend
    int32_t threads;              // CPU: worker threads, >= 1
    const char* instruction_set;  // CPU: "auto" or a name of instruction_sets
    const char* blas;             // GPU: whose products: "own", "vendor" or "auto"; NULL is "own"
    int64_t reserved[4];
} CpDeviceOptions;

typedef struct {
    char name[128];
    int32_t compute_capability;  // 10 * major + minor, 0 where it has no meaning
    int64_t total_bytes;
    int64_t free_bytes;  // 0 until probed
    char problem[192];   // why it cannot be used, else empty
} CpDeviceInfo;

// What a backend is built for and what it finds on this machine.
typedef struct {
    char architectures[128];  // device code inside, separated by blanks: "80 86 ... compute_80"
    int32_t driver;           // version as CUDA counts (13000: 13.0), 0: none
    int32_t runtime;
    int32_t num_devices;  // usable or not
    CpDeviceInfo devices[CP_MAX_DEVICES];
    char problem[192];  // why no device can be used, else empty
} CpBackendInfo;

typedef struct {
    const char* name;  // as in native/base/op_table.h
    // Bytes of scratch the op needs for these shapes (data pointers may be NULL).
    int64_t (*workspace_bytes)(const CpCall* call, const CpLimits* limits);
    // Extra conditions that the signature cannot say (width = heads * head size, ...). May be NULL.
    CpStatus (*check)(const CpCall* call, CpError* error);
    CpStatus (*run)(CpDevice* device, const CpCall* call, CpError* error);
    // Makes in the workspace what needs no input of the call, beside the instruction that is
    // enqueued next; run() of the same call follows that one.
    CpStatus (*prepare)(CpDevice* device, const CpCall* call, CpError* error) CP_OPTIONAL;
    // Runs 2 to CP_MAX_GROUP calls, none of which touches a byte that another one writes, with the
    // results that run() gives one by one, to the bit. The first may have been prepared. NULL: they
    // are run one by one.
    CpStatus (*run_group)(CpDevice* device, const CpCall* calls, int32_t count,
                          CpError* error) CP_OPTIONAL;
} CpOp;

// An output of a run on its way to the host.
typedef struct {
    const void* source;
    void* host;
    int64_t bytes;
} CpOutput;

// Rows that are made where they are wanted.
typedef struct {
    // Makes `count` of them from `first` on, each `stride` bytes behind the one before. From any
    // thread, and from several at a time.
    void (*make)(const void* context, int64_t first, int64_t count, void* target, int64_t stride);
    const void* context;
    int64_t num_rows;
    int64_t row_bytes;  // at most CP_MAX_ROW_BYTES
} CpRowSource;

// Runs of a plan that go on after their calls have returned. One run may be enqueued behind
// another: slots 0 and 1, in turn. Calls of a run: begin, ops, launch if it is recorded, end; then
// collect, after which its slot is free. After a failure: discard, and nothing of the run is left
// but what has been enqueued.
typedef struct {
    // Another plan, whose runs have at most `output_bytes` of outputs, each rounded up to
    // CP_OUTPUT_ALIGNMENT. What was kept of the entries before is dropped. Nothing may be in
    // flight.
    CpStatus (*set_plan)(CpDevice* device, int32_t num_entries, int64_t output_bytes,
                         CpError* error);
    // With an entry of the plan (not -1) ops are recorded, and start together with launch().
    CpStatus (*begin)(CpDevice* device, int32_t slot, int32_t recorded_entry, CpError* error);
    // Nothing has run when it fails.
    CpStatus (*launch)(CpDevice* device, CpError* error);
    void (*discard)(CpDevice* device);
    // Enqueues the way of the outputs to the host.
    CpStatus (*end)(CpDevice* device, int32_t slot, const CpOutput* outputs, int32_t num_outputs,
                    CpError* error);
    // Whether collect() would not wait. True of a run that has failed.
    int32_t (*is_done)(CpDevice* device, int32_t slot);
    // Waits for the end of the run, reports what went wrong in it, fills the outputs.
    CpStatus (*collect)(CpDevice* device, int32_t slot, const CpOutput* outputs,
                        int32_t num_outputs, CpError* error);
} CpRuns;

typedef struct {
    int32_t version;   // CP_BACKEND_VERSION of the build
    const char* name;  // "cpu", "cuda"
    int32_t num_ops;
    const CpOp* ops;
    // Cannot fail: what is missing is said in `problem`. Takes nothing from any device.
    void (*describe)(CpBackendInfo* info);
    // Lets a device of describe() compute something small: fills free_bytes, and problem where that
    // goes wrong. What the driver takes of the device for it stays taken while the process lives.
    void (*probe)(int32_t index, CpDeviceInfo* info);
    CpStatus (*open)(const CpDeviceOptions* options, CpDevice** device, CpError* error);
    void (*close)(CpDevice* device);
    // 256-byte aligned memory of the device.
    CpStatus (*allocate)(CpDevice* device, int64_t bytes, void** data, CpError* error);
    void (*release)(CpDevice* device, void* data, int64_t bytes);
    // Ordered with the ops of the device.
    CpStatus (*write)(CpDevice* device, void* target, const void* host, int64_t bytes,
                      CpError* error);
    // The same with rows, `stride` bytes from one to the next in the target.
    CpStatus (*write_rows)(CpDevice* device, void* target, int64_t stride, const CpRowSource* rows,
                           CpError* error);
    CpStatus (*read)(CpDevice* device, void* host, const void* source, int64_t bytes,
                     CpError* error);
    CpStatus (*synchronize)(CpDevice* device, CpError* error);
    // Bytes that the device lost by being opened (context, code, queues), beside what allocate()
    // gives; 0 where they cannot be told apart.
    int64_t (*overhead_bytes)(CpDevice* device);
    // Bytes that allocate() might still give; 0 where the device has no memory of its own (CPU).
    int64_t (*free_bytes)(CpDevice* device);
    // Notes the moment at which everything enqueued so far is done, without waiting for it.
    CpStatus (*mark)(CpDevice* device, int32_t slot, CpError* error);
    // Microseconds between two marks, after synchronize().
    CpStatus (*elapsed_us)(CpDevice* device, int32_t first, int32_t last, double* microseconds,
                           CpError* error);
    const CpRuns* runs CP_OPTIONAL;  // NULL where ops are done when they return
} CpBackend;

#ifdef __cplusplus
}
#endif
