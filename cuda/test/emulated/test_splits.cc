// How the inner dimension of products is cut, at the shapes that are benchmarked.
#include "cuda/gemm/gemm.h"
#include "native/test/check.h"

namespace compact::test {
namespace {

// Of tiles of 128 x 128: two blocks on each of 132 multiprocessors.
constexpr int64_t kWave = 264;

struct Model {
    int64_t hidden, ffn, tokens;
};

// bench/gpu/grid.json
const Model kModels[] = {{512, 1376, 65536},  {768, 2048, 65536},  {1024, 2736, 32768},
                         {2048, 5504, 16384}, {4096, 11008, 4096}, {4096, 11008, 16384}};

int64_t tiles(int64_t m, int64_t n) { return ceil_div(m, 128) * ceil_div(n, 128); }

// What of the waves that a product takes is filled by its tiles.
double filled(int64_t m, int64_t n, int64_t k) {
    const int64_t blocks = tiles(m, n) * gemm_splits(m, n, k);
    return static_cast<double>(blocks) / static_cast<double>(ceil_div(blocks, kWave) * kWave);
}

}  // namespace

// Weight gradients, whole and compressed to a quarter.
TEST(cuda_splits_fill_waves_where_there_are_few) {
    for (const Model& model : kModels) {
        for (int64_t m : {model.hidden, model.ffn, model.hidden / 4}) {
            for (int64_t n : {model.hidden, model.ffn}) {
                if (tiles(m, n) > 2 * kWave || (m == model.ffn && n == model.ffn)) continue;
                if (!CHECK(filled(m, n, model.tokens) >= 0.9)) {
                    std::printf("      %lld x %lld of %lld tokens\n", static_cast<long long>(m),
                                static_cast<long long>(n), static_cast<long long>(model.tokens));
                }
            }
        }
    }
}

TEST(cuda_splits_stay_within_their_memory_and_leave_short_sums_whole) {
    CHECK(gemm_splits(1024, 2736, 1023) == 1);
    CHECK(gemm_splits(128, 128, 512) == 1);
    CHECK(gemm_splits(128, 128, 1 << 20) <= 64);
    for (int64_t m = 128; m <= 16384; m += 384) {
        for (int64_t n = 64; n <= 16384; n += 640) {
            const int64_t splits = gemm_splits(m, n, 65536);
            CHECK(splits >= 1);
            CHECK(splits == 1 || splits * m * n * 4 <= int64_t{64} << 20);
            CHECK(gemm_workspace_bytes(m, n, 65536, CP_BF16) ==
                  (splits == 1 ? 0 : splits * m * n * 4));
        }
    }
}

}  // namespace compact::test
