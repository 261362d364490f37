// Products of a fiber's warpgroup that nobody has waited for yet.
#pragma once

#include <cstdint>
#include <vector>

namespace compact::emulation {

using Sums = float[8][4][4];

struct Product {
    Sums* sums;
    uint64_t a, b;  // descriptors
    bool inner_contiguous_a, inner_contiguous_b, accumulate;
};

// Sums that products in flight write. Their place holds garbage, which nobody may touch.
struct SumsInFlight {
    Sums* place;
    Sums values;
    int products;
};

struct PendingProducts {
    std::vector<std::vector<Product>> groups;  // the oldest first
    std::vector<Product> uncommitted;
    std::vector<SumsInFlight> sums;
    bool has_begun = false;
};

// Of the fiber that is running.
PendingProducts& pending_products();

}  // namespace compact::emulation
