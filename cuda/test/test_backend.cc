// The table of the CUDA backend, its devices, and the bits of P on the device.
#include <cmath>
#include <cstring>

#include "cuda/runtime/backend_cuda.h"
#include "cuda/test/comparison.h"
#include "native/base/op_table.h"
#include "native/test/sha256.h"

namespace compact::test {

TEST(cuda_has_every_op) {
    const CpBackend* backend = compact_cuda_backend();
    CHECK(backend->version == CP_BACKEND_VERSION);
    CHECK(backend->num_ops == static_cast<int32_t>(std::size(kOpSignatures)));
    for (const OpSignature& signature : kOpSignatures) {
        int found = 0;
        for (int32_t i = 0; i < backend->num_ops; ++i) {
            if (std::strcmp(backend->ops[i].name, signature.name) != 0) continue;
            ++found;
            CHECK(backend->ops[i].workspace_bytes != nullptr && backend->ops[i].run != nullptr);
        }
        if (!CHECK(found == 1)) std::printf("      %s\n", signature.name);
    }
}

TEST(cuda_refuses_a_device_that_is_not_there) {
    CpDeviceOptions options{};
    CpDevice* device = nullptr;
    for (int32_t index : {-1, 99}) {
        options.index = index;
        CpError error{};
        CHECK(compact_cuda_backend()->open(&options, &device, &error) == CP_FAILED);
        CHECK(std::strcmp(error.code, "ERR_COMPACT_DEVICE_UNAVAILABLE") == 0 && device == nullptr);
    }
}

// Rows side by side and apart, more of them than pinned memory holds, and as long as they may be.
TEST(cuda_writes_rows) {
    struct Size {
        int64_t num_rows, row_bytes, stride;
    };
    const int64_t large = CP_MAX_ROW_BYTES;
    for (const Size& size :
         {Size{1, 1, 1}, Size{5, 6, 6}, Size{5, 6, 10}, Size{7, large / 4 + 2, large / 4 + 6},
          Size{3, large, large}, Size{2, large, large + 2}}) {
        const CpRowSource rows = {
            [](const void* context, int64_t first, int64_t count, void* target, int64_t stride) {
                for (int64_t row = 0; row < count; ++row)
                    std::memset(static_cast<char*>(target) + row * stride,
                                static_cast<int>(first + row + 1),
                                static_cast<size_t>(*static_cast<const int64_t*>(context)));
            },
            &size.row_bytes, size.num_rows, size.row_bytes};
        Machine& machine = cuda_machine();
        const int64_t bytes = size.stride * (size.num_rows - 1) + size.row_bytes;
        char* const target = machine.place_noise(bytes);
        std::string right = machine.get(target, bytes);
        for (int64_t row = 0; row < size.num_rows; ++row)
            right.replace(static_cast<size_t>(row * size.stride),
                          static_cast<size_t>(size.row_bytes), static_cast<size_t>(size.row_bytes),
                          static_cast<char>(row + 1));
        CpError error{};
        CHECK(machine.backend().write_rows(machine.device(), target, size.stride, &rows, &error) ==
              CP_OK);
        CHECK(machine.get(target, bytes) == right);
        CHECK(machine.release_all());
    }
}

// A weight of zeros becomes Phat itself: the direction is the identity, and the step size, which
// undoes the factor 1 / sqrt(rank), is 1. The emulation makes an eighth of the columns; the hash of
// its panels is in test_panels.cc.
TEST(cuda_projection_has_the_published_hash) {
    const int64_t rows = 4096, rank = cuda_machine().is_emulated() ? 128 : 1024;
    Tensor weight({rows, rank}, CP_BF16), direction({rank, rank}, CP_BF16);
    for (int64_t i = 0; i < rank; ++i) direction.set(i * rank + i, 1.0);
    const double factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(rank)));
    Comparison call("projectBackUpdate");
    call.input(weight)
        .input(direction)
        .output_on(0)
        .attribute("seedLow", 1)
        .attribute("seedHigh", 0)
        .attribute("tensorId", 0)
        .attribute("epoch", 0)
        .attribute("distribution", 0)
        .attribute("learningRate", -1)
        .attribute("updateScale", 1.0 / factor);
    if (!CHECK(call.agrees(0))) return;
    if (cuda_machine().is_emulated()) return;
    const std::string& phat = call.found(0);
    CHECK(sha256(phat.data(), phat.size()) ==
          "9d9c69dfe4d8f817c3d8768916588379fb10f6b851f3fec43d829156a3926774");
    const uint16_t last[8] = {0xbfa6, 0xbf4a, 0x3fd7, 0x3f79, 0x3fa0, 0xbed6, 0xbd0e, 0x3ee6};
    CHECK(phat.compare(phat.size() - sizeof last, sizeof last,
                       std::string(reinterpret_cast<const char*>(last), sizeof last)) == 0);
}

}  // namespace compact::test
