/*
 * The x87's functions: FSIN, FCOS, FPTAN, FPATAN, F2XM1, FYL2X, FPREM, FRNDINT, FSCALE and conversions. Peers may differ in
 * the last bits of a function, so the result is the sums rounded to six digits.
 */
#include "bench.h"

#define UNARY(name, instruction) \
    static long double name(long double x) \
    { \
        __asm__(instruction : "+t"(x)); \
        return x; \
    }
UNARY(sine, "fsin")
UNARY(cosine, "fcos")
UNARY(power_less_one, "f2xm1")
UNARY(root, "fsqrt")
UNARY(round_off, "frndint")
UNARY(tangent, "fptan; fstp %%st(0)")

static long double arc(long double y, long double x)
{
    __asm__("fpatan" : "=t"(x) : "0"(x), "u"(y) : "st(1)");
    return x;
}

static long double logarithm(long double x, long double factor)
{
    __asm__("fyl2x" : "=t"(x) : "0"(x), "u"(factor) : "st(1)");
    return x;
}

static long double remainder_of(long double x, long double y)
{
    __asm__("fprem" : "+t"(x) : "u"(y) : "ax", "cc");
    return x;
}

static uint32_t kernel(void)
{
    long double sum = 0, x = 0.001L;
    int64_t whole = 0;
    for (uint32_t n = sized(500000); n != 0; n--) {
        sum += sine(x) * cosine(x) + tangent(x / 8);
        sum += arc(x, 3) + power_less_one(x / 16) + root(x);
        sum += logarithm(x + 1, 0.5L) - remainder_of(x * 37, 5);
        whole += (int64_t)round_off(x * 1000);
        x += 0.00003L;
        if (x > 7)
            x -= 6.5L;
    }
    char text[64];
    snprintf(text, sizeof text, "%.6Le %lld", sum, (long long)whole);
    uint32_t result = 0;
    for (const char *at = text; *at != 0; at++)
        result = mix(result, (uint8_t)*at);
    return result;
}
