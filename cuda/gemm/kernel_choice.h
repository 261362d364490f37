// Which of several kernels with the same result a device uses.
#pragma once

struct CpDevice;

namespace compact {

// By the device's compute capability and tuning.h, unless the environment says otherwise, for tests
// and measurements:
//
// - COMPACT_CUDA_PROJECTION_IN_KERNEL: 1 makes Phat in the products, 0 reads it from panels.
// - COMPACT_CUDA_NARROW_TILES: 1 takes tiles of 128 x 64 for products on tensor cores, 0 of 128 x
//   128.
// - COMPACT_CUDA_WARPGROUPS: 1 takes products of warpgroups on compute capability 9.0, which no GPU
//   has run so far.
void choose_kernels(CpDevice& device);

}  // namespace compact
