// How many kernels a group takes, which only the emulation counts.
#include <cstdlib>
#include <memory>

#include "cuda/emulation/host_runtime.h"
#include "cuda/runtime/backend_cuda.h"
#include "cuda/test/capability.h"
#include "cuda/test/group_comparison.h"

namespace compact::test {
namespace {

int64_t launches_of(GroupComparison& group, bool as_group, Machine& machine) {
    const int64_t before = emulation::call_counts().launches;
    CHECK(!(as_group ? group.together(machine) : group.one_by_one(machine)).empty());
    return emulation::call_counts().launches - before;
}

// Three products of one A (16, k), or of its transpose.
struct Products {
    Tensor a, b;
    GroupComparison group;

    Products(int64_t k, int32_t dtype, bool transposed)
        : a(Numbers(1).tensor(
              transposed ? std::vector{k, int64_t{16}} : std::vector{int64_t{16}, k}, dtype)),
          b(Numbers(2).tensor({k, 24}, dtype)),
          group("matmul") {
        for (int i = 0; i < 3; ++i) {
            group.call().input(a).input(b).absent().output({16, 24}, CP_F32);
            group.attribute("transposeA", transposed ? 1 : 0).attribute("transposeB", 0);
            group.attribute("alpha", 1).attribute("accumulate", 0);
        }
    }
};

int64_t launches_of_products(int64_t k, int32_t dtype, bool transposed, bool as_group,
                             Machine& machine = cuda_machine()) {
    Products products(k, dtype, transposed);
    return launches_of(products.group, as_group, machine);
}

int64_t launches_of_updates(int32_t dtype, bool as_group, Machine& machine) {
    std::vector<Tensor> weights(3, Tensor({40, 24}, dtype));
    Tensor direction = Numbers(3).tensor({16, 24}, dtype);
    GroupComparison group("projectBackUpdate");
    for (Tensor& weight : weights) {
        group.call().input(weight).input(direction).output_on(0).attribute("seedLow", 1);
        group.attribute("seedHigh", 2).attribute("tensorId", 3).attribute("epoch", 4);
        group.attribute("distribution", 0).attribute("learningRate", 1);
        group.attribute("updateScale", 1).attribute("weightDecay", 0);
        group.attribute("stochasticRounding", 0).attribute("roundingSeed", 0).attribute("step", 1);
    }
    return launches_of(group, as_group, machine);
}

}  // namespace

TEST(cuda_groups_are_one_launch) {
    if (is_reduced()) return skip("the kernels run in cuda_groups_of_products");
    for (bool transposed : {false, true}) {
        CHECK(launches_of_products(40, CP_BF16, transposed, false) == 3);
        CHECK(launches_of_products(40, CP_BF16, transposed, true) == 1);
        // Parts, and their sums.
        CHECK(launches_of_products(1024, CP_BF16, transposed, false) == 6);
        CHECK(launches_of_products(1024, CP_BF16, transposed, true) == 2);
    }
    CHECK(launches_of_products(40, CP_F32, false, true) == 3);
    const OnCapability hopper(90);
    const auto warpgroups = machine_with("COMPACT_CUDA_WARPGROUPS", "1");
    for (bool transposed : {false, true}) {
        CHECK(launches_of_products(40, CP_BF16, transposed, true, *warpgroups) == 1);
        CHECK(launches_of_products(1024, CP_BF16, transposed, true, *warpgroups) == 2);
    }
}

// Also a group whose inner dimension is cut.
TEST(cuda_groups_of_narrow_tiles) {
    const auto narrow = machine_with("COMPACT_CUDA_NARROW_TILES", "1");
    CHECK(launches_of_products(40, CP_BF16, false, true, *narrow) == 1);
    for (const int64_t k : {40, 1024}) CHECK(Products(k, CP_BF16, false).group.agrees(*narrow));
}

TEST(cuda_groups_make_one_panel) {
    const auto panel = machine_with("COMPACT_CUDA_PROJECTION_IN_KERNEL", "0");
    CHECK(launches_of_updates(CP_BF16, false, *panel) == 6);
    CHECK(launches_of_updates(CP_BF16, true, *panel) == 2);
    CHECK(launches_of_updates(CP_F32, true, *panel) == 4);
    const auto in_kernel = machine_with("COMPACT_CUDA_PROJECTION_IN_KERNEL", "1");
    CHECK(launches_of_updates(CP_BF16, false, *in_kernel) == 3);
    CHECK(launches_of_updates(CP_BF16, true, *in_kernel) == 1);
}

}  // namespace compact::test
