/* The same arithmetic as x87.c in SSE2's scalar double and single precision. */
#include "bench.h"
#include <math.h>
#include <string.h>

typedef double real;
#include "bodies.h"

static uint32_t kernel(void)
{
    uint32_t inside = 0;
    int side = 160;
    for (uint32_t round = sized(24); round != 0; round--)
        for (int row = 0; row < side; row++)
            for (int column = 0; column < side; column++) {
                float cx = 3.0f * (float)column / (float)side - 2.2f, cy = 2.4f * (float)row / (float)side - 1.2f;
                float x = 0, y = 0;
                int n = 0;
                for (; n < 60 && x * x + y * y < 4; n++) {
                    float t = x * x - y * y + cx;
                    y = 2 * x * y + cy;
                    x = t;
                }
                inside = mix(inside, (uint32_t)n);
            }
    return mix(inside, simulate(sized(240000)));
}
