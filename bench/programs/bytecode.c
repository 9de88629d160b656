/* An interpreter of byte code, its switch a jump table: a sieve of primes as the program that it runs. */
#include "bench.h"

enum { PUSH, LOAD, STORE, ADD, SUB, MUL, LESS, JUMP, BRANCH, READ, WRITE, HALT };

#define LIMIT 8000

static int32_t data[LIMIT + 1];

/* Jumps go to an index; variables: 0 i, 1 j, 2 sum of the primes. */
struct operation {
    uint8_t code;
    int16_t argument;
};

static const struct operation sieve[] = {
    {PUSH, 2},     {STORE, 0},    {PUSH, 0},     {STORE, 2},                        /*  0 */
    {LOAD, 0},     {PUSH, LIMIT}, {LESS, 0},     {BRANCH, 27},                      /*  4: while i < LIMIT */
    {LOAD, 0},     {READ, 0},     {PUSH, 1},     {LESS, 0},     {BRANCH, 22},       /*  8: if not crossed out */
    {LOAD, 2},     {LOAD, 0},     {ADD, 0},      {STORE, 2},                        /* 13 */
    {LOAD, 0},     {STORE, 1},                                                      /* 17 */
    {JUMP, 28},    {HALT, 0},     {HALT, 0},                                        /* 19 */
    {LOAD, 0},     {PUSH, 1},     {ADD, 0},      {STORE, 0},    {JUMP, 4},          /* 22: i++ */
    {HALT, 0},                                                                      /* 27 */
    {LOAD, 1},     {LOAD, 0},     {ADD, 0},      {STORE, 1},                        /* 28: j += i */
    {LOAD, 1},     {PUSH, LIMIT}, {LESS, 0},     {BRANCH, 22},                      /* 32 */
    {PUSH, 1},     {LOAD, 1},     {WRITE, 0},    {JUMP, 28},                        /* 36 */
};

static int32_t run(const struct operation *code)
{
    int32_t stack[16], variables[3];
    int32_t *top = stack;
    for (const struct operation *at = code;; at++) {
        switch (at->code) {
        case PUSH: *++top = at->argument; break;
        case LOAD: *++top = variables[at->argument]; break;
        case STORE: variables[at->argument] = *top--; break;
        case ADD: top--; top[0] += top[1]; break;
        case SUB: top--; top[0] -= top[1]; break;
        case MUL: top--; top[0] *= top[1]; break;
        case LESS: top--; top[0] = top[0] < top[1]; break;
        case JUMP: at = code + at->argument - 1; break;
        case BRANCH: if (*top-- == 0) at = code + at->argument - 1; break;
        case READ: *top = data[*top]; break;
        case WRITE: top -= 2; data[top[2]] = top[1]; break;
        case HALT: return variables[2];
        }
    }
}

static uint32_t kernel(void)
{
    uint32_t sum = 0;
    for (uint32_t round = sized(360); round != 0; round--) {
        for (int i = 0; i <= LIMIT; i++)
            data[i] = 0;
        sum = mix(sum, (uint32_t)run(sieve));
    }
    return sum;
}
