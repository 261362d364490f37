// What this CPU and operating system can run.
#include "native/cpu/runtime/cpu_device.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace compact {
namespace {

#if defined(__x86_64__)

struct CpuidLeaf {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidLeaf cpuid(unsigned leaf, unsigned subleaf) {
    CpuidLeaf result;
    __get_cpuid_count(leaf, subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx);
    return result;
}

// Register state that the operating system saves on a context switch.
uint64_t enabled_state() {
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (static_cast<uint64_t>(high) << 32) | low;
}

constexpr bool has_bit(unsigned word, int bit) { return ((word >> bit) & 1u) != 0; }
constexpr bool has_all(uint64_t word, uint64_t mask) { return (word & mask) == mask; }

// Linux grants the large tile registers to a process on request; a refusal leaves AMX off.
bool request_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
    constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
    constexpr long kTileData = 18;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
    return false;
#endif
}

InstructionSet probe() {
    const CpuidLeaf basic = cpuid(1, 0);
    const CpuidLeaf extended = cpuid(7, 0);
    const CpuidLeaf extended1 = cpuid(7, 1);
    constexpr int kFma = 12, kOsxsave = 27, kAvx = 28, kF16c = 29;  // leaf 1, ecx
    if (!has_bit(basic.ecx, kOsxsave) || !has_bit(basic.ecx, kAvx)) return InstructionSet::kScalar;
    const uint64_t state = enabled_state();

    constexpr int kAvx2 = 5;  // leaf 7, ebx
    if (!has_all(state, 0x6) || !has_bit(basic.ecx, kFma) || !has_bit(basic.ecx, kF16c) ||
        !has_bit(extended.ebx, kAvx2)) {
        return InstructionSet::kScalar;
    }
    constexpr int kAvx512F = 16, kAvx512Dq = 17, kAvx512Bw = 30, kAvx512Vl = 31;  // leaf 7, ebx
    if (!has_all(state, 0xe6) || !has_bit(extended.ebx, kAvx512F) ||
        !has_bit(extended.ebx, kAvx512Dq) || !has_bit(extended.ebx, kAvx512Bw) ||
        !has_bit(extended.ebx, kAvx512Vl)) {
        return InstructionSet::kAvx2;
    }
    constexpr int kAvx512Bf16 = 5;  // leaf 7.1, eax
    if (!has_bit(extended1.eax, kAvx512Bf16)) return InstructionSet::kAvx512;
    constexpr int kAmxBf16 = 22, kAmxTile = 24;  // leaf 7, edx
    if (!has_all(state, 0x60000) || !has_bit(extended.edx, kAmxBf16) ||
        !has_bit(extended.edx, kAmxTile) || !request_tiles()) {
        return InstructionSet::kAvx512Bf16;
    }
    return InstructionSet::kAmxBf16;
}

#else

InstructionSet probe() { return InstructionSet::kScalar; }

#endif

}  // namespace

const char* instruction_set_name(InstructionSet set) {
    switch (set) {
        case InstructionSet::kAvx2:
            return "avx2";
        case InstructionSet::kAvx512:
            return "avx512";
        case InstructionSet::kAvx512Bf16:
            return "avx512-bf16";
        case InstructionSet::kAmxBf16:
            return "amx-bf16";
        default:
            return "scalar";
    }
}

InstructionSet detect_instruction_set() {
    static const InstructionSet best = probe();
    return best;
}

bool instruction_set_available(InstructionSet set) { return set <= detect_instruction_set(); }

}  // namespace compact
