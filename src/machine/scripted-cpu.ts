/**
 * A CPU without instructions, for tests of the machine around it: each `run` asks a script what happens. Only tests import
 * this file.
 */

import type { PhysicalMap } from "../cpu/mmu/physical-map.ts";
import type { SoftwareCpu, SoftwareCpuOptions } from "../cpu/software-cpu.ts";
import type { SavedLeaf } from "../device-api/saved-state.ts";
import type { CpuBus, StopReason } from "../device-api/virtual-cpu.ts";
import type { PageMap } from "./memory-bus.ts";

/** One turn: executes at most `budget` instructions by calling `execute`, and says why it stopped. */
export type Script = (budget: number, cpu: ScriptedCpu) => StopReason;

export class ScriptedCpu implements SoftwareCpu {
  readonly bus: CpuBus;
  readonly physicalMap: PhysicalMap;
  readonly budgets: number[] = [];
  script: Script = (budget, cpu) => cpu.execute(budget);
  instructionCount = 0;
  halted = false;
  interruptLine = false;
  a20 = false;
  resets = 0;
  wantsStop = false;
  readonly mode = "real";
  readonly cpl = 0;

  constructor(bus: CpuBus, physicalMap?: PageMap) {
    this.bus = bus;
    this.physicalMap = (physicalMap ?? { map() {}, unmap() {} }) as unknown as PhysicalMap;
  }

  static factory(made: (cpu: ScriptedCpu) => void): (options: SoftwareCpuOptions) => Promise<SoftwareCpu> {
    return async ({ bus }) => {
      const cpu = new ScriptedCpu(bus);
      made(cpu);
      return cpu;
    };
  }

  /** `count` instructions of nothing, cut short by a stop request. */
  execute(count: number): StopReason {
    this.instructionCount += count;
    return this.wantsStop ? "stop" : "budget";
  }

  run(budgetInstructions: number): StopReason {
    this.budgets.push(budgetInstructions);
    this.wantsStop = false;
    const reason = this.script(budgetInstructions, this);
    this.halted = reason === "halt";
    return reason;
  }
  requestStop(): void {
    this.wantsStop = true;
  }
  setInterruptLine(level: boolean): void {
    this.interruptLine = level;
  }
  raiseNmi(): void {}
  setA20(enabled: boolean): void {
    this.a20 = enabled;
  }
  reset(): void {
    this.resets++;
  }
  invalidateCode(): void {}
  getRegister(): number {
    return 0;
  }
  setRegister(): void {}
  getSegment() {
    return { selector: 0xf000, base: 0xf0000, limit: 0xffff };
  }
  setSegment(): void {}
  readLinear(): number {
    return 0;
  }
  writeLinear(): void {}
  readLinearBytes(): void {}
  writeLinearBytes(): void {}
  save(): SavedLeaf {
    return { kind: "scripted-cpu", version: 1, data: { instructionCount: this.instructionCount } };
  }
  load(leaf: SavedLeaf): void {
    this.instructionCount = leaf.data.instructionCount as number;
  }
  describe(): string {
    return "a scripted CPU";
  }
}
