/*
 * Five bodies under gravity, by the simplest integration; `real` is the type that is measured. The numbers are made up.
 * The result is exact for each type: additions, multiplications, divisions and square roots round the same everywhere.
 */
#define BODIES 5

struct body {
    real position[3], velocity[3], mass;
};

static struct body bodies[BODIES];

static uint32_t simulate(uint32_t steps)
{
    const real step = 0.01;
    for (int b = 0; b < BODIES; b++) {
        for (int k = 0; k < 3; k++) {
            bodies[b].position[k] = (real)((b * 7 + k * 3) % 11) - 5;
            bodies[b].velocity[k] = (real)((b * 5 + k * 2) % 7 - 3) / 8;
        }
        bodies[b].mass = b == 0 ? 40 : 1 / (real)(b + 1);
    }
    while (steps-- != 0) {
        for (int a = 0; a < BODIES; a++)
            for (int b = a + 1; b < BODIES; b++) {
                real d[3], square = 0.05;
                for (int k = 0; k < 3; k++) {
                    d[k] = bodies[a].position[k] - bodies[b].position[k];
                    square += d[k] * d[k];
                }
                real root;
                if (sizeof(real) > sizeof(double))
                    root = __builtin_sqrtl(square);
                else
                    root = __builtin_sqrt(square);
                real pull = step / (square * root);
                for (int k = 0; k < 3; k++) {
                    bodies[a].velocity[k] -= d[k] * bodies[b].mass * pull;
                    bodies[b].velocity[k] += d[k] * bodies[a].mass * pull;
                }
            }
        for (int b = 0; b < BODIES; b++)
            for (int k = 0; k < 3; k++)
                bodies[b].position[k] += step * bodies[b].velocity[k];
    }
    uint32_t sum = 0;
    for (int b = 0; b < BODIES; b++)
        for (int k = 0; k < 3; k++) {
            double value = (double)bodies[b].position[k];
            uint64_t bits;
            memcpy(&bits, &value, sizeof bits);
            sum = mix(sum, (uint32_t)bits ^ (uint32_t)(bits >> 32));
        }
    return sum;
}
