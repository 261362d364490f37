// Panels of Phat: eight entries a thread, one 16-byte store.
// Two bytes per entry; limit: instruction issue, about 20 instructions per entry.
#include <algorithm>
#include <cmath>

#include "cuda/projection/phat.cuh"

namespace compact {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;  // each goes on with further groups; the table is loaded once

template <int32_t kDistribution>
__global__ void __launch_bounds__(kThreads)
    panel_kernel(PhatKey key, PhatPanel panel, uint4* __restrict__ out) {
    CP_SHARED(NormalCubic[kNormalRows], table);
    if (kDistribution == kGaussian) load_normal_table(table);
    const auto groups = static_cast<uint32_t>(panel.groups);
    const uint32_t total = static_cast<uint32_t>(panel.rows) * groups;  // 2^21 are 32 MB
    const uint32_t stride = gridDim.x * kThreads;
    uint32_t i = blockIdx.x * kThreads + threadIdx.x;
    uint32_t row = i / groups, group = i % groups;
    const uint32_t next_row = stride / groups, next_group = stride % groups;
    for (; i < total; i += stride) {
        out[i] = phat_group<kDistribution>(key, panel.row0 + row, panel.group0 + group, table);
        const bool wraps = group + next_group >= groups;
        row += next_row + (wraps ? 1 : 0);
        group += next_group - (wraps ? groups : 0);
    }
}

}  // namespace

PhatKey phat_key(const CpCall& call, const char* epoch_name) {
    return {attribute_word(call, "seedLow"), attribute_word(call, "seedHigh"),
            attribute_word(call, "tensorId"), attribute_word(call, epoch_name),
            static_cast<int32_t>(attribute(call, "distribution"))};
}

float phat_scale(const PhatKey& key, int64_t rank) {
    if (key.distribution == kIdentity) return 1.0f;
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(rank)));
}

int64_t panel_columns(int64_t rows, int64_t columns) {
    const int64_t whole = round_up(columns, 8), fits = kMaxPanelBytes / (2 * rows);
    if (whole <= fits) return whole;
    return fits >= 128 ? fits / 128 * 128 : std::max<int64_t>(8, fits / 8 * 8);
}

int64_t panel_rows(int64_t rows, int64_t columns) {
    const int64_t fits = kMaxPanelBytes / (2 * round_up(columns, 8));
    return std::min(rows, std::max<int64_t>(128, fits / 128 * 128));
}

CpStatus make_panel(CpDevice& device, const char* op, const PhatKey& key, const PhatPanel& panel,
                    uint16_t* out, CpError* error, cudaStream_t stream) {
    const int64_t blocks = std::min(kMaxBlocks, ceil_div(panel.rows * panel.groups, kThreads));
    const auto kernel = key.distribution == kGaussian     ? panel_kernel<kGaussian>
                        : key.distribution == kRademacher ? panel_kernel<kRademacher>
                                                          : panel_kernel<kIdentity>;
    CP_LAUNCH(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0,
              stream == nullptr ? device.stream : stream, key, panel,
              reinterpret_cast<uint4*>(out));
    return check_launch(device, op, error);
}

CpStatus prepare_panel(CpDevice& device, const char* op, const CpCall& call, const PhatPanel& panel,
                       CpError* error) {
    if (fork_side(device, op, error) != CP_OK) return CP_FAILED;
    auto* phat = static_cast<uint16_t*>(call.workspace);
    if (make_panel(device, op, phat_key(call), panel, phat, error, device.side.stream) != CP_OK)
        return CP_FAILED;
    return note_prepared(device, call, op, error);
}

}  // namespace compact
