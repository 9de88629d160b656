/* fork, exec of a static program that ends at once, wait. */
#define BENCH_CHILD
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

static int child(void)
{
    return 42;
}

static uint32_t kernel(void)
{
    uint32_t sum = 0;
    for (uint32_t round = sized(350); round != 0; round--) {
        pid_t pid = fork();
        need(pid >= 0, "fork");
        if (pid == 0) {
            execl(self, self, "child", (char *)NULL);
            _exit(1);
        }
        int status;
        need(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "waitpid");
        sum = mix(sum, (uint32_t)WEXITSTATUS(status));
    }
    return sum;
}
