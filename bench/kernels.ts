/** The benchmark's kernels: one visible list. Each is a program of bench/programs; docs/benchmarks.md has a line for each. */

export type KernelClass = (typeof classes)[number];

/** In the order of the report. */
export const classes = ["integer", "memory", "x87", "SIMD", "system", "code", "applications"] as const;

export interface Kernel {
  /** Of the program: bench/programs/NAME.c. */
  readonly name: string;
  readonly class: KernelClass;
  /** What gcc is given besides the flags that all programs have. */
  readonly flags?: readonly string[];
}

export const kernels: readonly Kernel[] = [
  { name: "integer", class: "integer" },
  { name: "integer64", class: "integer" },
  { name: "branchy", class: "integer" },
  { name: "indirect", class: "integer" },
  { name: "bytecode", class: "integer" },
  { name: "recursive", class: "integer" },
  { name: "loads-stores", class: "integer" },
  { name: "pointer-chase", class: "memory" },
  { name: "memcpy", class: "memory" },
  { name: "x87", class: "x87", flags: ["-mfpmath=387"] },
  { name: "sse2-scalar", class: "SIMD" },
  { name: "sse2-packed", class: "SIMD" },
];

/** The kernels with these names, in the catalogue's order; all when none is given. Throws the first unknown name. */
export function selectKernels(names: readonly string[]): Kernel[] {
  for (const name of names)
    if (!kernels.some((kernel) => kernel.name === name))
      throw new Error(`no kernel ${name}; there are ${kernels.map((kernel) => kernel.name).join(", ")}`);
  return kernels.filter(({ name }) => names.length === 0 || names.includes(name));
}
