/* fork, a child that writes to some pages of its parent's memory, exit, wait. */
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 256

static uint8_t memory[PAGES * 4096];

static uint32_t kernel(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < PAGES; i++)
        memory[i * 4096] = (uint8_t)i;
    for (uint32_t round = sized(800); round != 0; round--) {
        pid_t child = fork();
        need(child >= 0, "fork");
        if (child == 0) {
            uint32_t own = 0;
            for (int i = 0; i < PAGES; i += 16) {
                memory[i * 4096 + 5] = (uint8_t)round;
                own += memory[i * 4096 + 5];
            }
            _exit((int)(own & 127));
        }
        int status;
        need(waitpid(child, &status, 0) == child && WIFEXITED(status), "waitpid");
        sum = mix(sum, (uint32_t)WEXITSTATUS(status) + memory[5]);
    }
    return sum;
}
