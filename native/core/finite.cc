#include "native/core/finite.h"

#include <algorithm>
#include <vector>

#include "native/backend/call.h"
#include "native/core/error.h"

namespace compact {
namespace {

constexpr int64_t kChunkBytes = int64_t{1} << 20;  // host copy at a time, whatever the device

// Works on the bits: an exponent of all ones is NaN or infinity.
template <typename Bits>
int64_t scan(const std::vector<Bits>& values, int64_t count, Bits exponent, Bits minus_infinity,
             bool allow_minus_infinity) {
    for (int64_t i = 0; i < count; ++i) {
        const Bits bits = values[static_cast<size_t>(i)];
        if ((bits & exponent) != exponent) continue;
        if (allow_minus_infinity && bits == minus_infinity) continue;
        return i;
    }
    return -1;
}

template <typename Bits>
int64_t search(const CpBackend& backend, CpDevice* device, const CpTensor& tensor, Bits exponent,
               Bits minus_infinity, bool allow_minus_infinity) {
    const int64_t total = num_elements(tensor);
    const int64_t per_chunk = kChunkBytes / static_cast<int64_t>(sizeof(Bits));
    std::vector<Bits> values(static_cast<size_t>(std::min(total, per_chunk)));
    for (int64_t begin = 0; begin < total; begin += per_chunk) {
        const int64_t count = std::min(per_chunk, total - begin);
        CpError error{};
        throw_if_failed(
            backend.read(device, values.data(), static_cast<const Bits*>(tensor.data) + begin,
                         count * static_cast<int64_t>(sizeof(Bits)), &error),
            error);
        const int64_t found = scan(values, count, exponent, minus_infinity, allow_minus_infinity);
        if (found >= 0) return begin + found;
    }
    return -1;
}

}  // namespace

int64_t first_not_finite(const CpBackend& backend, CpDevice* device, const CpTensor& tensor,
                         bool allow_minus_infinity) {
    if (!present(tensor)) return -1;
    if (tensor.dtype == CP_F32)
        return search<uint32_t>(backend, device, tensor, 0x7f800000u, 0xff800000u,
                                allow_minus_infinity);
    if (tensor.dtype == CP_BF16)
        return search<uint16_t>(backend, device, tensor, 0x7f80u, 0xff80u, allow_minus_infinity);
    return -1;
}

}  // namespace compact
