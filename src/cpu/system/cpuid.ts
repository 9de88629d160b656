/**
 * CPUID (Intel SDM volume 2): a GenuineIntel family 6 processor of the Pentium M kind (model 13), with exactly the
 * features that this engine executes; the local APIC's bits are its own to decide. No VME, MCE, performance counters, hypervisor leaves. The low byte of leaf 2
 * is 1, basic leaves end at 2: what NT 4 and its successors want.
 */
import type { CpuLocalApic } from "../../device-api/virtual-cpu.ts";
import { GPR } from "../layout.ts";
import type { CpuState } from "../state.ts";

export interface CpuFeatures {
  readonly pae: boolean;
  /** No-execute pages; counts only together with `pae`. */
  readonly nx: boolean;
  /** Highest basic leaf to report; never more than there are. */
  readonly maxLeaf?: number;
}

/** Family 6, model 13, stepping 8. Also in EDX after a reset. */
export const CPU_SIGNATURE = 0x6d8;
const MAX_BASIC_LEAF = 2;
const MAX_EXTENDED_LEAF = 0x80000004;

const FPU = 1 << 0;
const DE = 1 << 2;
const PSE = 1 << 3;
const TSC = 1 << 4;
const MSR = 1 << 5;
const PAE = 1 << 6;
const CX8 = 1 << 8;
const APIC = 1 << 9;
const SEP = 1 << 11;
const MTRR = 1 << 12;
const PGE = 1 << 13;
const CMOV = 1 << 15;
const PAT = 1 << 16;
const PSE36 = 1 << 17;
const CLFSH = 1 << 19;
const MMX = 1 << 23;
const FXSR = 1 << 24;
const SSE = 1 << 25;
const SSE2 = 1 << 26;
const ALWAYS = FPU | DE | PSE | TSC | MSR | CX8 | SEP | MTRR | PGE | CMOV | PAT | CLFSH | MMX | FXSR | SSE | SSE2;
/** Leaf 1, ECX. */
const X2APIC = 1 << 21;
/** Leaf 80000001h, EDX. */
const NX = 1 << 20;

/** 48 bytes at most, the last one zero. */
const BRAND = "Anneau i686 virtual processor";

/** Cache and TLB descriptors of leaf 2: 32 KiB L1 code and data, 2 MiB L2. */
const LEAF2 = [0x02b3b001, 0x000000f0, 0, 0x2c04307d] as const;
/** CLFLUSH line of 8 quadwords, one logical processor, APIC id 0. */
const LEAF1_EBX = 0x00010800;

/** True if 4 MiB pages reach above 4 GiB with these features. */
export function hasPse36(features: CpuFeatures): boolean {
  return features.pae;
}

/** True if no-execute pages exist with these features. */
export function hasNoExecute(features: CpuFeatures): boolean {
  return features.pae && features.nx;
}

/**
 * Executes CPUID: EAX, EBX, ECX, EDX for the leaf in EAX. `isNxHidden` (IA32_MISC_ENABLE bit 34) hides no-execute; bit
 * 22, which caps the basic leaves at 3, has nothing to do here. EIP is the caller's.
 */
export function cpuid(
  state: CpuState,
  features: CpuFeatures,
  isNxHidden: boolean,
  localApic: CpuLocalApic | undefined,
): void {
  const maxLeaf = Math.min(MAX_BASIC_LEAF, features.maxLeaf ?? MAX_BASIC_LEAF);
  let leaf = state.reg32(0);
  // Leaves out of range answer as the highest basic one.
  if (leaf >= 0x80000000 ? leaf > MAX_EXTENDED_LEAF : leaf > maxLeaf) leaf = maxLeaf;
  switch (leaf) {
    case 0:
      set(state, maxLeaf, text("Genu"), text("ntel"), text("ineI"));
      break;
    case 1: {
      const paging = (features.pae ? PAE : 0) | (hasPse36(features) ? PSE36 : 0);
      const apic = localApic?.isEnabled ? APIC : 0;
      set(state, CPU_SIGNATURE, LEAF1_EBX, localApic?.hasX2Apic ? X2APIC : 0, ALWAYS | paging | apic);
      break;
    }
    case 2:
      set(state, LEAF2[0], LEAF2[1], LEAF2[2], LEAF2[3]);
      break;
    case 0x80000000:
      set(state, MAX_EXTENDED_LEAF, 0, 0, 0);
      break;
    case 0x80000001:
      set(state, 0, 0, 0, hasNoExecute(features) && !isNxHidden ? NX : 0);
      break;
    default: {
      const at = (leaf - 0x80000002) * 16;
      set(state, brand(at), brand(at + 4), brand(at + 8), brand(at + 12));
    }
  }
}

function set(state: CpuState, eax: number, ebx: number, ecx: number, edx: number): void {
  const at = GPR >> 2;
  state.i32[at] = eax;
  state.i32[at + 2] = ecx;
  state.i32[at + 4] = edx;
  state.i32[at + 6] = ebx;
}

function text(four: string): number {
  return brandBytes(four, 0);
}

function brand(at: number): number {
  return brandBytes(BRAND, at);
}

function brandBytes(source: string, at: number): number {
  let value = 0;
  for (let i = 0; i < 4; i++) value |= (at + i < source.length ? source.charCodeAt(at + i) : 0) << (i * 8);
  return value;
}
