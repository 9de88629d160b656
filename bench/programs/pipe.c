/* Two processes that answer each other through two pipes: each byte is two context switches. */
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

static uint32_t kernel(void)
{
    uint32_t count = sized(20000), sum = 0;
    int there[2], back[2];
    need(pipe(there) == 0 && pipe(back) == 0, "pipe");
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        uint8_t byte;
        for (uint32_t n = 0; n < count; n++) {
            need(read(there[0], &byte, 1) == 1, "read");
            byte = (uint8_t)(byte * 5 + 1);
            need(write(back[1], &byte, 1) == 1, "write");
        }
        _exit(0);
    }
    for (uint32_t n = 0; n < count; n++) {
        uint8_t byte = (uint8_t)(n ^ sum);
        need(write(there[1], &byte, 1) == 1, "write");
        need(read(back[0], &byte, 1) == 1, "read");
        sum = mix(sum, byte);
    }
    need(waitpid(child, NULL, 0) == child, "waitpid");
    return sum;
}
