// The random projection, made anew wherever it is needed: a panel of Phat at a time, bf16, in a
// part of the workspace that is read again from the L2 cache.
//
// Entry (i, j) of Phat depends on the seed, the tensor and the epoch alone: half j mod 8 of Philox
// (counter = (j / 8, i, tensor, epoch), key = seed) goes through the inverse normal distribution
// and is rounded to bf16. P = Phat / sqrt(rank). The bits are those of every other backend.
#pragma once

#include <cstdint>

#include "cuda/runtime/device.h"

namespace compact {

enum Distribution : int32_t { kGaussian = 0, kRademacher = 1, kIdentity = 2 };

struct PhatKey {
    uint32_t seed_low, seed_high, tensor_id, epoch;
    int32_t distribution;  // Distribution

    bool operator==(const PhatKey& other) const {
        return seed_low == other.seed_low && seed_high == other.seed_high &&
               tensor_id == other.tensor_id && epoch == other.epoch &&
               distribution == other.distribution;
    }
};

// The attributes seedLow, seedHigh, tensorId, distribution of a call, and the epoch of that name.
PhatKey phat_key(const CpCall& call, const char* epoch_name = "epoch");

// Factor from Phat to P. The identity is made with ones, so that it is exact in bf16.
float phat_scale(const PhatKey& key, int64_t rank);

// Rows row0 ... row0 + rows - 1, columns in groups of eight, 8 * group0 ... 8 * (group0 + groups)
// - 1.
struct PhatPanel {
    int64_t row0, rows, group0, groups;

    int64_t stride() const { return 8 * groups; }
    int64_t bytes() const { return rows * stride() * 2; }
};

// Largest panel: fits the L2 cache of an A100 (40 MB) beside what streams through.
inline constexpr int64_t kMaxPanelBytes = 32 << 20;

// Columns of a panel with all `rows`, and rows of one with all `columns`: everything where it fits,
// else a multiple of the tiles of the product.
int64_t panel_columns(int64_t rows, int64_t columns);
int64_t panel_rows(int64_t rows, int64_t columns);

// out (rows, 8 * groups), row-major. Enqueued on the device's stream, or on the one named.
CpStatus make_panel(CpDevice& device, const char* op, const PhatKey& key, const PhatPanel& panel,
                    uint16_t* out, CpError* error, cudaStream_t stream = nullptr);

// The first panel of a call, which lies at the start of its workspace, on the side stream.
CpStatus prepare_panel(CpDevice& device, const char* op, const CpCall& call, const PhatPanel& panel,
                       CpError* error);

}  // namespace compact
