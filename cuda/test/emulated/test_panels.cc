// Panels of P from inside: the emulation's build alone can call what the table does not show.
#include <cstdlib>
#include <vector>

#include "cuda/gemm/gemm.h"
#include "cuda/projection/projection.h"
#include "cuda/runtime/backend_cuda.h"
#include "cuda/runtime/ops.h"
#include "cuda/test/emulated/on_machine.h"
#include "native/test/check.h"
#include "native/test/sha256.h"

namespace compact::test {
namespace {

class OpenDevice {
  public:
    OpenDevice() {
        CpDeviceOptions options{};
        CpError error{};
        CHECK(compact_cuda_backend()->open(&options, &device_, &error) == CP_OK);
    }
    ~OpenDevice() { compact_cuda_backend()->close(device_); }
    OpenDevice(const OpenDevice&) = delete;
    OpenDevice& operator=(const OpenDevice&) = delete;
    CpDevice& operator*() const { return *device_; }

  private:
    CpDevice* device_ = nullptr;
};

std::vector<uint16_t> panel_of(const PhatKey& key, const PhatPanel& panel) {
    const OpenDevice device;
    CpError error{};
    void* memory = nullptr;
    const CpBackend* backend = compact_cuda_backend();
    CHECK(backend->allocate(&*device, panel.bytes(), &memory, &error) == CP_OK);
    CHECK(make_panel(*device, "test", key, panel, static_cast<uint16_t*>(memory), &error) == CP_OK);
    std::vector<uint16_t> result(static_cast<size_t>(panel.bytes() / 2));
    CHECK(backend->read(&*device, result.data(), memory, panel.bytes(), &error) == CP_OK);
    backend->release(&*device, memory, panel.bytes());
    return result;
}

}  // namespace

TEST(cuda_panels_have_the_published_hash) {
    const PhatKey key = {1, 0, 0, 0, 0};
    const std::vector<uint16_t> matrix = panel_of(key, {0, 4096, 0, 128});
    CHECK(sha256(matrix.data(), matrix.size() * 2) ==
          "9d9c69dfe4d8f817c3d8768916588379fb10f6b851f3fec43d829156a3926774");
    const std::vector<uint16_t> last = {0xbfa6, 0xbf4a, 0x3fd7, 0x3f79,
                                        0x3fa0, 0xbed6, 0xbd0e, 0x3ee6};
    CHECK(panel_of(key, {4095, 1, 127, 1}) == last);
}

TEST(cuda_panels_of_any_shape_agree) {
    for (int32_t distribution : {0, 1, 2}) {
        const PhatKey key = {0x12345678, 0x9abcdef0, 35, 7, distribution};
        const std::vector<uint16_t> whole = panel_of(key, {0, 70, 0, 12});
        for (const PhatPanel& panel : {PhatPanel{0, 1, 0, 1}, {5, 64, 3, 9}, {69, 1, 11, 1}}) {
            const std::vector<uint16_t> part = panel_of(key, panel);
            bool equal = true;
            for (int64_t i = 0; i < panel.rows; ++i) {
                for (int64_t j = 0; j < panel.stride(); ++j) {
                    const int64_t at = (panel.row0 + i) * 96 + panel.group0 * 8 + j;
                    equal = equal && part[static_cast<size_t>(i * panel.stride() + j)] ==
                                         whole[static_cast<size_t>(at)];
                }
            }
            CHECK(equal);
        }
    }
}

TEST(cuda_panels_stay_within_their_cap) {
    for (int64_t rows : {1, 512, 11008, 65536, 1 << 22}) {
        for (int64_t columns : {1, 64, 1376, 16384}) {
            const int64_t width = panel_columns(rows, columns);
            CHECK(width % 8 == 0 &&
                  (width >= columns || width == 8 || width * rows * 2 <= kMaxPanelBytes));
            const int64_t height = panel_rows(rows, columns);
            CHECK(height == rows || height == 128 || height * columns * 2 <= kMaxPanelBytes);
        }
    }
}

// Panels where the tensor cores outrun their making, and Phat from the products elsewhere.
TEST(cuda_phat_is_made_where_the_gpu_does_it_faster) {
    const PhatKey gaussian = {1, 2, 3, 4, kGaussian}, signs = {1, 2, 3, 4, kRademacher};
    const CudaGemmOperand x = {nullptr, CP_BF16, 64, false};
    const CudaGemmOperand ragged = {nullptr, CP_BF16, 63, false};
    const CudaGemmOperand wide = {nullptr, CP_F32, 64, false};
    for (const auto& [capability, in_kernel] : std::vector<std::pair<int, bool>>{
             {80, false}, {86, true}, {89, true}, {90, false}, {100, false}, {120, true}}) {
        emulation::Machine machine;
        machine.capability = capability;
        emulation::set_machine(machine);
        const OpenDevice device;
        CHECK(phat_in_kernel(*device, gaussian, x, 64) == in_kernel);
        CHECK(!phat_in_kernel(*device, gaussian, x, 63));
        for (const CudaGemmOperand& other : {ragged, wide}) {
            CHECK(!phat_in_kernel(*device, gaussian, other, other.stride));
        }
        CHECK(!phat_in_kernel(*device, signs, x, 64));
    }
    emulation::set_machine({});
}

// Panels that begin anywhere, as those of a projection that does not fit into one.
TEST(cuda_products_make_any_panel) {
    const OpenDevice device;
    const PhatKey key = {0x12345678, 0x9abcdef0, 35, 7, kGaussian};
    const int64_t rows = 40, columns = 24;
    const GeneratedPhat generated = {key, {5, rows, 3, columns / 8}};
    std::vector<uint16_t> phat(static_cast<size_t>(rows * columns)), other(64 * 40);
    for (size_t i = 0; i < other.size(); ++i) other[i] = bf16_from_float(0.01f * float(i % 97));
    CpError error{};
    CHECK(make_panel(*device, "test", key, generated.panel, phat.data(), &error) == CP_OK);
    const CudaGemmOperand stored = {phat.data(), CP_BF16, columns, false};
    const CudaGemmOperand made = {nullptr, CP_BF16, columns, false, &generated};
    const auto product = [&](bool update, const CudaGemmOperand& operand) {
        std::vector<uint16_t> result(64 * 64, 0);
        WeightUpdate step;
        CudaGemm p;
        p.c = result.data();
        p.c_dtype = CP_BF16;
        if (update) {
            step.step_size = 0.5f;
            p.update = &step;
            p.m = rows, p.n = 64, p.k = columns;
            p.a = operand, p.b = {other.data(), CP_BF16, 64, false};
        } else {
            p.m = 64, p.n = columns, p.k = rows;
            p.a = {other.data(), CP_BF16, 40, false}, p.b = operand;
        }
        p.c_stride = p.n;
        CHECK(gemm(*device, "test", p, nullptr, &error) == CP_OK);
        return result;
    };
    for (bool update : {false, true}) {
        const std::vector<uint16_t> result = product(update, made);
        CHECK(result == product(update, stored) && result != std::vector<uint16_t>(64 * 64, 0));
    }
}

// One launch less: nothing is made beforehand.
TEST(cuda_phat_in_the_product_needs_no_panel) {
    const OpenDevice device;
    CpCall call{};
    std::vector<uint16_t> x(16 * 64, 0x3f80), z(16 * 8);
    call.num_inputs = call.num_outputs = 1;
    call.inputs[0] = {x.data(), {16, 64}, 2, CP_BF16};
    call.outputs[0] = {z.data(), {16, 8}, 2, CP_BF16};
    for (const char* name : {"seedLow", "seedHigh", "tensorId", "epoch", "distribution"}) {
        call.attributes[call.num_attributes++] = {name, 0, -1};
    }
    std::vector<uint64_t> workspace(
        static_cast<size_t>(kCudaProjectOp.workspace_bytes(&call, nullptr)) / 8);
    call.workspace = workspace.data();
    for (bool in_kernel : {false, true}) {
        (*device).projection_in_kernel = in_kernel;
        const int64_t before = emulation::call_counts().launches;
        CpError error{};
        CHECK(kCudaProjectOp.run(&*device, &call, &error) == CP_OK);
        CHECK(emulation::call_counts().launches - before == (in_kernel ? 1 : 2));
    }
}

TEST(cuda_warpgroups_are_of_one_chip_and_off_unless_asked_for) {
    const OnMachine hopper({.capability = 90});
    CHECK((*OpenDevice()).tensor_map_encoder == nullptr);
    setenv("COMPACT_CUDA_WARPGROUPS", "1", 1);
    CHECK((*OpenDevice()).tensor_map_encoder != nullptr);
    emulation::set_machine({.capability = 100});
    CHECK((*OpenDevice()).tensor_map_encoder == nullptr);
    unsetenv("COMPACT_CUDA_WARPGROUPS");
}

}  // namespace compact::test
