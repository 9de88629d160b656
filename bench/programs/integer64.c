/* 64-bit numbers in 32-bit registers: carries, wide multiplications, shifts by a variable, divisions. */
#include "bench.h"

static uint32_t kernel(void)
{
    uint64_t state = 0x853c49e6748fea9bull, sum = 0;
    uint32_t divisor = 3;
    for (uint32_t n = sized(45000000); n != 0; n--) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t word = (uint32_t)(state >> 33);
        sum += (state >> (n & 31)) ^ word;
        if ((n & 7) == 0) {
            sum += word / divisor + word % divisor;
            divisor = (word & 0xffff) | 1;
        }
    }
    return (uint32_t)(sum ^ sum >> 32);
}
