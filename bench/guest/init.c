/*
 * The benchmark guest's first process, which is also what runs the same programs natively: it takes lines `NAME PERMILLE`,
 * runs /bench/NAME with the size as its argument and reports. For each line it says
 *
 *     BEGIN NAME
 *     <> NAME GUEST-SECONDS RESULT STATUS
 *
 * `<` has left the serial port when the program starts, `>` is sent when it has ended, so that whoever reads the port can
 * take the time by a clock outside. RESULT is the first word that the program printed. `clock` says the time since boot,
 * `CLOCK SECONDS`; `poweroff` switches the guest off.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static void say(const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t n = write(1, text, length);
        if (n < 0 && errno != EINTR)
            _exit(1);
        if (n > 0) {
            text += n;
            length -= (size_t)n;
        }
    }
    /* Fails where there is no terminal: nothing to wait for then. */
    tcdrain(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void become_init(void)
{
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/dev", 0755);
    mkdir("/tmp", 01777);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sys", "/sys", "sysfs", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    int port = open("/dev/ttyS0", O_RDWR);
    if (port < 0)
        _exit(1);
    struct termios mode;
    if (tcgetattr(port, &mode) == 0) {
        cfmakeraw(&mode);
        cfsetspeed(&mode, B115200);
        tcsetattr(port, TCSANOW, &mode);
    }
    for (int fd = 0; fd < 3; fd++)
        dup2(port, fd);
    if (port > 2)
        close(port);
}

/* A line without its end; 0 when there are no more. */
static int read_line(char *line, size_t size)
{
    size_t length = 0;
    for (;;) {
        char c;
        ssize_t n = read(0, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        if (c == '\n' || c == '\r') {
            if (length == 0)
                continue;
            line[length] = 0;
            return 1;
        }
        if (length + 1 < size)
            line[length++] = c;
    }
}

static void run(const char *name, const char *permille)
{
    char path[128], text[256], result[65];
    snprintf(path, sizeof path, "/bench/%s", name);
    snprintf(text, sizeof text, "BEGIN %s\n<", name);
    say(text);
    double start = now();
    int ends[2], status = -1;
    size_t length = 0;
    if (pipe(ends) != 0)
        _exit(1);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        if (chdir("/tmp") == 0)
            execl(path, path, permille, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    for (;;) {
        char rest[256];
        ssize_t n = read(ends[0], rest, sizeof rest);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n && length + 1 < sizeof result; i++)
            result[length++] = rest[i];
    }
    close(ends[0]);
    if (child > 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    double seconds = now() - start;
    say(">");
    result[length] = 0;
    result[strcspn(result, " \n")] = 0;
    snprintf(text, sizeof text, " %s %.6f %s %d\n", name, seconds, length > 0 ? result : "-", status);
    say(text);
}

int main(void)
{
    if (getpid() == 1)
        become_init();
    setenv("PATH", "/usr/bin:/bin", 1);
    setenv("LC_ALL", "C", 1);
    say("BENCH-READY\n");
    char line[256];
    while (read_line(line, sizeof line)) {
        char name[64], permille[16];
        if (strcmp(line, "poweroff") == 0) {
            if (getpid() == 1)
                reboot(RB_POWER_OFF);
            break;
        }
        if (strcmp(line, "clock") == 0) {
            snprintf(line, sizeof line, "CLOCK %.6f\n", now());
            say(line);
            continue;
        }
        if (sscanf(line, "%63s %15s", name, permille) == 2 && strchr(name, '/') == NULL)
            run(name, permille);
        else
            say("BENCH-ERROR\n");
    }
    return 0;
}
