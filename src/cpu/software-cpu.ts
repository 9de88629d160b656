/**
 * The software engine behind the VirtualCpu contract. This file states what machine/ gives it and gets; the parts are in
 * interpreter/, system/, mmu/.
 */
import type { CpuBus, VirtualCpu } from "../device-api/virtual-cpu.ts";
import type { CpuEngine } from "../spec/machine-spec.ts";
import type { PhysicalMap } from "./mmu/physical-map.ts";
import type { CompileService } from "./translator/compile-service.ts";

export interface SoftwareCpuOptions {
  /** The machine's shared memory, at least `memoryPages(...)` pages. */
  readonly memory: WebAssembly.Memory;
  readonly bus: CpuBus;
  /** What CPUID reports beyond the fixed i686 set. */
  readonly features: { readonly pae: boolean; readonly nx: boolean; readonly maxLeaf?: number };
  /** "translator": what is executed often becomes WebAssembly of its own (translator/); "shadow": and is checked as it runs. */
  readonly engine?: CpuEngine;
  /** Few translations are kept, and none over a switch of task, V86 mode or address space. */
  readonly hasSmallTlb?: boolean;
  /** Where the translator compiles; on the calling thread unless given. */
  readonly compileService?: CompileService;
  /** Where unusual guest actions are said once each (unknown MSRs, unsupported instructions). */
  readonly onDemand?: (text: string) => void;
}

export interface SoftwareCpu extends VirtualCpu {
  readonly physicalMap: PhysicalMap;
  /** FERR#: an x87 error is pending and CR0.NE is clear. Set by the machine. */
  onFpuError?: (() => void) | undefined;
  /** Drops code decoded from the guest-physical range (DMA, device writes). */
  invalidateCode(gpa: number, lengthBytes: number): void;
}
