/* x87 arithmetic with 64-bit mantissas: planets that attract one another, and the Mandelbrot set. */
#include "bench.h"
#include <math.h>
#include <string.h>

typedef long double real;
#include "bodies.h"

static uint32_t kernel(void)
{
    uint32_t inside = 0;
    int side = 72;
    for (uint32_t round = sized(12); round != 0; round--)
        for (int row = 0; row < side; row++)
            for (int column = 0; column < side; column++) {
                real cx = 3.0L * column / side - 2.2L, cy = 2.4L * row / side - 1.2L, x = 0, y = 0;
                int n = 0;
                for (; n < 60 && x * x + y * y < 4; n++) {
                    real t = x * x - y * y + cx;
                    y = 2 * x * y + cy;
                    x = t;
                }
                inside = mix(inside, (uint32_t)n);
            }
    return mix(inside, simulate(sized(36000)));
}
