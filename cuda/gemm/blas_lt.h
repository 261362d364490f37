// Products by NVIDIA's cuBLASLt, where its library is on the machine: opened at run time, never
// required.
//
// It takes products of stored operands of one type; those of P made on the way and fused updates
// stay with our own kernels. As workspace it gets what the plan holds for our own kernels
// (gemm_workspace_bytes), so a plan does not depend on the library.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "cuda/gemm/blas_lt_api.h"
#include "cuda/gemm/gemm.h"

namespace compact {

class BlasLt {
  public:
    // nullptr when no library can be used; `problem` says why. `only`, for tests, is the one that
    // is tried.
    static std::unique_ptr<BlasLt> open(std::string& problem, const char* only = nullptr);
    ~BlasLt();
    BlasLt(const BlasLt&) = delete;
    BlasLt& operator=(const BlasLt&) = delete;

    // Enqueues the product. False when the library does not take it: nothing has happened then.
    // Belongs to the thread of one engine.
    bool multiply(CpDevice& device, const CudaGemm& problem, void* workspace);

    // As the library counts: 130100 is 13.1.
    int64_t version() const { return static_cast<int64_t>(api_.version()); }

  private:
    // A shape with its descriptors and the algorithm that the library chose for it.
    struct Plan;
    // Sizes, strides, types, transposes.
    using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int, int>;

    explicit BlasLt(const lt::Api& api);
    std::unique_ptr<Plan> make_plan(const CudaGemm& problem, size_t workspace_bytes);

    lt::Api api_;
    lt::Handle handle_ = nullptr;
    std::map<Key, std::unique_ptr<Plan>> plans_;  // null: the library does not take this shape
};

}  // namespace compact
