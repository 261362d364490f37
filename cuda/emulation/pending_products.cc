#include "cuda/emulation/pending_products.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cuda/emulation/fibers.h"
#include "cuda/emulation/hopper.h"
#include "cuda/emulation/operand_tile.h"
#include "cuda/emulation/sanitizer_hooks.h"

namespace compact::emulation {
namespace {

constexpr int kGarbage = 0xFF;

bool is_garbage(const Sums& sums) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(&sums);
    return std::all_of(bytes, bytes + sizeof sums, [](unsigned char b) { return b == kGarbage; });
}

void multiply(const Product& product, Sums& d) {
    const uint32_t thread = thread_index().x % 128, lane = thread % 32;
    const uint32_t row = thread / 32 * 16 + lane / 4;
    float rows[2][16];
    for (uint32_t k = 0; k < 16; ++k) {
        for (uint32_t i = 0; i < 2; ++i) {
            rows[i][k] = tile_element(product.a, product.inner_contiguous_a, row + 8 * i, k);
        }
    }
    for (uint32_t block = 0; block < 32; ++block) {
        for (uint32_t i = 0; i < 2; ++i) {
            const uint32_t column = block * 8 + lane % 4 * 2 + i;
            float(&own)[4] = d[block / 4][block % 4];
            float top = product.accumulate ? own[i] : 0.0f;
            float bottom = product.accumulate ? own[2 + i] : 0.0f;
            for (uint32_t k = 0; k < 16; ++k) {
                const float value = tile_element(product.b, product.inner_contiguous_b, column, k);
                top += rows[0][k] * value;
                bottom += rows[1][k] * value;
            }
            own[i] = top;
            own[2 + i] = bottom;
        }
    }
}

}  // namespace

void begin_products() { pending_products().has_begun = true; }

void product_64x256x16(float (&d)[8][4][4], uint64_t a, bool inner_contiguous_a, uint64_t b,
                       bool inner_contiguous_b, bool accumulate) {
    const Unwatched unwatched;
    PendingProducts& pending = pending_products();
    if (!pending.has_begun) stop("a product was not begun: registers may not be there yet");
    auto found = std::find_if(pending.sums.begin(), pending.sums.end(),
                              [&](const SumsInFlight& sums) { return sums.place == &d; });
    if (found == pending.sums.end()) {
        pending.sums.push_back({&d, {}, 0});
        found = pending.sums.end() - 1;
        std::memcpy(&found->values, &d, sizeof d);
        std::memset(&d, kGarbage, sizeof d);
    } else if (!is_garbage(d)) {
        stop("sums were touched while a product writes them");
    }
    ++found->products;
    pending.uncommitted.push_back({&d, a, b, inner_contiguous_a, inner_contiguous_b, accumulate});
}

void commit_products() {
    const Unwatched unwatched;
    PendingProducts& pending = pending_products();
    pending.groups.push_back(std::move(pending.uncommitted));
    pending.uncommitted.clear();
}

// Operands are what lies in shared memory by now.
void finish_products(int pending_groups) {
    PendingProducts& pending = pending_products();
    while (true) {
        std::vector<Product> oldest;
        {
            const Unwatched unwatched;
            if (pending.groups.size() <= static_cast<size_t>(pending_groups)) return;
            oldest = std::move(pending.groups.front());
            pending.groups.erase(pending.groups.begin());
        }
        for (const Product& product : oldest) {
            const auto sums =
                std::find_if(pending.sums.begin(), pending.sums.end(),
                             [&](const SumsInFlight& one) { return one.place == product.sums; });
            multiply(product, sums->values);
            if (--sums->products > 0) continue;
            if (!is_garbage(*sums->place)) stop("sums were touched while a product writes them");
            std::memcpy(sums->place, &sums->values, sizeof(Sums));
            pending.sums.erase(sums);
            pending.has_begun = false;
        }
    }
}

}  // namespace compact::emulation
