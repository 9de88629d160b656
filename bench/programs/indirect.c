/* Calls through pointers whose targets change from call to call, as in code with virtual functions and callbacks. */
#include "bench.h"

typedef uint32_t (*step)(uint32_t);

#define STEPS 16
#define STEP(n, expression) \
    __attribute__((noinline)) static uint32_t step##n(uint32_t x) { return expression; }

STEP(0, x + 0x12345)
STEP(1, x ^ x >> 5)
STEP(2, x * 9)
STEP(3, ~x)
STEP(4, x << 3 | x >> 29)
STEP(5, x - 77)
STEP(6, x & 1 ? x + 3 : x - 1)
STEP(7, x ^ 0x55aa55aa)
STEP(8, x + (x << 2))
STEP(9, x >> 1 | x << 31)
STEP(10, x ^ x << 11)
STEP(11, x - (x >> 7))
STEP(12, x | 1)
STEP(13, x * 0x01000193u)
STEP(14, x ^ 0xff)
STEP(15, x + 1)

static step steps[STEPS] = {step0, step1, step2,  step3,  step4,  step5,  step6,  step7,
                            step8, step9, step10, step11, step12, step13, step14, step15};

static uint32_t kernel(void)
{
    uint8_t order[1024];
    for (int i = 0; i < 1024; i++)
        order[i] = (uint8_t)(random32() % STEPS);
    uint32_t x = 1;
    for (uint32_t n = sized(24000000); n != 0; n--)
        x = steps[order[n & 1023]](x);
    return x;
}
