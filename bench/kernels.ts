/** The benchmark's kernels: one visible list. Each is a program of bench/programs that prints one result. */
import { OptionError } from "../scripts/options.ts";

export type KernelClass = (typeof classes)[number];

/** In the order of the report. */
export const classes = ["integer", "memory", "x87", "SIMD", "system", "code", "applications"] as const;

export interface Kernel {
  /** Of the program: bench/programs/NAME.c, or NAME.sh for a script that runs applications. */
  readonly name: string;
  readonly class: KernelClass;
  /** What it does, in a few words. */
  readonly about: string;
  readonly isScript?: true;
  /** What gcc is given besides the flags that all programs have. */
  readonly flags?: readonly string[];
}

const x87: readonly string[] = ["-mfpmath=387"];

export const kernels: readonly Kernel[] = [
  { name: "integer", class: "integer", about: "arithmetic in registers" },
  { name: "integer64", class: "integer", about: "64-bit numbers in 32-bit registers, divisions" },
  { name: "branchy", class: "integer", about: "branches that depend on data: Collatz sequences, quicksort" },
  { name: "indirect", class: "integer", about: "calls through changing pointers" },
  { name: "bytecode", class: "integer", about: "an interpreter of byte code with a jump table" },
  { name: "recursive", class: "integer", about: "calls and returns: Fibonacci, Ackermann, towers of Hanoi" },
  { name: "loads-stores", class: "integer", about: "CRC by table, histogram, counting sort, matrix product" },
  { name: "pointer-chase", class: "memory", about: "a list in random order in 16 KiB, 1 MiB and 16 MiB" },
  { name: "memcpy", class: "memory", about: "the C library's memcpy, memmove, memset, memchr" },
  { name: "rep-strings", class: "memory", about: "REP MOVS, STOS, SCAS, CMPS, long and short" },
  { name: "x87", class: "x87", about: "Mandelbrot set, five bodies, in extended precision", flags: x87 },
  { name: "x87-functions", class: "x87", about: "FSIN, FPATAN, F2XM1, FYL2X, FPREM and others", flags: x87 },
  { name: "sse2-scalar", class: "SIMD", about: "Mandelbrot set, five bodies, in SSE2" },
  { name: "sse2-packed", class: "SIMD", about: "packed integers, bytes and doubles" },
  { name: "mmx", class: "SIMD", about: "blending pictures, sums of products" },
  { name: "syscall-int80", class: "system", about: "system calls by INT 80h" },
  { name: "syscall-sysenter", class: "system", about: "system calls through the kernel's page (SYSENTER)" },
  { name: "pipe", class: "system", about: "two processes answering each other" },
  { name: "fork", class: "system", about: "fork, copy on write, exit, wait" },
  { name: "fork-exec", class: "system", about: "fork, exec, exit, wait" },
  { name: "page-faults", class: "system", about: "fresh memory, mapped files, faults mended by a signal handler" },
  { name: "self-modifying", class: "code", about: "immediates and instructions rewritten in hot code" },
  { name: "generated", class: "code", about: "short-lived functions, as just-in-time compilers make them" },
  { name: "once", class: "code", about: "53,000 functions, each executed once" },
  { name: "gzip", class: "applications", about: "Debian's gzip, both ways", isScript: true },
  { name: "xz", class: "applications", about: "Debian's xz, both ways", isScript: true },
  { name: "openssl-cipher", class: "applications", about: "AES-256, SHA-256, SHA3-256", isScript: true },
  { name: "openssl-bignum", class: "applications", about: "modular powers of 521 bits", isScript: true },
  { name: "sh", class: "applications", about: "Debian's dash: loops, strings, pipes to busybox", isScript: true },
];

/** The kernels with these names, in the catalogue's order; all when none is given. Throws at the first unknown name. */
export function selectKernels(names: readonly string[]): Kernel[] {
  for (const name of names)
    if (!kernels.some((kernel) => kernel.name === name))
      throw new OptionError(`no kernel ${name}; there are ${kernels.map((kernel) => kernel.name).join(", ")}`);
  return kernels.filter(({ name }) => names.length === 0 || names.includes(name));
}
