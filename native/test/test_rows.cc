// Ops over rows against fp64: norms and their gradients, rope, bias, column sums.
#include "native/test/op_test.h"

namespace compact::test {
namespace {

struct Shape {
    int64_t rows, width;
};
constexpr double kEpsilon = 0.1;  // so much that it shows
constexpr Shape kShapes[] = {{1, 1}, {3, 41}, {200, 64}, {2100, 33}, {5, 4097}};

struct NormTwin {
    std::vector<double> y, dx, d_weight, d_bias;

    // epsilon inside the root; `centred` for layerNorm
    NormTwin(Shape shape, bool centred, Tensor& x, Tensor& weight, Tensor& bias, Tensor& dy) {
        const int64_t width = shape.width;
        d_weight.assign(static_cast<size_t>(width), 0.0);
        d_bias = d_weight;
        for (int64_t row = 0; row < shape.rows; ++row) {
            const int64_t at = row * width;
            double mean = 0.0, square = 0.0;
            for (int64_t i = 0; i < width && centred; ++i) mean += x.get(at + i) / width;
            for (int64_t i = 0; i < width; ++i) square += std::pow(x.get(at + i) - mean, 2) / width;
            const double rstd = 1.0 / std::sqrt(square + kEpsilon);
            double mean_gradient = 0.0, mean_product = 0.0;
            for (int64_t i = 0; i < width; ++i) {
                const double normal = (x.get(at + i) - mean) * rstd;
                const double gradient = dy.get(at + i) * weight.get(i);
                y.push_back(normal * weight.get(i) + (centred ? bias.get(i) : 0.0));
                if (centred) mean_gradient += gradient / width;
                mean_product += gradient * normal / width;
                d_weight[static_cast<size_t>(i)] += dy.get(at + i) * normal;
                d_bias[static_cast<size_t>(i)] += dy.get(at + i);
            }
            for (int64_t i = 0; i < width; ++i) {
                const double normal = (x.get(at + i) - mean) * rstd;
                dx.push_back(rstd * (dy.get(at + i) * weight.get(i) - mean_gradient -
                                     normal * mean_product));
            }
        }
    }
};

enum class Place { kOwn, kOnGradient, kOnResidual };

void run_rms_norm(Shape shape, int32_t dtype, Place place) {
    Numbers numbers(41);
    Tensor x = numbers.tensor({shape.rows, shape.width}, dtype);
    Tensor weight = numbers.tensor({shape.width}, dtype),
           dy = numbers.tensor({shape.rows, shape.width}, dtype);
    Tensor residual = numbers.tensor({shape.rows, shape.width}, dtype);
    Tensor before = numbers.tensor({shape.width});
    NormTwin twin(shape, false, x, weight, weight, dy);
    for (int64_t i = 0; i < x.size(); ++i) twin.dx[static_cast<size_t>(i)] += residual.get(i);
    for (int64_t i = 0; i < shape.width; ++i)
        twin.d_weight[static_cast<size_t>(i)] += before.get(i);
    for_every_device([&](CpDevice& device) {
        Tensor y({shape.rows, shape.width}, dtype), rstd({shape.rows});
        OpCall forward("rmsNorm"), backward("rmsNormBackward");
        forward.input(x).input(weight).output(y).output(rstd).attribute("epsilon", kEpsilon);
        CHECK(forward.run(device) == CP_OK);
        Tensor gradient = dy, other = residual, own({shape.rows, shape.width}, dtype),
               d_weight = before;
        Tensor& dx = place == Place::kOwn ? own : place == Place::kOnGradient ? gradient : other;
        backward.input(x).input(weight).input(rstd).input(gradient).input(other).input(d_weight);
        backward.output(dx).output(d_weight).attribute("accumulate", 1);
        CHECK(backward.run(device) == CP_OK);
        // Sums of up to 4097 terms in 8 or 16 chains.
        CHECK(close(y, twin.y, 2e-6) && close(dx, twin.dx, 2e-6) &&
              close(d_weight, twin.d_weight, 4e-6));
        return y.contents() + rstd.contents() + dx.contents() + d_weight.contents();
    });
}

// Whose memory the sum and the norm of it take: -1 their own, 0 that of a, 1 that of b.
struct Places {
    int sum, y;
};

// The bits of add and then rmsNorm, which have fp64 tests of their own.
void run_add_rms_norm(Shape shape, int32_t dtype, Places places) {
    Numbers numbers(45);
    const std::vector<int64_t> matrix = {shape.rows, shape.width};
    Tensor a = numbers.tensor(matrix, dtype), b = numbers.tensor(matrix, dtype);
    Tensor weight = numbers.tensor({shape.width}, dtype);
    for_every_device([&](CpDevice& device) {
        Tensor total(matrix, dtype), y(matrix, dtype), rstd({shape.rows});
        OpCall adding("add"), norming("rmsNorm"), both("addRmsNorm");
        CHECK(adding.input(a).input(b).output(total).run(device) == CP_OK);
        norming.input(total).input(weight).output(y).output(rstd).attribute("epsilon", kEpsilon);
        CHECK(norming.run(device) == CP_OK);
        Tensor operands[] = {a, b}, own_sum(matrix, dtype), own_y(matrix, dtype);
        Tensor own_rstd({shape.rows});
        Tensor& sum = places.sum < 0 ? own_sum : operands[places.sum];
        Tensor& normed = places.y < 0 ? own_y : operands[places.y];
        both.input(operands[0]).input(operands[1]).input(weight);
        both.output(sum).output(normed).output(own_rstd).attribute("epsilon", kEpsilon);
        CHECK(both.run(device) == CP_OK);
        CHECK(sum.contents() == total.contents() && normed.contents() == y.contents() &&
              own_rstd.contents() == rstd.contents());
        return sum.contents() + normed.contents() + own_rstd.contents();
    });
}

void run_layer_norm(Shape shape, int32_t dtype) {
    Numbers numbers(42);
    Tensor x = numbers.tensor({shape.rows, shape.width}, dtype);
    for (int64_t i = 0; i < x.size(); ++i) x.set(i, x.get(i) + 5.0);  // variance about a mean
    Tensor weight = numbers.tensor({shape.width}, dtype),
           bias = numbers.tensor({shape.width}, dtype);
    Tensor dy = numbers.tensor({shape.rows, shape.width}, dtype);
    NormTwin twin(shape, true, x, weight, bias, dy);
    for_every_device([&](CpDevice& device) {
        Tensor y({shape.rows, shape.width}, dtype), mean({shape.rows}), rstd({shape.rows});
        OpCall forward("layerNorm"), backward("layerNormBackward");
        forward.input(x).input(weight).input(bias).output(y).output(mean).output(rstd);
        CHECK(forward.attribute("epsilon", kEpsilon).run(device) == CP_OK);
        Tensor dx({shape.rows, shape.width}, dtype), d_weight({shape.width}), d_bias({shape.width});
        backward.input(x).input(weight).input(mean).input(rstd).input(dy).absent().absent();
        backward.output(dx).output(d_weight).output(d_bias).attribute("accumulate", 0);
        CHECK(backward.run(device) == CP_OK);
        // A row of one element has variance 0 and rstd 316, which magnifies the rounding of the
        // mean.
        const double tolerance = 1e-5;
        CHECK(close(y, twin.y, tolerance) && close(d_bias, twin.d_bias, tolerance));
        if (shape.width > 1)
            CHECK(close(dx, twin.dx, tolerance) && close(d_weight, twin.d_weight, tolerance));
        return y.contents() + dx.contents() + d_weight.contents() + d_bias.contents();
    });
}

}  // namespace

TEST(rms_norm_agrees_with_fp64) {
    for (Shape shape : kShapes) {
        for (int32_t dtype : kDtypes) {
            for (Place place : {Place::kOwn, Place::kOnGradient, Place::kOnResidual}) {
                run_rms_norm(shape, dtype, place);
            }
        }
    }
}

TEST(add_rms_norm_is_add_and_rms_norm) {
    for (Shape shape : kShapes) {
        for (int32_t dtype : kDtypes) {
            for (Places places : {Places{-1, -1}, Places{0, 1}, Places{1, 0}, Places{1, -1}}) {
                run_add_rms_norm(shape, dtype, places);
            }
        }
    }
}

TEST(layer_norm_agrees_with_fp64) {
    for (Shape shape : kShapes) {
        for (int32_t dtype : kDtypes) run_layer_norm(shape, dtype);
    }
}

TEST(rope_rotates_and_back) {
    const int64_t length = 9, rows = 27, heads = 3;
    for (int64_t half : {4, 20, 32}) {
        for (int32_t dtype : kDtypes) {
            Numbers numbers(43);
            const int64_t width = heads * 2 * half;
            Tensor x = numbers.tensor({rows, width}, dtype), cosine({length, half}),
                   sine({length, half});
            for (int64_t i = 0; i < length * half; ++i) {
                cosine.set(i, std::cos(0.1 * static_cast<double>(i)));
                sine.set(i, std::sin(0.1 * static_cast<double>(i)));
            }
            std::vector<double> expected(static_cast<size_t>(rows * width));
            for (int64_t row = 0; row < rows; ++row) {
                for (int64_t head = 0; head < heads; ++head) {
                    for (int64_t i = 0; i < half; ++i) {
                        const int64_t at = row * width + head * 2 * half + i;
                        const double c = cosine.get(row % length * half + i);
                        const double s = sine.get(row % length * half + i);
                        const double a = x.get(at), b = x.get(at + half);
                        expected[static_cast<size_t>(at)] = a * c - b * s;
                        expected[static_cast<size_t>(at + half)] = b * c + a * s;
                    }
                }
            }
            for_every_device([&](CpDevice& device) {
                Tensor y({rows, width}, dtype);
                OpCall there("rope"), back("rope");
                there.input(x).input(cosine).input(sine).absent().output(y);
                there.attribute("headSize", 2.0 * static_cast<double>(half))
                    .attribute("inverse", 0);
                CHECK(there.run(device) == CP_OK);
                CHECK(close(y, expected, 3e-7));
                back.input(y).input(cosine).input(sine).absent().output(y);  // in place
                back.attribute("headSize", 2.0 * static_cast<double>(half)).attribute("inverse", 1);
                CHECK(back.run(device) == CP_OK);
                CHECK(close(y, x.values(), dtype == CP_BF16 ? 0x1p-8 : 6e-7));
                return y.contents();
            });
        }
    }
}

TEST(bias_and_column_sum) {
    for (Shape shape : kShapes) {
        for (int32_t dtype : kDtypes) {
            Numbers numbers(44);
            Tensor x = numbers.tensor({shape.rows, shape.width}, dtype),
                   bias = numbers.tensor({shape.width}, dtype);
            std::vector<double> sums(static_cast<size_t>(shape.width), 0.0), biased;
            for (int64_t i = 0; i < x.size(); ++i) {
                sums[static_cast<size_t>(i % shape.width)] += x.get(i);
                biased.push_back(x.get(i) + bias.get(i % shape.width));
            }
            for_every_device([&](CpDevice& device) {
                Tensor y = x, total({shape.width});
                OpCall adding("bias"), summing("columnSum");
                CHECK(adding.input(y).input(bias).output(y).run(device) == CP_OK);  // in place
                CHECK(close(y, biased, 1e-7));
                summing.input(x).absent().output(total).attribute("accumulate", 0);
                CHECK(summing.run(device) == CP_OK);
                CHECK(close(total, sums, 2e-6));
                return y.contents() + total.contents();
            });
        }
    }
}

}  // namespace compact::test
