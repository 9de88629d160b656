/**
 * A guest that does nothing but call BIOS interrupts for a test: a boot sector (from an IDE disk, or from a CD) waits for a
 * request in memory, loads the registers, executes INT n and stores what came back. The test sits outside and sees the
 * guest's memory.
 */
import type { BlockBackend } from "../../src/backend-api/block.ts";
import { Assembler } from "../../src/firmware/assembler/assembler.ts";
import {
  AL,
  AX,
  DS,
  EAX,
  EBP,
  EBX,
  ECX,
  EDI,
  EDX,
  ES,
  ESI,
  m8,
  m16,
  m32,
  SP,
  SS,
} from "../../src/firmware/assembler/operands.ts";
import { MemoryMedium, TestPc, type TestPcOptions } from "../../src/machine/testing.ts";

const names = ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"] as const;
type General = (typeof names)[number];
export type CallRegisters = Partial<Record<General | "ds" | "es" | "flags", number>>;

export interface CallResult extends Record<General, number> {
  readonly ds: number;
  readonly es: number;
  readonly flags: number;
  readonly carry: boolean;
  readonly zero: boolean;
  readonly ax: number;
  readonly ah: number;
  readonly al: number;
  readonly bx: number;
  readonly cx: number;
  readonly dx: number;
  /** Bytes of the caller's stack that the call touched. */
  readonly stackBytes: number;
}

const BLOCK = 0x7e00;
const registerAt = (name: General) => BLOCK + 0x10 + names.indexOf(name) * 4;
const DS_AT = BLOCK + 0x2c;
const ES_AT = BLOCK + 0x2e;
const FLAGS_AT = BLOCK + 0x30;
const READY = 1;
const STACK_TOP = 0x7000;
const PAINTED_BYTES = 1024;
const PAINT = 0xa5;
/** Free for tests. */
export const BUFFER = 0x10000;

/** The boot sector. Its block at 7E00h: state byte, then registers. */
export function callerBootSector(): Uint8Array {
  const a = new Assembler(0x7c00, 0);
  const registers = { eax: EAX, ebx: EBX, ecx: ECX, edx: EDX, esi: ESI, edi: EDI, ebp: EBP } as const;
  a.cli();
  a.xor(AX, AX);
  a.mov(DS, AX);
  a.mov(SS, AX);
  a.mov(SP, STACK_TOP);
  a.sti();
  a.mov(m8(BLOCK), 0);
  a.mov(m16(BLOCK + 2), 0x4341);
  a.label("wait");
  a.cmp(m8(BLOCK), READY);
  a.j("ne", "wait");
  a.mov(AX, m16(BLOCK + 4));
  a.mov(m8("vector"), AL);
  a.jmp("flush");
  a.label("flush");
  for (const name of names) a.mov(registers[name], m32(registerAt(name)));
  a.mov(ES, m16(ES_AT));
  a.push(m16(FLAGS_AT));
  a.mov(DS, m16(DS_AT));
  a.popf();
  a.db(0xcd);
  a.label("vector");
  a.db(0);
  a.pushf();
  a.push(DS);
  a.push(ES);
  for (const name of names) a.push(registers[name]);
  a.xor(AX, AX);
  a.mov(DS, AX);
  for (const name of [...names].reverse()) a.pop(m32(registerAt(name)));
  a.pop(m16(ES_AT));
  a.pop(m16(DS_AT));
  a.pop(m16(FLAGS_AT));
  a.sti();
  a.cld();
  a.mov(m8(BLOCK), 0);
  a.jmp("wait");
  a.origin(0x7dfe);
  a.db(0x55, 0xaa);

  return a.finish();
}

/** A bootable CD with one image; enough for El Torito, not a file system. */
export function elToritoDisc(image: Uint8Array, mediaType: number, loadSectors: number, extraSectors = 16): Uint8Array {
  const imageLba = 20;
  const iso = new Uint8Array((imageLba + Math.ceil(image.length / 2048) + extraSectors) * 2048);
  const view = new DataView(iso.buffer);
  const text = (at: number, string: string) => {
    for (let i = 0; i < string.length; i++) iso[at + i] = string.charCodeAt(i);
  };
  const record = 17 * 2048;
  text(record + 1, "CD001");
  iso[record + 6] = 1;
  text(record + 7, "EL TORITO SPECIFICATION");
  view.setUint32(record + 0x47, 19, true);
  const catalogue = 19 * 2048;
  iso[catalogue] = 1;
  iso[catalogue + 30] = 0x55;
  iso[catalogue + 31] = 0xaa;
  let sum = 0;
  for (let i = 0; i < 32; i += 2) sum += view.getUint16(catalogue + i, true);
  view.setUint16(catalogue + 28, -sum & 0xffff, true);
  iso[catalogue + 32] = 0x88;
  iso[catalogue + 33] = mediaType;
  view.setUint16(catalogue + 38, loadSectors, true);
  view.setUint32(catalogue + 40, imageLba, true);
  iso.set(image, imageLba * 2048);
  return iso;
}

/** A disk of so many sectors whose boot sector is the caller; each other sector holds its number. */
export function numberedDisk(sectors: number): Uint8Array {
  const disk = new Uint8Array(sectors * 512);
  const view = new DataView(disk.buffer);
  for (let lba = 1; lba < sectors; lba++) {
    view.setUint32(lba * 512, lba, true);
    view.setUint32(lba * 512 + 508, ~lba >>> 0, true);
  }
  disk.set(callerBootSector());
  return disk;
}

export class BiosCaller {
  readonly pc: TestPc;
  /** Where the caller's low memory lies. */
  private low = 0;

  private constructor(pc: TestPc) {
    this.pc = pc;
  }

  /** Boots from the given drives; the first in the boot order must hold the caller's boot sector. */
  static async boot(options: TestPcOptions = {}): Promise<BiosCaller> {
    const pc = await TestPc.start(options);
    const caller = new BiosCaller(pc);
    const isUp = pc.runUntil(() => caller.memory.read16(BLOCK + 2) === 0x4341, 400_000_000);
    if (!isUp) throw new Error(`the caller did not start\n${pc.describe()}`);
    return caller;
  }

  /** The same caller, running in another machine (that a saved state was loaded into). */
  inPc(pc: TestPc): BiosCaller {
    return new BiosCaller(pc);
  }

  /** With the caller on an IDE disk of 16 MiB, and whatever else is asked. */
  static async bootFromDisk(options: TestPcOptions = {}, disk?: BlockBackend): Promise<BiosCaller> {
    const medium = disk ?? new MemoryMedium(numberedDisk(32768));
    const spec = { bootOrder: ["disk", "none", "none", "none"], ...options.spec } as TestPcOptions["spec"];
    return BiosCaller.boot({ ...options, spec, disks: { "0.0": medium, ...options.disks } });
  }

  get memory() {
    return this.pc.machine.memory;
  }

  /** Runs `act` with the caller's block and stack at another place (a V86 program's memory). */
  withLowMemoryAt<Result>(gpa: number, act: () => Result): Result {
    this.low = gpa;
    try {
      return act();
    } finally {
      this.low = 0;
    }
  }

  bytes(gpa: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.memory.read(gpa, bytes);
    return bytes;
  }

  /** Executes INT `vector`. Registers not given are 0; interrupts are on unless `flags` says otherwise. */
  call(vector: number, registers: CallRegisters = {}, maxInstructions = 100_000_000): CallResult {
    this.begin(vector, registers);
    if (!this.pc.runUntil(() => this.isDone, maxInstructions))
      throw new Error(`INT ${vector.toString(16)}h did not return\n${this.pc.describe()}`);
    return this.result();
  }

  /** Starts a call without waiting for it. */
  begin(vector: number, registers: CallRegisters = {}): void {
    const { low, memory } = this;
    memory.write(low + STACK_TOP - PAINTED_BYTES, new Uint8Array(PAINTED_BYTES).fill(PAINT));
    for (const name of names) memory.write32(low + registerAt(name), (registers[name] ?? 0) >>> 0);
    memory.write16(low + DS_AT, registers.ds ?? 0);
    memory.write16(low + ES_AT, registers.es ?? 0);
    memory.write16(low + FLAGS_AT, registers.flags ?? 0x0202);
    memory.write16(low + BLOCK + 4, vector);
    memory.write8(low + BLOCK, READY);
  }

  get isDone(): boolean {
    return this.memory.read8(BLOCK) === 0;
  }

  result(): CallResult {
    const { low, memory } = this;
    const values = Object.fromEntries(names.map((name) => [name, memory.read32(low + registerAt(name))])) as Record<
      General,
      number
    >;
    const flags = memory.read16(low + FLAGS_AT);
    const stack = this.bytes(low + STACK_TOP - PAINTED_BYTES, PAINTED_BYTES);
    const touched = stack.findIndex((byte) => byte !== PAINT);
    return {
      ...values,
      ds: memory.read16(low + DS_AT),
      es: memory.read16(low + ES_AT),
      flags,
      carry: (flags & 1) !== 0,
      zero: (flags & 0x40) !== 0,
      ax: values.eax & 0xffff,
      ah: (values.eax >>> 8) & 0xff,
      al: values.eax & 0xff,
      bx: values.ebx & 0xffff,
      cx: values.ecx & 0xffff,
      dx: values.edx & 0xffff,
      stackBytes: touched < 0 ? 0 : PAINTED_BYTES - touched,
    };
  }
}
