// Attention on both paths: tensor cores (bf16, heads up to 128) and CUDA cores.
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

struct Problem {
    int64_t sequences, length, heads, kv_heads, head_size;
    bool causal, masked;
    int64_t window = 0;   // tokens that a token sees; 0: all
    bool packed = false;  // documents of 37 tokens follow each other in a sequence
    double scale = 0.0;   // 0: 1 / sqrt(head size)
};

const std::vector<Problem> kCases = {
    {1, 1, 1, 1, 8, true, false},
    {2, 65, 2, 2, 32, true, false},
    {1, 64, 4, 2, 40, true, false},
    {1, 131, 4, 1, 64, true, true},
    {2, 33, 2, 1, 128, false, true},
    {1, 80, 1, 1, 256, false, false},
    {3, 17, 3, 3, 16, true, true},
    {1, 128, 2, 2, 48, false, true},
    {1, 97, 2, 1, 80, true, false},
    {2, 70, 2, 2, 96, false, false},
    {1, 150, 2, 1, 112, true, true},
    {1, 40, 2, 1, 136, true, false},
    {1, 150, 2, 1, 24, true, false, 20, true},
    {1, 131, 2, 1, 96, true, true, 37},
    {1, 100, 1, 1, 64, false, false, 1},
    {2, 75, 2, 2, 144, true, false, 30},
    {1, 90, 2, 1, 64, true, true, 0, true},
    {1, 90, 1, 1, 160, true, false, 0, true},
    {1, 300, 2, 1, 64, true, false},
    {1, 200, 1, 1, 128, false, false},
    {1, 270, 1, 1, 96, true, false},
    {1, 70, 2, 1, 32, true, false, 0, false, -0.4},
};

void compare(const Problem& c, int32_t dtype) {
    Numbers numbers(static_cast<uint64_t>(c.length * 1000 + c.head_size));
    const int64_t tokens = c.sequences * c.length;
    const int64_t width = c.heads * c.head_size, kv_width = c.kv_heads * c.head_size;
    Tensor q = numbers.tensor({tokens, width}, dtype),
           k = numbers.tensor({tokens, kv_width}, dtype);
    Tensor v = numbers.tensor({tokens, kv_width}, dtype),
           d_o = numbers.tensor({tokens, width}, dtype);
    Tensor mask({tokens}, CP_U8);
    // The first keys of the last sequence are hidden, so causal queries there see nothing.
    for (int64_t i = 0; i < tokens; ++i) {
        mask.set(i,
                 i >= tokens - c.length && i < tokens - c.length + 5 ? 0 : numbers.uniform() > 0.3);
    }
    Tensor first_keys({tokens}, CP_I32);
    for (int64_t i = 0; i < tokens; ++i) {
        first_keys.set(i, static_cast<double>(i % c.length / 37 * 37));
    }
    const auto finish = [&](Comparison& call, double tolerance) {
        return call.attribute("sequenceLength", static_cast<double>(c.length))
            .attribute("headSize", static_cast<double>(c.head_size))
            .attribute("causal", c.causal)
            .attribute("window", static_cast<double>(c.window))
            .attribute("scale",
                       c.scale != 0.0 ? c.scale : 1.0 / std::sqrt(static_cast<double>(c.head_size)))
            .agrees(tolerance);
    };
    Comparison forward("attention");
    forward.input(q).input(k).input(v);
    c.masked ? forward.input(mask) : forward.absent();
    c.packed ? forward.input(first_keys) : forward.absent();
    forward.output({tokens, width}, dtype).output({tokens, c.heads});
    // Tensor cores take the probabilities as bf16: 2^-9 of each.
    const bool rounded = dtype == CP_BF16 && c.head_size <= 128;
    CHECK(finish(forward, rounded ? 4e-3 : 5e-6));
    Tensor o({tokens, width}, dtype), lse({tokens, c.heads});
    std::memcpy(o.view().data, forward.found(0).data(), forward.found(0).size());
    std::memcpy(lse.view().data, forward.found(1).data(), forward.found(1).size());
    Comparison backward("attentionBackward");
    backward.input(q).input(k).input(v).input(o).input(lse).input(d_o);
    c.masked ? backward.input(mask) : backward.absent();
    c.packed ? backward.input(first_keys) : backward.absent();
    backward.output({tokens, width}, dtype).output({tokens, kv_width}, dtype);
    backward.output({tokens, kv_width}, dtype);
    CHECK(finish(backward, rounded ? 6e-3 : 1e-5));
}

}  // namespace

TEST(cuda_attention) {
    for (const Problem& c : sizes(kCases, {2, 4, 6, 11, 12, 15, 16})) {
        for (int32_t dtype : kDtypes) compare(c, dtype);
    }
}

// Widths of tiles are multiples of 32; what a head lacks of one is zero.
TEST(cuda_attention_of_every_head_size) {
    if (is_reduced()) return skip("the kernels run in cuda_attention");
    for (int64_t head_size = 32; head_size <= 128; head_size += 8) {
        compare({1, 70, 2, 1, head_size, true, false}, CP_BF16);
    }
}

TEST(cuda_attention_lets_nan_through) {
    for (int32_t dtype : kDtypes) {
        Numbers numbers(5);
        Tensor q = numbers.tensor({4, 16}, dtype), k = numbers.tensor({4, 16}, dtype);
        Tensor v = numbers.tensor({4, 16}, dtype);
        q.set(2 * 16 + 3, NAN);  // one query: only its own output
        CHECK(Comparison("attention")
                  .input(q)
                  .input(k)
                  .input(v)
                  .absent()
                  .absent()
                  .output({4, 16}, dtype)
                  .output({4, 1})
                  .attribute("sequenceLength", 4)
                  .attribute("headSize", 16)
                  .attribute("causal", 1)
                  .attribute("window", 0)
                  .attribute("scale", 0.25)
                  .agrees(4e-3));
    }
}

// New tokens after those in a cache: one warp has keys, or all have; a window; two sequences.
TEST(cuda_cached_attention) {
    struct CacheProblem {
        int64_t sequences, new_tokens, capacity, first, heads, kv_heads, head_size, window;
        double soft_cap;
    };
    const std::vector<CacheProblem> cases = {
        {1, 1, 1, 0, 1, 1, 8, 0, 0},       {2, 1, 70, 69, 4, 2, 40, 0, 0},
        {1, 5, 200, 130, 2, 1, 128, 0, 0}, {2, 3, 64, 20, 2, 2, 256, 9, 0},
        {1, 2, 90, 80, 2, 1, 64, 0, 3},
    };
    for (const CacheProblem& c : cases) {
        for (int32_t dtype : kDtypes) {
            Numbers numbers(static_cast<uint64_t>(c.capacity + c.head_size));
            const int64_t tokens = c.sequences * c.new_tokens, rows = c.sequences * c.capacity;
            const int64_t width = c.heads * c.head_size, kv_width = c.kv_heads * c.head_size;
            Tensor q = numbers.tensor({tokens, width}, dtype),
                   k = numbers.tensor({tokens, kv_width}, dtype),
                   v = numbers.tensor({tokens, kv_width}, dtype),
                   keys = numbers.tensor({rows, kv_width}, dtype),
                   values = numbers.tensor({rows, kv_width}, dtype);
            Tensor positions({tokens}, CP_I32);
            for (int64_t i = 0; i < tokens; ++i) {
                positions.set(i, static_cast<double>(c.first + i % c.new_tokens));
            }
            CHECK(Comparison("cachedAttention")
                      .input(q)
                      .input(k)
                      .input(v)
                      .input(keys)
                      .input(values)
                      .input(positions)
                      .output({tokens, width}, dtype)
                      .output_on(3)
                      .output_on(4)
                      .attribute("newTokens", static_cast<double>(c.new_tokens))
                      .attribute("headSize", static_cast<double>(c.head_size))
                      .attribute("scale", 1.0 / std::sqrt(static_cast<double>(c.head_size)))
                      .attribute("window", static_cast<double>(c.window))
                      .attribute("softCap", c.soft_cap)
                      .agrees(dtype == CP_BF16 ? 4e-3 : 5e-6));
        }
    }
}

}  // namespace compact::test
