/*
 * Code that changes: an immediate rewritten before each call, an instruction exchanged for another one in a hot loop, and data
 * written beside code on the same page.
 */
#include "bench.h"
#include <string.h>
#include <sys/mman.h>

typedef uint32_t (*function)(uint32_t);

static uint32_t kernel(void)
{
    uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(page != MAP_FAILED, "mmap");
    /* mov eax, [esp+4]; mov ecx, COUNT; again: add eax, IMMEDIATE; rol eax, 3; dec ecx; jnz again; ret */
    static const uint8_t code[] = {0x8b, 0x44, 0x24, 0x04, 0xb9, 20,   0,    0,    0,    0x05, 0x78, 0x56,
                                   0x34, 0x12, 0xc1, 0xc0, 0x03, 0x49, 0x75, 0xf5, 0xc3};
    memcpy(page, code, sizeof code);
    function call = (function)(void *)page;
    uint32_t x = 1;
    for (uint32_t n = sized(60000); n != 0; n--) {
        /* A new immediate each time. */
        uint32_t immediate = n * 0x9e3779b9u;
        memcpy(page + 10, &immediate, 4);
        x = call(x);
        if (n % 8 == 0) {
            /* ADD, SUB, XOR with EAX in turn. */
            static const uint8_t operations[] = {0x05, 0x2d, 0x35};
            page[9] = operations[n / 8 % 3];
        }
    }
    /* Data on the page of code that does not change. */
    volatile uint32_t *data = (volatile uint32_t *)(page + 2048);
    for (uint32_t n = sized(300000); n != 0; n--) {
        data[n & 255] += x;
        x = call(x ^ data[(n * 7) & 255]);
    }
    return x;
}
