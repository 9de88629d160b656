/* SSE2 vectors: a cipher's rounds on four words, sums of products of 16-bit samples, byte sums, and doubles in pairs. */
#include "bench.h"
#include <emmintrin.h>
#include <string.h>

#define SAMPLES 4096

static int16_t samples[SAMPLES] __attribute__((aligned(16))), weights[SAMPLES] __attribute__((aligned(16)));
static uint8_t picture[2][SAMPLES] __attribute__((aligned(16)));
static double x[512] __attribute__((aligned(16))), y[512] __attribute__((aligned(16)));

static __m128i rotate(__m128i v, int bits)
{
    return _mm_or_si128(_mm_slli_epi32(v, bits), _mm_srli_epi32(v, 32 - bits));
}

static uint32_t fold(__m128i v)
{
    uint32_t words[4];
    memcpy(words, &v, sizeof words);
    return mix(mix(mix(words[0], words[1]), words[2]), words[3]);
}

static uint32_t kernel(void)
{
    for (int i = 0; i < SAMPLES; i++) {
        samples[i] = (int16_t)random32();
        weights[i] = (int16_t)(random32() & 1023);
        picture[0][i] = (uint8_t)random32();
        picture[1][i] = (uint8_t)random32();
    }
    for (int i = 0; i < 512; i++) {
        x[i] = i / 8.0;
        y[i] = 1;
    }
    __m128i a = _mm_set_epi32(1, 2, 3, 4), b = _mm_set_epi32(5, 6, 7, 8), c = _mm_set_epi32(9, 10, 11, 12),
            d = _mm_set_epi32(13, 14, 15, 16);
    uint32_t sum = 0;
    for (uint32_t round = sized(9000); round != 0; round--) {
        for (int i = 0; i < 1000; i++) {
            a = _mm_add_epi32(a, b);
            d = rotate(_mm_xor_si128(d, a), 16);
            c = _mm_add_epi32(c, d);
            b = rotate(_mm_xor_si128(b, c), 12);
            a = _mm_shuffle_epi32(a, 0x39);
        }
        __m128i products = _mm_setzero_si128(), distances = _mm_setzero_si128();
        for (int i = 0; i < SAMPLES; i += 8)
            products = _mm_add_epi32(products, _mm_madd_epi16(_mm_load_si128((__m128i *)&samples[i]),
                                                              _mm_loadu_si128((__m128i *)&weights[(i + 8) & (SAMPLES - 8)])));
        for (int i = 0; i < SAMPLES; i += 16) {
            __m128i p = _mm_load_si128((__m128i *)&picture[0][i]), q = _mm_load_si128((__m128i *)&picture[1][i]);
            distances = _mm_add_epi64(distances, _mm_sad_epu8(p, q));
            __m128i larger = _mm_max_epu8(p, q), even = _mm_unpacklo_epi8(larger, _mm_avg_epu8(p, q));
            _mm_store_si128((__m128i *)&picture[1][i], _mm_adds_epu8(_mm_packus_epi16(even, p), _mm_set1_epi8(3)));
        }
        __m128d scale = _mm_set1_pd(0.999), shift = _mm_set1_pd(0.25);
        for (int i = 0; i < 512; i += 2) {
            __m128d value = _mm_add_pd(_mm_mul_pd(_mm_load_pd(&y[i]), scale), _mm_mul_pd(_mm_load_pd(&x[i]), shift));
            _mm_store_pd(&y[i], _mm_min_pd(value, _mm_set1_pd(1e6)));
        }
        sum = mix(sum, fold(products) ^ fold(distances));
    }
    uint32_t last[2];
    memcpy(last, &y[101], sizeof last);
    return sum ^ fold(a) ^ fold(b) ^ fold(c) ^ fold(d) ^ last[0] ^ last[1];
}
