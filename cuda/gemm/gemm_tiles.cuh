// In which order the tiles of a product are taken.
#pragma once

#include "cuda/simt/gpu.h"

namespace compact {

// A tile among (tiles_m, tiles_n) of them.
struct GemmTile {
    uint32_t row, column;
};

// Tiles are numbered along one dimension, for a grid has few blocks along its others. Those with
// neighbouring numbers run at the same time and share operands in the L2 cache: they go down bands
// of 16.
__device__ __forceinline__ GemmTile gemm_tile(uint32_t number, uint32_t tiles_m, uint32_t tiles_n) {
    constexpr uint32_t kBand = 16;
    const uint32_t first = number / kBand / tiles_n * kBand;
    const uint32_t height = tiles_m - first < kBand ? tiles_m - first : kBand;
    const uint32_t in_band = number - first * tiles_n;
    return {first + in_band % height, in_band / height};
}

}  // namespace compact
