// cuBLASLt behind the interface of products, with a library that stands in for it: what it is told
// of layouts, transposes and types shows in the sums. Integers make every sum exact.
#include <dlfcn.h>

#include <cstring>
#include <string>
#include <vector>

#include "cuda/gemm/blas_lt.h"
#include "native/base/bf16.h"
#include "native/test/check.h"

namespace compact::test {
namespace {

int num_heuristics() {
    void* library = dlopen(COMPACT_FAKE_CUBLASLT, RTLD_NOW | RTLD_LOCAL);
    return reinterpret_cast<int (*)()>(dlsym(library, "fake_num_heuristics"))();
}

// A stored matrix of small integers, 256-byte aligned as the arena's values are.
class Matrix {
  public:
    Matrix(int64_t rows, int64_t columns, int32_t dtype, int seed)
        : columns_(columns),
          dtype_(dtype),
          memory_(static_cast<char*>(std::aligned_alloc(256, round_up(rows * columns * 4, 256)))) {
        for (int64_t i = 0; i < rows * columns; ++i)
            set(i, static_cast<float>((i * 7 + seed) % 9 - 4));
    }
    ~Matrix() { std::free(memory_); }
    Matrix(const Matrix&) = delete;
    Matrix& operator=(const Matrix&) = delete;

    float at(int64_t row, int64_t column) const {
        const int64_t i = row * columns_ + column;
        if (dtype_ == CP_F32) return reinterpret_cast<const float*>(memory_)[i];
        return bf16_to_float(reinterpret_cast<const uint16_t*>(memory_)[i]);
    }
    CudaGemmOperand operand(bool transposed) const {
        return {memory_, dtype_, columns_, transposed};
    }
    char* data() const { return memory_; }

  private:
    void set(int64_t i, float value) {
        if (dtype_ == CP_F32) reinterpret_cast<float*>(memory_)[i] = value;
        if (dtype_ == CP_BF16) reinterpret_cast<uint16_t*>(memory_)[i] = bf16_from_float(value);
    }
    int64_t columns_;
    int32_t dtype_;
    char* memory_;
};

}  // namespace

TEST(blas_lt_multiplies_every_layout) {
    std::string problem;
    const auto blas = BlasLt::open(problem, COMPACT_FAKE_CUBLASLT);
    if (!CHECK(blas != nullptr)) return;
    CHECK(blas->version() == 130100);
    CpDevice device;
    const int64_t m = 5, n = 3, k = 11;
    for (const auto& [dtype, c_dtype] : std::vector<std::pair<int32_t, int32_t>>{
             {CP_F32, CP_F32}, {CP_BF16, CP_BF16}, {CP_BF16, CP_F32}}) {
        for (int transposed = 0; transposed < 4; ++transposed) {
            const bool a_turned = (transposed & 1) != 0, b_turned = transposed > 1;
            const Matrix a(a_turned ? k : m, a_turned ? m : k, dtype, 1);
            const Matrix b(b_turned ? n : k, b_turned ? k : n, dtype, 2);
            for (const bool accumulate : {false, true}) {
                const Matrix before(m, n, c_dtype, 3), c(m, n, c_dtype, 3);
                CudaGemm product;
                product.m = m;
                product.n = n;
                product.k = k;
                product.a = a.operand(a_turned);
                product.b = b.operand(b_turned);
                product.c = c.data();
                product.c_dtype = c_dtype;
                product.c_stride = n;
                product.alpha = 0.5f;
                product.accumulate = accumulate;
                if (!CHECK(blas->multiply(device, product, nullptr))) return;
                for (int64_t i = 0; i < m; ++i) {
                    for (int64_t j = 0; j < n; ++j) {
                        float sum = 0.0f;
                        for (int64_t t = 0; t < k; ++t)
                            sum += (a_turned ? a.at(t, i) : a.at(i, t)) *
                                   (b_turned ? b.at(j, t) : b.at(t, j));
                        CHECK(c.at(i, j) == 0.5f * sum + (accumulate ? before.at(i, j) : 0.0f));
                    }
                }
            }
        }
    }
}

TEST(blas_lt_products_have_their_squares) {
    std::string problem;
    CpDevice device;
    CHECK(cudaStreamCreateWithFlags(&device.stream, cudaStreamNonBlocking) == cudaSuccess);
    device.blas = BlasLt::open(problem, COMPACT_FAKE_CUBLASLT);
    if (!CHECK(device.blas != nullptr)) return;
    const int64_t m = 5, n = 3, k = 2048;  // our own product would come in parts
    const Matrix a(m, k, CP_BF16, 1), b(k, n, CP_BF16, 2), c(m, n, CP_BF16, 3);
    const Matrix workspace(gemm_squares_workspace_bytes(m, n, k, CP_BF16), 1, CP_F32, 0);
    float squares = -1.0f;
    CudaGemm product;
    product.m = m;
    product.n = n;
    product.k = k;
    product.a = a.operand(false);
    product.b = b.operand(false);
    product.c = c.data();
    product.c_dtype = CP_BF16;
    product.c_stride = n;
    product.squares = &squares;
    CpError error{};
    const int before = num_heuristics();
    CHECK(gemm(device, "matmul", product, workspace.data(), &error) == CP_OK);
    CHECK(num_heuristics() == before + 1);
    CHECK(cudaStreamSynchronize(device.stream) == cudaSuccess);
    cudaStreamDestroy(device.stream);
    double expected = 0.0;
    for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) expected += c.at(i, j) * c.at(i, j);
    }
    CHECK(expected > 0.0 && squares == static_cast<float>(expected));
}

TEST(blas_lt_chooses_once_per_shape_and_passes_on_what_it_cannot_do) {
    std::string problem;
    const auto blas = BlasLt::open(problem, COMPACT_FAKE_CUBLASLT);
    if (!CHECK(blas != nullptr)) return;
    CpDevice device;
    const Matrix a(4, 80, CP_F32, 1), b(80, 4, CP_F32, 2), c(4, 4, CP_F32, 3);
    CudaGemm product;
    product.m = 4;
    product.n = 4;
    product.k = 80;
    product.a = a.operand(false);
    product.b = b.operand(false);
    product.c = c.data();
    product.c_stride = 4;
    const int before = num_heuristics();
    CHECK(blas->multiply(device, product, nullptr));
    CHECK(blas->multiply(device, product, nullptr));
    CHECK(num_heuristics() == before + 1);

    CudaGemm refused = product;
    refused.k = 77;  // no algorithm
    CHECK(!blas->multiply(device, refused, nullptr));
    CudaGemm unaligned = product;
    unaligned.a.data = a.data() + 16;
    CHECK(!blas->multiply(device, unaligned, nullptr));
    CudaGemm updated = product;
    const WeightUpdate update;
    updated.update = &update;
    CHECK(!blas->multiply(device, updated, nullptr));
    CudaGemm mixed = product;
    mixed.b.dtype = CP_BF16;
    CHECK(!blas->multiply(device, mixed, nullptr));
}

TEST(blas_lt_says_why_there_is_none) {
    std::string problem;
    CHECK(BlasLt::open(problem, "/nowhere/libcublasLt.so") == nullptr);
    CHECK(problem.find("/nowhere/libcublasLt.so") != std::string::npos);
    CHECK(BlasLt::open(problem, "libm.so.6") == nullptr);
    CHECK(problem.find("cublasLtCreate") != std::string::npos);
}

}  // namespace compact::test
