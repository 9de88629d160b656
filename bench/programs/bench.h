/*
 * What every benchmark program shares: `PROGRAM [PERMILLE]` runs its kernel at that share of its full size (1000 when not
 * given; the result depends on it) and prints the result, by which runs on different machines are compared.
 */
#ifndef BENCH_H
#define BENCH_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Defined by each program: all the work, and a result that depends on all of it. */
static uint32_t kernel(void);

static unsigned permille = 1000;

#ifdef BENCH_CHILD
#include <string.h>

/* How this program was started, and what it does when a kernel starts it as `PROGRAM child`. */
static const char *self;
static int child(void);
#endif

/* `full` at the size asked for, at least 1. */
__attribute__((unused)) static uint32_t sized(uint32_t full)
{
    uint64_t n = (uint64_t)full * permille / 1000;
    return n == 0 ? 1 : (uint32_t)n;
}

static uint32_t random_state = 0x9e3779b9;

/* Xorshift (Marsaglia): the same sequence everywhere. */
__attribute__((unused)) static uint32_t random32(void)
{
    uint32_t x = random_state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return random_state = x;
}

__attribute__((unused)) static uint32_t mix(uint32_t sum, uint32_t value)
{
    return ((sum << 5) | (sum >> 27)) * 0x01000193u ^ value;
}

__attribute__((unused)) static void need(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(2);
}

int main(int argc, char **argv)
{
#ifdef BENCH_CHILD
    self = argv[0];
    if (argc > 1 && strcmp(argv[1], "child") == 0)
        return child();
#endif
    if (argc > 1)
        permille = (unsigned)strtoul(argv[1], NULL, 10);
    printf("%08x\n", kernel());
    return 0;
}
#endif
