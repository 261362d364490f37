// Kernels that a device may choose between: the environment asks for one and for the other, and
// their results are compared.
#include <cstdlib>
#include <memory>

#include "cuda/backend_cuda.h"
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

// A device that was opened with this variable set.
std::unique_ptr<Machine> machine_with(const char* variable, const char* value) {
    setenv(variable, value, 1);
    auto machine = std::make_unique<Machine>(compact_cuda_backend());
    unsetenv(variable);
    return machine;
}

struct Shape {
    int64_t rows, columns, inner;
};

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

}  // namespace compact::test
