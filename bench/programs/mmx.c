/* MMX: packed arithmetic on pictures and samples, with EMMS and x87 arithmetic between. */
#include "bench.h"
#include <mmintrin.h>
#include <string.h>

#define BYTES 8192

static uint8_t front[BYTES] __attribute__((aligned(8))), back[BYTES] __attribute__((aligned(8)));
static uint8_t out[BYTES] __attribute__((aligned(8)));
static int16_t samples[BYTES / 2] __attribute__((aligned(8)));

static uint32_t fold(__m64 v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return mix((uint32_t)bits, (uint32_t)(bits >> 32));
}

static uint32_t kernel(void)
{
    uint32_t sum = 0;
    volatile double average = 0;
    for (int i = 0; i < BYTES; i++) {
        front[i] = (uint8_t)random32();
        back[i] = (uint8_t)random32();
    }
    for (int i = 0; i < BYTES / 2; i++)
        samples[i] = (int16_t)random32();
    for (uint32_t round = sized(12000); round != 0; round--) {
        const __m64 *f = (const __m64 *)front, *b = (const __m64 *)back, *s = (const __m64 *)samples;
        __m64 *o = (__m64 *)out;
        __m64 zero = _mm_setzero_si64(), alpha = _mm_set1_pi16((short)(round & 127)), total = zero;
        for (int i = 0; i < BYTES / 8; i++) {
            /* back + (front - back) * alpha / 128, for each byte. */
            __m64 fl = _mm_unpacklo_pi8(f[i], zero), bl = _mm_unpacklo_pi8(b[i], zero);
            __m64 fh = _mm_unpackhi_pi8(f[i], zero), bh = _mm_unpackhi_pi8(b[i], zero);
            fl = _mm_srai_pi16(_mm_mullo_pi16(_mm_sub_pi16(fl, bl), alpha), 7);
            fh = _mm_srai_pi16(_mm_mullo_pi16(_mm_sub_pi16(fh, bh), alpha), 7);
            o[i] = _mm_packs_pu16(_mm_add_pi16(fl, bl), _mm_add_pi16(fh, bh));
            total = _mm_add_pi32(total, _mm_madd_pi16(s[i], alpha));
            total = _mm_xor_si64(total, _mm_and_si64(_mm_cmpgt_pi16(s[i], alpha), o[i]));
        }
        uint32_t folded = fold(total);
        _mm_empty();
        sum = mix(sum, folded);
        average = average * 0.9 + (double)out[round & (BYTES - 1)];
    }
    return mix(sum, (uint32_t)(int)average);
}
