// Products with few rows, as of one token of every sequence that is generated. There a weight is
// used as often as there are rows, so packing it would cost more than the product: it is read once,
// where and as it is stored, and the limit is memory bandwidth.
#pragma once

#include "native/cpu/gemm/gemm.h"
#include "native/cpu/gemm/gemm_kernel.h"

namespace compact {

inline constexpr int64_t kFewRows = 4;

// A block of such a product.
struct FewRowsBlock {
    const void* a;  // (rows, depth)
    int64_t a_stride;
    const void* b;  // (depth, columns) or its transpose
    int64_t b_stride;
    int32_t dtype;  // f32 or bf16, of a and b
    int64_t rows, depth, columns;
    float* sums;  // (rows, columns)
    int64_t sums_stride;
};

namespace scalar {
// sums += a b, each element one chain of additions in ascending order of depth.
void add_few_rows(const FewRowsBlock& block);
// sums = a b of a transposed b.
void dot_few_rows(const FewRowsBlock& block);
}  // namespace scalar
#if defined(COMPACT_X86)
namespace avx2 {
void add_few_rows(const FewRowsBlock& block);
void dot_few_rows(const FewRowsBlock& block);
}  // namespace avx2
namespace avx512 {
void add_few_rows(const FewRowsBlock& block);
void dot_few_rows(const FewRowsBlock& block);
}  // namespace avx512
#endif

bool takes_few_rows(const Gemm& problem);

// A product that takes_few_rows(). `kernel`: of f32, which stores. `workspace` as that of gemm().
void gemm_few_rows(CpDevice& device, const GemmKernel& kernel, const Gemm& problem,
                   char* workspace);

}  // namespace compact
