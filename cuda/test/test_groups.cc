// Calls that run as one give the bits that they give one by one. What those are is the matter of
// the other tests.
#include <list>

#include "cuda/test/capability.h"
#include "cuda/test/group_comparison.h"

namespace compact::test {
namespace {

// More than one tile, and parts of one.
const std::vector<int64_t> kColumns = {200, 8, 136}, kFewColumns = {24, 8, 16};

struct Product {
    int64_t m, k;
    bool transposed;
};

// What becomes of the products.
struct End {
    int32_t dtype;
    bool accumulate = false;
    bool squares = false;
};

// Products of one A (m, k) with a matrix of each of these numbers of columns.
struct Products {
    std::list<Tensor> operands;
    Tensor squares{{CP_MAX_GROUP + 1}, CP_F32};
    GroupComparison group{"matmul"};

    // Integers, whose sums are exact, or numbers with all their bits.
    Products(const Product& p, const std::vector<int64_t>& columns, int32_t dtype, const End& end,
             bool integers = false) {
        Numbers numbers(static_cast<uint64_t>(p.m + p.k));
        const auto operand = [&](std::vector<int64_t> shape, int32_t type) -> Tensor& {
            return operands.emplace_back(integers ? numbers.integers(shape, type)
                                                  : numbers.tensor(shape, type));
        };
        Tensor& a = operand(p.transposed ? std::vector{p.k, p.m} : std::vector{p.m, p.k}, dtype);
        for (size_t i = 0; i < columns.size(); ++i) {
            const int64_t n = columns[i];
            group.call().input(a).input(operand({p.k, n}, dtype));
            if (end.accumulate) {
                group.input(operand({p.m, n}, end.dtype)).output_on(2);
            } else {
                group.absent().output({p.m, n}, end.dtype);
            }
            // Not all of them, so that a group has both kinds.
            if (end.squares && i != 1) {
                group.input(squares).output_on(3);
                group.attribute("squaresIndex", static_cast<double>(i + 1));
            }
            group.attribute("transposeA", p.transposed ? 1 : 0).attribute("transposeB", 0);
            group.attribute("alpha", n == 8 ? 0.5 : 1);
            group.attribute("accumulate", end.accumulate ? 1 : 0);
        }
    }
    Products(const Products&) = delete;
};

bool products_agree(const Product& p, const std::vector<int64_t>& columns, int32_t dtype,
                    const End& end, Machine& machine = cuda_machine()) {
    return Products(p, columns, dtype, end).group.agrees(machine);
}

// The last one is cut along the inner dimension.
const std::vector<Product> kProducts = {{136, 40, false}, {72, 104, true}, {40, 1032, true}};

GroupComparison& update(GroupComparison& group, Tensor& weight, Tensor& direction, int tensor,
                        int distribution) {
    return group.call()
        .input(weight)
        .input(direction)
        .output_on(0)
        .attribute("seedLow", 1)
        .attribute("seedHigh", 2)
        .attribute("tensorId", tensor)
        .attribute("epoch", 4)
        .attribute("distribution", distribution)
        .attribute("learningRate", 0.01)
        .attribute("updateScale", static_cast<double>(weight.size() % 7 + 1))
        .attribute("weightDecay", 0.1)
        .attribute("stochasticRounding", weight.dtype() == CP_BF16 ? 1 : 0)
        .attribute("roundingSeed", 5)
        .attribute("step", 6);
}

// Of weights with one P (rows, rank) and each of these numbers of columns.
struct Updates {
    std::list<Tensor> operands;
    GroupComparison group{"projectBackUpdate"};

    Updates(const std::pair<int64_t, int64_t>& shape, const std::vector<int64_t>& all_columns,
            int32_t weight_dtype, int32_t direction_dtype, int distribution) {
        const auto [rows, rank] = shape;
        Numbers numbers(static_cast<uint64_t>(rank));
        for (const int64_t columns : all_columns) {
            Tensor& weight = operands.emplace_back(numbers.tensor({rows, columns}, weight_dtype));
            Tensor& direction =
                operands.emplace_back(numbers.tensor({rank, columns}, direction_dtype));
            update(group, weight, direction, 3, distribution);
        }
    }
    Updates(const Updates&) = delete;
};

}  // namespace

TEST(cuda_groups_of_products) {
    for (const Product& product : sizes(kProducts, {1, 2})) {
        const auto& columns = is_reduced() ? kFewColumns : kColumns;
        CHECK(products_agree(product, columns, CP_BF16, {CP_BF16}));
        CHECK(products_agree(product, columns, CP_BF16, {CP_F32, true, true}));
    }
    CHECK(products_agree(kProducts[0], {16, 24}, CP_BF16, {CP_BF16}));
    CHECK(products_agree(kProducts[0], {16, 24, 8, 40}, CP_BF16, {CP_BF16}));
}

// Also updates of panels of P.
TEST(cuda_groups_of_warpgroups) {
    const OnCapability hopper(90);
    const auto warpgroups = machine_with("COMPACT_CUDA_WARPGROUPS", "1");
    for (const Product& product : sizes(kProducts, {1, 2})) {
        const auto& columns = is_reduced() ? kFewColumns : kColumns;
        CHECK(products_agree(product, columns, CP_BF16, {CP_BF16, false, true}, *warpgroups));
        CHECK(products_agree(product, columns, CP_BF16, {CP_F32, true}, *warpgroups));
    }
    for (int32_t weight_dtype : kDtypes) {
        Updates updates({136, 48}, kFewColumns, weight_dtype, CP_BF16, 0);
        CHECK(updates.group.agrees(*warpgroups));
    }
}

// The more tiles a product has, the fewer parts is its inner dimension cut into: one and two, two
// and three in one group. Once on each machine, for so many tiles take a while in emulation.
TEST(cuda_groups_of_products_in_several_parts) {
    if (is_reduced()) return skip("a hundred tiles of 1024 take half a minute");
    for (const auto& [inner, many] :
         std::vector<std::pair<int64_t, int64_t>>{{1024, 8520}, {1536, 5640}}) {
        Products products({136, inner, true}, {24, many, 48}, CP_BF16, {CP_F32, true}, true);
        CHECK(products.group.together(cuda_machine()) == products.group.one_by_one(cpu_machine()));
    }
}

// What no kernel does in one launch: f32, rows that are not aligned, several A, B transposed.
TEST(cuda_groups_of_products_one_by_one) {
    CHECK(products_agree(kProducts[2], kColumns, CP_F32, {CP_F32, true, true}));
    CHECK(products_agree({33, 20, false}, {16, 9}, CP_BF16, {CP_BF16}));
    Numbers numbers(8);
    Tensor a = numbers.tensor({24, 16}, CP_BF16), other = numbers.tensor({24, 16}, CP_BF16);
    Tensor b = numbers.tensor({16, 40}, CP_BF16), c = numbers.tensor({40, 16}, CP_BF16);
    GroupComparison group("matmul");
    for (Tensor* left : {&a, &other}) {
        for (Tensor* right : {&b, &c}) {
            group.call().input(*left).input(*right).absent().output({24, 40}, CP_BF16);
            group.attribute("transposeA", 0).attribute("transposeB", right == &c ? 1 : 0);
            group.attribute("alpha", 1).attribute("accumulate", 0);
        }
    }
    CHECK(group.agrees());
}

TEST(cuda_groups_of_updates) {
    // Ragged edges; an inner dimension that is cut.
    const std::vector<std::pair<int64_t, int64_t>> shapes = {{136, 48}, {40, 1032}};
    for (const auto& shape : sizes(shapes, {0})) {
        const auto& columns = shape.second == 48 ? kColumns : kFewColumns;
        for (int32_t weight_dtype : kDtypes) {
            for (int32_t direction_dtype : kDtypes) {
                for (int distribution : {0, 1}) {
                    Updates updates(shape, columns, weight_dtype, direction_dtype, distribution);
                    CHECK(updates.group.agrees());
                }
            }
        }
    }
}

TEST(cuda_groups_of_updates_with_several_projections) {
    Numbers numbers(9);
    std::list<Tensor> operands;
    GroupComparison group("projectBackUpdate");
    for (const int tensor : {3, 3, 4, 3}) {
        const int64_t rank = operands.size() < 6 ? 16 : 24;
        Tensor& weight = operands.emplace_back(numbers.tensor({40, 24}, CP_BF16));
        Tensor& direction = operands.emplace_back(numbers.tensor({rank, 24}, CP_BF16));
        update(group, weight, direction, tensor, 0);
    }
    CHECK(group.agrees());
}

TEST(cuda_groups_of_directions) {
    Numbers numbers(10);
    std::list<Tensor> operands;
    Tensor scale({1}, CP_F32, {0.5});
    GroupComparison group("adamDirection");
    int index = 0;
    for (const int64_t count : {4096 + 5, 3, 2048, 7000}) {
        const int32_t dtype = kDtypes[index % 2], state = kDtypes[index / 2];
        Tensor& gradient = operands.emplace_back(numbers.tensor({count}, dtype));
        Tensor& first = operands.emplace_back(numbers.tensor({count}, state, 0.1));
        Tensor& second = operands.emplace_back(Tensor({count}, state));
        for (int64_t i = 0; i < count; ++i) second.set(i, 0.01 * numbers.uniform());
        group.call().input(gradient).input(first).input(second);
        if (index == 0) {
            group.absent().output_on(0);  // in place
        } else {
            group.input(scale).output({count}, CP_BF16);
        }
        group.output_on(1).output_on(2).attribute("beta1", 0.9).attribute("beta2", 0.99);
        group.attribute("epsilon", 1e-6).attribute("firstMomentStep", 3 + index);
        group.attribute("secondMomentStep", 4);
        ++index;
    }
    CHECK(group.agrees());
}

TEST(cuda_groups_of_rotations) {
    Numbers numbers(11);
    Tensor cosines = numbers.tensor({5, 12}), sines = numbers.tensor({5, 12});
    for (int32_t mixed : {0, 1}) {
        for (int32_t dtype : kDtypes) {
            Tensor q = numbers.tensor({10, 24 * 9}, dtype);
            Tensor k = numbers.tensor({10, 24 * 3}, mixed == 0 ? dtype : CP_BF16);
            GroupComparison group("rope");
            group.call().input(q).input(cosines).input(sines).absent().output_on(0);
            group.attribute("headSize", 24).attribute("inverse", 0);
            group.call().input(k).input(cosines).input(sines).absent().output({10, 24 * 3},
                                                                              k.dtype());
            group.attribute("headSize", 24).attribute("inverse", 1);
            CHECK(group.agrees());
        }
    }
}

}  // namespace compact::test
