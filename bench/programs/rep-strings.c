/* String instructions with REP: MOVS and STOS in all widths, forwards and backwards, long and short; SCAS, CMPS, LODS. */
#include "bench.h"

#define SIZE 65536

static uint8_t source[SIZE + 64], target[SIZE + 64];

static void movsb(void *to, const void *from, uint32_t count)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void movsw(void *to, const void *from, uint32_t count)
{
    __asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void movsl(void *to, const void *from, uint32_t count)
{
    __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void movsb_backwards(void *to, const void *from, uint32_t count)
{
    __asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void stosl(void *to, uint32_t value, uint32_t count)
{
    __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}

static uint32_t scasb(const void *in, uint8_t value, uint32_t count)
{
    __asm__ volatile("repne scasb" : "+D"(in), "+c"(count) : "a"(value) : "memory", "cc");
    return count;
}

static uint32_t cmpsb(const void *a, const void *b, uint32_t count)
{
    __asm__ volatile("repe cmpsb" : "+S"(a), "+D"(b), "+c"(count) : : "memory", "cc");
    return count;
}

static uint32_t kernel(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < SIZE + 64; i++)
        source[i] = (uint8_t)(random32() | 1);
    for (uint32_t round = sized(3000); round != 0; round--) {
        stosl(target, round, SIZE / 4);
        movsl(target + 3, source + (round & 31), SIZE / 4 - 16);
        movsb(target + 64, source, SIZE / 2);
        movsw(target + SIZE / 2, source + 2, SIZE / 8);
        movsb_backwards(target + 1000, target + 990, 900);
        for (uint32_t n = 0, at = 0; n < 1000; n++, at = (at + 97) & 0x7fff) {
            movsl(target + at, source + n, n & 15);
            movsb(target + at + 7, source + n, n & 7);
        }
        source[8000 + (round & 63)] = 0;
        sum = mix(sum, scasb(source, 0, SIZE));
        source[8000 + (round & 63)] = 1;
        sum = mix(sum, cmpsb(source, target + 64, 4000));
        sum = mix(sum, target[round * 61 % SIZE]);
    }
    return sum;
}
