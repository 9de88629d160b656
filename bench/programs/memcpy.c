/* The C library's memcpy, memset, memmove and memchr, short and long, aligned and not. */
#include "bench.h"
#include <string.h>

#define SIZE (4u << 20)

static uint8_t *source, *target;

static uint32_t kernel(void)
{
    source = malloc(SIZE + 64);
    target = malloc(SIZE + 64);
    need(source != NULL && target != NULL, "malloc");
    for (uint32_t i = 0; i < SIZE; i++)
        source[i] = (uint8_t)(i * 7 + (i >> 8)) | 1;
    memset(target, 0, SIZE + 64);
    uint32_t sum = 0;
    for (uint32_t round = sized(40); round != 0; round--) {
        memcpy(target, source + (round & 15), SIZE);
        memmove(target + 5, target, SIZE - 64);
        memset(target + SIZE / 2, (int)round, SIZE / 4);
        sum = mix(sum, target[round * 4099]);
        for (uint32_t n = 0, at = 0; n < 20000; n++, at = (at + 1237) & 0xffff) {
            uint32_t length = (n * 31) & 255;
            memcpy(target + at, source + (at ^ 0x5550), length);
            sum += target[at + (length >> 1)];
        }
        sum = mix(sum, (uint32_t)((uint8_t *)memchr(source, 0, SIZE + 64) == NULL));
    }
    return sum;
}
