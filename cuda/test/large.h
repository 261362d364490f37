// Ops on tensors with more elements than 32 bits count. Such a tensor is a constant but for a few
// windows of rows, around the places where 32-bit numbers of elements or bytes run over. What is
// constant is chosen to change no sum, so the CPU's result for the windows alone, one below the
// other, is the right one.
#pragma once

#include <functional>
#include <optional>

#include "cuda/test/comparison.h"

namespace compact::test {

// Rows of `row_shape` elements each ({}: one), in device memory.
class LargeTensor {
  public:
    LargeTensor(int64_t rows, std::vector<int64_t> row_shape, int32_t dtype)
        : rows_(rows), row_shape_(std::move(row_shape)), dtype_(dtype) {}

    int32_t dtype() const { return dtype_; }
    int64_t row_elements() const {
        int64_t count = 1;
        for (int64_t extent : row_shape_) count *= extent;
        return count;
    }
    int64_t row_bytes() const {
        return row_elements() * (dtype_ == CP_F32 || dtype_ == CP_I32 ? 4
                                 : dtype_ == CP_BF16                  ? 2
                                                                      : 1);
    }
    int64_t bytes() const { return rows_ * row_bytes(); }
    std::vector<int64_t> shape_of(int64_t rows) const {
        std::vector<int64_t> shape{rows};
        shape.insert(shape.end(), row_shape_.begin(), row_shape_.end());
        return shape;
    }
    CpTensor view() const {
        CpTensor tensor = Tensor(shape_of(0), dtype_).view();
        tensor.shape[0] = rows_;
        tensor.data = data_;
        return tensor;
    }

    bool allocate();
    void release();
    // The same number everywhere; floats by the op `fill`.
    void fill(double value);
    void write(int64_t first_row, const std::string& contents);
    void write_part(int64_t row, int64_t first_element, const std::string& contents);
    std::string read(int64_t first_row, int64_t rows, int64_t first_element = 0,
                     int64_t elements = -1) const;

  private:
    char* at(int64_t row) const { return static_cast<char*>(data_) + row * row_bytes(); }
    int64_t rows_;
    std::vector<int64_t> row_shape_;
    int32_t dtype_;
    void* data_ = nullptr;
};

// How many rows of `width` elements make a large tensor, largest first; on the emulation a few.
std::vector<int64_t> large_row_counts(int64_t width);

// Rows around the places where numbers of 31 and 32 bits run over: aligned pieces of a few rows.
struct RowWindow {
    int64_t first, rows;
};
std::vector<RowWindow> row_windows(int64_t rows, int64_t width, int64_t alignment);

// Runs an op with a workspace of its own.
bool run_op_on_gpu(const char* op, CpCall& call);

// Bytes that may still be taken of the device.
int64_t free_device_bytes();

// Whether the running test, of a large tensor, is asked for; skips it otherwise.
inline bool runs_large() {
    if (options().large) return true;
    skip("runs with --large");
    return false;
}

// From -4 to 4: exact sums.
inline double small_integer(int64_t i) { return static_cast<double>(i * 7 % 9 - 4); }

// Ops that a large run has passed for.
std::set<std::string>& run_large();

// One op of which some operands have many rows.
class LargeRun {
  public:
    // `width`: elements per row of the operands meant to be large. Windows begin and end at
    // multiples of `alignment` rows.
    explicit LargeRun(const char* op, int64_t width, int64_t alignment = 1)
        : op_(op), width_(width), alignment_(alignment) {}

    // An operand with a row for each row; `outside` the windows it is constant.
    LargeRun& rows(std::vector<int64_t> row_shape, int32_t dtype, double outside,
                   double scale = 1.0);
    LargeRun& whole(Tensor& tensor);
    LargeRun& absent();
    // Values of the windows of the last operand: f(0), f(1), ...
    LargeRun& holding(std::function<double(int64_t)> values);
    LargeRun& rows_output(std::vector<int64_t> row_shape, int32_t dtype);
    LargeRun& whole_output(std::vector<int64_t> shape, int32_t dtype = CP_F32);
    LargeRun& output_on(int input);
    LargeRun& attribute(const char* name, double value);
    // The number of the last row.
    LargeRun& last_row_attribute(const char* name);
    // The right value of output 0 at an element of it, given the first input there, instead of the
    // CPU's.
    LargeRun& formula(std::function<double(int64_t, double)> right);

    // Skips the test, and is true, when the device lacks the memory.
    bool agrees(double tolerance);

  private:
    struct Operand {
        bool has_rows;
        std::vector<int64_t> shape;  // of a row, or of all
        int32_t dtype;
        Tensor* tensor = nullptr;  // of a whole input
        bool is_absent = false;
        double outside = 0.0, scale = 1.0;
        std::function<double(int64_t)> values = {};
        int input = -1;  // whose memory an output takes
    };
    struct Placed;

    bool run(int64_t rows, double tolerance);
    Tensor window_values(const Operand& operand, int64_t rows, size_t index) const;

    const char* op_;
    int64_t width_, alignment_;
    std::vector<Operand> inputs_, outputs_;
    std::vector<CpAttribute> attributes_;
    const char* last_row_ = nullptr;
    std::function<double(int64_t, double)> formula_;
};

}  // namespace compact::test
