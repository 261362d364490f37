// Partition of a product over threads. Each thread packs for itself: no thread waits for another
// within a product.
#include "native/cpu/gemm/gemm.h"

#include <algorithm>

#include "native/backend/call.h"
#include "native/cpu/gemm/few_rows.h"
#include "native/cpu/gemm/gemm_part.h"

namespace compact {
namespace {

const GemmKernel& choose_kernel(InstructionSet set, int32_t dtype) {
#if defined(COMPACT_X86)
    if (dtype == CP_BF16 && set == InstructionSet::kAmxBf16) return kGemmAmx;
    if (dtype == CP_BF16 && set == InstructionSet::kAvx512Bf16) return kGemmAvx512Bf16;
    if (set >= InstructionSet::kAvx512) return avx512::kGemmF32;
    if (set == InstructionSet::kAvx2) return avx2::kGemmF32;
#endif
    (void)set;
    (void)dtype;
    return scalar::kGemmF32;
}

// ---- Partition ----------------------------------------------------------------------------------

// Rough cycles of one part, to compare partitions.
double part_cost(const GemmKernel& kernel, const Gemm& problem, int64_t rows, int64_t columns) {
    constexpr double kReadCost = 0.05, kPackCost = 0.25, kDecodeCost = 1.0, kProjectionCost = 2.0;
    const auto pack_cost = [](const GemmOperand& operand) {  // per element
        return operand.is_stored() ? kPackCost
                                   : (operand.is_quantized() ? kDecodeCost : kProjectionCost);
    };
    const bool direct =
        problem.a.is_stored() && !problem.a.transposed && problem.dtype == kernel.direct_dtype;
    const double a_cost = direct ? kReadCost : pack_cost(problem.a);
    const double b_cost = pack_cost(problem.b);
    const auto m = static_cast<double>(rows), n = static_cast<double>(columns);
    return static_cast<double>(problem.k) *
           (m * n / kernel.products_per_cycle + m * a_cost + n * b_cost);
}

// A grid of parts, no more than there are threads.
struct Grid {
    int64_t rows_per_part, columns_per_part;  // multiples of the tile
    int64_t row_parts, column_parts;

    Grid(const GemmKernel& kernel, const Gemm& problem, int64_t threads) {
        constexpr double kWorthSharing = 20000;  // cycles: a few times what waking threads takes
        if (part_cost(kernel, problem, problem.m, problem.n) < kWorthSharing) threads = 1;
        double least = 0.0;
        for (int64_t row_wanted = 1; row_wanted <= threads; ++row_wanted) {
            const int64_t column_wanted = threads / row_wanted;
            const int64_t rows = round_up(divide_up(problem.m, row_wanted), kernel.rows);
            const int64_t columns = round_up(divide_up(problem.n, column_wanted), kernel.columns);
            const double cost = part_cost(kernel, problem, rows, columns);
            if (row_wanted > 1 && cost >= least) continue;
            least = cost;
            rows_per_part = rows;
            columns_per_part = columns;
        }
        row_parts = divide_up(problem.m, rows_per_part);
        column_parts = divide_up(problem.n, columns_per_part);
    }

    int64_t num_parts() const { return row_parts * column_parts; }
    GemmPart part(int64_t index, const Gemm& problem) const {
        const int64_t row = index / column_parts * rows_per_part;
        const int64_t column = index % column_parts * columns_per_part;
        return {row, std::min(rows_per_part, problem.m - row), column,
                std::min(columns_per_part, problem.n - column)};
    }
};

// ---- Long sums into a small C -------------------------------------------------------------------
// There are too few tiles for many threads, so k is cut into slices, by shape alone, whose sums are
// added in order.

constexpr int64_t kSliceDepth = 2048, kMaxSlices = 16;
constexpr int64_t kSlicedElements = 16 * kMaxTile * kMaxTile;  // of C

int64_t num_slices(const Gemm& problem) {
    const auto generated = [](const GemmOperand& operand) {
        return !operand.is_stored() && !operand.is_quantized();
    };
    if (generated(problem.a) || generated(problem.b)) return 1;
    if (problem.m * problem.n > kSlicedElements) return 1;
    return std::clamp<int64_t>(problem.k / kSliceDepth, 1, kMaxSlices);
}

int64_t slice_bytes(int64_t m, int64_t n) {
    return round_up(std::min(m * n, kSlicedElements) * 4, 64);
}

// The operand from some row or column of its matrix on.
GemmOperand advanced(GemmOperand operand, int64_t rows, int64_t columns, int32_t dtype) {
    if (operand.is_stored()) {
        operand.data = static_cast<const char*>(operand.data) +
                       (rows * operand.stride + columns) * dtype_bytes(dtype);
    } else {
        operand.first_row += rows;
        operand.first_column += columns;
    }
    return operand;
}

void gemm_sliced(CpDevice& device, const GemmKernel& kernel, const Gemm& problem, int64_t slices,
                 char* workspace, double* squares) {
    const int64_t depth = round_up(divide_up(problem.k, slices), 32);
    const int64_t one_slice = slice_bytes(problem.m, problem.n);
    const int64_t one_task = GemmPartWorkspace(problem.m, problem.n, problem.k).total;
    char* tasks = workspace + slices * one_slice;
    device.pool.parallel_for(slices, [&](int64_t slice, int thread) {
        const int64_t k = slice * depth;
        Gemm part;
        part.m = problem.m;
        part.n = problem.n;
        part.k = std::clamp<int64_t>(problem.k - k, 0, depth);
        part.dtype = problem.dtype;
        const auto from_k = [&](const GemmOperand& operand, bool along_rows) {
            return advanced(operand, along_rows ? k : 0, along_rows ? 0 : k, problem.dtype);
        };
        part.a = from_k(problem.a, problem.a.transposed);
        part.b = from_k(problem.b, !problem.b.transposed);
        part.c = workspace + slice * one_slice;
        part.c_stride = problem.n;
        GemmPartProduct(device.instruction_set, kernel, part, {0, part.m, 0, part.n},
                        tasks + thread * one_task)
            .run();
    });

    float* sums = reinterpret_cast<float*>(workspace);
    for (int64_t slice = 1; slice < slices; ++slice) {
        const float* more = reinterpret_cast<const float*>(workspace + slice * one_slice);
        for (int64_t i = 0; i < problem.m * problem.n; ++i) sums[i] += more[i];
    }
    Gemm finished = problem;
    finished.k = 0;
    GemmPartProduct(device.instruction_set, kernel, finished, {0, problem.m, 0, problem.n}, tasks,
                    squares)
        .store_sums(sums);
}

void gemm_whole(CpDevice& device, const GemmKernel& kernel, const Gemm& problem, char* workspace,
                double* squares) {
    const Grid grid(kernel, problem, device.pool.num_threads());
    const int64_t one_task = GemmPartWorkspace(problem.m, problem.n, problem.k).total;
    device.pool.parallel_for(grid.num_parts(), [&](int64_t index, int thread) {
        GemmPartProduct(device.instruction_set, kernel, problem, grid.part(index, problem),
                        workspace + thread * one_task, squares)
            .run();
    });
}

}  // namespace

int64_t gemm_serial_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t) {
    return GemmPartWorkspace(m, n, k).total;
}

int64_t gemm_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t, int threads) {
    const int64_t slices = k < 2 * kSliceDepth ? 0 : std::min(k / kSliceDepth, kMaxSlices);
    return threads * GemmPartWorkspace(m, n, k).total + slices * slice_bytes(m, n);
}

int64_t gemm_squares_bytes(int64_t m, int64_t n) {
    const int64_t tiles = divide_up(m, kMinTileRows) * divide_up(n, kMinTileColumns);
    return round_up(tiles * static_cast<int64_t>(sizeof(double)), 64);
}

void gemm_serial(InstructionSet set, const Gemm& problem, void* workspace) {
    if (problem.m <= 0 || problem.n <= 0) return;
    const GemmKernel& kernel = choose_kernel(set, problem.dtype);
    GemmPartProduct(set, kernel, problem, {0, problem.m, 0, problem.n}, workspace).run();
}

void gemm(CpDevice& device, const Gemm& problem, void* workspace) {
    if (problem.m <= 0 || problem.n <= 0) return;
    char* memory = static_cast<char*>(workspace);
    if (takes_few_rows(problem)) {
        const GemmKernel& stores = choose_kernel(device.instruction_set, CP_F32);
        return gemm_few_rows(device, stores, problem, memory);
    }
    const GemmKernel& kernel = choose_kernel(device.instruction_set, problem.dtype);
    double* squares = nullptr;  // of each tile
    if (problem.squares != nullptr) {
        squares = reinterpret_cast<double*>(memory);
        memory += gemm_squares_bytes(problem.m, problem.n);
    }
    const int64_t slices = num_slices(problem);
    if (slices > 1) {
        gemm_sliced(device, kernel, problem, slices, memory, squares);
    } else {
        gemm_whole(device, kernel, problem, memory, squares);
    }
    if (squares == nullptr) return;
    const int64_t tiles = divide_up(problem.m, kernel.rows) * divide_up(problem.n, kernel.columns);
    double total = 0.0;
    for (int64_t tile = 0; tile < tiles; ++tile) total += squares[tile];
    *problem.squares = static_cast<float>(total);
}

}  // namespace compact
