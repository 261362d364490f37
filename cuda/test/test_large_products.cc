// Products and the embedding with more than 2^31 elements, 2^32 where the memory allows (large.h).
#include <cmath>

#include "cuda/test/large.h"

namespace compact::test {
namespace {

constexpr int64_t kWidth = 1024;

Tensor small_integers(std::vector<int64_t> shape, int32_t dtype) {
    Tensor result(std::move(shape), dtype);
    for (int64_t i = 0; i < result.size(); ++i) result.set(i, small_integer(i));
    return result;
}

}  // namespace

// ---- Products ----------------------------------------------------------------------------------

TEST(cuda_large_matmul) {
    if (!runs_large()) return;
    const int64_t inner = 16, columns = 24;
    for (int32_t dtype : kDtypes) {
        Tensor b = small_integers({inner, columns}, dtype);
        CHECK(LargeRun("matmul", inner)
                  .rows({inner}, dtype, 1.0)
                  .holding(small_integer)
                  .whole(b)
                  .absent()
                  .rows_output({columns}, dtype)
                  .attribute("transposeA", 0)
                  .attribute("transposeB", 0)
                  .attribute("alpha", 0.5)
                  .agrees(0));
        // A gradient: many tokens are summed.
        CHECK(LargeRun("matmul", columns)
                  .rows({inner}, dtype, 0.0)
                  .holding(small_integer)
                  .rows({columns}, dtype, 1.0)
                  .holding(small_integer)
                  .absent()
                  .whole_output({inner, columns})
                  .attribute("transposeA", 1)
                  .attribute("transposeB", 0)
                  .attribute("alpha", 0.5)
                  .agrees(0));
    }
}

TEST(cuda_large_products_with_codes) {
    if (!runs_large()) return;
    const int64_t inner = 16, columns = 24;
    Tensor codes = small_integers({inner, columns}, CP_I8), scales({3}, CP_F32, {1.0, 0.5, 2.0});
    Tensor halves = small_integers({inner, columns / 2}, CP_U8), magnitudes({1, 256}, CP_U8);
    for (int64_t i = 0; i < 256; ++i) magnitudes.set(i, static_cast<double>(i));
    Tensor ranges({1, 2}, CP_F32, {1.0, 0.5});
    for (int32_t dtype : kDtypes) {
        CHECK(LargeRun("matmulInt8", inner)
                  .rows({inner}, dtype, 1.0)
                  .holding(small_integer)
                  .whole(codes)
                  .whole(scales)
                  .rows_output({columns}, dtype)
                  .attribute("groupSize", 128)
                  .attribute("transposeB", 0)
                  .agrees(0));
        CHECK(LargeRun("matmulNf4", inner)
                  .rows({inner}, dtype, 1.0)
                  .holding(small_integer)
                  .whole(halves)
                  .whole(magnitudes)
                  .whole(ranges)
                  .rows_output({columns}, dtype)
                  .attribute("transposeB", 0)
                  .agrees(1e-6));
    }
}

// More columns of tiles than a grid has blocks along its second dimension.
TEST(cuda_large_matmul_of_many_columns) {
    if (!runs_large()) return;
    if (cuda_machine().is_emulated()) return skip("takes minutes; cuda_grids_of_wide_tensors ran");
    for (int32_t dtype : kDtypes) {
        const int64_t n = 65536 * (dtype == CP_BF16 ? 128 : 64) + 5;
        Tensor a = small_integers({2, 1}, dtype), b = small_integers({1, n}, dtype);
        Comparison call("matmul");
        call.input(a).input(b).absent().output({2, n}, dtype).attribute("transposeA", 0);
        call.attribute("transposeB", 0).attribute("alpha", 1).attribute("accumulate", 0);
        CHECK(call.agrees(0));
    }
}

TEST(cuda_large_project) {
    if (!runs_large()) return;
    const int64_t in_features = 64, rank = 16;
    CHECK(LargeRun("project", in_features)
              .rows({in_features}, CP_BF16, 1.0)
              .holding(small_integer)
              .rows_output({rank}, CP_BF16)
              .attribute("seedLow", 3)
              .attribute("tensorId", 4)
              .attribute("epoch", 5)
              .attribute("distribution", 1)
              .agrees(0));
}

// The CPU has the first and last columns of the weight, which do not depend on the others.
TEST(cuda_large_project_back_update) {
    if (!runs_large()) return;
    const int64_t rank = 16, part = 8;
    for (int64_t rows : large_row_counts(kWidth)) {
        LargeTensor weight(rows, {kWidth}, CP_BF16);
        LargeTensor direction(rank, {kWidth}, CP_BF16);
        if (weight.bytes() + (int64_t{64} << 20) > free_device_bytes()) {
            skip("the weight does not fit");
            continue;
        }
        skip("");
        if (!CHECK(weight.allocate() && direction.allocate())) return;
        Tensor whole_direction = small_integers({rank, kWidth}, CP_BF16);
        direction.write(0, whole_direction.contents());
        bool equal = true;
        // Random numbers belong to columns, so only the first ones are rounded by them.
        for (const bool first : {true, false}) {
            const int64_t begin = first ? 0 : kWidth - part;
            weight.fill(0.3);
            Tensor part_weight({rows, part}, CP_BF16), part_direction({rank, part}, CP_BF16);
            for (int64_t i = 0; i < part_weight.size(); ++i) part_weight.set(i, 0.3);
            for (int64_t i = 0; i < part_direction.size(); ++i) {
                part_direction.set(i, whole_direction.get(i / part * kWidth + begin + i % part));
            }
            CpCall call{};
            call.inputs[0] = call.outputs[0] = weight.view();
            call.inputs[1] = direction.view();
            call.num_inputs = 2;
            call.num_outputs = 1;
            Comparison on_cpu("projectBackUpdate");
            on_cpu.input(part_weight).input(part_direction).output_on(0);
            for (const auto& [name, value] :
                 std::vector<std::pair<const char*, double>>{{"seedLow", 3},
                                                             {"tensorId", 4},
                                                             {"epoch", 5},
                                                             {"distribution", 1},
                                                             {"learningRate", 0.0123},
                                                             {"updateScale", 0.25},
                                                             {"weightDecay", 0.1},
                                                             {"stochasticRounding", first},
                                                             {"roundingSeed", 6},
                                                             {"step", 7}}) {
                call.attributes[call.num_attributes++] = {name, value, -1};
                on_cpu.attribute(name, value);
            }
            if (!CHECK(run_op_on_gpu("projectBackUpdate", call))) break;
            const std::string expected = on_cpu.expected()[0];
            for (const RowWindow& window : row_windows(rows, kWidth, 1)) {
                equal = equal && weight.read(window.first, window.rows, begin, part) ==
                                     expected.substr(static_cast<size_t>(window.first * part * 2),
                                                     static_cast<size_t>(window.rows * part * 2));
            }
        }
        if (CHECK(equal)) run_large().insert("projectBackUpdate");
        weight.release();
        direction.release();
        return;
    }
}

TEST(cuda_large_project_transfer) {
    if (!runs_large()) return;
    const int64_t rank = 4096, part = 8;
    for (int64_t columns : large_row_counts(rank)) {
        LargeTensor moment(rank, {columns}, CP_BF16);
        // With the new moment in fp32 and a block of rows.
        if (moment.bytes() * 3 + (int64_t{1} << 30) > free_device_bytes() && columns > rank) {
            skip("the moment does not fit");
            continue;
        }
        skip("");
        if (!CHECK(moment.allocate())) return;
        moment.fill(1.0);
        Tensor some({rank, 2 * part}, CP_BF16);
        for (int64_t i = 0; i < rank; ++i) {
            for (int64_t j = 0; j < 2 * part; ++j) {
                const bool last = j >= part && i + 1 == rank;
                some.set(i * 2 * part + j, last ? 3.0 : 1.0);
            }
        }
        Tensor tail({part}, CP_BF16);
        for (int64_t j = 0; j < part; ++j) tail.set(j, 3.0);
        moment.write_part(rank - 1, columns - part, tail.contents());
        CpCall call{};
        call.inputs[0] = call.outputs[0] = moment.view();
        call.num_inputs = call.num_outputs = 1;
        Comparison on_cpu("projectTransfer");
        on_cpu.input(some).output_on(0);
        for (const auto& [name, value] :
             std::vector<std::pair<const char*, double>>{{"rows", 64},
                                                         {"seedLow", 3},
                                                         {"tensorId", 4},
                                                         {"oldEpoch", 0},
                                                         {"newEpoch", 1},
                                                         {"distribution", 1}}) {
            call.attributes[call.num_attributes++] = {name, value, -1};
            on_cpu.attribute(name, value);
        }
        if (CHECK(run_op_on_gpu("projectTransfer", call))) {
            const std::string expected = on_cpu.expected()[0];
            std::string found;
            for (int64_t row = 0; row < rank; ++row) {
                found += moment.read(row, 1, 0, part) + moment.read(row, 1, columns - part, part);
            }
            if (CHECK(found == expected)) run_large().insert("projectTransfer");
        }
        moment.release();
        return;
    }
}

// Columns of x stand for themselves, so the CPU has the first and last of them.
TEST(cuda_large_project_left) {
    if (!runs_large()) return;
    const int64_t in_features = 64, rank = 16, part = 8;
    for (int64_t columns : large_row_counts(in_features)) {
        LargeTensor x(in_features, {columns}, CP_BF16), z(rank, {columns}, CP_BF16);
        if (x.bytes() + z.bytes() + (int64_t{64} << 20) > free_device_bytes()) {
            skip("x does not fit");
            continue;
        }
        skip("");
        if (!CHECK(x.allocate() && z.allocate())) return;
        x.fill(1.0);
        Tensor some = small_integers({in_features, 2 * part}, CP_BF16);
        for (int64_t row = 0; row < in_features; ++row) {
            const std::string contents = some.contents().substr(
                static_cast<size_t>(row * 2 * part * 2), static_cast<size_t>(2 * part * 2));
            x.write_part(row, 0, contents.substr(0, part * 2));
            x.write_part(row, columns - part, contents.substr(part * 2));
        }
        CpCall call{};
        call.inputs[0] = x.view();
        call.outputs[0] = z.view();
        call.num_inputs = call.num_outputs = 1;
        Comparison on_cpu("projectLeft");
        on_cpu.input(some).output({rank, 2 * part}, CP_BF16);
        for (const auto& [name, value] : std::vector<std::pair<const char*, double>>{
                 {"seedLow", 3}, {"tensorId", 4}, {"epoch", 5}, {"distribution", 1}}) {
            call.attributes[call.num_attributes++] = {name, value, -1};
            on_cpu.attribute(name, value);
        }
        if (CHECK(run_op_on_gpu("projectLeft", call))) {
            const std::string expected = on_cpu.expected()[0];
            std::string found;
            for (int64_t row = 0; row < rank; ++row) {
                found += z.read(row, 1, 0, part) + z.read(row, 1, columns - part, part);
            }
            if (CHECK(found == expected)) run_large().insert("projectLeft");
        }
        x.release();
        z.release();
        return;
    }
}

// ---- Embedding ---------------------------------------------------------------------------------

// Token i has the row `count - 1 - i` of the table.
TEST(cuda_large_embedding) {
    if (!runs_large()) return;
    for (int64_t count : large_row_counts(kWidth)) {
        LargeTensor from(count, {kWidth}, CP_BF16), to(count, {kWidth}, CP_BF16);
        LargeTensor ids(count, {}, CP_I32);
        if (from.bytes() + to.bytes() + 40 * ids.bytes() > free_device_bytes()) {
            skip("the table and its tokens do not fit");
            continue;
        }
        skip("");
        if (!CHECK(from.allocate() && to.allocate() && ids.allocate())) return;
        Tensor reversed({count}, CP_I32);
        for (int64_t i = 0; i < count; ++i) reversed.set(i, static_cast<double>(count - 1 - i));
        ids.write(0, reversed.contents());
        from.fill(0.5);
        Numbers numbers(7);
        std::vector<RowWindow> windows = row_windows(count, kWidth, 1);
        for (const RowWindow& window : windows) {
            from.write(window.first, numbers.tensor({window.rows, kWidth}, CP_BF16).contents());
        }
        for (const char* op : {"embedding", "embeddingBackward"}) {
            const bool forward = std::strcmp(op, "embedding") == 0;
            to.fill(0.0);
            CpCall call{};
            call.inputs[0] = forward ? from.view() : ids.view();
            call.inputs[1] = forward ? ids.view() : from.view();
            call.num_inputs = forward ? 2 : 3;
            call.outputs[0] = to.view();
            call.num_outputs = 1;
            for (const char* name : {"first", "numIds", "accumulate"}) {
                if (!forward) call.attributes[call.num_attributes++] = {name, 0.0, -1};
            }
            if (!CHECK(run_op_on_gpu(op, call))) continue;
            bool equal = true;
            for (const RowWindow& window : windows) {
                for (int64_t i = 0; i < window.rows; ++i) {
                    const int64_t row = window.first + i;
                    equal = equal && to.read(count - 1 - row, 1) == from.read(row, 1);
                }
            }
            if (CHECK(equal)) run_large().insert(op);
        }
        from.release();
        to.release();
        ids.release();
        return;
    }
}

}  // namespace compact::test
