#include "native/cpu/gemm/few_rows.h"

#include <algorithm>

#include "native/backend/call.h"
#include "native/cpu/gemm/gemm_part.h"
#include "native/cpu/quantization/decode.h"

namespace compact {
namespace {

constexpr int64_t kColumns = 512;          // whose sums stay in the L1 cache
constexpr int64_t kLeastColumns = 64;      // of a part
constexpr int64_t kStagedElements = 8192;  // of a quantised B that are decoded at a time: 32 KiB
// Below this many multiplications waking threads costs more than they save.
constexpr int64_t kWorthSharing = 128 * 1024;

using AddBlock = void (*)(const FewRowsBlock& block);

AddBlock choose(InstructionSet set, bool transposed) {
#if defined(COMPACT_X86)
    if (set >= InstructionSet::kAvx512)
        return transposed ? avx512::dot_few_rows : avx512::add_few_rows;
    if (set == InstructionSet::kAvx2) return transposed ? avx2::dot_few_rows : avx2::add_few_rows;
#endif
    (void)set;
    return transposed ? scalar::dot_few_rows : scalar::add_few_rows;
}

// Columns [first, first + count) of C, at most kColumns of them.
class FewRowsPart {
  public:
    FewRowsPart(const CpDevice& device, const Gemm& problem, void* staging, float* sums)
        : set_(device.instruction_set),
          problem_(problem),
          multiply_(choose(set_, problem.b.transposed)),
          staging_(staging) {
        block_.a = problem.a.data;
        block_.a_stride = problem.a.stride;
        block_.dtype = problem.dtype;
        block_.rows = problem.m;
        block_.depth = problem.k;
        block_.sums = sums;
        block_.sums_stride = kColumns;
    }

    void run(int64_t first, int64_t count) {
        std::fill_n(block_.sums, problem_.m * kColumns, 0.0f);
        block_.columns = count;
        if (problem_.b.is_stored()) {
            const int64_t row = problem_.b.transposed ? first : 0;
            const int64_t column = problem_.b.transposed ? 0 : first;
            block_.b = b_element(row, column);
            block_.b_stride = problem_.b.stride;
            multiply_(block_);
        } else if (problem_.b.transposed) {
            run_decoded_dots(first, count);
        } else {
            run_decoded_sums(first, count);
        }
    }

  private:
    const void* b_element(int64_t row, int64_t column) const {
        return static_cast<const char*>(problem_.b.data) +
               (row * problem_.b.stride + column) * dtype_bytes(problem_.dtype);
    }

    void decode(const MatrixBlock& block) {
        const MatrixBlock from{problem_.b.first_row + block.row, block.rows,
                               problem_.b.first_column + block.column, block.columns};
        decode_block(set_, problem_.b.quantized, from, problem_.dtype, staging_);
        block_.b = staging_;
        block_.b_stride = block.columns;
    }

    // Some rows of B at a time, for all columns of the part.
    void run_decoded_sums(int64_t first, int64_t count) {
        const int64_t step = kStagedElements / kColumns;
        for (int64_t k = 0; k < problem_.k; k += step) {
            block_.depth = std::min(step, problem_.k - k);
            block_.a = static_cast<const char*>(problem_.a.data) + k * dtype_bytes(problem_.dtype);
            decode({k, block_.depth, first, count});
            multiply_(block_);
        }
    }

    // Some columns of B, which are rows of what is stored, at a time.
    void run_decoded_dots(int64_t first, int64_t count) {
        float* const sums = block_.sums;
        const int64_t step = std::max<int64_t>(1, kStagedElements / problem_.k);
        for (int64_t j = 0; j < count; j += step) {
            block_.columns = std::min(step, count - j);
            block_.sums = sums + j;
            decode({first + j, block_.columns, 0, problem_.k});
            multiply_(block_);
        }
        block_.sums = sums;
    }

    const InstructionSet set_;
    const Gemm& problem_;
    const AddBlock multiply_;
    void* const staging_;
    FewRowsBlock block_{};
};

}  // namespace

bool takes_few_rows(const Gemm& problem) {
    const GemmOperand &a = problem.a, &b = problem.b;
    // A row of a quantised B is decoded as a whole where B is transposed.
    const bool decodes = b.is_quantized() && (!b.transposed || problem.k <= kStagedElements);
    return problem.m <= kFewRows && problem.k > 0 && a.is_stored() && !a.transposed &&
           (b.is_stored() || decodes) && problem.rounding == nullptr && problem.squares == nullptr;
}

void gemm_few_rows(CpDevice& device, const GemmKernel& kernel, const Gemm& problem,
                   char* workspace) {
    const bool shared = problem.m * problem.n * problem.k >= kWorthSharing;
    const int64_t parts = shared ? device.pool.num_threads() : 1;
    // No element of C depends on where the parts begin.
    const int64_t width =
        std::clamp(round_up(divide_up(problem.n, parts), kLeastColumns), kLeastColumns, kColumns);
    const int64_t one_task = GemmPartWorkspace(problem.m, problem.n, problem.k).total;
    device.pool.parallel_for(divide_up(problem.n, width), [&](int64_t index, int thread) {
        alignas(64) float sums[kFewRows * kColumns];
        const int64_t first = index * width, count = std::min(width, problem.n - first);
        FewRowsPart(device, problem, workspace + thread * one_task, sums).run(first, count);
        TileStore store{};
        store.sums = sums;
        store.sums_stride = kColumns;
        store.rows = problem.m;
        store.columns = count;
        store.c = static_cast<char*>(problem.c) + first * dtype_bytes(problem.c_dtype);
        store.c_dtype = problem.c_dtype;
        store.c_stride = problem.c_stride;
        store.alpha = problem.alpha;
        store.beta = problem.accumulate ? problem.beta : 0.0f;
        kernel.store(store);
    });
}

}  // namespace compact
