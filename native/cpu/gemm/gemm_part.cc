// A block of B (a range of k by many columns) is packed for the L2 cache. Panels of A, one tile
// high, stay in the L1 cache while they pass over the whole block.
#include "native/cpu/gemm/gemm_part.h"

#include "native/backend/call.h"
#include "native/cpu/quantization/decode.h"

namespace compact {
namespace {

constexpr int64_t kBlockBytes = 1024 * 1024;  // of packed B: half of an L2 cache
constexpr int64_t kSumsElements = 512 * 512;
constexpr int64_t kWaitingColumns = 512;
constexpr int64_t kTileBytes = kMaxTile * kMaxTile * 4;
// Panels of A that are packed together: rows of a transposed A are read a few cache lines at a
// time.
constexpr int64_t kPanelGroup = 4;
constexpr int64_t kStagedDepth = 64;  // values of k that are made at a time of what is not stored
constexpr int64_t kStagingBytes =
    kMaxTile * kStagedDepth * 4;  // fp32, or bf16 of Phat and a margin

// Whether the kernel can read rows of A where they stand.
bool reads_directly(const GemmKernel& kernel, const Gemm& problem) {
    return problem.a.is_stored() && !problem.a.transposed && problem.dtype == kernel.direct_dtype &&
           problem.k % kernel.k_step == 0 &&
           problem.a.stride * dtype_bytes(problem.dtype) % kernel.conflict_bytes != 0;
}

}  // namespace

GemmPartWorkspace::GemmPartWorkspace(int64_t m, int64_t n, int64_t k) {
    constexpr int64_t kLargestElement = 4;
    const int64_t rows = round_up(m, kMaxTile), columns = round_up(n, kMaxTile);
    const int64_t depth = std::max<int64_t>(round_up(k, 32), 32);
    block = std::min(kBlockBytes, depth * columns * kLargestElement);
    panels = kPanelGroup * std::min(kPanelBytes, depth * kMaxTile * kLargestElement);
    sums = k > kMinKBlock ? 4 * std::min(kSumsElements, rows * columns) : 0;
    total = block + panels + sums + kTileBytes + kStagingBytes;
}

GemmBlocking::GemmBlocking(const GemmKernel& kernel, int64_t m, int64_t n, int64_t k, bool direct) {
    const int64_t num_depths = std::max<int64_t>(1, divide_up(k, kernel.k_block));
    depth = std::max<int64_t>(32, round_up(divide_up(k, num_depths), 32));
    rows = direct ? kernel.rows : kPanelGroup * kernel.rows;
    const int64_t most = kBlockBytes / (depth * num_depths * kernel.element_bytes * kernel.columns);
    // Else sums would be written and read again for every block of k. With fewer columns a panel of
    // A would be used too little, unless so many rows would have to wait that B is packed again.
    constexpr int64_t kFewColumns = 128;
    const bool many_rows = m * std::min(n, kWaitingColumns) > kSumsElements;
    whole_depth = num_depths == 1 || most * kernel.columns >= kWaitingColumns ||
                  (many_rows && most * kernel.columns >= kFewColumns);
    const int64_t wanted = whole_depth ? most * kernel.columns : kWaitingColumns;
    columns = round_up(divide_up(n, divide_up(n, wanted)), kernel.columns);
    if (!whole_depth) rows = kSumsElements / columns / kernel.rows * kernel.rows;
}

GemmPartProduct::GemmPartProduct(InstructionSet set, const GemmKernel& kernel, const Gemm& problem,
                                 const GemmPart& part, void* workspace, double* squares)
    : set_(set),
      kernel_(kernel),
      problem_(problem),
      part_(part),
      direct_(reads_directly(kernel, problem)),
      blocking_(kernel, part.rows, part.columns, problem.k, direct_),
      squares_(squares) {
    const GemmPartWorkspace sizes(part.rows, part.columns, problem.k);
    block_ = static_cast<char*>(workspace);
    panels_ = block_ + sizes.block;
    sums_ = reinterpret_cast<float*>(panels_ + sizes.panels);
    tile_ = reinterpret_cast<float*>(panels_ + sizes.panels + sizes.sums);
    staging_ = reinterpret_cast<uint16_t*>(panels_ + sizes.panels + sizes.sums + kTileBytes);
}

// ---- Loops --------------------------------------------------------------------------------------

// Calls body(k, depth) for every block of k, also once for an empty sum.
template <class Body>
void GemmPartProduct::for_depths(Body body) const {
    int64_t k = 0;
    do {
        body(k, std::min(blocking_.depth, problem_.k - k));
        k += blocking_.depth;
    } while (k < problem_.k);
}

void GemmPartProduct::run() const {
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

void GemmPartProduct::multiply_rows(int64_t row, int64_t rows, int64_t column,
                                    int64_t columns) const {
    for_depths([&](int64_t k, int64_t depth) {
        if (!blocking_.whole_depth) pack_block(column, columns, k, depth, block_of(k, columns));
        const bool last = k + depth >= problem_.k;
        TileProduct tile;
        tile.steps = divide_up(depth, kernel_.k_step);
        tile.accumulate = k > 0;
        for (int64_t i = 0; i < rows; i += kernel_.rows) {
            tile.rows = static_cast<int32_t>(std::min<int64_t>(kernel_.rows, rows - i));
            tile.a_direct = direct_ && tile.rows % kernel_.row_step == 0;
            if (tile.a_direct) {
                tile.a = a_element(row + i, k);
                tile.a_stride = problem_.a.stride;
            } else {
                const int64_t place = direct_ ? 0 : i / kernel_.rows % kPanelGroup;
                if (place == 0) {
                    const int64_t group = std::min(kPanelGroup * kernel_.rows, rows - i);
                    pack_panels(kernel_.pack_a, problem_.a, !problem_.a.transposed,
                                part_.row + row + i, group, k, depth, kernel_.rows, panels_,
                                a_panel_bytes(depth));
                }
                tile.a = panels_ + place * a_panel_bytes(depth);
            }
            for (int64_t j = 0; j < columns; j += kernel_.columns) {
                tile.columns =
                    static_cast<int32_t>(std::min<int64_t>(kernel_.columns, columns - j));
                tile.b = block_of(k, columns) + j / kernel_.columns * b_panel_bytes(depth);
                place_sums(row, i, column, j, tile);
                if (last && problem_.accumulate) prefetch_c(row + i + kernel_.rows, column + j);
                kernel_.multiply(tile);
                if (!last) continue;
                if (!in_place(tile)) finish(tile, row + i, column + j);
                square(tile, row + i, column + j);
            }
        }
    });
}

// ---- Operands -----------------------------------------------------------------------------------

int64_t GemmPartProduct::a_panel_bytes(int64_t depth) const {
    return round_up(depth, 32) * kernel_.rows * kernel_.element_bytes;
}

int64_t GemmPartProduct::b_panel_bytes(int64_t depth) const {
    return round_up(depth, 32) * kernel_.columns * kernel_.element_bytes;
}

char* GemmPartProduct::block_of(int64_t k, int64_t columns) const {
    const int64_t first = blocking_.whole_depth ? k : 0;
    return block_ + first * round_up(columns, kernel_.columns) * kernel_.element_bytes;
}

const char* GemmPartProduct::a_element(int64_t row, int64_t k) const {
    const int64_t offset = (part_.row + row) * problem_.a.stride + k;
    return static_cast<const char*>(problem_.a.data) + offset * dtype_bytes(problem_.dtype);
}

void GemmPartProduct::pack_block(int64_t column, int64_t columns, int64_t k, int64_t depth,
                                 char* block) const {
    pack_panels(kernel_.pack_b, problem_.b, problem_.b.transposed, part_.column + column, columns,
                k, depth, kernel_.columns, block, b_panel_bytes(depth));
}

// Packs `count` rows of A or columns of B, from `first` on, for `depth` values of k.
void GemmPartProduct::pack_panels(GemmPack pack, const GemmOperand& operand, bool k_contiguous,
                                  int64_t first, int64_t count, int64_t k, int64_t depth,
                                  int64_t width, char* panels, int64_t panel_bytes) const {
    if (operand.is_stored()) {
        const int64_t offset =
            k_contiguous ? first * operand.stride + k : k * operand.stride + first;
        const char* data =
            static_cast<const char*>(operand.data) + offset * dtype_bytes(problem_.dtype);
        return pack({data, operand.stride, k_contiguous, problem_.dtype}, count, depth, panels,
                    panel_bytes);
    }
    for (int64_t i = 0; i < count; i += width) {
        const int64_t rows = std::min(width, count - i);
        char* panel = panels + i / width * panel_bytes;
        for (int64_t done = 0; done < depth; done += kStagedDepth) {
            const int64_t piece = std::min(kStagedDepth, depth - done);
            const PanelSource source =
                k_contiguous ? stage(operand, first + i, rows, k + done, piece, true)
                             : stage(operand, k + done, piece, first + i, rows, false);
            pack(source, rows, piece, panel + done * width * kernel_.element_bytes, panel_bytes);
        }
    }
}

// Makes a block of what is not stored: decodes it, or generates it.
PanelSource GemmPartProduct::stage(const GemmOperand& operand, int64_t row, int64_t rows,
                                   int64_t column, int64_t columns, bool k_contiguous) const {
    row += operand.first_row;
    column += operand.first_column;
    if (operand.is_quantized()) {
        decode_block(set_, operand.quantized, {row, rows, column, columns}, problem_.dtype,
                     staging_);
        return {staging_, columns, k_contiguous, problem_.dtype};
    }
    const int64_t group = column / 8;
    const int64_t groups = divide_up(column + columns, 8) - group;
    projection_block(set_, operand.key, {row, rows, group, groups}, staging_);
    return {staging_ + column % 8, 8 * groups, k_contiguous, CP_BF16};
}

// ---- Sums ---------------------------------------------------------------------------------------

// Whether the tile can be summed up in C itself.
bool GemmPartProduct::in_place(const TileProduct& tile) const {
    return problem_.c_dtype == CP_F32 && problem_.alpha == 1.0f && !problem_.accumulate &&
           tile.rows % kernel_.row_step == 0 && tile.columns % kernel_.column_step == 0;
}

void GemmPartProduct::place_sums(int64_t row, int64_t i, int64_t column, int64_t j,
                                 TileProduct& tile) const {
    if (in_place(tile)) {
        tile.sums = reinterpret_cast<float*>(c_element(row + i, column + j));
        tile.sums_stride = problem_.c_stride;
    } else if (problem_.k <= blocking_.depth) {
        tile.sums = tile_;
        tile.sums_stride = kernel_.columns;
    } else {
        tile.sums = sums_ + i * blocking_.columns + j;
        tile.sums_stride = blocking_.columns;
    }
}

// Fetches into the L2 cache what will be read of C when the tiles of the next rows are done: the
// rows of a tile lie too far apart for the processor to foresee them, and there is time enough for
// memory.
void GemmPartProduct::prefetch_c(int64_t row, int64_t column) const {
    const int64_t end = std::min<int64_t>(row + kernel_.rows, part_.rows);
    for (; row < end; ++row) __builtin_prefetch(c_element(row, column), 1, 2);
}

char* GemmPartProduct::c_element(int64_t row, int64_t column) const {
    const int64_t offset = (part_.row + row) * problem_.c_stride + part_.column + column;
    return static_cast<char*>(problem_.c) + offset * dtype_bytes(problem_.c_dtype);
}

void GemmPartProduct::finish(const TileProduct& tile, int64_t row, int64_t column) const {
    TileStore store;
    store.sums = tile.sums;
    store.sums_stride = tile.sums_stride;
    store.rows = tile.rows;
    store.columns = tile.columns;
    store.c = c_element(row, column);
    store.c_dtype = problem_.c_dtype;
    store.c_stride = problem_.c_stride;
    store.alpha = problem_.alpha;
    store.beta = problem_.accumulate ? problem_.beta : 0.0f;
    store.random = nullptr;
    store.random_stride = kernel_.columns;
    if (problem_.rounding != nullptr && problem_.c_dtype == CP_BF16) {
        rounding_block(
            set_, *problem_.rounding,
            {part_.row + row, tile.rows, (part_.column + column) / 8, kernel_.columns / 8},
            staging_);
        store.random = staging_;
    }
    kernel_.store(store);
}

// The tile of C has just been written, so it is read from the cache.
void GemmPartProduct::square(const TileProduct& tile, int64_t row, int64_t column) const {
    if (squares_ == nullptr) return;
    const int64_t tiles_in_row = divide_up(problem_.n, kernel_.columns);
    const int64_t place =
        (part_.row + row) / kernel_.rows * tiles_in_row + (part_.column + column) / kernel_.columns;
    squares_[place] = kernel_.sum_of_squares(c_element(row, column), problem_.c_dtype,
                                             problem_.c_stride, tile.rows, tile.columns);
}

void GemmPartProduct::store_sums(float* sums) const {
    TileProduct tile;
    for (int64_t row = 0; row < part_.rows; row += kernel_.rows) {
        for (int64_t column = 0; column < part_.columns; column += kernel_.columns) {
            tile.rows = static_cast<int32_t>(std::min<int64_t>(kernel_.rows, part_.rows - row));
            tile.columns =
                static_cast<int32_t>(std::min<int64_t>(kernel_.columns, part_.columns - column));
            tile.sums = sums + row * part_.columns + column;
            tile.sums_stride = part_.columns;
            finish(tile, row, column);
            square(tile, row, column);
        }
    }
}

}  // namespace compact
