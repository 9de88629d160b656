/*
 * A program that makes programs: small functions of random instructions are written to memory, each is called some times, and
 * the memory is used again, as just-in-time compilers do.
 */
#include "bench.h"
#include <sys/mman.h>

typedef uint32_t (*function)(uint32_t, uint32_t);

#define ARENA (64u << 10)
#define SLOT 256

static uint8_t *put(uint8_t *at, uint32_t bytes, int count)
{
    for (int i = 0; i < count; i++)
        *at++ = (uint8_t)(bytes >> (8 * i));
    return at;
}

static void emit(uint8_t *at)
{
    at = put(at, 0x0424448b, 4); /* mov eax, [esp+4] */
    at = put(at, 0x0824548b, 4); /* mov edx, [esp+8] */
    for (uint32_t n = 8 + random32() % 24; n != 0; n--) {
        uint32_t value = random32();
        switch (value >> 29) {
        case 0: at = put(put(at, 0x05, 1), value, 4); break;                            /* add eax, value */
        case 1: at = put(put(at, 0x35, 1), value, 4); break;                            /* xor eax, value */
        case 2: at = put(at, 0xd001, 2); break;                                         /* add eax, edx */
        case 3: at = put(put(at, 0xc0c1, 2), 1 + value % 30, 1); break;                      /* rol eax, bits */
        case 4: at = put(at, 0x92, 1); break;                                           /* xchg eax, edx */
        case 5: at = put(put(at, 0xea81, 2), value, 4); break;                          /* sub edx, value */
        case 6: at = put(at, 0xc2af0f, 3); break;                                       /* imul eax, edx */
        case 7: at = put(put(at, 0x0179c085, 4), 0x40, 1); break;                       /* test eax, eax; jns +1; inc eax */
        }
    }
    put(at, 0xc3, 1);
}

static uint32_t kernel(void)
{
    uint8_t *arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(arena != MAP_FAILED, "mmap");
    uint32_t sum = 0, at = 0;
    for (uint32_t round = sized(10000); round != 0; round--) {
        emit(arena + at);
        function call = (function)(void *)(arena + at);
        for (uint32_t n = 1 + round % 20; n != 0; n--)
            sum = call(sum, n);
        at = (at + SLOT) % ARENA;
    }
    return sum;
}
