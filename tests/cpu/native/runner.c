/*
 * Executes single instructions on the host CPU, for the tests of the CPU engine. A 32-bit Linux program: reads cases from
 * standard input until its end, answers each with one outcome on standard output (layouts: case-format.ts).
 *
 * Per case: the x87/SSE state (an FXSAVE image), EFLAGS and the general registers are loaded, the bytes at CODE run, and
 * what they left is stored. The bytes are followed by a jump back; everything around them is INT3, so a branch is seen by
 * where it traps. Faults come as signals, whose frames hold the complete state. Memory: AREA_BYTES at the end of a page
 * with nothing mapped behind it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE_PAGE 0x20000000u
#define CODE (CODE_PAGE + 0x800)
#define DATA_PAGE 0x30000000u
#define AREA_BYTES 512
#define AREA (DATA_PAGE + 4096 - AREA_BYTES)
#define NO_VECTOR 0xffffffffu

struct test_case {
  uint32_t code_length, reserved;
  uint8_t code[16];
  uint32_t gpr[8];
  uint32_t eflags, reserved2;
  uint8_t fx[512];
  uint8_t memory[AREA_BYTES];
} __attribute__((aligned(64)));

struct outcome {
  uint32_t vector, error, cr2, eip;
  uint32_t gpr[8];
  uint32_t eflags, reserved[3];
  uint8_t fx[512];
  uint8_t memory[AREA_BYTES];
} __attribute__((aligned(64)));

#define CASE_BYTES 1088

struct test_case in;
struct outcome out;
uint32_t saved_esp, default_mxcsr = 0x1f80;
void enter_case(void);
extern char exit_case[], resume_case[];

__asm__(
    ".text\n"
    "enter_case:\n"
    "  pushal\n"
    "  mov %esp, saved_esp\n"
    "  fxrstor in+64\n"
    "  pushl in+56\n"
    "  popfl\n"
    "  mov in+24, %eax\n"
    "  mov in+28, %ecx\n"
    "  mov in+32, %edx\n"
    "  mov in+36, %ebx\n"
    "  mov in+40, %esp\n"
    "  mov in+44, %ebp\n"
    "  mov in+48, %esi\n"
    "  mov in+52, %edi\n"
    "  jmp 0x20000800\n"
    ".globl exit_case\n"
    "exit_case:\n"
    "  mov %eax, out+16\n"
    "  mov %ecx, out+20\n"
    "  mov %edx, out+24\n"
    "  mov %ebx, out+28\n"
    "  mov %esp, out+32\n"
    "  mov %ebp, out+36\n"
    "  mov %esi, out+40\n"
    "  mov %edi, out+44\n"
    "  mov saved_esp, %esp\n"
    "  pushfl\n"
    "  popl out+48\n"
    "  pushl $2\n"
    "  popfl\n"
    "  fxsave out+64\n"
    ".globl resume_case\n"
    "resume_case:\n"
    "  cld\n"
    "  fninit\n"
    "  ldmxcsr default_mxcsr\n"
    "  popal\n"
    "  ret\n");

static void handler(int sig, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  greg_t *r = uc->uc_mcontext.gregs;
  static const int order[8] = {REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI};
  uint32_t eip = r[REG_EIP];
  if (eip < CODE_PAGE || eip > CODE_PAGE + 4096) {
    fprintf(stderr, "signal %d outside a case at %08x\n", sig, eip);
    _exit(2);
  }
  out.vector = r[REG_TRAPNO];
  out.error = r[REG_ERR];
  out.cr2 = uc->uc_mcontext.cr2;
  out.eip = eip - CODE;
  for (int n = 0; n < 8; n++) out.gpr[n] = r[order[n]];
  out.eflags = r[REG_EFL];
  /* The FSAVE-format header is 112 bytes; the FXSAVE image follows it. */
  memcpy(out.fx, (char *)uc->uc_mcontext.fpregs + 112, 512);
  r[REG_EIP] = (greg_t)resume_case;
  r[REG_ESP] = saved_esp;
  r[REG_EFL] = 0x202;
}

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

int main(void) {
  uint8_t *code = mmap((void *)CODE_PAGE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  uint8_t *data = mmap((void *)DATA_PAGE, 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (code != (void *)CODE_PAGE || data != (void *)DATA_PAGE) return 1;
  memset(code, 0xcc, 4096);
  stack_t stack = {.ss_sp = malloc(1 << 18), .ss_size = 1 << 18};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP};
  for (int n = 0; n < 5; n++) sigaction(signals[n], &action, NULL);

  enum { BATCH = 256 };
  static uint8_t input[BATCH * CASE_BYTES], output[BATCH * CASE_BYTES];
  uint8_t *at = (uint8_t *)CODE;
  for (;;) {
    uint32_t count;
    if (read_fully(&count, 4) != 1) return 0;
    if (count > BATCH || read_fully(input, count * CASE_BYTES) != 1) return 1;
    for (uint32_t n = 0; n < count; n++) {
      memcpy(&in, input + n * CASE_BYTES, CASE_BYTES);
      memset(&out, 0, sizeof out);
      memcpy((void *)AREA, in.memory, AREA_BYTES);
      uint32_t length = in.code_length;
      memcpy(at, in.code, length);
      at[length] = 0xe9;
      uint32_t offset = (uint32_t)exit_case - (uint32_t)(at + length + 5);
      memcpy(at + length + 1, &offset, 4);
      out.vector = NO_VECTOR;
      out.eip = length;
      __asm__ volatile("call enter_case" ::: "memory", "cc");
      memset(at, 0xcc, length + 5);
      memcpy(out.memory, (void *)AREA, AREA_BYTES);
      memcpy(output + n * CASE_BYTES, &out, CASE_BYTES);
    }
    write_fully(output, count * CASE_BYTES);
  }
}
