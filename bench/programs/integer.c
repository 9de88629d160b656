/* Registers only: additions, exclusive ors, shifts, rotations, multiplications; one predictable branch per round. */
#include "bench.h"

static uint32_t kernel(void)
{
    uint32_t a = 1, b = 2, c = 3, d = 4;
    for (uint32_t n = sized(300000000); n != 0; n--) {
        a += b ^ n;
        b = (b << 7 | b >> 25) + c;
        c = (c ^ (d >> 3)) * 5;
        d -= a & 0x00ff00ff;
    }
    return a ^ b ^ c ^ d;
}
