// What gemm.cc needs from an instruction set: tiles of C in registers, and the packing they read.
//
// A panel holds the rows of A (or columns of B) of one tile for a range of k, in the order in which
// the kernel reads them: offset k * width * element_bytes is where k begins, for k a multiple
// of 64. Panels have room for k rounded up to a multiple of 32, and are filled with zeros to the
// width of the tile and to a multiple of k_step.
#pragma once

#include <cstdint>

#include "native/cpu/runtime/cpu_device.h"

namespace compact {

// A part of an operand: element (i, k), with i along the panel's width.
struct PanelSource {
    const void* data;   // element (0, 0)
    int64_t stride;     // elements between stored rows
    bool k_contiguous;  // stored rows run along k: (i, k) is data[i * stride + k], else transposed
    int32_t dtype;      // f32 or bf16
};

// tile (+)= A B over `steps` times k_step values of k.
struct TileProduct {
    const void* a;  // packed panel, or the first row of A where it stands
    bool a_direct;
    int64_t a_stride;  // elements between rows that are read directly
    const void* b;     // packed panel
    int64_t steps;
    float* sums;  // the tile; columns are written up to a multiple of column_step
    int64_t sums_stride;
    bool accumulate;  // add to the tile, else overwrite it
    int32_t rows, columns;
};

// c = alpha * sums + beta * c
struct TileStore {
    const float* sums;  // (rows, columns)
    int64_t sums_stride;
    int64_t rows, columns;
    void* c;
    int32_t c_dtype;
    int64_t c_stride;
    float alpha, beta;       // c is not read when beta is 0
    const uint16_t* random;  // nullptr, or one number per element: stochastic rounding
    int64_t random_stride;
};

// Packs `count` rows of A or columns of B for `depth` values of k into as many panels as it takes,
// which begin panel_bytes apart.
using GemmPack = void (*)(const PanelSource& source, int64_t count, int64_t depth, void* panels,
                          int64_t panel_bytes);

struct GemmKernel {
    int32_t rows, columns;          // of a tile
    int32_t row_step, column_step;  // a tile is written in multiples of these
    int32_t k_step;
    int32_t element_bytes;   // of a packed element
    int64_t k_block;         // values of k whose panel of A stays in the L1 cache
    int32_t direct_dtype;    // rows of A of this dtype can be read where they stand, ...
    int64_t conflict_bytes;  // ... unless their stride is a multiple of this: they share cache sets
    double products_per_cycle;

    GemmPack pack_a, pack_b;
    void (*multiply)(const TileProduct& product);
    void (*store)(const TileStore& tile);
    // Over (rows, columns) elements of C, in fp64.
    double (*sum_of_squares)(const void* c, int32_t c_dtype, int64_t c_stride, int64_t rows,
                             int64_t columns);
    void (*begin)();  // before and after the products of a task, on its thread
    void (*end)();
};

// Room for one panel of A of any kernel.
inline constexpr int64_t kPanelBytes = 48 * 1024;
inline constexpr int64_t kMaxTile = 32;  // rows or columns
inline constexpr int64_t kMinTileRows = 4, kMinTileColumns = 8;
inline constexpr int64_t kMinKBlock = 512;

namespace scalar {
extern const GemmKernel kGemmF32;
}
#if defined(COMPACT_X86)
namespace avx2 {
extern const GemmKernel kGemmF32;
}
namespace avx512 {
extern const GemmKernel kGemmF32;
}
extern const GemmKernel kGemmAvx512Bf16;
extern const GemmKernel kGemmAmx;
#endif

}  // namespace compact
