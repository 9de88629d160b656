/* Branches that depend on data: Collatz sequences, and a quicksort written out. */
#include "bench.h"

#define COUNT 100000

static int32_t values[COUNT];

static void quicksort(int32_t *v, int low, int high)
{
    while (low < high) {
        int32_t pivot = v[(low + high) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                int32_t swap = v[i];
                v[i++] = v[j];
                v[j--] = swap;
            }
        }
        if (j - low < high - i) {
            quicksort(v, low, j);
            low = i;
        } else {
            quicksort(v, i, high);
            high = j;
        }
    }
}

static uint32_t kernel(void)
{
    uint32_t sum = 0;
    uint32_t last = sized(700000);
    for (uint32_t start = 1; start <= last; start++) {
        uint32_t steps = 0;
        for (uint32_t n = start; n != 1 && steps < 300; steps++) {
            if (n & 1)
                n = n * 3 + 1;
            else
                n >>= 1;
        }
        sum += steps;
    }
    for (uint32_t round = sized(20); round != 0; round--) {
        for (int i = 0; i < COUNT; i++)
            values[i] = (int32_t)random32();
        quicksort(values, 0, COUNT - 1);
        for (int i = 0; i < COUNT; i += 997)
            sum = mix(sum, (uint32_t)values[i]);
    }
    return sum;
}
