#include <dlfcn.h>

#include "cuda/gemm/blas_lt.h"

namespace compact {
namespace {

// Sonames first: they cover LD_LIBRARY_PATH and what the system has registered.
constexpr const char* kLibraries[] = {
    "libcublasLt.so.13",
    "libcublasLt.so.12",
    "/usr/local/cuda/lib64/libcublasLt.so",
    "/usr/local/cuda-13.0/lib64/libcublasLt.so",
    "/usr/lib/x86_64-linux-gnu/libcublasLt.so",
    "/opt/cuda/lib64/libcublasLt.so",
};

// The library stays open: engines share it, and unloading it is not supported by its maker.
void* open_library(const char* only, std::string& problem) {
    if (only != nullptr) {
        void* library = dlopen(only, RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) problem = dlerror();
        return library;
    }
    for (const char* name : kLibraries) {
        if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    }
    problem = "libcublasLt.so.13 or .12 was not found";
    return nullptr;
}

bool find_functions(void* library, lt::Api& api, std::string& problem) {
#define COMPACT_LT_FIND(symbol, name, result, arguments)                      \
    api.name = reinterpret_cast<decltype(api.name)>(dlsym(library, #symbol)); \
    if (api.name == nullptr) {                                                \
        problem = "the library has no " #symbol;                              \
        return false;                                                         \
    }
    COMPACT_LT_FUNCTIONS(COMPACT_LT_FIND)
#undef COMPACT_LT_FIND
    return true;
}

int type_of(int32_t dtype) { return dtype == CP_BF16 ? lt::kBFloat16 : lt::kFloat32; }

// What the library assumes of pointers unless told otherwise.
bool aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 256 == 0; }

bool takes(const CudaGemm& p, const void* workspace) {
    const auto stored = [](const CudaGemmOperand& operand) {
        return operand.phat == nullptr && operand.data != nullptr;
    };
    return p.update == nullptr && stored(p.a) && stored(p.b) && p.a.dtype == p.b.dtype &&
           (p.c_dtype == p.a.dtype || p.c_dtype == CP_F32) && p.m > 0 && p.n > 0 && p.k > 0 &&
           aligned(p.a.data) && aligned(p.b.data) && aligned(p.c) && aligned(workspace);
}

}  // namespace

// The library counts in columns: a row-major C = A B is its C^T = B^T A^T, so B comes first.
struct BlasLt::Plan {
    const lt::Api& api;
    lt::MatmulDescription description = nullptr;
    lt::MatrixLayout b = nullptr, a = nullptr, c = nullptr;
    lt::Algorithm algorithm{};
    size_t workspace_bytes = 0;

    explicit Plan(const lt::Api& functions) : api(functions) {}
    ~Plan() {
        for (lt::MatrixLayout layout : {a, b, c})
            if (layout != nullptr) api.destroy_layout(layout);
        if (description != nullptr) api.destroy_description(description);
    }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;
};

BlasLt::BlasLt(const lt::Api& api) : api_(api) {}

std::unique_ptr<BlasLt> BlasLt::open(std::string& problem, const char* only) {
    void* library = open_library(only, problem);
    lt::Api api;
    if (library == nullptr || !find_functions(library, api, problem)) return nullptr;
    std::unique_ptr<BlasLt> result(new BlasLt(api));
    const lt::Status status = api.create(&result->handle_);
    if (status == lt::kSuccess) return result;
    problem = "cublasLtCreate gives " + std::to_string(status);
    return nullptr;
}

BlasLt::~BlasLt() {
    plans_.clear();
    if (handle_ != nullptr) api_.destroy(handle_);
}

std::unique_ptr<BlasLt::Plan> BlasLt::make_plan(const CudaGemm& p, size_t workspace_bytes) {
    auto plan = std::make_unique<Plan>(api_);
    const int type = type_of(p.a.dtype);
    const auto unsigned_of = [](int64_t size) { return static_cast<uint64_t>(size); };
    const auto layout = [&](lt::MatrixLayout* out, int dtype, int64_t rows, int64_t columns,
                            int64_t stride) {
        return api_.create_layout(out, dtype, unsigned_of(columns), unsigned_of(rows), stride) ==
               lt::kSuccess;
    };
    const auto stored = [&](lt::MatrixLayout* out, const CudaGemmOperand& x, int64_t rows,
                            int64_t columns) {
        return x.transposed ? layout(out, type, columns, rows, x.stride)
                            : layout(out, type, rows, columns, x.stride);
    };
    const auto transpose = [&](int attribute, bool transposed) {
        return !transposed || api_.set_description(plan->description, attribute, &lt::kTranspose,
                                                   sizeof lt::kTranspose) == lt::kSuccess;
    };
    lt::Preference preference = nullptr;
    lt::HeuristicResult found{};
    int num_found = 0;
    const bool described = api_.create_description(&plan->description, lt::kComputeFloat32,
                                                   lt::kFloat32) == lt::kSuccess &&
                           transpose(lt::kTransposeA, p.b.transposed) &&
                           transpose(lt::kTransposeB, p.a.transposed) &&
                           stored(&plan->b, p.b, p.k, p.n) && stored(&plan->a, p.a, p.m, p.k) &&
                           layout(&plan->c, type_of(p.c_dtype), p.m, p.n, p.c_stride) &&
                           api_.create_preference(&preference) == lt::kSuccess;
    const bool chosen =
        described &&
        api_.set_preference(preference, lt::kMaxWorkspaceBytes, &workspace_bytes,
                            sizeof workspace_bytes) == lt::kSuccess &&
        api_.find_algorithms(handle_, plan->description, plan->b, plan->a, plan->c, plan->c,
                             preference, 1, &found, &num_found) == lt::kSuccess &&
        num_found == 1 && found.state == lt::kSuccess && found.workspace_bytes <= workspace_bytes;
    if (preference != nullptr) api_.destroy_preference(preference);
    if (!chosen) return nullptr;
    plan->algorithm = found.algorithm;
    plan->workspace_bytes = found.workspace_bytes;
    return plan;
}

bool BlasLt::multiply(CpDevice& device, const CudaGemm& p, void* workspace) {
    if (!takes(p, workspace)) return false;
    const int types = p.a.dtype | p.c_dtype << 4;
    const int transposes = (p.a.transposed ? 1 : 0) | (p.b.transposed ? 2 : 0);
    const Key key{p.m, p.n, p.k, p.a.stride, p.b.stride, p.c_stride, types, transposes};
    auto place = plans_.find(key);
    if (place == plans_.end()) {
        const auto bytes = static_cast<size_t>(gemm_workspace_bytes(p.m, p.n, p.k, p.a.dtype));
        place = plans_.emplace(key, make_plan(p, bytes)).first;
    }
    const Plan* plan = place->second.get();
    if (plan == nullptr) return false;
    const float beta = p.accumulate ? 1.0f : 0.0f;
    return api_.matmul(handle_, plan->description, &p.alpha, p.b.data, plan->b, p.a.data, plan->a,
                       &beta, p.c, plan->c, p.c, plan->c, &plan->algorithm, workspace,
                       plan->workspace_bytes, device.stream) == lt::kSuccess;
}

}  // namespace compact
