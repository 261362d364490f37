// The part of a product that one thread computes: blocking and packing around the tiles of a
// kernel.
#pragma once

#include <algorithm>
#include <cstdint>

#include "native/cpu/gemm/gemm.h"
#include "native/cpu/gemm/gemm_kernel.h"

namespace compact {

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

// Rows and columns of C.
struct GemmPart {
    int64_t row, rows, column, columns;
};

// Bytes of scratch for a part of at most m x n, the same for every kernel.
struct GemmPartWorkspace {
    int64_t block;   // packed B
    int64_t panels;  // packed A
    int64_t sums;    // fp32 sums that wait for the next block of k
    int64_t total;

    GemmPartWorkspace(int64_t m, int64_t n, int64_t k);
};

// How the part is cut for the caches.
struct GemmBlocking {
    int64_t depth;     // values of k in a block, a multiple of 32
    int64_t columns;   // of a block of B
    int64_t rows;      // of A that pass over a block before the next block of k
    bool whole_depth;  // the blocks of all k are packed at once

    GemmBlocking(const GemmKernel& kernel, int64_t m, int64_t n, int64_t k, bool direct);
};

class GemmPartProduct {
  public:
    // `squares`: where they are wanted, one sum for each tile of C, row by row of tiles; tiles lie
    // at multiples of their size, whatever the part.
    GemmPartProduct(InstructionSet set, const GemmKernel& kernel, const Gemm& problem,
                    const GemmPart& part, void* workspace, double* squares = nullptr);

    void run() const;
    // Instead of run: finishes sums (rows, columns) that were made elsewhere.
    void store_sums(float* sums) const;

  private:
    template <class Body>
    void for_depths(Body body) const;
    void multiply_rows(int64_t row, int64_t rows, int64_t column, int64_t columns) const;

    int64_t b_panel_bytes(int64_t depth) const;
    int64_t a_panel_bytes(int64_t depth) const;
    char* block_of(int64_t k, int64_t columns) const;
    const char* a_element(int64_t row, int64_t k) const;
    void pack_block(int64_t column, int64_t columns, int64_t k, int64_t depth, char* block) const;
    void pack_panels(GemmPack pack, const GemmOperand& operand, bool k_contiguous, int64_t first,
                     int64_t count, int64_t k, int64_t depth, int64_t width, char* panels,
                     int64_t panel_bytes) const;
    PanelSource stage(const GemmOperand& operand, int64_t row, int64_t rows, int64_t column,
                      int64_t columns, bool k_contiguous) const;

    bool in_place(const TileProduct& tile) const;
    void place_sums(int64_t row, int64_t i, int64_t column, int64_t j, TileProduct& tile) const;
    void prefetch_c(int64_t row, int64_t column) const;
    char* c_element(int64_t row, int64_t column) const;
    void finish(const TileProduct& tile, int64_t row, int64_t column) const;
    void square(const TileProduct& tile, int64_t row, int64_t column) const;

    const InstructionSet set_;
    const GemmKernel& kernel_;
    const Gemm& problem_;
    const GemmPart part_;
    const bool direct_;  // full panels of A are read where they stand
    const GemmBlocking blocking_;
    char* block_;
    char* panels_;
    float* sums_;
    float* tile_;  // (kMaxTile, kMaxTile)
    double* squares_;
    // What is not stored on its way into a panel, or random numbers of a tile.
    uint16_t* staging_;
};

}  // namespace compact
