/* A list whose next element is anywhere: in 16 KiB, in 1 MiB, and over the pages of 16 MiB. */
#include "bench.h"

struct element {
    struct element *next;
    uint32_t value;
    uint32_t rest[14];
};

/* One cycle through all elements in random order (Sattolo's shuffle). */
static uint32_t chase(uint32_t count, uint32_t steps)
{
    struct element *all = calloc(count, sizeof *all);
    uint32_t *order = malloc(count * sizeof *order);
    need(all != NULL && order != NULL, "malloc");
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = random32() % i, swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (uint32_t i = 0; i < count; i++) {
        all[order[i]].next = &all[order[(i + 1) % count]];
        all[order[i]].value = i * 0x9e3779b9u;
    }
    uint32_t sum = 0;
    for (struct element *at = all; steps != 0; steps--, at = at->next)
        sum += at->value ^ steps;
    free(order);
    free(all);
    return sum;
}

static uint32_t kernel(void)
{
    uint32_t sum = chase(256, sized(24000000));
    sum = mix(sum, chase(16384, sized(6000000)));
    return mix(sum, chase(sized(262144) + 1, sized(1000000)));
}
