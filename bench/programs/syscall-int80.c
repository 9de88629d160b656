/* System calls through interrupt 80h. */
#include "bench.h"
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t kernel(void)
{
    uint32_t sum = 0, first = (uint32_t)getppid();
    for (uint32_t n = sized(400000); n != 0; n--) {
        uint32_t answer;
        __asm__ volatile("int $0x80" : "=a"(answer) : "0"(SYS_getppid) : "memory");
        sum += answer == first;
    }
    return sum;
}
