// Which of several kernels with the same result a device uses.
#pragma once

struct CpDevice;

namespace compact {

// By the device's compute capability and tuning.h, unless the environment says otherwise, for tests
// and measurements:
//
//   COMPACT_CUDA_PROJECTION_IN_KERNEL   0: Phat from panels; 1: made in the products
//   COMPACT_CUDA_NARROW_TILES           0: products on tensor cores in tiles of 128 x 128; 1: 128 x
//   64 COMPACT_CUDA_TIER2                  1: products of warpgroups on compute capability 9.0,
//   which
//                                       no GPU has run so far
void choose_kernels(CpDevice& device);

}  // namespace compact
