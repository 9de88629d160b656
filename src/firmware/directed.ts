/**
 * Directed services: a service that needs the guest itself to act (port I/O as guest instructions, calls into other ROMs,
 * waiting with interrupts on) is a generator that yields operations; the ROM's executor loop carries each out and traps
 * back with the result. Nothing blocks the machine thread.
 *
 * A generator cannot be saved, so everything that flows into it (results of operations, memory it reads, the clock) is
 * written into a journal, and effects are skipped while a journal is replayed: a saved journal, replayed, gives the
 * generator in the same place. The same mechanism undoes a step that met a guest page fault.
 */
import { FormatError } from "../base/errors.ts";
import type { SavedValue } from "../device-api/saved-state.ts";
import type { StateReader } from "../device-api/state-reader.ts";
import { GuestFaultSignal, type VirtualCpu } from "../device-api/virtual-cpu.ts";

/** What the executor can do. Segment:offset pairs are real-mode (or V86) addresses. */
export type Operation =
  /** Back to the caller: registers and flags from the frame. */
  | { readonly kind: "done" }
  | { readonly kind: "out8"; readonly port: number; readonly value: number }
  /** Result: the byte. */
  | { readonly kind: "in8"; readonly port: number }
  | { readonly kind: "out16"; readonly port: number; readonly value: number }
  /** Result: the word. */
  | { readonly kind: "in16"; readonly port: number }
  /** Reads words and drops them; at least one. */
  | { readonly kind: "skip-words"; readonly port: number; readonly words: number }
  /** Reads until (byte & mask) equals value, at most `tries` times (≤ 65535). Result: the last byte read. */
  | {
      readonly kind: "poll8";
      readonly port: number;
      readonly mask: number;
      readonly value: number;
      readonly tries: number;
    }
  /**
   * ATA data blocks of `words` (a multiple of 256), at most `blocks` (≤ 255): for each, polls the status register at port + 7
   * until BSY is clear, at most `tries` times, and moves the block if DRQ is set without an error. The buffer must not pass
   * the segment's end. Result: the last status, and the blocks that are left in the high byte.
   */
  | {
      readonly kind: "in-blocks" | "out-blocks";
      readonly port: number;
      readonly words: number;
      readonly blocks: number;
      readonly tries: number;
      readonly segment: number;
      readonly offset: number;
    }
  | {
      readonly kind: "in-words" | "out-words";
      readonly port: number;
      readonly words: number;
      readonly segment: number;
      readonly offset: number;
    }
  /** Sleeps (real mode) or spins (V86) with interrupts on until the byte at 40:offset has a bit of mask, or a while. */
  | { readonly kind: "wait-flag"; readonly offset: number; readonly mask: number }
  /** Spends about `reads` reads of port 61h. */
  | { readonly kind: "delay"; readonly reads: number }
  /** Waits for any interrupt (real mode only). */
  | { readonly kind: "halt" }
  /** INT through the vector table, or a far call, with the registers in the call block. POST and INT 19h only. */
  | { readonly kind: "int"; readonly vector: number }
  | { readonly kind: "call"; readonly segment: number; readonly offset: number }
  /** The same with a far pointer on the stack above the return address. Result: AX. */
  | {
      readonly kind: "call-with-pointer";
      readonly segment: number;
      readonly offset: number;
      readonly pointerSegment: number;
      readonly pointerOffset: number;
    }
  /** Leaves for good: registers from the call block. */
  | { readonly kind: "jump"; readonly segment: number; readonly offset: number }
  /** The return half of INT 15h 87h after a processor reset: SS:SP given, then the frame popped. */
  | { readonly kind: "resume-frame"; readonly segment: number; readonly offset: number };

export type Directed<Result = void> = Generator<Operation, Result, number>;

type Input = number | Uint8Array;

/** What a directed service may touch. Every input is journaled, every effect skipped in replay. */
export class ServiceMemory {
  private readonly cpu: VirtualCpu;
  private readonly clock: () => number;
  /** Filled as the service runs. */
  journal: Input[] = [];
  /** While replaying, inputs come from the journal (next at `cursor`) and effects are skipped. */
  private replaying = false;
  private cursor = 0;

  constructor(cpu: VirtualCpu, clock: () => number) {
    this.cpu = cpu;
    this.clock = clock;
  }

  startReplay(journal: Input[]): void {
    this.journal = journal;
    this.cursor = 0;
    this.replaying = true;
  }

  endReplay(): void {
    this.replaying = false;
  }

  /** Whether the journal still has inputs that were not taken. */
  get hasMore(): boolean {
    return this.cursor < this.journal.length;
  }

  input(read: () => number): number {
    const value = this.take(read);
    if (typeof value !== "number") throw new FormatError("saved state: firmware journal does not fit");
    return value;
  }

  inputBytes(read: () => Uint8Array): Uint8Array {
    const value = this.take(read);
    if (!(value instanceof Uint8Array)) throw new FormatError("saved state: firmware journal does not fit");
    return value;
  }

  private take(read: () => Input): Input {
    if (this.replaying) return this.journal[this.cursor++];
    const value = read();
    this.journal.push(value);
    return value;
  }

  effect(act: () => void): void {
    if (!this.replaying) act();
  }

  nowNs(): number {
    return this.input(this.clock);
  }
  read8(linear: number): number {
    return this.input(() => this.cpu.readLinear(linear, 1));
  }
  read16(linear: number): number {
    return this.input(() => this.cpu.readLinear(linear, 2));
  }
  read32(linear: number): number {
    return this.input(() => this.cpu.readLinear(linear, 4));
  }
  readBytes(linear: number, lengthBytes: number): Uint8Array {
    return this.inputBytes(() => {
      const bytes = new Uint8Array(lengthBytes);
      this.cpu.readLinearBytes(linear, bytes);
      return bytes;
    });
  }
  write8(linear: number, value: number): void {
    this.effect(() => this.cpu.writeLinear(linear, 1, value & 0xff));
  }
  write16(linear: number, value: number): void {
    this.effect(() => this.cpu.writeLinear(linear, 2, value & 0xffff));
  }
  write32(linear: number, value: number): void {
    this.effect(() => this.cpu.writeLinear(linear, 4, value >>> 0));
  }
  writeBytes(linear: number, bytes: Uint8Array): void {
    this.effect(() => this.cpu.writeLinearBytes(linear, bytes));
  }
}

/** A directed service by name: `frame` is the linear address of the executor's frame (BP). */
export type DirectedProgram = (memory: ServiceMemory, frame: number) => Directed;

interface Running {
  readonly program: string;
  readonly frame: number;
  memory: ServiceMemory;
  generator: Directed;
  /** When it started, to find the oldest. */
  readonly serial: number;
}

/** More nested services than any sane guest has; the oldest is forgotten beyond that. */
export const SERVICE_SLOTS = 8;

/** Runs directed services, up to eight at a time, each known to its executor loop by a number on the guest's stack. */
export class DirectedServices {
  private readonly programs: ReadonlyMap<string, DirectedProgram>;
  private readonly cpu: VirtualCpu;
  private readonly clock: () => number;
  private readonly slots: (Running | undefined)[] = Array(SERVICE_SLOTS).fill(undefined);
  private serial = 0;

  constructor(programs: ReadonlyMap<string, DirectedProgram>, cpu: VirtualCpu, clock: () => number) {
    this.programs = programs;
    this.cpu = cpu;
    this.clock = clock;
  }

  reset(): void {
    this.slots.fill(undefined);
  }

  /** Starts a program: gives the slot number to keep on the stack (from 1) and the first operation. */
  begin(program: string, frame: number): { readonly id: number; readonly operation: Operation } {
    const memory = new ServiceMemory(this.cpu, this.clock);
    const generator = this.programs.get(program)!(memory, frame);
    const running: Running = { program, frame, memory, generator, serial: ++this.serial };
    const first = generator.next();
    if (first.done || first.value.kind === "done") return { id: 0, operation: { kind: "done" } };
    if (leavesForGood(first.value)) return { id: 0, operation: first.value };
    const index = this.freeSlot();
    this.slots[index] = running;
    return { id: index + 1, operation: first.value };
  }

  /** The executor carried out the last operation of program `id`. Undefined: no such program (the stack was damaged). */
  step(id: number, result: number): Operation | undefined {
    const running = this.slots[id - 1];
    if (running === undefined) return undefined;
    const checkpoint = running.memory.journal.length;
    try {
      running.memory.journal.push(result);
      const next = running.generator.next(result);
      const operation: Operation = next.done ? { kind: "done" } : next.value;
      if (operation.kind === "done" || leavesForGood(operation)) this.slots[id - 1] = undefined;
      return operation;
    } catch (error) {
      if (error instanceof GuestFaultSignal)
        this.rebuild(id - 1, running.program, running.frame, running.memory.journal.slice(0, checkpoint));
      else this.slots[id - 1] = undefined;
      throw error;
    }
  }

  private freeSlot(): number {
    const free = this.slots.indexOf(undefined);
    if (free >= 0) return free;
    let oldest = 0;
    for (let i = 1; i < SERVICE_SLOTS; i++) if (this.slots[i]!.serial < this.slots[oldest]!.serial) oldest = i;
    return oldest;
  }

  private rebuild(index: number, program: string, frame: number, journal: Input[]): void {
    const memory = new ServiceMemory(this.cpu, this.clock);
    memory.startReplay(journal);
    const generator = this.programs.get(program)!(memory, frame);
    let next = generator.next();
    while (memory.hasMore && !next.done) {
      const result = memory.input(() => 0);
      next = generator.next(result);
    }
    memory.endReplay();
    if (next.done || memory.hasMore) throw new FormatError(`saved state: firmware journal of ${program} does not fit`);
    this.slots[index] = { program, frame, memory, generator, serial: ++this.serial };
  }

  save(): SavedValue[] {
    return this.slots.map((running) => {
      const journal = running === undefined ? new Uint8Array(0) : encodeJournal(running.memory.journal);
      const frame = running?.frame ?? 0;
      return { program: running?.program ?? "", frame, journalBytes: journal.length, journal };
    });
  }

  load(saved: readonly StateReader[]): void {
    this.reset();
    saved.forEach((entry, index) => {
      const program = entry.string("program");
      const frame = entry.integer("frame", 0, 0xffffffff);
      const journal = entry.bytes("journal", entry.integer("journalBytes", 0, 0x1000000));
      entry.end();
      if (program === "") return;
      if (!this.programs.has(program)) throw new FormatError(`saved state: firmware has no service "${program}"`);
      this.rebuild(index, program, frame, decodeJournal(journal));
    });
  }
}

function leavesForGood(operation: Operation): boolean {
  return operation.kind === "jump" || operation.kind === "resume-frame";
}

const TAG_NUMBER = 0;
const TAG_BYTES = 1;

function encodeJournal(journal: readonly Input[]): Uint8Array {
  let lengthBytes = 0;
  for (const input of journal) lengthBytes += typeof input === "number" ? 9 : 5 + input.length;
  const bytes = new Uint8Array(lengthBytes);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const input of journal) {
    if (typeof input === "number") {
      bytes[at] = TAG_NUMBER;
      view.setFloat64(at + 1, input, true);
      at += 9;
    } else {
      bytes[at] = TAG_BYTES;
      view.setUint32(at + 1, input.length, true);
      bytes.set(input, at + 5);
      at += 5 + input.length;
    }
  }
  return bytes;
}

function decodeJournal(bytes: Uint8Array): Input[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const journal: Input[] = [];
  for (let at = 0; at < bytes.length; ) {
    const isNumber = bytes[at] === TAG_NUMBER;
    if (at + (isNumber ? 9 : 5) > bytes.length || bytes[at] > TAG_BYTES) throw damaged();
    if (isNumber) {
      journal.push(view.getFloat64(at + 1, true));
      at += 9;
    } else {
      const length = view.getUint32(at + 1, true);
      if (at + 5 + length > bytes.length) throw damaged();
      journal.push(bytes.slice(at + 5, at + 5 + length));
      at += 5 + length;
    }
  }
  return journal;
}

function damaged(): FormatError {
  return new FormatError("saved state: the firmware's journal is damaged");
}
