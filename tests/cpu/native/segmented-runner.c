/*
 * Executes single instructions on the host CPU under any segments of a local descriptor table, 16-bit code included: the
 * native side of the segmented oracle (layouts: segmented-case.ts). A 32-bit Linux program.
 *
 * Standard input: number of LDT entries and the entries (struct user_desc; entry_number FFFFFFFFh: left empty), the
 * background of the data pages and of the read-only page, then batches of cases until its end; each batch is answered
 * with its outcomes on standard output.
 *
 * A case is entered by returning from a signal handler with all its registers, segments included, in the signal frame,
 * and ends with the next signal: the INT3 behind the instruction or a fault. The handler notes the frame, prepares
 * the next case in it and returns.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE_WINDOW 0x20000000u
#define CODE_BYTES 0x10000u
#define DATA 0x30000000u
#define PAGES 3
#define READ_ONLY_PAGE (DATA + 0x3000)
#define SHOWN_BYTES 48

static const uint32_t pages[PAGES] = {DATA, DATA + 0x1000, DATA + 0x10000};

struct test_case {
  uint32_t code_length, code_offset;
  uint8_t code[16];
  uint32_t gpr[8];
  uint32_t eflags, eip;
  uint16_t segment[6];
  uint32_t patch_bytes;
  uint8_t patches[176];
};

struct outcome {
  uint32_t vector, error, cr2, eip;
  uint32_t gpr[8];
  uint32_t eflags;
  uint16_t segment[6];
  uint32_t first, end, hash;
  uint8_t shown[SHOWN_BYTES];
  uint32_t reserved;
};

_Static_assert(sizeof(struct test_case) == 256 && sizeof(struct outcome) == 128, "layout");

enum { BATCH = 256 };
static struct test_case cases[BATCH];
static struct outcome outcomes[BATCH];
static uint32_t count, current;
static gregset_t home;
/* The code window as this program writes it; at CODE_WINDOW it is read-only. */
static volatile uint8_t *writable_code;
static uint8_t background[PAGES * 4096];
uint32_t own_gs, own_fs;

static const int registers[8] = {REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI};
static const int segments[6] = {REG_ES, REG_CS, REG_SS, REG_DS, REG_FS, REG_GS};

/* Code bytes beyond the window are left out: there the code runs into a page that is not present. */
static void place_code(const struct test_case *c, int is_removed) {
  for (uint32_t n = 0; n < c->code_length && c->code_offset + n < CODE_BYTES; n++)
    writable_code[c->code_offset + n] = is_removed ? 0xcc : c->code[n];
}

static uint8_t *data_at(uint32_t offset) { return (uint8_t *)pages[offset >> 12] + (offset & 4095); }

static void enter(greg_t *r) {
  const struct test_case *c = &cases[current];
  for (int n = 0; n < 8; n++) r[registers[n]] = c->gpr[n];
  for (int n = 0; n < 6; n++) r[segments[n]] = c->segment[n];
  r[REG_UESP] = c->gpr[4];
  r[REG_EIP] = c->eip;
  r[REG_EFL] = c->eflags;
  place_code(c, 0);
  for (uint32_t at = 0; at < c->patch_bytes;) {
    uint16_t offset, length;
    memcpy(&offset, c->patches + at, 2);
    memcpy(&length, c->patches + at + 2, 2);
    for (uint32_t n = 0; n < length; n++) *data_at(offset + n) = c->patches[at + 4 + n];
    at += 4 + length;
  }
}

static void note(const greg_t *r, uint32_t cr2) {
  struct outcome *o = &outcomes[current];
  memset(o, 0, sizeof *o);
  o->vector = r[REG_TRAPNO];
  o->error = r[REG_ERR];
  o->cr2 = cr2;
  o->eip = r[REG_EIP];
  for (int n = 0; n < 8; n++) o->gpr[n] = r[registers[n]];
  for (int n = 0; n < 6; n++) o->segment[n] = r[segments[n]];
  o->eflags = r[REG_EFL];
  place_code(&cases[current], 1);
  uint32_t first = PAGES * 4096, end = 0;
  for (int page = 0; page < PAGES; page++) {
    const uint32_t *now = (const uint32_t *)pages[page], *before = (const uint32_t *)(background + page * 4096);
    for (int n = 0; n < 1024; n++) {
      if (now[n] == before[n]) continue;
      uint32_t offset = page * 4096 + n * 4;
      if (offset < first) first = offset;
      end = offset + 4;
    }
  }
  if (end == 0) first = 0;
  o->first = first;
  o->end = end;
  o->hash = 0x811c9dc5u;
  for (uint32_t n = first; n < end; n++) {
    uint8_t *at = data_at(n);
    o->hash = (o->hash ^ *at) * 0x01000193u;
    if (n - first < SHOWN_BYTES) o->shown[n - first] = *at;
    *at = background[n];
  }
}

/* Called by `entry` once the flags and segment registers are the program's own again. */
void handle(int signal_number, siginfo_t *info, ucontext_t *context) {
  greg_t *r = context->uc_mcontext.gregs;
  if (signal_number == SIGALRM) {
    fprintf(stderr, "case %u does not end\n", current);
    _exit(4);
  }
  if (signal_number == SIGUSR1) {
    memcpy(home, r, sizeof home);
    current = 0;
  } else {
    note(r, context->uc_mcontext.cr2);
    current++;
  }
  if (current < count) enter(r);
  else memcpy(r, home, sizeof home);
}

void entry(int, siginfo_t *, void *);
__asm__(
    ".text\n"
    "entry:\n"
    "  pushl $0x202\n"
    "  popfl\n"
    "  movl own_gs, %eax\n"
    "  movl %eax, %gs\n"
    "  movl own_fs, %eax\n"
    "  movl %eax, %fs\n"
    "  jmp handle\n");

static int read_fully(void *target, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = read(0, (char *)target + done, size - done);
    if (n <= 0) return done == 0 ? 0 : -1;
    done += n;
  }
  return 1;
}

static void write_fully(const void *source, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = write(1, (const char *)source + done, size - done);
    if (n <= 0) _exit(3);
    done += n;
  }
}

static void map(uint32_t at, uint32_t size, int protection, int file) {
  int kind = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  if (mmap((void *)at, size, protection, kind | MAP_FIXED_NOREPLACE | MAP_POPULATE, file, 0) != (void *)at) {
    perror("mmap");
    exit(1);
  }
}

int main(void) {
  __asm__("mov %%gs, %0" : "=r"(own_gs));
  __asm__("mov %%fs, %0" : "=r"(own_fs));
  int code = memfd_create("code", 0);
  if (code < 0 || ftruncate(code, CODE_BYTES) != 0) return 1;
  uint8_t *alias = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, code, 0);
  if (alias == MAP_FAILED) return 1;
  memset(alias, 0xcc, CODE_BYTES);
  writable_code = alias;
  map(CODE_WINDOW, CODE_BYTES, PROT_READ | PROT_EXEC, code);
  for (int n = 0; n < PAGES; n++) map(pages[n], 4096, PROT_READ | PROT_WRITE, -1);
  map(READ_ONLY_PAGE, 4096, PROT_READ | PROT_WRITE, -1);

  uint32_t entries;
  if (read_fully(&entries, 4) != 1) return 1;
  for (uint32_t n = 0; n < entries; n++) {
    struct user_desc description;
    if (read_fully(&description, sizeof description) != 1) return 1;
    if (description.entry_number == 0xffffffffu) continue;
    if (syscall(SYS_modify_ldt, 0x11, &description, sizeof description) != 0) {
      perror("modify_ldt (a kernel with CONFIG_MODIFY_LDT_SYSCALL and CONFIG_X86_16BIT is needed)");
      return 1;
    }
  }
  if (read_fully(background, sizeof background) != 1) return 1;
  for (int n = 0; n < PAGES; n++) memcpy((void *)pages[n], background + n * 4096, 4096);
  if (read_fully((void *)READ_ONLY_PAGE, 4096) != 1) return 1;
  mprotect((void *)READ_ONLY_PAGE, 4096, PROT_READ);

  stack_t stack = {.ss_sp = malloc(1 << 18), .ss_size = 1 << 18};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_sigaction = entry, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGUSR1, SIGALRM};
  for (int n = 0; n < 7; n++) sigaction(signals[n], &action, NULL);

  for (;;) {
    if (read_fully(&count, 4) != 1) return 0;
    if (count > BATCH || read_fully(cases, count * sizeof cases[0]) != 1) return 1;
    alarm(30);
    raise(SIGUSR1);
    alarm(0);
    write_fully(outcomes, count * sizeof outcomes[0]);
  }
}
