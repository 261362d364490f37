// Products against fp64: every instruction set, dtype and transpose over awkward shapes, with guard
// bytes, strided views, and the same bits for 1, 2 and 3 threads.
#include <functional>
#include <memory>
#include <vector>

#include "native/base/host_memory.h"
#include "native/base/stochastic_rounding.h"
#include "native/cpu/gemm/gemm.h"
#include "native/test/op_test.h"

namespace compact::test {
namespace {

// A stored matrix with `padding` elements after each row, which must keep their contents.
class Matrix {
  public:
    Matrix(int64_t rows, int64_t columns, int32_t dtype, int64_t padding, Numbers& numbers)
        : stride_(columns + padding), values_(numbers.tensor({rows, stride_}, dtype)) {}

    double get(int64_t row, int64_t column) { return values_.get(row * stride_ + column); }
    int64_t stride() const { return stride_; }
    Tensor& values() { return values_; }

  private:
    int64_t stride_;
    Tensor values_;
};

struct GemmCase {
    int64_t m, n, k;
    int32_t dtype = CP_F32, c_dtype = CP_F32;
    bool transpose_a = false, transpose_b = false, accumulate = false;
    float alpha = 1.0f, beta = 1.0f;
    bool random_a = false, random_b = false;  // operands are the projection
    ProjectionKey key{5, 6, 7, 8, kGaussian};
};

constexpr int64_t kPadding = 3, kFirstRow = 11;

class Product {
  public:
    explicit Product(const GemmCase& wanted)
        : case_(wanted),
          numbers_(static_cast<uint64_t>(wanted.m * 31 + wanted.n * 7 + wanted.k)),
          a_(wanted.transpose_a ? wanted.k : wanted.m, wanted.transpose_a ? wanted.m : wanted.k,
             wanted.dtype, kPadding, numbers_),
          b_(wanted.transpose_b ? wanted.n : wanted.k, wanted.transpose_b ? wanted.k : wanted.n,
             wanted.dtype, kPadding, numbers_),
          c_(wanted.m, wanted.n, wanted.c_dtype, kPadding, numbers_) {
        if (wanted.random_a || wanted.random_b) generate_random();
        compute_twin();
    }

    // Runs on a device and compares; returns the bytes of C.
    std::string run(CpDevice& device, bool serial) {
        Matrix c = c_;
        Gemm problem;
        problem.m = case_.m;
        problem.n = case_.n;
        problem.k = case_.k;
        problem.dtype = case_.dtype;
        problem.a = operand(a_, case_.transpose_a, case_.random_a);
        problem.b = operand(b_, case_.transpose_b, case_.random_b);
        problem.c = c.values().view().data;
        problem.c_dtype = case_.c_dtype;
        problem.c_stride = c.stride();
        problem.alpha = case_.alpha;
        problem.accumulate = case_.accumulate;
        problem.beta = case_.beta;
        const int threads = device.pool.num_threads();
        const int64_t bytes =
            serial ? gemm_serial_workspace_bytes(case_.m, case_.n, case_.k, case_.dtype)
                   : gemm_workspace_bytes(case_.m, case_.n, case_.k, case_.dtype, threads);
        GuardedBytes workspace(bytes, 0xff);  // NaN
        if (serial) {
            gemm_serial(device.instruction_set, problem, workspace.data());
        } else {
            gemm(device, problem, workspace.data());
        }
        CHECK(workspace.guards_intact());
        CHECK(c.values().guards_intact());
        if (!CHECK(matches(c))) {
            std::printf(
                "      %s m %lld n %lld k %lld dtype %d to %d transposes %d %d "
                "accumulate %d random %d %d\n",
                instruction_set_name(device.instruction_set), static_cast<long long>(case_.m),
                static_cast<long long>(case_.n), static_cast<long long>(case_.k), case_.dtype,
                case_.c_dtype, case_.transpose_a, case_.transpose_b, case_.accumulate,
                case_.random_a, case_.random_b);
        }
        return c.values().contents();
    }

  private:
    void generate_random() {
        const int64_t rows = std::max({case_.m, case_.n, case_.k});
        groups_ = (rows + 7) / 8;
        random_.resize(static_cast<size_t>(rows * groups_ * 8));
        projection_block(InstructionSet::kScalar, case_.key, {kFirstRow, rows, 0, groups_},
                         random_.data());
    }

    GemmOperand operand(Matrix& matrix, bool transposed, bool random) {
        GemmOperand result;
        result.transposed = transposed;
        if (random) {
            result.key = case_.key;
            result.first_row = kFirstRow;
        } else {
            result.data = matrix.values().view().data;
            result.stride = matrix.stride();
        }
        return result;
    }

    double element(Matrix& matrix, bool random, int64_t row, int64_t column) {
        if (!random) return matrix.get(row, column);
        return bf16_to_float(random_[static_cast<size_t>(row * groups_ * 8 + column)]);
    }

    // The operand itself, (rows, columns), of a matrix that may be stored transposed.
    std::vector<double> operand_values(Matrix& matrix, bool random, bool transposed, int64_t rows,
                                       int64_t columns) {
        std::vector<double> values;
        for (int64_t i = 0; i < rows; ++i) {
            for (int64_t j = 0; j < columns; ++j) {
                values.push_back(transposed ? element(matrix, random, j, i)
                                            : element(matrix, random, i, j));
            }
        }
        return values;
    }

    void compute_twin() {
        const std::vector<double> a =
            operand_values(a_, case_.random_a, case_.transpose_a, case_.m, case_.k);
        const std::vector<double> b =
            operand_values(b_, case_.random_b, case_.transpose_b, case_.k, case_.n);
        const auto columns = static_cast<size_t>(case_.n), depth = static_cast<size_t>(case_.k);
        // Roundings of k additions in fp32 add up like a random walk; four times its length.
        const double roundings = 4.0 * std::sqrt(static_cast<double>(case_.k) + 4.0);
        for (size_t i = 0; i < static_cast<size_t>(case_.m); ++i) {
            std::vector<double> sums(columns, 0.0), magnitudes(columns, 0.0);
            for (size_t p = 0; p < depth; ++p) {
                for (size_t j = 0; j < columns; ++j) {
                    const double product = a[i * depth + p] * b[p * columns + j];
                    sums[j] += product;
                    magnitudes[j] += std::fabs(product);
                }
            }
            for (size_t j = 0; j < columns; ++j) {
                const double found = c_.get(static_cast<int64_t>(i), static_cast<int64_t>(j));
                const double old = case_.accumulate ? case_.beta * found : 0.0;
                expected_.push_back(case_.alpha * sums[j] + old);
                allowed_.push_back(roundings * 0x1p-24 *
                                   (std::fabs(case_.alpha) * magnitudes[j] + std::fabs(old)));
            }
        }
    }

    bool matches(Matrix& c) {
        for (int64_t i = 0; i < case_.m; ++i) {
            for (int64_t j = 0; j < case_.n; ++j) {
                const auto at = static_cast<size_t>(i * case_.n + j);
                double allowed = allowed_[at];
                if (case_.c_dtype == CP_BF16) allowed += 0x1p-8 * std::fabs(expected_[at]);
                const double error = std::fabs(c.get(i, j) - expected_[at]);
                if (!(error <= allowed)) return false;  // also refuses NaN
            }
            for (int64_t j = 0; j < kPadding; ++j) {
                if (c.get(i, case_.n + j) != c_.get(i, case_.n + j)) return false;
            }
        }
        return true;
    }

    const GemmCase case_;
    Numbers numbers_;
    Matrix a_, b_, c_;
    int64_t groups_ = 0;
    std::vector<uint16_t> random_;
    std::vector<double> expected_, allowed_;
};

void check_case(const GemmCase& wanted) {
    Product product(wanted);
    for (InstructionSet set : instruction_sets()) {
        CpDevice one{ThreadPool(1), set}, two{ThreadPool(2), set}, three{ThreadPool(3), set};
        const std::string expected = product.run(one, false);
        CHECK(product.run(two, false) == expected);
        CHECK(product.run(three, false) == expected);
        product.run(one, true);
    }
}

}  // namespace

TEST(gemm_over_awkward_shapes) {
    const int64_t shapes[][3] = {{1, 1, 1},    {2, 31, 33},   {31, 1, 41},   {32, 32, 32},
                                 {33, 41, 31}, {41, 33, 123}, {123, 2, 32},  {1, 123, 65},
                                 {64, 8, 64},  {123, 123, 1}, {300, 65, 41}, {13, 17, 1024}};
    for (const auto& shape : shapes) {
        for (int variant = 0; variant < 16; ++variant) {
            GemmCase wanted{shape[0], shape[1], shape[2]};
            wanted.dtype = (variant & 1) != 0 ? CP_BF16 : CP_F32;
            wanted.c_dtype = (variant & 2) != 0 ? CP_BF16 : CP_F32;
            wanted.transpose_a = (variant & 4) != 0;
            wanted.transpose_b = (variant & 8) != 0;
            wanted.accumulate = (variant * 7 % 3) == 0;
            if (variant % 5 == 0) wanted.alpha = 0.375f;
            if (variant % 7 == 0) wanted.beta = 0.75f;
            check_case(wanted);
        }
    }
}

TEST(gemm_over_several_blocks_of_k) {
    for (int32_t dtype : kDtypes) {
        for (int32_t c_dtype : kDtypes) {
            for (bool transpose : sizes<bool>({false, true}, {0})) {
                // Few rows, then more rows than wait for the next block, with B packed at once.
                check_case({70, 600, 1100, dtype, c_dtype, transpose, !transpose});
                check_case({640, 40, 1500, dtype, c_dtype, !transpose, transpose});
            }
        }
    }
}

TEST(gemm_of_a_long_sum_into_a_small_c) {
    for (int32_t dtype : kDtypes) {
        for (int32_t c_dtype : kDtypes) {
            GemmCase wanted{9, 33, 4099, dtype, c_dtype, true, false};
            wanted.accumulate = c_dtype == CP_BF16;
            wanted.alpha = 0.5f;
            check_case(wanted);
        }
    }
}

TEST(gemm_of_nothing_is_zero_or_the_old_value) {
    for (int32_t dtype : kDtypes) {
        GemmCase wanted{5, 7, 0, dtype, dtype};
        check_case(wanted);
        wanted.accumulate = true;
        check_case(wanted);
    }
}

// c = beta * c rounded stochastically, for an empty sum leaves nothing but the rounding to be seen.
TEST(gemm_rounds_an_updated_c_by_row_and_column) {
    constexpr int64_t kRows = 45, kColumns = 83;  // whole tiles and parts of them
    const RoundingKey key = {17, 23, 31};
    const float beta = 1.0f - 0x1p-12f;
    std::vector<uint16_t> before(kRows * kColumns);
    uint32_t state = 7;
    for (uint16_t& value : before) {
        state = state * 1664525u + 1013904223u;
        value = static_cast<uint16_t>((state >> 16) & 0xbfff);  // finite
    }
    for (size_t i = 0; i < before.size(); i += 211) before[i] = 0xff81;  // few, for rows without
    for (InstructionSet set : instruction_sets()) {
        std::vector<uint16_t> c = before;
        Gemm update;
        update.m = kRows;
        update.n = kColumns;
        update.dtype = CP_BF16;
        update.a.key = update.b.key = {1, 2, 3, 4, kGaussian};
        update.c = c.data();
        update.c_dtype = CP_BF16;
        update.c_stride = kColumns;
        update.accumulate = true;
        update.beta = beta;
        update.rounding = &key;
        CpDevice device{ThreadPool(2), set};
        const int64_t bytes = gemm_workspace_bytes(kRows, kColumns, 0, CP_BF16, 2);
        const std::unique_ptr<void, std::function<void(void*)>> workspace(
            host_allocate(bytes), [&](void* data) { host_release(data, bytes); });
        gemm(device, update, workspace.get());
        bool equal = true;
        for (int64_t row = 0; row < kRows; ++row) {
            for (int64_t column = 0; column < kColumns; ++column) {
                const auto at = static_cast<size_t>(row * kColumns + column);
                const PhiloxWords words = rounding_words(key, static_cast<uint32_t>(row),
                                                         static_cast<uint32_t>(column / 8));
                const float value = beta * bf16_to_float(before[at]);
                const uint16_t random = philox_half(words, static_cast<int>(column % 8));
                equal = equal && c[at] == bf16_stochastic(value, random);
            }
        }
        if (!CHECK(equal)) std::printf("      on %s\n", instruction_set_name(set));
    }
}

TEST(gemm_with_the_projection_as_an_operand) {
    for (int32_t distribution : {kGaussian, kRademacher, kIdentity}) {
        for (int32_t dtype : kDtypes) {
            for (bool transpose : {false, true}) {
                GemmCase wanted{70, 41, 123, dtype, dtype, transpose, false};
                wanted.key.distribution = distribution;
                wanted.random_a = true;
                check_case(wanted);
                wanted.random_a = false;
                wanted.random_b = true;
                wanted.transpose_a = false;
                wanted.transpose_b = transpose;
                check_case(wanted);
            }
        }
    }
}

}  // namespace compact::test
