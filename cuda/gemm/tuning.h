// Choices between kernels per GPU, from the table below. `scripts/tune-kernels` measures every
// candidate on the GPU of the machine and rewrites the row of its compute capability.
//
// The table decides speed alone: how an inner dimension is split (gemm.h), and with it the order of
// summation and the workspace, is the same for every row.
#pragma once

#include <cstdint>

namespace compact {

struct GemmTuning {
    int32_t compute_capability;  // 90 stands for 9.0
    bool projection_in_kernel;   // Phat is made in the product instead of in a panel beforehand
    bool narrow_tiles;           // bf16 products in tiles of 128 x 64 instead of 128 x 128
    bool is_measured;            // by scripts/tune-kernels; otherwise a default
};

// Ascending. Defaults: where a multiprocessor does 512 FLOP per clock, making Phat hides behind
// the tensor cores; where it does 2048 or more, a panel is faster. Wide tiles read a third less.
inline constexpr GemmTuning kGemmTunings[] = {
    {80, false, false, false},   // A100
    {86, true, false, false},    // A10, RTX 30 series
    {89, true, false, false},    // L4, L40S, RTX 40 series
    {90, false, false, false},   // H100, H200
    {100, false, false, false},  // B200
    {120, true, false, false},   // RTX 50 series
};

// The row of a GPU: its own, else that of the closest older one.
constexpr const GemmTuning& gemm_tuning(int32_t compute_capability) {
    const GemmTuning* found = &kGemmTunings[0];
    for (const GemmTuning& row : kGemmTunings) {
        if (row.compute_capability <= compute_capability) found = &row;
    }
    return *found;
}

}  // namespace compact
