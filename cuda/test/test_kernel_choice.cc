// Kernels that a device may choose between: the environment asks for one and for the other, and
// their results are compared.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "cuda/runtime/backend_cuda.h"
#include "cuda/test/capability.h"
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

struct Shape {
    int64_t rows, columns, inner;
};

// Whether products of warpgroups can run: they are code for exactly one chip.
bool has_warpgroups() {
    if (cuda_machine().is_emulated()) return true;
    CpBackendInfo info;
    compact_cuda_backend()->describe(&info);
    return info.devices[0].compute_capability == 90 &&
           std::strstr(info.architectures, "90a") != nullptr;
}

constexpr const char* kNoWarpgroups = "needs compute capability 9.0 and code of 90a";

// Around tiles of 128 x 256 x 64 and four stages; inner dimensions in one part and in several; more
// tiles than multiprocessors. Every size is a multiple of eight, or the rows are not aligned.
const std::vector<Shape> kWarpgroupShapes = {
    {8, 8, 8}, {128, 256, 64}, {136, 264, 328}, {264, 520, 72}, {64, 72, 1544}};

}  // namespace

// x P and the update P direction, with Phat from a panel and made in the product: the same bits.
TEST(cuda_projection_in_kernel) {
    const auto panel = machine_with("COMPACT_CUDA_PROJECTION_IN_KERNEL", "0");
    const auto in_kernel = machine_with("COMPACT_CUDA_PROJECTION_IN_KERNEL", "1");
    // Ragged edges of every dimension; rows that are not aligned; an inner dimension that is split.
    const std::vector<Shape> shapes = {
        {130, 136, 72}, {33, 20, 48}, {7, 16, 45}, {257, 100, 8}, {40, 24, 1032}};
    for (const auto& [rows, columns, inner] : sizes(shapes, {1, 2})) {
        Numbers numbers(static_cast<uint64_t>(rows));
        Tensor x = numbers.tensor({rows, inner}, CP_BF16);
        Comparison project("project");
        project.input(x).output({rows, columns}, CP_BF16).between(*panel, *in_kernel);
        project.attribute("seedLow", 1).attribute("seedHigh", 2).attribute("tensorId", 3);
        CHECK(project.attribute("epoch", 4).attribute("distribution", 0).agrees(0));

        Tensor direction = numbers.tensor({inner, columns}, CP_BF16);
        for (int32_t dtype : kDtypes) {
            for (int stochastic = 0; stochastic < (dtype == CP_BF16 ? 2 : 1); ++stochastic) {
                Tensor weight = numbers.tensor({rows, columns}, dtype);
                Comparison update("projectBackUpdate");
                update.input(weight).input(direction).output_on(0).between(*panel, *in_kernel);
                CHECK(update.attribute("seedLow", 1)
                          .attribute("seedHigh", 2)
                          .attribute("tensorId", 3)
                          .attribute("epoch", 4)
                          .attribute("distribution", 0)
                          .attribute("learningRate", 0.01)
                          .attribute("updateScale", 0.25)
                          .attribute("weightDecay", 0.1)
                          .attribute("stochasticRounding", stochastic)
                          .attribute("roundingSeed", 5)
                          .attribute("step", 6)
                          .agrees(0));
            }
        }
    }
}

// Tiles of 128 x 128 and of 128 x 64: the same bits, because both add in the same order, and sums
// of squares, which are added warp by warp.
TEST(cuda_narrow_tiles) {
    const auto wide = machine_with("COMPACT_CUDA_NARROW_TILES", "0");
    const auto narrow = machine_with("COMPACT_CUDA_NARROW_TILES", "1");
    // One tile, ragged edges, several columns of tiles, rows that are not aligned, a split.
    const std::vector<Shape> shapes = {
        {128, 64, 32}, {136, 72, 40}, {8, 200, 72}, {33, 70, 45}, {40, 136, 1032}};
    for (const auto& [m, n, k] : sizes(shapes, {1})) {
        for (int transposed = 0; transposed < 4; ++transposed) {
            const int transpose_a = transposed & 1, transpose_b = transposed >> 1;
            Numbers numbers(static_cast<uint64_t>(m + n + k));
            Tensor a = numbers.tensor(transpose_a ? std::vector{k, m} : std::vector{m, k}, CP_BF16);
            Tensor b = numbers.tensor(transpose_b ? std::vector{n, k} : std::vector{k, n}, CP_BF16);
            for (int32_t c_dtype : kDtypes) {
                Tensor squares({2});
                Comparison product("matmul"), squared("matmul");
                product.input(a).input(b).absent().output({m, n}, c_dtype);
                squared.input(a).input(b).absent().input(squares);
                squared.output({m, n}, c_dtype).output_on(3).attribute("squaresIndex", 1);
                for (Comparison* call : {&product, &squared}) {
                    CHECK(call->between(*wide, *narrow)
                              .attribute("transposeA", transpose_a)
                              .attribute("transposeB", transpose_b)
                              .attribute("alpha", 0.5)
                              .attribute("accumulate", 0)
                              .agrees(call == &product ? 0 : 2e-7));
                }
                CHECK(product.found(0) == squared.found(0));
            }
        }
    }
}

// Phat made in narrow tiles, and in wide ones.
TEST(cuda_narrow_tiles_of_projections) {
    setenv("COMPACT_CUDA_PROJECTION_IN_KERNEL", "1", 1);
    const auto wide = machine_with("COMPACT_CUDA_NARROW_TILES", "0");
    const auto narrow = machine_with("COMPACT_CUDA_NARROW_TILES", "1");
    unsetenv("COMPACT_CUDA_PROJECTION_IN_KERNEL");
    const std::vector<Shape> shapes = {{130, 136, 72}, {40, 24, 1032}};
    for (const auto& [rows, columns, inner] : sizes(shapes, {0})) {
        Numbers numbers(static_cast<uint64_t>(rows));
        Tensor x = numbers.tensor({rows, inner}, CP_BF16);
        Comparison project("project");
        project.input(x).output({rows, columns}, CP_BF16).between(*wide, *narrow);
        project.attribute("seedLow", 1).attribute("seedHigh", 2).attribute("tensorId", 3);
        CHECK(project.attribute("epoch", 4).attribute("distribution", 0).agrees(0));
    }
}

// Sums of integers are exact, in whatever order a kernel adds.
TEST(cuda_warpgroup_matmul) {
    if (!has_warpgroups()) return skip(kNoWarpgroups);
    const OnCapability hopper(90);
    const auto plain = machine_with("COMPACT_CUDA_WARPGROUPS", "0");
    const auto warpgroups = machine_with("COMPACT_CUDA_WARPGROUPS", "1");
    for (const auto& [m, n, k] : sizes(kWarpgroupShapes, {0, 1})) {
        for (int transposed = 0; transposed < 4; ++transposed) {
            const int transpose_a = transposed & 1, transpose_b = transposed >> 1;
            Numbers numbers(static_cast<uint64_t>(m + n + k));
            Tensor a =
                numbers.integers(transpose_a ? std::vector{k, m} : std::vector{m, k}, CP_BF16);
            Tensor b =
                numbers.integers(transpose_b ? std::vector{n, k} : std::vector{k, n}, CP_BF16);
            for (int32_t c_dtype : kDtypes) {
                Tensor before = numbers.integers({m, n}, c_dtype);
                Comparison call("matmul"), squared("matmul");
                call.input(a).input(b).input(before).output_on(2).between(*plain, *warpgroups);
                CHECK(call.attribute("transposeA", transpose_a)
                          .attribute("transposeB", transpose_b)
                          .attribute("alpha", 0.5)
                          .attribute("accumulate", 1)
                          .agrees(0));
                if (transposed != 1) continue;  // as gradients of weights are
                Tensor squares({2});
                squared.input(a).input(b).input(before).input(squares).output_on(2).output_on(3);
                CHECK(squared.between(*plain, *warpgroups)
                          .attribute("transposeA", transpose_a)
                          .attribute("transposeB", transpose_b)
                          .attribute("alpha", 0.5)
                          .attribute("accumulate", 1)
                          .attribute("squaresIndex", 1)
                          .agrees(2e-7));
            }
        }
    }
}

// Sums in fp32, in another order than those of the other kernel.
TEST(cuda_warpgroup_projection) {
    if (!has_warpgroups()) return skip(kNoWarpgroups);
    const OnCapability hopper(90);
    const auto plain = machine_with("COMPACT_CUDA_WARPGROUPS", "0");
    const auto warpgroups = machine_with("COMPACT_CUDA_WARPGROUPS", "1");
    for (const auto& [rows, columns, inner] : sizes(kWarpgroupShapes, {0})) {
        Numbers numbers(static_cast<uint64_t>(rows));
        const double tolerance = 2e-6 + 2e-8 * static_cast<double>(inner);
        Tensor x = numbers.tensor({rows, inner}, CP_BF16);
        Comparison project("project");
        project.input(x).output({rows, columns}, CP_BF16).between(*plain, *warpgroups);
        project.attribute("seedLow", 1).attribute("seedHigh", 2).attribute("tensorId", 3);
        CHECK(project.attribute("epoch", 4).attribute("distribution", 0).agrees(tolerance));

        // Signs instead of normal numbers, and integers: exact sums, and so the same random numbers
        // of rounding lead to the same weights.
        Tensor direction = numbers.integers({inner, columns}, CP_BF16);
        for (int32_t dtype : kDtypes) {
            Tensor weight = numbers.tensor({rows, columns}, dtype);
            Comparison update("projectBackUpdate");
            update.input(weight).input(direction).output_on(0).between(*plain, *warpgroups);
            CHECK(update.attribute("seedLow", 1)
                      .attribute("seedHigh", 2)
                      .attribute("tensorId", 3)
                      .attribute("epoch", 4)
                      .attribute("distribution", 1)
                      .attribute("learningRate", 0.01)
                      .attribute("updateScale", 0.25)
                      .attribute("weightDecay", 0.1)
                      .attribute("stochasticRounding", dtype == CP_BF16 ? 1 : 0)
                      .attribute("roundingSeed", 5)
                      .attribute("step", 6)
                      .agrees(0));
        }
    }
}

}  // namespace compact::test
