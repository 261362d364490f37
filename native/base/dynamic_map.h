// The 8-bit numbers of optimizer states (Dettmers et al., 8-bit Optimizers via Block-wise
// Quantization, 2022, section 1.3): a code names one of seven decades from 1e-7 to 1 and one of the
// equal cells of that decade, of which each decade has twice as many as the one below it. The value
// is the middle of the cell; 0 and 1 have codes of their own. Values are shares of the largest
// magnitude of a block.
#pragma once

#include <cmath>
#include <cstdint>

#include "native/base/host_device.h"

namespace compact {

inline constexpr int kStateBlock = 256;  // elements that share a scale
inline constexpr int kDynamicDecades = 7;

struct DynamicMap {
    float values[256];  // of every code, ascending

    // Encoding. The rank of a magnitude is how many codes its code is away from that of 0.
    float zero;                    // code of 0
    float top;                     // rank of 1
    float least_top;               // least magnitude that is nearest to 1
    float least[kDynamicDecades];  // least magnitude that belongs to a decade
    float slope[kDynamicDecades];  // rank = round(magnitude slope + offset), at most `last`
    float offset[kDynamicDecades];
    float last[kDynamicDecades];
};

// With a sign, positive and negative numbers have half of the codes each; without, all are positive
// and each decade has twice as many cells.
constexpr DynamicMap dynamic_map(bool is_signed) {
    DynamicMap map{};
    const int zero = is_signed ? 127 : 0;
    const int first_cells = is_signed ? 1 : 2;  // of the lowest decade
    double value[257] = {};                     // by rank
    int rank = 1;
    const double ends[kDynamicDecades] = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0};
    for (int decade = 0, cells = first_cells; decade < kDynamicDecades; ++decade, cells *= 2) {
        const double scale = ends[decade];
        const double slope = cells / (0.9 * scale);
        // The middle of a cell is half a rank above its lower end.
        map.slope[decade] = static_cast<float>(slope);
        map.offset[decade] = static_cast<float>(rank - 0.5 - cells / 9.0);
        map.last[decade] = static_cast<float>(rank + cells - 1);
        for (int cell = 0; cell < cells; ++cell, ++rank) {
            value[rank] = scale * (0.1 + 0.9 * (cell + 0.5) / cells);
            if (cell == 0) {
                map.least[decade] = static_cast<float>((value[rank - 1] + value[rank]) / 2);
            }
        }
    }
    value[rank] = 1.0;
    map.zero = static_cast<float>(zero);
    map.top = static_cast<float>(rank);
    map.least_top = static_cast<float>((value[rank - 1] + value[rank]) / 2);
    for (int i = 0; i < 256; ++i) {
        map.values[i] = static_cast<float>(i < zero ? -value[zero - i] : value[i - zero]);
    }
    return map;
}

inline constexpr DynamicMap kSignedMap = dynamic_map(true);
inline constexpr DynamicMap kUnsignedMap = dynamic_map(false);

// The code of a share of the largest magnitude, from -1 or 0 to 1: that of the nearest value. Every
// operation is an IEEE fp32 one, in the same order for vectors (native/cpu/optimizers/state.h).
COMPACT_HOST_DEVICE uint8_t dynamic_code(float share, const DynamicMap& map) {
    const float magnitude = fabsf(share);
    float slope = map.slope[0], offset = map.offset[0], last = map.last[0];
    for (int decade = 1; decade < kDynamicDecades; ++decade) {
        const bool below = magnitude < map.least[decade];
        slope = below ? slope : map.slope[decade];
        offset = below ? offset : map.offset[decade];
        last = below ? last : map.last[decade];
    }
    const float nearest = fminf(rintf(magnitude * slope + offset), last);
    const float ranked = magnitude < map.least_top ? nearest : map.top;
    const float rank = magnitude < map.least[0] ? 0.0f : ranked;
    return static_cast<uint8_t>(fmaxf(share < 0.0f ? map.zero - rank : map.zero + rank, 0.0f));
}

}  // namespace compact
