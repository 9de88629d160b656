/* Loads and stores of all widths whose addresses depend on data: CRC by table, a histogram, a counting sort, a matrix. */
#include "bench.h"

#define BYTES 65536
#define SIDE 96

static uint8_t bytes[BYTES], sorted[BYTES];
static uint32_t table[256], counts[256];
static uint16_t left[SIDE][SIDE], right[SIDE][SIDE];
static uint32_t product[SIDE][SIDE];

static uint32_t kernel(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    for (int i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)random32();
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = (uint16_t)random32();
            right[i][j] = (uint16_t)random32();
        }
    uint32_t crc = ~0u;
    for (uint32_t round = sized(600); round != 0; round--) {
        for (int i = 0; i < BYTES; i++)
            crc = table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
        for (int i = 0; i < 256; i++)
            counts[i] = 0;
        for (int i = 0; i < BYTES; i++)
            counts[bytes[i]]++;
        for (uint32_t i = 0, at = 0; i < 256; i++) {
            uint32_t count = counts[i];
            counts[i] = at;
            at += count;
        }
        for (int i = 0; i < BYTES; i++)
            sorted[counts[bytes[i]]++] = (uint8_t)(bytes[i] ^ i);
        crc ^= sorted[round & 0xffff];
        if (round % 8 == 0) {
            for (int i = 0; i < SIDE; i++)
                for (int j = 0; j < SIDE; j++) {
                    uint32_t sum = 0;
                    for (int k = 0; k < SIDE; k++)
                        sum += (uint32_t)left[i][k] * right[k][j];
                    product[i][j] = sum;
                }
            crc ^= product[round % SIDE][(round * 7) % SIDE];
            bytes[round] ^= (uint8_t)crc;
        }
    }
    return crc;
}
