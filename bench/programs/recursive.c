/* Calls and returns: Fibonacci, Ackermann, the towers of Hanoi. */
#include "bench.h"

__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static uint32_t fibonacci(uint32_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static uint32_t ackermann(uint32_t m, uint32_t n)
{
    if (m == 0)
        return n + 1;
    return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static uint32_t moves;

__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static void hanoi(int discs, int from, int to, int over)
{
    if (discs == 0)
        return;
    hanoi(discs - 1, from, over, to);
    moves = mix(moves, (uint32_t)(from * 3 + to));
    hanoi(discs - 1, over, to, from);
}

static uint32_t kernel(void)
{
    uint32_t sum = 0;
    for (uint32_t round = sized(200); round != 0; round--) {
        sum = mix(sum, fibonacci(24));
        sum = mix(sum, ackermann(2, 300));
        hanoi(15, 0, 1, 2);
    }
    return sum ^ moves;
}
