/* Page faults: fresh memory touched page by page, a file mapped and copied on write, and faults that a signal handler mends. */
#include "bench.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define FRESH (16u << 20)
#define FILE_BYTES (2u << 20)

static volatile uint32_t mended;
static uint8_t *guarded;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    uint8_t *page = (uint8_t *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));
    if (number != SIGSEGV || page < guarded || page >= guarded + 64 * PAGE)
        _exit(3);
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    mended++;
}

static uint8_t *map(size_t size, int protection, int flags, int fd)
{
    uint8_t *memory = mmap(NULL, size, protection, flags, fd, 0);
    need(memory != MAP_FAILED, "mmap");
    return memory;
}

static uint32_t kernel(void)
{
    uint32_t sum = 0;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    char name[] = "page-faults-XXXXXX";
    int fd = mkstemp(name);
    need(fd >= 0 && unlink(name) == 0, "mkstemp");
    for (uint32_t at = 0; at < FILE_BYTES; at += PAGE)
        need(pwrite(fd, &at, sizeof at, at) == sizeof at, "pwrite");
    need(ftruncate(fd, FILE_BYTES) == 0, "ftruncate");
    guarded = map(64 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    for (uint32_t round = sized(24); round != 0; round--) {
        uint8_t *fresh = map(FRESH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        for (uint32_t at = 0; at < FRESH; at += PAGE) {
            sum += fresh[at + 1];
            fresh[at + (at >> 12) % PAGE] = (uint8_t)round;
        }
        sum = mix(sum, fresh[(FRESH - PAGE) + ((FRESH - PAGE) >> 12) % PAGE]);
        munmap(fresh, FRESH);
        uint8_t *file = map(FILE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
        for (uint32_t at = 0; at < FILE_BYTES; at += PAGE) {
            sum += file[at + 1];
            if (at % (4 * PAGE) == 0)
                file[at] = (uint8_t)round;
        }
        munmap(file, FILE_BYTES);
        for (uint32_t n = 0; n < 64; n++)
            guarded[n * PAGE + 7] = (uint8_t)n;
        sum = mix(sum, mended);
        mprotect(guarded, 64 * PAGE, PROT_READ);
    }
    return sum;
}
