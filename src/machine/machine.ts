/**
 * A running PC: the life cycle around the parts that pc.ts has assembled. Everything here happens on the machine thread
 * between CPU budgets. States: off → running ⇄ paused → off, or dead when the guest's CPU can no longer run: then its devices
 * and memory can still be looked at until it is reset or switched off. Requests of
 * the guest (reset, power off) come from inside a device's access: they are remembered and carried out when the CPU
 * comes back.
 *
 * Triple faults: a PC's chipset answers the shutdown cycle with a reset, which old systems use on purpose. Three of them
 * within a second of guest time are a guest that will never boot: the machine stops instead.
 */
import type { DisplaySource, KeyboardSink, PointerSink, TabletSink } from "../backend-api/display.ts";
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { CounterTree } from "../device-api/counters.ts";
import type { Device, ResetKind } from "../device-api/device.ts";
import type { GuestMemory } from "../device-api/guest-memory.ts";
import type { Wire } from "../device-api/irq-line.ts";
import type { SavedLeaf, SavedState } from "../device-api/saved-state.ts";
import { StateReader } from "../device-api/state-reader.ts";
import type { VirtualCpu } from "../device-api/virtual-cpu.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";
import { HostTimeSource, type InstructionTimeSource, type MachineClock } from "./clock.ts";
import type { DemandLog } from "./demand-log.ts";
import type { ExecutionCap } from "./execution-cap.ts";
import type { MemoryBus } from "./memory-bus.ts";
import type { PciBus } from "./pci-bus.ts";
import type { PortBus } from "./port-bus.ts";
import { RunLoop } from "./run-loop.ts";
import { loadAll, type Saveable, saveAll } from "./saved-state.ts";

const CLOCK = "clock";
const STORM_FAULTS = 3;
const STORM_NS = 1_000_000_000;

/** What a device may ask for: the whole machine starts over, or its processor alone (82371SB, CF9h and port 92h). */
export type ResetRequest = "cpu" | "system";

export type MachineState = "off" | "running" | "paused" | "dead";

/** What happened, for whoever owns the machine; called on the machine thread. */
export type MachineEvent =
  | { readonly kind: "reset" }
  | { readonly kind: "powered-off" }
  /** The guest cannot go on: one line, and the CPU's registers as text. */
  | { readonly kind: "died"; readonly cause: string; readonly registers: string };

/** What the machine offers to people: screen, keyboard, pointer, buttons. Absent where the machine has no such part. */
export interface MachineFront {
  readonly display?: DisplaySource;
  readonly keyboard?: KeyboardSink;
  readonly pointer?: PointerSink;
  readonly tablet?: TabletSink;
  powerButton?(): void;
  sleepButton?(): void;
  /** Cable of a network card, by index of spec.nics. */
  setCableConnected?(index: number, isConnected: boolean): void;
}

/** The assembled parts, in the order of their reset and of their saved state. */
export interface MachineParts {
  readonly spec: MachineSpec;
  readonly cpu: VirtualCpu;
  readonly clock: MachineClock;
  readonly time: HostTimeSource | InstructionTimeSource;
  readonly memory: GuestMemory;
  /** All of the machine's memory, for viewers on other threads. */
  readonly hostMemory: SharedArrayBuffer;
  readonly ports: PortBus;
  readonly memoryBus: MemoryBus;
  readonly pci: PciBus;
  readonly devices: readonly Device[];
  /** Everything with saved state, in loading order (the clock excepted). */
  readonly saveables: readonly Saveable[];
  /** Gate A20: high after every reset of the CPU, so that it finds its ROM. */
  readonly a20: Wire;
  /** Parts of the processor that are devices of their own (the local APIC) hear of its reset. */
  readonly onCpuReset?: () => void;
  readonly demand: DemandLog;
  readonly front: MachineFront;
}

/** What the machine's owner gives it. */
export interface MachineOwner {
  readonly log: Logger;
  /** See RunLoopOptions. */
  readonly doorbell?: Int32Array;
  readonly poll?: () => void;
  /** Blocks until no back end has a request in flight; completions have run. Back ends on this thread need none. */
  readonly drain?: () => void;
  readonly onEvent: (event: MachineEvent) => void;
  readonly onTripleFault?: "reset" | "stop";
  /** See RunLoopOptions. */
  readonly cap?: ExecutionCap;
}

export class Machine {
  readonly spec: MachineSpec;
  readonly cpu: VirtualCpu;
  readonly clock: MachineClock;
  readonly memory: GuestMemory;
  readonly hostMemory: SharedArrayBuffer;
  readonly ports: PortBus;
  readonly memoryBus: MemoryBus;
  readonly pci: PciBus;
  readonly devices: readonly Device[];
  readonly demand: DemandLog;
  readonly front: MachineFront;
  readonly loop: RunLoop;
  readonly #parts: MachineParts;
  readonly #owner: MachineOwner;
  #state: MachineState = "off";
  #wantedReset: ResetRequest | undefined;
  #wantsPowerOff = false;
  #faultTimesNs: number[] = [];

  constructor(parts: MachineParts, owner: MachineOwner) {
    this.spec = parts.spec;
    this.cpu = parts.cpu;
    this.clock = parts.clock;
    this.memory = parts.memory;
    this.hostMemory = parts.hostMemory;
    this.ports = parts.ports;
    this.memoryBus = parts.memoryBus;
    this.pci = parts.pci;
    this.devices = parts.devices;
    this.demand = parts.demand;
    this.front = parts.front;
    this.#parts = parts;
    this.#owner = owner;
    this.loop = new RunLoop({
      cpu: parts.cpu,
      clock: parts.clock,
      time: parts.time,
      doorbell: owner.doorbell,
      cap: owner.cap,
      poll: owner.poll,
      serve: () => this.#serve(),
      onTripleFault: () => this.#tripleFault(),
    });
    this.demand.where = () => this.#where();
  }

  get state(): MachineState {
    return this.#state;
  }

  /** off → running: everything in its power-on state, time starts. */
  powerOn(): void {
    if (this.#state !== "off") throw new AnneauError(`the machine is ${this.#state}, not off`);
    this.#resetAll("power-on");
    this.#setRunning();
  }

  /** off → paused, with a saved state in place of the power-on state. */
  restore(state: SavedState): void {
    if (this.#state !== "off") throw new AnneauError(`the machine is ${this.#state}, not off`);
    this.#resetAll("power-on");
    loadAll([this.#clockState, ...this.#parts.saveables], state);
    // Once more: in deterministic mode time counts instructions, and the CPU has just got its count.
    this.#setTime(savedTime(state[CLOCK]));
    this.#state = "paused";
    this.loop.pause();
  }

  /** What there is to count, by part. */
  counters(): CounterTree {
    const { instructions, ...loop } = this.loop.statistics();
    const offered = this.devices.flatMap((device) => {
      const counters = device.statistics?.();
      return counters === undefined ? [] : [[device.id, counters] as const];
    });
    return {
      cpu: {
        instructions,
        instructionsPerSecond: Math.round(this.loop.instructionsPerSecond),
        ...this.cpu.statistics?.(),
      },
      loop: { ...loop },
      clock: { guestNs: this.clock.lastNs },
      ports: { accesses: this.ports.accesses },
      mmio: { accesses: this.memoryBus.accesses },
      demand: { ...this.demand.counts() },
      devices: Object.fromEntries(offered),
    };
  }

  /** The reset line, from outside the CPU's run (the user's reset). Brings a dead machine back to life. */
  reset(): void {
    if (this.#state === "off") return;
    this.#owner.drain?.();
    this.#resetAll("hard");
    if (this.#state === "dead") {
      this.#faultTimesNs = [];
      this.#setRunning();
    }
    this.#owner.onEvent({ kind: "reset" });
  }

  /** running → paused: nothing in flight, time stands still. */
  pause(): void {
    if (this.#state !== "running") return;
    this.#owner.drain?.();
    this.loop.pause();
    if (this.#parts.time instanceof HostTimeSource) this.#parts.time.stop();
    for (const device of this.devices) device.pause?.();
    this.#state = "paused";
  }

  /** paused → running. */
  resume(): void {
    if (this.#state !== "paused") return;
    for (const device of this.devices) device.resume?.();
    this.#setRunning();
  }

  /** → off, for good: back ends are closed by their owner afterwards. */
  powerOff(): void {
    if (this.#state === "off") return;
    this.#owner.drain?.();
    this.#stop("off");
    this.loop.end();
    this.#owner.onEvent({ kind: "powered-off" });
  }

  /** Of a paused machine. */
  save(): SavedState {
    if (this.#state !== "paused") throw new AnneauError("only a paused machine's state can be saved");
    this.#owner.drain?.();
    return saveAll([this.#clockState, ...this.#parts.saveables]);
  }

  /** From a device's access: the guest pulled a reset line. Carried out when the CPU comes back. */
  requestReset(request: ResetRequest): void {
    if (this.#wantedReset !== "system") this.#wantedReset = request;
    this.loop.requestService();
  }

  /** From a device's access: the guest switched itself off. */
  requestPowerOff(): void {
    this.#wantsPowerOff = true;
    this.loop.requestService();
  }

  /** Time as saved state. Loading disarms every timer: the devices' states arm their own. */
  get #clockState(): Saveable {
    const { clock } = this.#parts;
    return {
      id: CLOCK,
      save: () => ({ kind: CLOCK, version: 1, data: { nowNs: clock.lastNs } }),
      load: (leaf) => {
        const nowNs = savedTime(leaf);
        clock.cancelAll();
        this.#setTime(nowNs);
      },
    };
  }

  #setTime(nowNs: number): void {
    this.#parts.time.setElapsed(nowNs);
    this.clock.setLast(nowNs);
  }

  #setRunning(): void {
    this.#state = "running";
    if (this.#parts.time instanceof HostTimeSource) this.#parts.time.start();
    this.loop.resume();
  }

  #stop(state: "off" | "dead"): void {
    this.#state = state;
    if (this.#parts.time instanceof HostTimeSource) this.#parts.time.stop();
    this.loop.pause();
  }

  #resetAll(kind: ResetKind): void {
    this.memoryBus.batch(() => {
      this.pci.reset();
      for (const device of this.devices) device.reset(kind);
    });
    this.#resetCpu();
  }

  /** The INIT pin: devices keep their state, the BIOS finds out from CMOS what is wanted. */
  #resetCpu(): void {
    this.#wantedReset = undefined;
    this.#parts.a20.set(true);
    this.cpu.reset();
    this.#parts.onCpuReset?.();
  }

  #serve(): void {
    if (this.#wantsPowerOff) {
      this.#wantsPowerOff = false;
      this.powerOff();
    } else if (this.#wantedReset === "system") {
      this.reset();
    } else if (this.#wantedReset === "cpu") {
      this.#resetCpu();
    }
  }

  #tripleFault(): void {
    const nowNs = this.clock.nowNs();
    this.#faultTimesNs = [...this.#faultTimesNs.slice(-STORM_FAULTS + 1), nowNs];
    const isStorm = this.#faultTimesNs.length === STORM_FAULTS && nowNs - this.#faultTimesNs[0] < STORM_NS;
    const registers = this.cpu.describe();
    if (this.#owner.onTripleFault === "stop" || isStorm) {
      this.#owner.drain?.();
      this.#stop("dead");
      const cause = isStorm ? "triple faults without end" : "triple fault";
      this.#owner.onEvent({ kind: "died", cause, registers });
      return;
    }
    this.#owner.log.warn(`triple fault, the machine is reset\n${registers}`);
    this.reset();
  }

  #where(): string {
    const hex = (value: number, digits: number) => (value >>> 0).toString(16).toUpperCase().padStart(digits, "0");
    return `${hex(this.cpu.getSegment("cs").selector, 4)}:${hex(this.cpu.getRegister("eip"), 8)}`;
  }
}

function savedTime(leaf: SavedLeaf): number {
  const state = StateReader.open(leaf, CLOCK, 1);
  const nowNs = state.integer("nowNs", 0, Number.MAX_SAFE_INTEGER);
  state.end();
  return nowNs;
}
