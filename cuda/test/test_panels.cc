// Panels of P from inside: the emulation's build alone can call what the table does not show.
#include <vector>

#include "cuda/backend_cuda.h"
#include "cuda/projection.h"
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

}  // namespace compact::test
