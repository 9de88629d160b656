/*
 * Four thousand functions, each executed once and then again as a copy in other memory: start-up code, where all code is new.
 * The functions refer to nothing but their arguments, so that a copy works anywhere.
 */
#include "bench.h"
#include <string.h>
#include <sys/mman.h>

typedef uint32_t (*function)(uint32_t *, uint32_t);

#define HASH(n) ((n) * 2654435761u)

/* One body that the compiler turns into different code for each number. */
static inline __attribute__((always_inline)) uint32_t body(uint32_t n, uint32_t *data, uint32_t x)
{
    const uint32_t h = HASH(n + 1);
    if (h & 0x10)
        x += data[h >> 26];
    else
        data[h >> 26] ^= x + h;
    switch ((h >> 8) & 7) {
    case 0: for (int i = 0; i < 3; i++) x = x * 5 + data[(x >> 3) & 63]; break;
    case 1: x = x > h ? x - h : h - x; break;
    case 2: if (x & 4) data[1] += x; else data[2] ^= x; break;
    case 3: x = (x << (h & 15)) | (x >> (32 - (h & 15)) % 32); break;
    case 4: data[x & 63] = (uint16_t)(x >> 7); x ^= h; break;
    case 5: x += ((uint8_t *)data)[h >> 24] * (h & 0xff); break;
    case 6: if (x == h) return 7; x += x / ((h & 0xff) + 3); break;
    case 7: x = ~x + (uint32_t)((int32_t)x >> 5); break;
    }
    if (h & 0x4000) {
        uint32_t y = data[(h >> 15) & 63];
        if (y > x)
            x += y ^ h;
        else if ((y & 3) == 1)
            data[(h >> 20) & 63] = x;
        else
            x -= y;
    }
    switch ((h >> 17) & 3) {
    case 0: x ^= x >> 15; break;
    case 1: data[h & 63] += x; break;
    case 2: x = x * 0x01000193u + h; break;
    case 3: x += data[(h >> 5) & 63] + data[(h >> 11) & 63]; break;
    }
    return x;
}

#define FUNCTION(n) \
    __attribute__((section("once"), noinline, used)) static uint32_t f##n(uint32_t *data, uint32_t x) \
    { \
        return body(0x##n, data, x); \
    }
#define NAME(n) f##n,

#define ALL16(m, p) \
    m(p##0) m(p##1) m(p##2) m(p##3) m(p##4) m(p##5) m(p##6) m(p##7) \
    m(p##8) m(p##9) m(p##a) m(p##b) m(p##c) m(p##d) m(p##e) m(p##f)
#define ALL256(m, p) \
    ALL16(m, p##0) ALL16(m, p##1) ALL16(m, p##2) ALL16(m, p##3) ALL16(m, p##4) ALL16(m, p##5) ALL16(m, p##6) \
    ALL16(m, p##7) ALL16(m, p##8) ALL16(m, p##9) ALL16(m, p##a) ALL16(m, p##b) ALL16(m, p##c) ALL16(m, p##d) \
    ALL16(m, p##e) ALL16(m, p##f)
#define ALL4096(m) \
    ALL256(m, 0) ALL256(m, 1) ALL256(m, 2) ALL256(m, 3) ALL256(m, 4) ALL256(m, 5) ALL256(m, 6) ALL256(m, 7) \
    ALL256(m, 8) ALL256(m, 9) ALL256(m, a) ALL256(m, b) ALL256(m, c) ALL256(m, d) ALL256(m, e) ALL256(m, f)

ALL4096(FUNCTION)

static const function functions[] = {ALL4096(NAME)};

extern const uint8_t __start_once[], __stop_once[];

static uint32_t kernel(void)
{
    static uint32_t data[64];
    const uint32_t count = sizeof functions / sizeof *functions, size = (uint32_t)(__stop_once - __start_once);
    uint32_t x = 1, used = sized(count);
    for (uint32_t n = 0; n < used; n++)
        x = functions[(n * 1021) % count](data, x);
    for (uint32_t copy = sized(12); copy != 0; copy--) {
        uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        need(memory != MAP_FAILED, "mmap");
        memcpy(memory, __start_once, size);
        for (uint32_t n = 0; n < used; n++) {
            uint32_t offset = (uint32_t)((const uint8_t *)functions[(n * 1021) % count] - __start_once);
            x = ((function)(void *)(memory + offset))(data, x);
        }
    }
    for (int i = 0; i < 64; i++)
        x = mix(x, data[i]);
    return x;
}
