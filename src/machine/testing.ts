/**
 * A PC in the calling thread, for tests and for debugging guests: no worker, no files. It runs until something appears
 * on the serial port or the screen or until so many instructions have passed; it types on the serial port and the keyboard. Time is
 * deterministic unless asked otherwise, so a failing run fails again in the same place.
 */
import type { BlockBackend, MediumSlot } from "../backend-api/block.ts";
import type { CharBackend } from "../backend-api/char.ts";
import type { NetBackend } from "../backend-api/net.ts";
import { MemoryLogger } from "../base/logger.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";
import type { Machine, MachineEvent } from "./machine.ts";
import { assemblePc, type PcHost } from "./pc.ts";

/** A small machine: 64 MiB, one serial port, no drives. Tests override what they are about. */
export const testSpec: MachineSpec = {
  name: "test",
  uuid: "00000000-0000-4000-8000-000000000001",
  osTypeId: "Other",
  ramMiB: 64,
  vramMiB: 8,
  cpuCount: 1,
  cpu: { pae: true, nx: false },
  acpi: true,
  ioApic: false,
  hpet: false,
  rtcUseUtc: true,
  systemTimeOffsetMs: 0,
  bootOrder: ["floppy", "dvd", "disk", "none"],
  graphics: "vboxvga",
  uarts: [{ enabled: true, ioBase: 0x3f8, irq: 4, type: "16550A" }],
  parallels: [],
  nics: [],
  deterministic: { nsPerInstruction: 10 },
};

/** A serial cable: keeps what the guest says, gives it what the test types. */
export class TestSerial implements CharBackend {
  text = "";
  readonly connected = true;
  readonly #input: number[] = [];
  readonly #listeners: (() => void)[] = [];

  write(byte: number): boolean {
    this.text += String.fromCharCode(byte);
    return true;
  }
  read(): number {
    return this.#input.shift() ?? -1;
  }
  get readable(): boolean {
    return this.#input.length > 0;
  }
  onEvent(listener: () => void): void {
    this.#listeners.push(listener);
  }
  type(text: string): void {
    for (const character of text) this.#input.push(character.charCodeAt(0) & 0xff);
    for (const listener of this.#listeners) listener();
  }
}

/** A medium in memory. */
export class MemoryMedium implements BlockBackend {
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
  readonly readOnly: boolean;

  constructor(bytes: Uint8Array, readOnly = false) {
    this.bytes = bytes;
    this.sizeBytes = bytes.length;
    this.readOnly = readOnly;
  }
  read(offsetBytes: number, target: Uint8Array, done: (ok: boolean) => void): void {
    target.set(this.bytes.subarray(offsetBytes, offsetBytes + target.length));
    done(true);
  }
  write(offsetBytes: number, source: Uint8Array, done: (ok: boolean) => void): void {
    if (!this.readOnly) this.bytes.set(source, offsetBytes);
    done(!this.readOnly);
  }
  flush(done: (ok: boolean) => void): void {
    done(true);
  }
  close(): void {}
}

/** A drive's slot that a test fills and empties. */
export class TestSlot implements MediumSlot {
  medium: BlockBackend | undefined;
  readonly #listeners: (() => void)[] = [];

  constructor(medium?: BlockBackend) {
    this.medium = medium;
  }
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
  eject(): boolean {
    this.medium = undefined;
    return true;
  }
  change(medium: BlockBackend | undefined): void {
    this.medium = medium;
    for (const listener of this.#listeners) listener();
  }
}

export interface TestPcOptions {
  readonly spec?: Partial<MachineSpec>;
  /** Keys "0.0" (primary master) to "1.1"; a drive appears in the spec's controller for each (discs read-only). */
  readonly disks?: { readonly [place: string]: BlockBackend };
  readonly dvds?: { readonly [place: string]: BlockBackend | undefined };
  readonly floppies?: readonly (BlockBackend | undefined)[];
  /** The printer at the first parallel port of the spec. */
  readonly printer?: CharBackend;
  /** What the network cards of the spec are plugged into, by index. */
  readonly nets?: readonly NetBackend[];
  readonly host?: Partial<PcHost>;
}

export class TestPc {
  readonly machine: Machine;
  readonly serial: TestSerial;
  readonly log: MemoryLogger;
  readonly events: MachineEvent[];
  readonly slots: ReadonlyMap<string, TestSlot>;

  private constructor(
    machine: Machine,
    serial: TestSerial,
    log: MemoryLogger,
    events: MachineEvent[],
    slots: ReadonlyMap<string, TestSlot>,
  ) {
    this.machine = machine;
    this.serial = serial;
    this.log = log;
    this.events = events;
    this.slots = slots;
  }

  /** Assembled and powered on, nothing executed yet. */
  static async start(options: TestPcOptions = {}): Promise<TestPc> {
    const pc = await TestPc.assemble(options);
    pc.machine.powerOn();
    return pc;
  }

  /** Assembled, powered off (to load a saved state into). */
  static async assemble(options: TestPcOptions = {}): Promise<TestPc> {
    const serial = new TestSerial();
    const log = new MemoryLogger();
    const events: MachineEvent[] = [];
    const slots = new Map<string, TestSlot>();
    const drives: NonNullable<MachineSpec["ide"]>["drives"][number][] = [];
    const place = (key: string, type: "disk" | "dvd", medium: BlockBackend | undefined): void => {
      const [port, device] = key.split(".").map(Number) as [0 | 1, 0 | 1];
      slots.set(key, new TestSlot(medium));
      drives.push({ port, device, type });
    };
    for (const [key, medium] of Object.entries(options.disks ?? {})) place(key, "disk", medium);
    for (const [key, medium] of Object.entries(options.dvds ?? {})) place(key, "dvd", medium);
    const floppies = (options.floppies ?? []).map((medium) => new TestSlot(medium));
    floppies.forEach((slot, drive) => {
      slots.set(`floppy ${drive}`, slot);
    });
    const spec: MachineSpec = {
      ...testSpec,
      ...(drives.length > 0 ? { ide: { name: "IDE", model: "PIIX4", bootable: true, drives } as const } : {}),
      ...(floppies.length > 0 ? { floppy: { drives: floppies.map((_, i) => i as 0 | 1) } } : {}),
      ...options.spec,
    };
    const machine = await assemblePc(
      spec,
      {
        ide: (port, device) => slots.get(`${port}.${device}`),
        floppy: (drive) => slots.get(`floppy ${drive}`),
        uart: (index) => (index === 0 ? serial : undefined),
        parallel: (index) => (index === 0 ? options.printer : undefined),
        nic: (index) => options.nets?.[index],
      },
      {
        log,
        hostNowNs: () => performance.now() * 1e6,
        wallClock: { nowMs: () => Date.UTC(2020, 0, 1), utcOffsetMinutes: () => 0 },
        onEvent: (event) => events.push(event),
        onTripleFault: "stop",
        ...options.host,
      },
    );
    return new TestPc(machine, serial, log, events, slots);
  }

  /**
   * Runs until `isDone`, at most so many instructions. False: it ran out of instructions, the machine ended, or
   * nothing will ever happen (halted with no timer).
   */
  runUntil(isDone: () => boolean, maxInstructions = 500_000_000): boolean {
    const { cpu, loop } = this.machine;
    const end = cpu.instructionCount + maxInstructions;
    // Idle turns execute nothing; a guest that only sleeps ends too.
    for (let idleTurns = 0; idleTurns < 1_000_000; ) {
      if (isDone()) return true;
      const before = cpu.instructionCount;
      if (before >= end || !loop.step(false, end - before)) return isDone();
      idleTurns = cpu.instructionCount === before ? idleTurns + 1 : 0;
    }
    return false;
  }

  /** Runs until the serial port has said it (after `from` characters). */
  runUntilSerial(what: string | RegExp, maxInstructions?: number, from = 0): boolean {
    return this.runUntil(() => {
      const text = from === 0 ? this.serial.text : this.serial.text.slice(from);
      return typeof what === "string" ? text.includes(what) : what.test(text);
    }, maxInstructions);
  }

  /** Runs until the text screen shows it. Looks once every hundred turns. */
  runUntilScreen(what: string | RegExp, maxInstructions?: number): boolean {
    let turn = 0;
    const shows = (): boolean => {
      const text = this.screenText();
      return typeof what === "string" ? text.includes(what) : what.test(text);
    };
    return this.runUntil(() => turn++ % 100 === 0 && shows(), maxInstructions) || shows();
  }

  /** The text screen's lines without trailing blanks; "" in graphics modes. */
  screenText(): string {
    const cells = this.machine.front.display?.textCells();
    if (cells === undefined) return "";
    const lines: string[] = [];
    for (let row = 0; row < cells.rows; row++) {
      const line = cells.characters.subarray(row * cells.columns, (row + 1) * cells.columns);
      lines.push(String.fromCharCode(...line.map((c) => (c === 0 ? 0x20 : c))).trimEnd());
    }
    return lines.join("\n").trimEnd();
  }

  /** What a person debugging wants to see first. */
  describe(): string {
    const { cpu, clock } = this.machine;
    return [
      `after ${cpu.instructionCount} instructions, ${clock.lastNs} ns`,
      cpu.describe(),
      `timers: ${clock.describe().join(", ")}`,
      `screen:\n${this.screenText()}`,
      `serial:\n${this.serial.text.slice(-2000)}`,
      `log:\n${this.log.lines.slice(-20).join("\n")}`,
    ].join("\n");
  }
}
