// embedding and its gradient: order of sums, absent ids, bad ids.
#include "native/test/op_test.h"

namespace compact::test {

TEST(embedding_backward_sums_in_order_of_position) {
    const int64_t vocab = 37, tokens = 300, width = 41;
    for (int32_t dtype : kDtypes) {
        for (int32_t gradient_dtype : kDtypes) {
            for (bool accumulate : {false, true}) {
                Numbers numbers(7);
                Tensor ids({tokens}, CP_I32), dy = numbers.tensor({tokens, width}, dtype);
                Tensor before = numbers.tensor({vocab, width}, gradient_dtype);
                for (int64_t i = 0; i < tokens; ++i) {
                    const double u = numbers.uniform();
                    ids.set(i, std::floor(u * u * 36));  // crowded at 0; 36 never comes
                }
                // The same additions in the same order, in fp32: equal to the bit.
                std::vector<float> sums(static_cast<size_t>(vocab * width), 0.0f);
                for (int64_t i = 0; i < tokens; ++i) {
                    for (int64_t j = 0; j < width; ++j) {
                        sums[static_cast<size_t>(ids.get(i)) * width + static_cast<size_t>(j)] +=
                            static_cast<float>(dy.get(i * width + j));
                    }
                }
                Tensor expected({vocab, width}, gradient_dtype);
                for (int64_t i = 0; i < vocab * width; ++i) {
                    const float old = static_cast<float>(before.get(i));
                    const float sum = sums[static_cast<size_t>(i)];
                    expected.set(i, accumulate ? old + sum : sum);
                }
                for_every_device([&](CpDevice& device) {
                    Tensor d_table({vocab, width}, gradient_dtype, before.values());
                    OpCall call("embeddingBackward");
                    call.input(ids).input(dy).input(d_table).output(d_table);
                    call.attribute("first", 0).attribute("numIds", 0);
                    call.attribute("accumulate", accumulate);
                    CHECK(call.run(device) == CP_OK);
                    CHECK(d_table.contents() == expected.contents());
                    return d_table.contents();
                });
                if (accumulate) continue;
                for (int64_t first : {0, 11, 30}) {  // of seven rows the same
                    const int64_t rows = 7, begin = first * width;
                    const std::vector<double> all = expected.values();
                    Tensor part({rows, width}, gradient_dtype,
                                {all.begin() + begin, all.begin() + begin + rows * width});
                    for_every_device([&](CpDevice& device) {
                        Tensor d_rows({rows, width}, gradient_dtype);
                        OpCall call("embeddingBackward");
                        call.input(ids).input(dy).absent().output(d_rows);
                        call.attribute("accumulate", 0).attribute("numIds", vocab);
                        call.attribute("first", static_cast<double>(first));
                        CHECK(call.run(device) == CP_OK);
                        CHECK(d_rows.contents() == part.contents());
                        return d_rows.contents();
                    });
                }
            }
        }
    }
}

TEST(embedding_backward_refuses_rows_outside_the_table) {
    Tensor ids({3}, CP_I32), dy({3, 8}), d_rows({4, 8});
    for (double first : {2.0, 7.0}) {
        OpCall call("embeddingBackward");
        call.input(ids).input(dy).absent().output(d_rows).attribute("accumulate", 0);
        call.attribute("first", first).attribute("numIds", first == 2.0 ? 0.0 : 10.0);
        CHECK(call.check() == CP_FAILED);
        CHECK(std::strcmp(call.error().code, "ERR_COMPACT_SHAPE") == 0);
    }
}

TEST(embedding_copies_rows) {
    for (int32_t dtype : kDtypes) {
        Numbers numbers(8);
        Tensor table = numbers.tensor({5, 33}, dtype), ids({3}, CP_I32, {4, 0, 4});
        for_every_device([&](CpDevice& device) {
            Tensor y({3, 33}, dtype);
            OpCall call("embedding");
            call.input(table).input(ids).output(y);
            CHECK(call.run(device) == CP_OK);
            for (int64_t i = 0; i < 33; ++i) {
                CHECK(y.get(i) == table.get(4 * 33 + i) && y.get(33 + i) == table.get(i) &&
                      y.get(66 + i) == table.get(4 * 33 + i));
            }
            return y.contents();
        });
    }
}

TEST(ids_out_of_range_write_nothing) {
    Numbers numbers(9);
    for (double bad : {5.0, -1.0}) {
        Tensor table = numbers.tensor({5, 8}), ids({3}, CP_I32, {1, bad, 2});
        Tensor y({3, 8}), d_table({5, 8});
        const std::string y_before = y.contents(), table_before = d_table.contents();
        for_every_device([&](CpDevice& device) {
            OpCall forward("embedding"), backward("embeddingBackward");
            forward.input(table).input(ids).output(y);
            backward.input(ids).input(y).absent().output(d_table).attribute("accumulate", 0);
            backward.attribute("first", 0).attribute("numIds", 0);
            for (OpCall* call : {&forward, &backward}) {
                CHECK(call->run(device) == CP_FAILED);
                CHECK(std::strcmp(call->error().code, "ERR_COMPACT_INDEX") == 0);
                CHECK(std::string(call->error().received) ==
                      std::to_string(static_cast<int>(bad)) + " at position 1");
                CHECK(std::string(call->error().expected) == "ids from 0 to 4");
            }
            CHECK(y.contents() == y_before && d_table.contents() == table_before);
            return std::string();
        });
    }
}

}  // namespace compact::test
