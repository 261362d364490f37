// Division by multiplication against the division of the language.
#include "cuda/simt/divisor.h"
#include "native/test/check.h"

namespace compact::test {

TEST(cuda_divisors_divide_every_32_bit_number) {
    const uint32_t divisors[] = {1,          2,          3,          5,         7,    8,
                                 9,          127,        96,         128,       1000, 65535,
                                 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff};
    for (uint32_t divisor : divisors) {
        const Divisor by(divisor);
        uint32_t number = 0;
        for (int i = 0; i < 20000; ++i, number = number * 1664525u + 1013904223u) {
            // Any number, and the multiples of the divisor and their neighbours.
            for (uint32_t near : {number, number / divisor * divisor,
                                  number / divisor * divisor - 1, 0xffffffffu - number % 9}) {
                CHECK(by.quotient(near) == near / divisor);
                CHECK(by.remainder(near) == near % divisor);
            }
        }
    }
}

}  // namespace compact::test
