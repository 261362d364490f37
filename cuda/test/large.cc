#include "cuda/test/large.h"

#include <cstring>

#include "native/backend/call.h"

namespace compact::test {
namespace {

constexpr int64_t kEmulatedElements = int64_t{1} << 18;

}  // namespace

bool run_op_on_gpu(const char* name, CpCall& call) {
    Machine& machine = cuda_machine();
    const CpBackend& backend = machine.backend();
    const CpOp* op = machine.op(name);
    const CpLimits limits{};
    CpError error{};
    void* workspace = nullptr;
    call.workspace_bytes = op->workspace_bytes(&call, &limits);
    bool done =
        backend.allocate(machine.device(), call.workspace_bytes, &workspace, &error) == CP_OK;
    call.workspace = workspace;
    done = done && (op->check == nullptr || op->check(&call, &error) == CP_OK) &&
           op->run(machine.device(), &call, &error) == CP_OK &&
           backend.synchronize(machine.device(), &error) == CP_OK;
    if (!done) std::printf("      %s: %s, %s\n", name, error.code, error.received);
    if (workspace != nullptr) {
        backend.release(machine.device(), workspace, call.workspace_bytes);
    }
    return done;
}

// ---- Memory ------------------------------------------------------------------------------------

bool LargeTensor::allocate() {
    CpError error{};
    Machine& machine = cuda_machine();
    return machine.backend().allocate(machine.device(), bytes(), &data_, &error) == CP_OK;
}

void LargeTensor::release() {
    Machine& machine = cuda_machine();
    if (data_ != nullptr) machine.backend().release(machine.device(), data_, bytes());
    data_ = nullptr;
}

void LargeTensor::fill(double value) {
    if (dtype_ == CP_F32 || dtype_ == CP_BF16) {
        CpCall call{};
        call.outputs[0] = view();
        call.num_outputs = call.num_attributes = 1;
        call.attributes[0] = {"value", value, -1};
        CHECK(run_op_on_gpu("fill", call));
        return;
    }
    const int64_t rows_at_once = std::max<int64_t>(1, (64 << 20) / row_bytes());
    Tensor part(shape_of(std::min(rows_at_once, rows_)), dtype_);
    for (int64_t i = 0; i < part.size(); ++i) part.set(i, value);
    const std::string contents = part.contents();
    for (int64_t row = 0; row < rows_; row += rows_at_once) {
        const int64_t rows = std::min(rows_at_once, rows_ - row);
        write(row, contents.substr(0, static_cast<size_t>(rows * row_bytes())));
    }
}

void LargeTensor::write(int64_t first_row, const std::string& contents) {
    cuda_machine().put(at(first_row), contents);
}

void LargeTensor::write_part(int64_t row, int64_t first_element, const std::string& contents) {
    cuda_machine().put(at(row) + first_element * (row_bytes() / row_elements()), contents);
}

std::string LargeTensor::read(int64_t first_row, int64_t rows, int64_t first_element,
                              int64_t elements) const {
    if (elements < 0) return cuda_machine().get(at(first_row), rows * row_bytes());
    const int64_t element_bytes = row_bytes() / row_elements();
    std::string contents;
    for (int64_t row = first_row; row < first_row + rows; ++row) {
        contents +=
            cuda_machine().get(at(row) + first_element * element_bytes, elements * element_bytes);
    }
    return contents;
}

int64_t free_device_bytes() {
    if (cuda_machine().is_emulated()) return int64_t{1} << 30;
    const CpBackend& backend = cuda_machine().backend();
    return backend.free_bytes(cuda_machine().device());
}

// ---- Sizes -------------------------------------------------------------------------------------

std::vector<int64_t> large_row_counts(int64_t width) {
    const int64_t beyond = 1 << 21;
    if (cuda_machine().is_emulated()) return {(kEmulatedElements + width - 1) / width};
    return {((int64_t{1} << 32) + beyond) / width, ((int64_t{1} << 31) + beyond) / width};
}

std::vector<RowWindow> row_windows(int64_t rows, int64_t width, int64_t alignment) {
    const int64_t elements = rows * width, size = std::max<int64_t>(alignment, 4);
    const int64_t pieces = rows / size;
    std::vector<int64_t> marks{0};
    if (cuda_machine().is_emulated()) {
        for (int64_t part : {8, 4, 2}) marks.push_back(elements / part);
    } else {
        for (int bits : {29, 30, 31, 32}) marks.push_back(int64_t{1} << bits);
    }
    marks.push_back(elements - 1);
    std::set<int64_t> firsts;
    for (int64_t mark : marks) {
        const int64_t piece = mark / width / size;
        if (piece < pieces) firsts.insert(piece * size);
    }
    // The last rows, which may be no whole piece of a window without an alignment.
    if (alignment == 1 && rows >= 2 * size) {
        while (!firsts.empty() && *firsts.rbegin() > rows - 2 * size)
            firsts.erase(*firsts.rbegin());
        firsts.insert(rows - size);
    }
    std::vector<RowWindow> windows;
    for (int64_t first : firsts) windows.push_back({first, std::min(size, rows - first)});
    return windows;
}

std::set<std::string>& run_large() {
    static std::set<std::string> all;
    return all;
}

// ---- Operands ----------------------------------------------------------------------------------

LargeRun& LargeRun::rows(std::vector<int64_t> row_shape, int32_t dtype, double outside,
                         double scale) {
    Operand operand{true, std::move(row_shape), dtype};
    operand.outside = outside;
    operand.scale = scale;
    inputs_.push_back(std::move(operand));
    return *this;
}

LargeRun& LargeRun::whole(Tensor& tensor) {
    Operand operand{false, {}, tensor.dtype()};
    operand.tensor = &tensor;
    inputs_.push_back(std::move(operand));
    return *this;
}

LargeRun& LargeRun::absent() {
    Operand operand{false, {}, CP_F32};
    operand.is_absent = true;
    inputs_.push_back(std::move(operand));
    return *this;
}

LargeRun& LargeRun::holding(std::function<double(int64_t)> values) {
    inputs_.back().values = std::move(values);
    return *this;
}

LargeRun& LargeRun::rows_output(std::vector<int64_t> row_shape, int32_t dtype) {
    outputs_.push_back({true, std::move(row_shape), dtype});
    return *this;
}

LargeRun& LargeRun::whole_output(std::vector<int64_t> shape, int32_t dtype) {
    outputs_.push_back({false, std::move(shape), dtype});
    return *this;
}

LargeRun& LargeRun::output_on(int input) {
    Operand operand = inputs_[static_cast<size_t>(input)];
    operand.input = input;
    outputs_.push_back(std::move(operand));
    return *this;
}

LargeRun& LargeRun::attribute(const char* name, double value) {
    attributes_.push_back({name, value, -1});
    return *this;
}

LargeRun& LargeRun::last_row_attribute(const char* name) {
    last_row_ = name;
    return *this;
}

LargeRun& LargeRun::formula(std::function<double(int64_t, double)> right) {
    formula_ = std::move(right);
    return *this;
}

Tensor LargeRun::window_values(const Operand& operand, int64_t rows, size_t index) const {
    Tensor values(LargeTensor(rows, operand.shape, operand.dtype).shape_of(rows), operand.dtype);
    Numbers numbers(index + 11);
    for (int64_t i = 0; i < values.size(); ++i) {
        values.set(i, operand.values ? operand.values(i) : operand.scale * numbers.normal());
    }
    return values;
}

// ---- Run ---------------------------------------------------------------------------------------

// An operand in device memory, and its windows on the host, one below the other.
struct LargeRun::Placed {
    LargeTensor memory;
    Tensor values;
};

bool LargeRun::agrees(double tolerance) {
    for (int64_t rows : large_row_counts(width_)) {
        rows = rows / alignment_ * alignment_;
        CpCall call{};
        int64_t bytes = 0;
        const auto count = [&](const Operand& operand, CpTensor& view) {
            if (operand.is_absent) return;
            if (operand.has_rows) {
                view = LargeTensor(rows, operand.shape, operand.dtype).view();
            } else {
                view = operand.tensor != nullptr ? operand.tensor->view()
                                                 : Tensor(operand.shape, operand.dtype).view();
            }
            if (operand.input < 0) bytes += num_elements(view) * dtype_bytes(view.dtype);
        };
        for (const Operand& input : inputs_) count(input, call.inputs[call.num_inputs++]);
        for (const Operand& output : outputs_) count(output, call.outputs[call.num_outputs++]);
        for (const CpAttribute& one : attributes_) call.attributes[call.num_attributes++] = one;
        const CpLimits limits{};
        bytes += cuda_machine().op(op_)->workspace_bytes(&call, &limits);
        if (bytes < free_device_bytes()) return run(rows, tolerance);
        if (rows == large_row_counts(width_).back() / alignment_ * alignment_) {
            skip(std::to_string(bytes >> 20) + " MiB are needed, " +
                 std::to_string(free_device_bytes() >> 20) + " MiB are free");
        }
    }
    return true;
}

bool LargeRun::run(int64_t rows, double tolerance) {
    const std::vector<RowWindow> windows = row_windows(rows, width_, alignment_);
    int64_t window_rows = 0;
    for (const RowWindow& window : windows) window_rows += window.rows;
    std::vector<Placed> inputs, outputs;
    CpCall call{};
    Comparison on_cpu(op_);
    for (size_t i = 0; i < inputs_.size(); ++i) {
        const Operand& operand = inputs_[i];
        if (operand.is_absent) {
            inputs.push_back({LargeTensor(0, {}, CP_F32), Tensor({0})});
            continue;
        }
        Tensor values = operand.has_rows ? window_values(operand, window_rows, i) : *operand.tensor;
        const std::string contents = values.contents();
        if (!operand.has_rows) {
            CpTensor view = values.view();
            std::vector<int64_t> rest(view.shape + 1, view.shape + view.num_dims);
            LargeTensor memory(view.shape[0], rest, operand.dtype);
            if (!CHECK(memory.allocate())) return false;
            memory.write(0, contents);
            inputs.push_back({memory, values});
            continue;
        }
        LargeTensor memory(rows, operand.shape, operand.dtype);
        if (!CHECK(memory.allocate())) return false;
        memory.fill(operand.outside);
        size_t at = 0;
        for (const RowWindow& window : windows) {
            const auto size = static_cast<size_t>(window.rows * memory.row_bytes());
            memory.write(window.first, contents.substr(at, size));
            at += size;
        }
        inputs.push_back({memory, values});
    }
    for (size_t i = 0; i < inputs_.size(); ++i) {
        CpTensor& view = call.inputs[call.num_inputs++];
        if (inputs_[i].is_absent) {
            on_cpu.absent();
        } else {
            view = inputs[i].memory.view();
            on_cpu.input(inputs[i].values);
        }
    }
    for (const Operand& operand : outputs_) {
        CpTensor& view = call.outputs[call.num_outputs++];
        if (operand.input >= 0) {
            view = call.inputs[operand.input];
            outputs.push_back(inputs[static_cast<size_t>(operand.input)]);
            on_cpu.output_on(operand.input);
            continue;
        }
        const int64_t own_rows = operand.has_rows ? rows : operand.shape[0];
        const std::vector<int64_t> row_shape =
            operand.has_rows ? operand.shape
                             : std::vector<int64_t>(operand.shape.begin() + 1, operand.shape.end());
        LargeTensor memory(own_rows, row_shape, operand.dtype);
        if (!CHECK(memory.allocate())) return false;
        view = memory.view();
        const std::vector<int64_t> shape =
            memory.shape_of(operand.has_rows ? window_rows : own_rows);
        outputs.push_back({memory, Tensor(shape, operand.dtype)});
        on_cpu.output(shape, operand.dtype);
    }
    for (const CpAttribute& attribute : attributes_) {
        call.attributes[call.num_attributes++] = attribute;
        on_cpu.attribute(attribute.name, attribute.value);
    }
    if (last_row_ != nullptr) {
        call.attributes[call.num_attributes++] = {last_row_, static_cast<double>(rows - 1), -1};
        on_cpu.attribute(last_row_, static_cast<double>(window_rows - 1));
    }

    bool agree = run_op_on_gpu(op_, call);
    std::vector<std::string> expected;
    if (!formula_) expected = on_cpu.expected();
    for (size_t i = 0; agree && i < outputs_.size(); ++i) {
        const LargeTensor& memory = outputs[i].memory;
        std::string found;
        if (!outputs_[i].has_rows) {
            found = memory.read(0, memory.view().shape[0]);
        } else {
            for (const RowWindow& window : windows) found += memory.read(window.first, window.rows);
        }
        if (formula_ && i > 0) break;
        if (formula_) {
            Tensor right = outputs[0].values;
            int64_t at = 0;
            for (const RowWindow& window : windows) {
                for (int64_t k = 0; k < window.rows * memory.row_elements(); ++k, ++at) {
                    const double x = inputs_.empty() ? 0.0 : inputs[0].values.get(at);
                    right.set(at, formula_(window.first * memory.row_elements() + k, x));
                }
            }
            expected.push_back(right.contents());
        }
        const std::string what =
            "output " + std::to_string(i) + " of " + std::to_string(rows) + " rows";
        agree = values_agree(op_, what.c_str(), outputs[i].values, expected[i], found, tolerance);
    }
    for (Placed& placed : inputs) placed.memory.release();
    for (size_t i = 0; i < outputs.size(); ++i) {
        if (outputs_[i].input < 0) outputs[i].memory.release();
    }
    if (agree) run_large().insert(op_);
    return agree;
}

}  // namespace compact::test
