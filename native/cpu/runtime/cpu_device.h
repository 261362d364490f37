// The CPU backend's device: a thread pool and the instruction set that its kernels use.
#pragma once

#include <chrono>
#include <vector>

#include "native/backend/backend.h"
#include "native/cpu/runtime/thread_pool.h"

namespace compact {

// Ordered: a later one includes the earlier ones' kernels where it has none of its own.
enum class InstructionSet { kScalar, kAvx2, kAvx512, kAvx512Bf16, kAmxBf16 };

const char* instruction_set_name(
    InstructionSet set);                  // "scalar" "avx2" "avx512" "avx512-bf16" "amx-bf16"
InstructionSet detect_instruction_set();  // best this CPU and OS can run
bool instruction_set_available(InstructionSet set);

}  // namespace compact

struct CpDevice {
    compact::ThreadPool pool;
    compact::InstructionSet instruction_set;
    std::vector<std::chrono::steady_clock::time_point> marks = {};
};
