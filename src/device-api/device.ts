/**
 * The device life cycle, and what a plug is given to connect its chip. A device folder's `index.ts` is the plug: it
 * exports a factory that takes the device's config and back ends and returns a `Device`. `machine/` calls, in this
 * order: `attach` once; `reset("power-on")`; then any of `pause`/`resume`/`reset`/`save`; `load` only on an attached
 * device, before the CPU runs.
 */
import type { Logger, TraceChannel, TraceChannelName } from "../base/logger.ts";
import type { Clock } from "./clock.ts";
import type { CounterTree } from "./counters.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { IoWindow } from "./io-window.ts";
import type { IrqLine } from "./irq-line.ts";
import type { DeviceMemory, PciFunctionConfig, PciFunctionHandle } from "./pci-function.ts";
import type { SavedLeaf } from "./saved-state.ts";

/** "power-on": RAM-like contents are lost; "hard": the reset line (8042 FEh, CF9h, triple fault, 4050h). */
export type ResetKind = "power-on" | "hard";

export interface Device {
  /** Unique in the machine, kebab-case, e.g. "uart-1". Key of the saved state. */
  readonly id: string;
  /** Requests at back ends that are not answered yet. The machine lets them reach 0 before pause, save and reset. */
  readonly pendingRequests?: number;
  /** Claims windows, lines and timers. Called once; keeps no other reference to the machine. */
  attach(context: DeviceContext): void;
  reset(kind: ResetKind): void;
  /** Host work stops being issued; requests in flight have been drained by the machine before. */
  pause?(): void;
  resume?(): void;
  /** What the device counts, if it counts. */
  statistics?(): CounterTree;
  save(): SavedLeaf;
  /** Restores exactly what `save` gave; raises no interrupt edge; throws FormatError on anything unexpected. */
  load(leaf: SavedLeaf): void;
}

/** A range of ports that a guest moves. Built-in claims win where they overlap; nothing here throws on any base. */
export interface MovablePorts {
  /** Makes the range answer at [base, base+length). */
  place(base: number): void;
  remove(): void;
}

/** A range of guest-physical addresses that a guest moves; it answers over whatever else is there. */
export interface MovableMemory {
  /** Makes the range answer at [base, base+length); beyond the address space it answers nowhere. */
  place(base: number): void;
  remove(): void;
}

/** A claimed range of memory. A part of it may answer as plain memory for a while, at the speed of RAM. */
export interface ClaimedMemory {
  /**
   * Until further notice [offset, offset + lengthBytes) of the range is `memory` from `memoryOffset` on; all of them whole
   * pages. Takes the place of the part before. Accesses that cross its border, and all where something else lies over the
   * range, still come to the window, which must then act on the same bytes.
   */
  mapDirect(offset: number, lengthBytes: number, memory: DeviceMemory, memoryOffset: number): void;
  unmapDirect(): void;
}

export interface DeviceContext {
  readonly clock: Clock;
  readonly memory: GuestMemory;
  readonly log: Logger;
  /** The trace channel of that name ("pio", "ide", …). */
  trace(channel: TraceChannelName): TraceChannel;
  /** Claims `length` I/O ports from `base`. A built-in overlap is an assembly error. */
  claimPorts(base: number, length: number, window: IoWindow): void;
  /** Ports whose place the guest decides outside of a BAR (PIIX4's power management base); nowhere until placed. */
  claimMovablePorts(length: number, window: IoWindow): MovablePorts;
  /** Claims guest-physical [base, base+length) as memory-mapped registers. */
  claimMemory(base: number, length: number, window: IoWindow): ClaimedMemory;
  /** Registers in memory whose place the guest decides outside of a BAR (the local APIC's page); nowhere until placed. */
  claimMovableMemory(length: number, window: IoWindow): MovableMemory;
  /** An ISA interrupt input 0–15. */
  isaIrq(irq: number): IrqLine;
  /** Adds a PCI function at `slot`.`fn` of bus 0. Config space, BAR decoding and INTx routing are the framework's. */
  addPciFunction(slot: number, fn: number, config: PciFunctionConfig): PciFunctionHandle;
}
