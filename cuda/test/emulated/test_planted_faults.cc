// What the emulation says that it catches, it catches: kernels and calls with one fault each,
// beside the same without it. Faults that end the process run in a child.
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cuda/emulation/bank_conflicts.h"
#include "cuda/simt/hopper.h"
#include "cuda/test/comparison.h"
#include "cuda/test/emulated/child.h"
#include "cuda/test/emulated/on_machine.h"
#include "cuda/test/options.h"
#include "native/test/check.h"

namespace compact::test {
namespace {

constexpr const char* kVariable = "COMPACT_TEST_FAULT";  // which of them the child has
// Faults that change results are races, which ThreadSanitizer reports and ends the process for.
#if defined(__SANITIZE_THREAD__)
constexpr bool kRacesAreReported = true;
#else
constexpr bool kRacesAreReported = false;
#endif
constexpr const char* kReported = "ThreadSanitizer reports these faults as races";
constexpr int kWarpgroup = 128;
constexpr int kBytesA = 64 * kSwizzleBytes, kBytesB = 256 * kSwizzleBytes;
constexpr int kTileBytes = kBytesA + kBytesB + kSwizzleAtomBytes;
constexpr uint16_t kOne = 0x3f80;

// Waits for a kernel; its launch was no error.
void finish(cudaStream_t stream) {
    CHECK(cudaGetLastError() == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

cudaStream_t new_stream() {
    cudaStream_t stream = nullptr;
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    return stream;
}

// ---- Products of a warpgroup: of ones, so that every sum is 16

enum class ProductFault { kNone, kNotBegun, kNotWaited, kTouched, kOverwritten };

void multiply_ones(float* out, ProductFault fault) {
    CP_SHARED_DYNAMIC(unsigned char, dynamic);
    unsigned char* const tiles = dynamic + (-shared_address(dynamic) & (kSwizzleAtomBytes - 1));
    auto* const elements = reinterpret_cast<uint16_t*>(tiles);
    for (unsigned i = threadIdx.x; i < (kBytesA + kBytesB) / 2; i += kWarpgroup) {
        elements[i] = kOne;
    }
    __syncthreads();
    float sums[8][4][4] = {};
    if (fault != ProductFault::kNotBegun) begin_products();
    product_64x256x16<true, true>(sums, tile_descriptor(tiles, 0),
                                  tile_descriptor(tiles + kBytesA, 0), false);
    commit_products();
    if (fault == ProductFault::kNotWaited) return;
    if (fault == ProductFault::kTouched) sums[3][2][1] = 0.0f;
    if (fault == ProductFault::kOverwritten) elements[threadIdx.x] = 0;
    wait_for_products<0>();
    for (int i = 0; i < 128; ++i) out[threadIdx.x * 128 + i] = sums[i / 16][i / 4 % 4][i % 4];
}

bool products_are_right(ProductFault fault) {
    std::vector<float> out(kWarpgroup * 128);
    cudaStream_t stream = new_stream();
    CP_LAUNCH(multiply_ones, dim3(1), dim3(kWarpgroup), kTileBytes, stream, out.data(), fault);
    finish(stream);
    for (float sum : out) {
        if (sum != 16.0f) return false;
    }
    return true;
}

// ---- Boxes

enum class BoxFault { kNone, kNotWaited, kReadBefore, kNotAligned, kNotAnnounced };

void copy_ones(float* out, TensorMap map, BoxFault fault) {
    CP_SHARED_DYNAMIC(unsigned char, dynamic);
    unsigned char* const box = dynamic + (-shared_address(dynamic) & (kSwizzleAtomBytes - 1));
    CP_SHARED(uint64_t[1], arrived);
    if (threadIdx.x == 0) init_barrier(arrived, 1);
    publish_barriers();
    if (threadIdx.x == 0) {
        arrive_and_expect(arrived, fault == BoxFault::kNotAnnounced ? 64 : 64 * kSwizzleBytes);
        copy_box(fault == BoxFault::kNotAligned ? box + 16 : box, map, 0, 0, arrived);
    }
    if (fault == BoxFault::kNotWaited) return;
    if (fault != BoxFault::kReadBefore) wait_for_phase(arrived, 0);
    const auto* const elements = reinterpret_cast<const uint16_t*>(box);
    for (unsigned i = threadIdx.x; i < 64 * 64; i += blockDim.x) out[i] = elements[i] == kOne;
    if (fault == BoxFault::kReadBefore) wait_for_phase(arrived, 0);
}

bool boxes_are_right(BoxFault fault) {
    const std::vector<uint16_t> matrix(64 * 64, kOne);
    std::vector<float> out(64 * 64);
    const TensorMap map{matrix.data(), 64, 64, 64, 64};
    cudaStream_t stream = new_stream();
    CP_LAUNCH(copy_ones, dim3(1), dim3(32), 64 * kSwizzleBytes + kSwizzleAtomBytes, stream,
              out.data(), map, fault);
    finish(stream);
    for (float is_there : out) {
        if (is_there != 1.0f) return false;
    }
    return true;
}

// ---- Shared memory

void use_shared(float* out) {
    CP_SHARED(float[16384], own);  // 64 KB
    CP_SHARED_DYNAMIC(float, dynamic);
    own[threadIdx.x] = dynamic[threadIdx.x] = 1.0f;
    out[threadIdx.x] = own[threadIdx.x];
}

cudaError_t launch_with(int dynamic_bytes, int attribute) {
    if (attribute > 0) {
        const cudaError_t status = cudaFuncSetAttribute(
            use_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, attribute);
        if (status != cudaSuccess) return status;
    }
    std::vector<float> out(32);
    cudaStream_t stream = new_stream();
    CP_LAUNCH(use_shared, dim3(1), dim3(32), static_cast<size_t>(dynamic_bytes), stream,
              out.data());
    const cudaError_t status = cudaGetLastError();
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
    return status;
}

// ---- Warps and blocks

void shuffle_outside(int* out, bool is_right) {
    const unsigned mask = is_right ? 0xffffffffu : 0xffffu;
    if (threadIdx.x >= 16 && !is_right) return;
    out[threadIdx.x] = __shfl_sync(mask, static_cast<int>(threadIdx.x), 20);
}

void meet_apart(int* out, bool is_right) {
    if (is_right || threadIdx.x < 8) __syncthreads();
    out[threadIdx.x] = 1;
    if (!is_right) __syncwarp();
}

void misaligned_matrix(int* out, bool is_right) {
    CP_SHARED(uint16_t[33 * 8 + 8], rows);
    for (unsigned i = threadIdx.x; i < 33 * 8 + 8; i += 32) rows[i] = 1;
    __syncthreads();
    uint32_t r[4];
    load_matrix_x4<false>(r, rows + threadIdx.x * 8 + (is_right ? 0 : 1));
    out[threadIdx.x] = static_cast<int>(r[0] & 1);
}

void run_ints(void (*kernel)(int*, bool), bool is_right) {
    std::vector<int> out(64);
    cudaStream_t stream = new_stream();
    CP_LAUNCH(kernel, dim3(1), dim3(32), 0, stream, out.data(), is_right);
    finish(stream);
}

// A block takes up where the one before it has ended.
void count_on(int* total, int* out) {
    if (threadIdx.x != 0) return;
    out[blockIdx.x] = *total;
    *total += 1;
}

void rows_apart(int* out, int stride) {
    CP_SHARED_DYNAMIC(unsigned char, bytes);
    for (int i = 0; i < stride; ++i) bytes[static_cast<int>(threadIdx.x) * stride + i] = 1;
    __syncthreads();
    uint32_t r[4];
    load_matrix_x4<false>(r, bytes + static_cast<int>(threadIdx.x) * stride);
    out[threadIdx.x] = static_cast<int>(r[0] & 1);
}

void copies_apart(int* out, const unsigned char* source, int stride) {
    CP_SHARED_DYNAMIC(unsigned char, bytes);
    copy_async_16(bytes + static_cast<int>(threadIdx.x) * stride, source);
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    out[threadIdx.x] = bytes[static_cast<int>(threadIdx.x) * stride];
}

struct Fatal {
    const char* name;
    const char* words;  // of what is said
    std::function<void(bool is_right)> run;
};

std::vector<Fatal> fatal_faults() {
    const auto product = [](ProductFault fault) {
        return [=](bool is_right) {
            CHECK(products_are_right(is_right ? ProductFault::kNone : fault));
        };
    };
    const auto box = [](BoxFault fault) {
        return [=](bool is_right) { CHECK(boxes_are_right(is_right ? BoxFault::kNone : fault)); };
    };
    const auto ints = [](void (*kernel)(int*, bool)) {
        return [=](bool is_right) { run_ints(kernel, is_right); };
    };
    return {
        {"product-not-begun", "a product was not begun", product(ProductFault::kNotBegun)},
        {"product-not-waited", "has not waited for", product(ProductFault::kNotWaited)},
        {"sums-touched", "sums were touched", product(ProductFault::kTouched)},
        {"box-not-waited", "boxes that it has not waited for", box(BoxFault::kNotWaited)},
        {"box-not-aligned", "a multiple of 1024 bytes", box(BoxFault::kNotAligned)},
        {"box-not-announced", "a barrier that nobody completes", box(BoxFault::kNotAnnounced)},
        {"too-much-shared", "more shared memory than devices",
         [](bool is_right) {
             const OnMachine machine({.capability = is_right ? 80 : 86});
             CHECK(launch_with(48 * 1024, 0) == cudaSuccess);
         }},
        {"shuffle-outside", "a lane outside its mask", ints(shuffle_outside)},
        {"meet-apart", "deadlock", ints(meet_apart)},
        {"matrix-not-aligned", "not 16-byte aligned", ints(misaligned_matrix)},
    };
}

}  // namespace

TEST(cuda_planted_faults_end_the_process) {
    const char* wanted = std::getenv(kVariable);
    for (const Fatal& fault : fatal_faults()) {
        const std::string name = fault.name;
        if (wanted != nullptr) {
            if (wanted == name + "-") fault.run(false);
            if (wanted == name + "+") fault.run(true);
            continue;
        }
        constexpr const char* kTest = "cuda_planted_faults_end_the_process";
        const ChildEnd wrong = run_as_child(kTest, kVariable, name + "-");
        const ChildEnd right = run_as_child(kTest, kVariable, name + "+");
        if (!CHECK(wrong.exit_code != 0 && wrong.said.find(fault.words) != std::string::npos)) {
            std::printf("      %s: %s\n", fault.name, wrong.said.c_str());
        }
        if (!CHECK(right.exit_code == 0))
            std::printf("      %s+: %s\n", fault.name, right.said.c_str());
    }
}

TEST(cuda_planted_faults_change_results) {
    if (kRacesAreReported) return skip(kReported);
    CHECK(products_are_right(ProductFault::kNone));
    CHECK(!products_are_right(ProductFault::kOverwritten));
    CHECK(boxes_are_right(BoxFault::kNone));
    CHECK(!boxes_are_right(BoxFault::kReadBefore));
}

TEST(cuda_planted_faults_of_launches_are_errors) {
    constexpr int kKilobyte = 1024;
    CHECK(launch_with(49 * kKilobyte, 0) == cudaErrorInvalidValue);
    CHECK(launch_with(49 * kKilobyte, 49 * kKilobyte) == cudaSuccess);
    for (const auto& [capability, kilobytes] : std::vector<std::pair<int, int>>{
             {80, 163}, {86, 99}, {89, 99}, {90, 227}, {100, 227}, {120, 99}}) {
        const OnMachine machine({.capability = capability});
        const auto set = [](int bytes) {
            return cudaFuncSetAttribute(copies_apart, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        bytes);
        };
        CHECK(set(kilobytes * kKilobyte) == cudaSuccess);
        CHECK(set(kilobytes * kKilobyte + 1) == cudaErrorInvalidValue);
    }
}

TEST(cuda_planted_order_of_blocks_shows) {
    if (kRacesAreReported) return skip(kReported);
    for (int order = 0; order < kThreadOrders; ++order) {
        set_thread_order(order);
        int total = 0;
        std::vector<int> out(37);
        cudaStream_t stream = new_stream();
        CP_LAUNCH(count_on, dim3(37), dim3(32), 0, stream, &total, out.data());
        finish(stream);
        bool is_in_order = true;
        for (int i = 0; i < 37; ++i) is_in_order &= out[static_cast<size_t>(i)] == i;
        CHECK(is_in_order == (order == 0));
    }
    set_thread_order(0);
}

TEST(cuda_bank_conflicts_are_counted) {
    const std::vector<unsigned char> source(16, 1);
    const auto ways = [&](int stride) {
        emulation::take_bank_conflicts();
        std::vector<int> out(32);
        cudaStream_t stream = new_stream();
        CP_LAUNCH(rows_apart, dim3(1), dim3(32), static_cast<size_t>(32 * stride), stream,
                  out.data(), stride);
        CP_LAUNCH(copies_apart, dim3(1), dim3(32), static_cast<size_t>(32 * stride), stream,
                  out.data(), source.data(), stride);
        finish(stream);
        return emulation::take_bank_conflicts();
    };
    for (const auto& [stride, expected] :
         std::vector<std::pair<int, int>>{{16, 1}, {32, 2}, {64, 4}, {128, 8}, {144, 1}, {80, 1}}) {
        const emulation::BankConflicts counted = ways(stride);
        CHECK(counted.matrix_loads == expected && counted.copies == expected);
    }
}

namespace {

// Operands of products and of attention are read and copied without any.
bool has_no_conflicts() {
    const emulation::BankConflicts counted = emulation::take_bank_conflicts();
    return counted.matrix_loads == 1 && counted.copies == 1;
}

}  // namespace

TEST(cuda_products_have_no_bank_conflicts) {
    emulation::take_bank_conflicts();
    for (const double transpose_a : {0.0, 1.0}) {
        for (const double transpose_b : {0.0, 1.0}) {
            Numbers numbers(1);
            Tensor a =
                numbers.tensor({transpose_a != 0 ? 72 : 136, transpose_a != 0 ? 136 : 72}, CP_BF16);
            Tensor b =
                numbers.tensor({transpose_b != 0 ? 136 : 72, transpose_b != 0 ? 72 : 136}, CP_BF16);
            Comparison product("matmul");
            product.input(a).input(b).absent().output({136, 136}, CP_F32);
            CHECK(product.attribute("transposeA", transpose_a)
                      .attribute("transposeB", transpose_b)
                      .attribute("alpha", 1)
                      .agrees(1e-5));
            CHECK(has_no_conflicts());
        }
    }
}

TEST(cuda_attention_has_no_bank_conflicts) {
    constexpr int64_t kTokens = 130;
    emulation::take_bank_conflicts();
    for (const int64_t head_size : {32, 64, 128}) {
        Numbers numbers(static_cast<uint64_t>(head_size));
        std::vector<Tensor> operands;  // q, k, v and the gradient of the output
        for (int i = 0; i < 4; ++i) {
            operands.push_back(numbers.tensor({kTokens, head_size}, CP_BF16));
        }
        const auto agrees = [&](Comparison& call) {
            return call.attribute("sequenceLength", kTokens)
                .attribute("headSize", static_cast<double>(head_size))
                .attribute("causal", 1)
                .attribute("window", 0)
                .attribute("scale", 0.1)
                .agrees(6e-3);
        };
        Comparison forward("attention");
        forward.input(operands[0]).input(operands[1]).input(operands[2]).absent().absent();
        forward.output({kTokens, head_size}, CP_BF16).output({kTokens, 1});
        CHECK(agrees(forward) && has_no_conflicts());
        Tensor output({kTokens, head_size}, CP_BF16), sums({kTokens, 1});
        std::memcpy(output.view().data, forward.found(0).data(), forward.found(0).size());
        std::memcpy(sums.view().data, forward.found(1).data(), forward.found(1).size());
        Comparison backward("attentionBackward");
        backward.input(operands[0]).input(operands[1]).input(operands[2]).input(output);
        backward.input(sums).input(operands[3]).absent().absent();
        for (int i = 0; i < 3; ++i) backward.output({kTokens, head_size}, CP_BF16);
        CHECK(agrees(backward) && has_no_conflicts());
    }
}

}  // namespace compact::test
