// attention and its gradient against fp64: tiles and their ends, masks, grouped queries.
#include "native/test/op_test.h"

namespace compact::test {
namespace {

struct Shape {
    int64_t sequences, length, heads, kv_heads, head_size;
    bool causal, masked;
    int64_t window = 0;   // tokens that a token sees; 0: all
    bool packed = false;  // documents of 37 tokens follow each other in a sequence

    int64_t document(int64_t position) const { return packed ? position / 37 * 37 : 0; }
    int64_t first_key(int64_t position) const {
        const int64_t in_window = window == 0 ? 0 : position - window + 1;
        return std::max(document(position), in_window);
    }
};

const Shape kCases[] = {
    {1, 1, 1, 1, 8, true, false},
    {2, 65, 2, 2, 32, true, false},
    {1, 64, 4, 2, 40, true, false},
    {1, 131, 4, 1, 64, true, true},
    {2, 33, 2, 1, 128, false, true},
    {1, 200, 1, 1, 256, false, false},
    {3, 17, 3, 3, 16, true, true},
    {1, 128, 2, 2, 48, false, true},
    {2, 65, 6, 2, 96, true, true},
    {1, 193, 3, 1, 96, false, false},
    {2, 150, 2, 1, 16, true, false, 20, true},
    {1, 200, 2, 1, 48, true, true, 37},
    {1, 131, 1, 1, 64, false, false, 1},
    {2, 150, 2, 1, 24, true, false, 0, true},
};

// Everything in fp64, with the T x T matrix.
struct Twin {
    std::vector<double> o, lse, dq, dk, dv;

    Twin(const Shape& c, double scale, Tensor& q, Tensor& k, Tensor& v, Tensor& d_o, Tensor& mask) {
        const int64_t width = c.heads * c.head_size, kv_width = c.kv_heads * c.head_size;
        const int64_t tokens = c.sequences * c.length;
        o.assign(static_cast<size_t>(tokens * width), 0.0);
        dq = o;
        lse.assign(static_cast<size_t>(tokens * c.heads), 0.0);
        dk.assign(static_cast<size_t>(tokens * kv_width), 0.0);
        dv = dk;
        for (int64_t s = 0; s < c.sequences; ++s) {
            for (int64_t h = 0; h < c.heads; ++h) {
                const int64_t kv = h / (c.heads / c.kv_heads);
                for (int64_t i = 0; i < c.length; ++i) {
                    query(c, scale, q, k, v, d_o, mask, s, h, kv, i);
                }
            }
        }
    }

    void query(const Shape& c, double scale, Tensor& q, Tensor& k, Tensor& v, Tensor& d_o,
               Tensor& mask, int64_t s, int64_t h, int64_t kv, int64_t i) {
        const int64_t width = c.heads * c.head_size, kv_width = c.kv_heads * c.head_size;
        const int64_t row = s * c.length + i;
        const auto q_at = [&](int64_t d) { return row * width + h * c.head_size + d; };
        const auto k_at = [&](int64_t j, int64_t d) {
            return (s * c.length + j) * kv_width + kv * c.head_size + d;
        };
        std::vector<double> p(static_cast<size_t>(c.length), 0.0);
        double largest = -INFINITY, total = 0.0;
        const auto visible = [&](int64_t j) {
            return (!c.causal || j <= i) && j >= c.first_key(i) &&
                   (!c.masked || mask.get(s * c.length + j) != 0.0);
        };
        for (int64_t j = 0; j < c.length; ++j) {
            double score = 0.0;
            for (int64_t d = 0; d < c.head_size; ++d) score += q.get(q_at(d)) * k.get(k_at(j, d));
            p[static_cast<size_t>(j)] = score * scale;
            if (visible(j)) largest = std::max(largest, score * scale);
        }
        for (int64_t j = 0; j < c.length; ++j) {
            double& probability = p[static_cast<size_t>(j)];
            probability = visible(j) ? std::exp(probability - largest) : 0.0;
            total += probability;
        }
        lse[static_cast<size_t>(row * c.heads + h)] =
            total == 0.0 ? -INFINITY : largest + std::log(total);
        if (total == 0.0) return;
        for (double& probability : p) probability /= total;
        double dot = 0.0;
        for (int64_t d = 0; d < c.head_size; ++d) {
            double value = 0.0;
            for (int64_t j = 0; j < c.length; ++j)
                value += p[static_cast<size_t>(j)] * v.get(k_at(j, d));
            o[static_cast<size_t>(q_at(d))] = value;
            dot += value * d_o.get(q_at(d));
        }
        for (int64_t j = 0; j < c.length; ++j) {
            const double probability = p[static_cast<size_t>(j)];
            double d_probability = 0.0;
            for (int64_t d = 0; d < c.head_size; ++d) {
                d_probability += d_o.get(q_at(d)) * v.get(k_at(j, d));
                dv[static_cast<size_t>(k_at(j, d))] += probability * d_o.get(q_at(d));
            }
            const double d_score = probability * (d_probability - dot) * scale;
            for (int64_t d = 0; d < c.head_size; ++d) {
                dq[static_cast<size_t>(q_at(d))] += d_score * k.get(k_at(j, d));
                dk[static_cast<size_t>(k_at(j, d))] += d_score * q.get(q_at(d));
            }
        }
    }
};

void run_case(const Shape& c, int32_t dtype) {
    Numbers numbers(static_cast<uint64_t>(c.length * 1000 + c.head_size));
    const int64_t tokens = c.sequences * c.length;
    const int64_t width = c.heads * c.head_size, kv_width = c.kv_heads * c.head_size;
    const double scale = 1.0 / std::sqrt(static_cast<double>(c.head_size));
    Tensor q = numbers.tensor({tokens, width}, dtype),
           k = numbers.tensor({tokens, kv_width}, dtype);
    Tensor v = numbers.tensor({tokens, kv_width}, dtype);
    Tensor d_o = numbers.tensor({tokens, width}, dtype);
    Tensor mask({tokens}, CP_U8);
    // The first keys of the last sequence are hidden, so causal queries there see nothing.
    for (int64_t i = 0; i < tokens; ++i) {
        mask.set(i,
                 i >= tokens - c.length && i < tokens - c.length + 5 ? 0 : numbers.uniform() > 0.3);
    }
    Tensor first_keys({tokens}, CP_I32);
    for (int64_t i = 0; i < tokens; ++i) {
        first_keys.set(i, static_cast<double>(c.document(i % c.length)));
    }
    Twin twin(c, scale, q, k, v, d_o, mask);
    for_every_device([&](CpDevice& device) {
        Tensor o({tokens, width}, dtype), lse({tokens, c.heads});
        OpCall forward("attention");
        forward.input(q).input(k).input(v);
        c.masked ? forward.input(mask) : forward.absent();
        c.packed ? forward.input(first_keys) : forward.absent();
        forward.output(o).output(lse);
        Tensor dq({tokens, width}, dtype), dk({tokens, kv_width}, dtype),
            dv({tokens, kv_width}, dtype);
        OpCall backward("attentionBackward");
        backward.input(q).input(k).input(v).input(o).input(lse).input(d_o);
        c.masked ? backward.input(mask) : backward.absent();
        c.packed ? backward.input(first_keys) : backward.absent();
        backward.output(dq).output(dk).output(dv);
        for (OpCall* call : {&forward, &backward}) {
            call->attribute("sequenceLength", static_cast<double>(c.length))
                .attribute("headSize", static_cast<double>(c.head_size))
                .attribute("causal", c.causal)
                .attribute("window", static_cast<double>(c.window))
                .attribute("scale", scale);
            CHECK(call->run(device) == CP_OK);
        }
        // fp32 sums of up to 200 terms. A bf16 o also enters dq and dk through the row sums. AMX
        // rounds probabilities, the terms of o and dv, to bf16: by 2^-9 of themselves at most.
        const bool rounds = device.instruction_set == InstructionSet::kAmxBf16 && dtype == CP_BF16;
        CHECK(close(o, twin.o, rounds ? 0x1p-9 : 2e-6));
        // With a single key they are 0, the difference of two numbers of magnitude 1.
        CHECK(close(dq, twin.dq, dtype == CP_BF16 ? 4e-3 : 4e-6, 0.1));
        CHECK(close(dk, twin.dk, dtype == CP_BF16 ? 4e-3 : 4e-6, 0.1));
        CHECK(close(dv, twin.dv, rounds ? 0x1p-9 : 4e-6));
        for (int64_t i = 0; i < lse.size(); ++i) {
            const double expected = twin.lse[static_cast<size_t>(i)];
            CHECK(std::isinf(expected)
                      ? lse.get(i) == expected
                      : std::fabs(lse.get(i) - expected) < 4e-6 * (1 + std::fabs(expected)));
        }
        return o.contents() + lse.contents() + dq.contents() + dk.contents() + dv.contents();
    });
}

}  // namespace

TEST(attention_agrees_with_fp64) {
    for (const Shape& c : kCases) {
        for (int32_t dtype : kDtypes) run_case(c, dtype);
    }
}

// Whatever first keys say, memory is safe: they are only compared, and some tile is always read.
TEST(attention_survives_wild_first_keys) {
    for (int32_t dtype : kDtypes) {
        Numbers numbers(6);
        const int64_t tokens = 130;
        Tensor q = numbers.tensor({tokens, 16}, dtype), k = numbers.tensor({tokens, 16}, dtype);
        Tensor first_keys({tokens}, CP_I32), d_o = numbers.tensor({tokens, 16}, dtype);
        for (int64_t i = 0; i < tokens; ++i) {
            first_keys.set(i, i % 3 == 0 ? -2147483648.0 : i % 3 == 1 ? 2147483647.0 : 70.0);
        }
        for_every_device([&](CpDevice& device) {
            Tensor o({tokens, 16}, dtype), lse({tokens, 1});
            Tensor dq({tokens, 16}, dtype), dk({tokens, 16}, dtype), dv({tokens, 16}, dtype);
            OpCall forward("attention"), backward("attentionBackward");
            forward.input(q).input(k).input(k).absent().input(first_keys).output(o).output(lse);
            backward.input(q).input(k).input(k).input(o).input(lse).input(d_o).absent();
            backward.input(first_keys).output(dq).output(dk).output(dv);
            for (OpCall* call : {&forward, &backward}) {
                call->attribute("sequenceLength", static_cast<double>(tokens))
                    .attribute("headSize", 16)
                    .attribute("causal", 1)
                    .attribute("window", 40)
                    .attribute("scale", 0.25);
                CHECK(call->run(device) == CP_OK);
            }
            return std::string();
        });
    }
}

TEST(attention_lets_nan_through) {
    for (int32_t dtype : kDtypes) {
        Numbers numbers(5);
        Tensor q = numbers.tensor({4, 16}, dtype), k = numbers.tensor({4, 16}, dtype);
        Tensor v = numbers.tensor({4, 16}, dtype);
        q.set(2 * 16 + 3, NAN);  // one query: only its own output
        for_every_device([&](CpDevice& device) {
            Tensor o({4, 16}, dtype), lse({4, 1});
            OpCall call("attention");
            call.input(q).input(k).input(v).absent().absent().output(o).output(lse);
            call.attribute("sequenceLength", 4)
                .attribute("headSize", 16)
                .attribute("causal", 1)
                .attribute("window", 0)
                .attribute("scale", 0.25);
            CHECK(call.run(device) == CP_OK);
            CHECK(std::isnan(o.get(2 * 16)) && std::isnan(lse.get(2)));
            CHECK(std::isfinite(o.get(16)) && std::isfinite(o.get(3 * 16)));
            return std::string();
        });
    }
}

TEST(attention_refuses_wrong_shapes) {
    Tensor q({8, 48}), k({8, 32}), o({8, 48}), lse({8, 3});
    const auto refused = [&](double length, double head_size, int32_t slot, const char* code) {
        OpCall call("attention");
        call.input(q).input(k).input(k).absent().absent().output(o).output(lse);
        call.attribute("sequenceLength", length, slot)
            .attribute("headSize", head_size)
            .attribute("causal", 1)
            .attribute("window", 0)
            .attribute("scale", 1);
        return call.check() == CP_FAILED && std::strcmp(call.error().code, code) == 0;
    };
    CHECK(refused(8, 12, -1, "ERR_COMPACT_SHAPE"));    // not a multiple of 8
    CHECK(refused(8, 16, -1, "ERR_COMPACT_SHAPE"));    // 3 heads over 2
    CHECK(refused(3, 8, -1, "ERR_COMPACT_SHAPE"));     // tokens not whole sequences
    CHECK(refused(0, 8, -1, "ERR_COMPACT_ARGUMENT"));  // empty sequences
    CHECK(refused(8, 8, 2, "ERR_COMPACT_ARGUMENT"));   // a length that may change
}

}  // namespace compact::test
