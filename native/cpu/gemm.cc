// Blocking, packing and partition of products; the arithmetic stands in the kernels.
//
// A block of B (k_block values of k by many columns) is packed for the L2 cache. Panels of A, one tile
// high, stay in the L1 cache while they pass over the whole block. Each thread packs for itself: no
// thread waits for another within a product.
#include "native/cpu/gemm.h"

#include <algorithm>
#include <cstring>

#include "native/backend/call.h"
#include "native/cpu/gemm_kernel.h"

namespace compact {
namespace {

constexpr int64_t kBlockBytes = 1024 * 1024;  // of packed B: half of an L2 cache
constexpr int64_t kSumsBytes = 1024 * 1024;   // of fp32 sums that wait for further blocks of k
constexpr int64_t kTileBytes = kMaxTile * kMaxTile * 4;
constexpr int64_t kPackedDepth = 64;  // values of k that are packed at a time
// Entries of Phat on their way into a panel, or the random numbers of a tile.
constexpr int64_t kStagingBytes = 2 * kMaxTile * kPackedDepth * 2;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

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

// ---- Workspace of one task ----------------------------------------------------------------------

struct WorkspaceSizes {
    int64_t block, panel, sums, total;

    WorkspaceSizes(int64_t m, int64_t n, int64_t k) {
        constexpr int64_t kLargestElement = 4;
        const int64_t rows = round_up(m, kMaxTile), columns = round_up(n, kMaxTile);
        const int64_t depth = std::max<int64_t>(round_up(k, 32), 32);
        block = std::min(kBlockBytes, depth * columns * kLargestElement);
        panel = std::min(kPanelBytes, depth * kMaxTile * kLargestElement);
        sums = k > kMinKBlock ? std::min(kSumsBytes, rows * columns * 4) : 0;
        total = block + panel + sums + kTileBytes + kStagingBytes;
    }
};

struct Workspace {
    char* block;        // packed B
    char* panel;        // packed A
    float* sums;
    float* tile;        // (kMaxTile, kMaxTile)
    uint16_t* staging;

    Workspace(void* memory, const WorkspaceSizes& sizes)
        : block(static_cast<char*>(memory)),
          panel(block + sizes.block),
          sums(reinterpret_cast<float*>(panel + sizes.panel)),
          tile(reinterpret_cast<float*>(panel + sizes.panel + sizes.sums)),
          staging(reinterpret_cast<uint16_t*>(panel + sizes.panel + sizes.sums + kTileBytes)) {}
};

// ---- Cutting ------------------------------------------------------------------------------------

// A part of a product that one thread computes.
struct Part {
    int64_t row, rows, column, columns;
};

struct Blocking {
    int64_t depth;    // values of k in a block, a multiple of 32
    int64_t columns;  // of a block of B
    int64_t rows;     // of A that pass over a block before the next block of k
    bool whole_depth; // all blocks of k of these columns are packed at once

    Blocking(const GemmKernel& kernel, int64_t m, int64_t n, int64_t k) {
        const int64_t num_depths = std::max<int64_t>(1, divide_up(k, kernel.k_block));
        depth = std::max<int64_t>(32, round_up(divide_up(k, num_depths), 32));
        const int64_t packed_depth = depth * num_depths;
        const int64_t column_bytes = packed_depth * kernel.element_bytes;
        int64_t most = kBlockBytes / column_bytes / kernel.columns * kernel.columns;
        whole_depth = num_depths == 1 || (most >= kFewColumns && m > kWaitingRows);
        rows = kernel.rows;
        if (!whole_depth) {
            most = kWaitingColumns;
            rows = kWaitingRows / kernel.rows * kernel.rows;
        }
        columns = round_up(divide_up(n, divide_up(n, most)), kernel.columns);
    }

  private:
    // Sums that wait: 512 x 512 in fp32 is kSumsBytes.
    static constexpr int64_t kWaitingRows = 512, kWaitingColumns = 512;
    // Fewer columns than this would use a panel of A too little.
    static constexpr int64_t kFewColumns = 128;
};

// ---- One part -----------------------------------------------------------------------------------

class PartProduct {
  public:
    PartProduct(InstructionSet set, const GemmKernel& kernel, const Gemm& problem, const Part& part,
                void* memory)
        : set_(set),
          kernel_(kernel),
          problem_(problem),
          part_(part),
          blocking_(kernel, part.rows, part.columns, problem.k),
          workspace_(memory, WorkspaceSizes(part.rows, part.columns, problem.k)) {}

    void run() {
        kernel_.begin();
        for (int64_t column = 0; column < part_.columns; column += blocking_.columns) {
            const int64_t columns = std::min(blocking_.columns, part_.columns - column);
            if (blocking_.whole_depth) {
                for_depths([&](int64_t k, int64_t depth) {
                    pack_block(column, columns, k, depth, block_of(k, columns));
                });
            }
            for (int64_t row = 0; row < part_.rows; row += blocking_.rows) {
                multiply_rows(row, std::min(blocking_.rows, part_.rows - row), column, columns);
            }
        }
        kernel_.end();
    }

    // Finishes sums (m, n) that were made elsewhere.
    void store_sums(float* sums) const {
        TileProduct tile;
        for (int64_t row = 0; row < part_.rows; row += kernel_.rows) {
            for (int64_t column = 0; column < part_.columns; column += kernel_.columns) {
                tile.rows = static_cast<int32_t>(
                    std::min<int64_t>(kernel_.rows, part_.rows - row));
                tile.columns = static_cast<int32_t>(
                    std::min<int64_t>(kernel_.columns, part_.columns - column));
                tile.sums = sums + row * part_.columns + column;
                tile.sums_stride = part_.columns;
                finish(tile, row, column);
            }
        }
    }

  private:
    // Calls body(k, depth) for every block of k, also once for an empty sum.
    template <class Body>
    void for_depths(Body body) const {
        int64_t k = 0;
        do {
            body(k, std::min(blocking_.depth, problem_.k - k));
            k += blocking_.depth;
        } while (k < problem_.k);
    }

    char* block_of(int64_t k, int64_t columns) const {
        const int64_t first = blocking_.whole_depth ? k : 0;
        return workspace_.block +
               first * round_up(columns, kernel_.columns) * kernel_.element_bytes;
    }

    void multiply_rows(int64_t row, int64_t rows, int64_t column, int64_t columns) {
        for_depths([&](int64_t k, int64_t depth) {
            if (!blocking_.whole_depth) pack_block(column, columns, k, depth, block_of(k, columns));
            for (int64_t i = 0; i < rows; i += kernel_.rows) {
                TileProduct tile;
                tile.rows = static_cast<int32_t>(std::min<int64_t>(kernel_.rows, rows - i));
                tile.steps = divide_up(depth, kernel_.k_step);
                tile.accumulate = k > 0;
                view_panel(row + i, k, depth, tile);
                const bool last = k + depth >= problem_.k;
                for (int64_t j = 0; j < columns; j += kernel_.columns) {
                    tile.columns =
                        static_cast<int32_t>(std::min<int64_t>(kernel_.columns, columns - j));
                    tile.b = block_of(k, columns) + j / kernel_.columns * panel_bytes(depth);
                    place_sums(row, i, column, j, tile);
                    kernel_.multiply(tile);
                    if (last && !in_place(tile)) finish(tile, row + i, column + j);
                }
            }
        });
    }

    // ---- Operands ----

    int64_t panel_bytes(int64_t depth) const {
        return round_up(depth, 32) * kernel_.columns * kernel_.element_bytes;
    }

    // Points the tile at its rows of A: where they stand if the kernel can read that, else packed.
    void view_panel(int64_t row, int64_t k, int64_t depth, TileProduct& tile) const {
        const GemmOperand& a = problem_.a;
        const int64_t bytes = dtype_bytes(problem_.dtype);
        if (a.data != nullptr && !a.transposed && problem_.dtype == kernel_.direct_dtype &&
            tile.rows % kernel_.row_step == 0 && depth % kernel_.k_step == 0 &&
            a.stride * bytes % kernel_.conflict_bytes != 0) {
            tile.a = static_cast<const char*>(a.data) +
                     ((part_.row + row) * a.stride + k) * bytes;
            tile.a_row_bytes = a.stride * bytes;
            tile.a_step_bytes = kernel_.k_step * bytes;
            return;
        }
        pack_panel(kernel_.pack_a, a, !a.transposed, part_.row + row, tile.rows, k, depth,
                   kernel_.rows, workspace_.panel);
        tile.a = workspace_.panel;
        // Rows of a step lie side by side, each with its k_step values.
        tile.a_row_bytes = kernel_.k_step * kernel_.element_bytes;
        tile.a_step_bytes = kernel_.rows * tile.a_row_bytes;
    }

    void pack_block(int64_t column, int64_t columns, int64_t k, int64_t depth, char* block) const {
        const GemmOperand& b = problem_.b;
        // Rows of B are read along; columns (of a transposed B) one panel after the other.
        const int64_t piece = b.data != nullptr && !b.transposed ? kPackedDepth : depth;
        for (int64_t done = 0; done < depth; done += piece) {
            for (int64_t j = 0; j < columns; j += kernel_.columns) {
                char* panel = block + j / kernel_.columns * panel_bytes(depth);
                pack_panel(kernel_.pack_b, b, b.transposed, part_.column + column + j,
                           std::min<int64_t>(kernel_.columns, columns - j), k + done,
                           std::min(piece, depth - done), kernel_.columns,
                           panel + done * kernel_.columns * kernel_.element_bytes);
            }
        }
    }

    // Packs `count` rows of A or columns of B, from `first` on, for `depth` values of k.
    void pack_panel(void (*pack)(const PanelSource&, int64_t, int64_t, void*),
                    const GemmOperand& operand, bool k_contiguous, int64_t first, int64_t count,
                    int64_t k, int64_t depth, int64_t width, char* panel) const {
        if (operand.data != nullptr) {
            const int64_t offset =
                k_contiguous ? first * operand.stride + k : k * operand.stride + first;
            const char* data =
                static_cast<const char*>(operand.data) + offset * dtype_bytes(problem_.dtype);
            return pack({data, operand.stride, k_contiguous, problem_.dtype}, count, depth, panel);
        }
        for (int64_t done = 0; done < depth; done += kPackedDepth) {
            const int64_t piece = std::min(kPackedDepth, depth - done);
            const PanelSource source = k_contiguous
                                           ? stage(operand, first, count, k + done, piece, true)
                                           : stage(operand, k + done, piece, first, count, false);
            pack(source, count, piece, panel + done * width * kernel_.element_bytes);
        }
    }

    // Generates a block of Phat.
    PanelSource stage(const GemmOperand& operand, int64_t row, int64_t rows, int64_t column,
                      int64_t columns, bool k_contiguous) const {
        const int64_t group = column / 8;
        const int64_t groups = divide_up(column + columns, 8) - group;
        projection_block(set_, operand.key, {operand.first_row + row, rows, group, groups},
                         workspace_.staging);
        return {workspace_.staging + column % 8, 8 * groups, k_contiguous, CP_BF16};
    }

    // ---- Sums ----

    // Whether the tile can be summed up in C itself.
    bool in_place(const TileProduct& tile) const {
        return problem_.c_dtype == CP_F32 && problem_.alpha == 1.0f && !problem_.accumulate &&
               tile.rows % kernel_.row_step == 0 && tile.columns % kernel_.column_step == 0;
    }

    void place_sums(int64_t row, int64_t i, int64_t column, int64_t j, TileProduct& tile) const {
        if (in_place(tile)) {
            tile.sums = static_cast<float*>(problem_.c) +
                        (part_.row + row + i) * problem_.c_stride + part_.column + column + j;
            tile.sums_stride = problem_.c_stride;
        } else if (problem_.k <= blocking_.depth) {
            tile.sums = workspace_.tile;
            tile.sums_stride = kernel_.columns;
        } else {
            tile.sums = workspace_.sums + i * blocking_.columns + j;
            tile.sums_stride = blocking_.columns;
        }
    }

    void finish(const TileProduct& tile, int64_t row, int64_t column) const {
        const int64_t c_row = part_.row + row, c_column = part_.column + column;
        TileStore store;
        store.sums = tile.sums;
        store.sums_stride = tile.sums_stride;
        store.rows = tile.rows;
        store.columns = tile.columns;
        store.c = static_cast<char*>(problem_.c) +
                  (c_row * problem_.c_stride + c_column) * dtype_bytes(problem_.c_dtype);
        store.c_dtype = problem_.c_dtype;
        store.c_stride = problem_.c_stride;
        store.alpha = problem_.alpha;
        store.beta = problem_.accumulate ? problem_.beta : 0.0f;
        store.random = nullptr;
        store.random_stride = kernel_.columns;
        if (problem_.rounding != nullptr && problem_.c_dtype == CP_BF16) {
            rounding_block(set_, *problem_.rounding,
                           {c_row, tile.rows, c_column / 8, kernel_.columns / 8},
                           workspace_.staging);
            store.random = workspace_.staging;
        }
        kernel_.store(store);
    }

    const InstructionSet set_;
    const GemmKernel& kernel_;
    const Gemm& problem_;
    const Part part_;
    const Blocking blocking_;
    const Workspace workspace_;
};

// ---- Partition ----------------------------------------------------------------------------------

// Rough cycles of one part, to compare partitions.
double part_cost(const GemmKernel& kernel, const Gemm& problem, int64_t rows, int64_t columns) {
    constexpr double kReadCost = 0.05, kPackCost = 0.25, kProjectionCost = 2.0;  // per element
    const bool direct = !problem.a.transposed && problem.dtype == kernel.direct_dtype;
    const double a_cost = problem.a.data == nullptr ? kProjectionCost
                          : direct                  ? kReadCost
                                                    : kPackCost;
    const double b_cost = problem.b.data == nullptr ? kProjectionCost : kPackCost;
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
    Part part(int64_t index, const Gemm& problem) const {
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
    const bool stored = problem.a.data != nullptr && problem.b.data != nullptr;
    if (!stored || problem.m * problem.n > kSlicedElements) return 1;
    return std::clamp<int64_t>(problem.k / kSliceDepth, 1, kMaxSlices);
}

int64_t slice_bytes(int64_t m, int64_t n) {
    return round_up(std::min(m * n, kSlicedElements) * 4, 64);
}

const void* advance(const GemmOperand& operand, int64_t elements, int32_t dtype) {
    return static_cast<const char*>(operand.data) + elements * dtype_bytes(dtype);
}

void gemm_sliced(CpDevice& device, const GemmKernel& kernel, const Gemm& problem, int64_t slices,
                 char* workspace) {
    const int64_t depth = round_up(divide_up(problem.k, slices), 32);
    const int64_t one_slice = slice_bytes(problem.m, problem.n);
    const int64_t one_task = WorkspaceSizes(problem.m, problem.n, problem.k).total;
    char* tasks = workspace + slices * one_slice;
    device.pool.parallel_for(slices, [&](int64_t slice, int thread) {
        const int64_t k = slice * depth;
        Gemm part;
        part.m = problem.m;
        part.n = problem.n;
        part.k = std::clamp<int64_t>(problem.k - k, 0, depth);
        part.dtype = problem.dtype;
        part.a = problem.a;
        part.b = problem.b;
        part.a.data = advance(part.a, part.a.transposed ? k * part.a.stride : k, part.dtype);
        part.b.data = advance(part.b, part.b.transposed ? k : k * part.b.stride, part.dtype);
        part.c = workspace + slice * one_slice;
        part.c_stride = problem.n;
        PartProduct(device.instruction_set, kernel, part, {0, part.m, 0, part.n},
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
    PartProduct(device.instruction_set, kernel, finished, {0, problem.m, 0, problem.n}, tasks)
        .store_sums(sums);
}

}  // namespace

int64_t gemm_serial_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t) {
    return WorkspaceSizes(m, n, k).total;
}

int64_t gemm_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t, int threads) {
    const int64_t slices = k < 2 * kSliceDepth ? 0 : std::min(k / kSliceDepth, kMaxSlices);
    return threads * WorkspaceSizes(m, n, k).total + slices * slice_bytes(m, n);
}

void gemm_serial(InstructionSet set, const Gemm& problem, void* workspace) {
    if (problem.m <= 0 || problem.n <= 0) return;
    const GemmKernel& kernel = choose_kernel(set, problem.dtype);
    PartProduct(set, kernel, problem, {0, problem.m, 0, problem.n}, workspace).run();
}

void gemm(CpDevice& device, const Gemm& problem, void* workspace) {
    if (problem.m <= 0 || problem.n <= 0) return;
    const GemmKernel& kernel = choose_kernel(device.instruction_set, problem.dtype);
    char* memory = static_cast<char*>(workspace);
    const int64_t slices = num_slices(problem);
    if (slices > 1) return gemm_sliced(device, kernel, problem, slices, memory);

    const Grid grid(kernel, problem, device.pool.num_threads());
    const int64_t one_task = WorkspaceSizes(problem.m, problem.n, problem.k).total;
    device.pool.parallel_for(grid.num_parts(), [&](int64_t index, int thread) {
        PartProduct(device.instruction_set, kernel, problem, grid.part(index, problem),
                    memory + thread * one_task)
            .run();
    });
}

}  // namespace compact
