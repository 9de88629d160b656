/**
 * What the privileged parts of the CPU share: state, memory, TLB, bus. Made once by `createSystem`; the functions of this
 * folder take it as their first argument.
 *
 * Convention of every function here that executes a guest instruction: EIP in the state is the start of that
 * instruction; where the following address matters it is passed as `nextEip`. The function either completes all
 * architectural effects or throws CpuFault with nothing visibly changed, except that task switches may fault in the new
 * task (task-switch.ts).
 */
import type { CpuBus } from "../../device-api/virtual-cpu.ts";
import type { LinearMemory } from "../mmu/linear-memory.ts";
import type { PageWalker } from "../mmu/page-walk.ts";
import type { Tlb } from "../mmu/tlb.ts";
import type { CpuState } from "../state.ts";
import type { CpuFeatures } from "./cpuid.ts";
import type { KnownTransfers } from "./known-transfers.ts";

export interface SystemContext {
  readonly state: CpuState;
  readonly linear: LinearMemory;
  readonly walker: PageWalker;
  readonly tlb: Tlb;
  readonly bus: CpuBus;
  readonly features: CpuFeatures;
  readonly known: KnownTransfers;
  /** Counts task switches: no single-step trap follows one. */
  taskSwitches: number;
  /** Says an unusual guest action, once per text. */
  readonly say: (text: string) => void;
}
