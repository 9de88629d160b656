/**
 * A caller's registers as a service sees and changes them. Immediate services take them from the CPU at the trap (the
 * stub has pushed nothing, so the interrupt's flags image lies at SS:SP+4); directed services take them from the frame
 * that the stub pushed. Nothing is written before `commit`, so a page fault on the way leaves the caller untouched, and
 * only what changed is written, so high halves and unlisted registers survive.
 */
import type { VirtualCpu } from "../device-api/virtual-cpu.ts";
import type { ServiceMemory } from "./directed.ts";

export const FLAG_CARRY = 0x0001;
export const FLAG_ZERO = 0x0040;
export const FLAG_INTERRUPT = 0x0200;

const names = ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"] as const;
type GeneralName = (typeof names)[number];

const low = (value: number) => value & 0xff;
const high = (value: number) => (value >>> 8) & 0xff;
const withLow = (value: number, byte: number) => ((value & 0xffffff00) | (byte & 0xff)) >>> 0;
const withHigh = (value: number, byte: number) => ((value & 0xffff00ff) | ((byte & 0xff) << 8)) >>> 0;
const withWord = (value: number, word: number) => ((value & 0xffff0000) | (word & 0xffff)) >>> 0;

export class Caller {
  eax = 0;
  ebx = 0;
  ecx = 0;
  edx = 0;
  esi = 0;
  edi = 0;
  ebp = 0;
  ds = 0;
  es = 0;
  /** Linear bases of DS and ES at the call. */
  dsBase = 0;
  esBase = 0;
  flags = 0;

  get ax(): number {
    return this.eax & 0xffff;
  }
  set ax(value: number) {
    this.eax = withWord(this.eax, value);
  }
  get al(): number {
    return low(this.eax);
  }
  set al(value: number) {
    this.eax = withLow(this.eax, value);
  }
  get ah(): number {
    return high(this.eax);
  }
  set ah(value: number) {
    this.eax = withHigh(this.eax, value);
  }
  get bx(): number {
    return this.ebx & 0xffff;
  }
  set bx(value: number) {
    this.ebx = withWord(this.ebx, value);
  }
  get bl(): number {
    return low(this.ebx);
  }
  set bl(value: number) {
    this.ebx = withLow(this.ebx, value);
  }
  get bh(): number {
    return high(this.ebx);
  }
  set bh(value: number) {
    this.ebx = withHigh(this.ebx, value);
  }
  get cx(): number {
    return this.ecx & 0xffff;
  }
  set cx(value: number) {
    this.ecx = withWord(this.ecx, value);
  }
  get cl(): number {
    return low(this.ecx);
  }
  set cl(value: number) {
    this.ecx = withLow(this.ecx, value);
  }
  get ch(): number {
    return high(this.ecx);
  }
  set ch(value: number) {
    this.ecx = withHigh(this.ecx, value);
  }
  get dx(): number {
    return this.edx & 0xffff;
  }
  set dx(value: number) {
    this.edx = withWord(this.edx, value);
  }
  get dl(): number {
    return low(this.edx);
  }
  set dl(value: number) {
    this.edx = withLow(this.edx, value);
  }
  get dh(): number {
    return high(this.edx);
  }
  set dh(value: number) {
    this.edx = withHigh(this.edx, value);
  }
  get si(): number {
    return this.esi & 0xffff;
  }
  set si(value: number) {
    this.esi = withWord(this.esi, value);
  }
  get di(): number {
    return this.edi & 0xffff;
  }
  set di(value: number) {
    this.edi = withWord(this.edi, value);
  }
  get bp(): number {
    return this.ebp & 0xffff;
  }

  get carry(): boolean {
    return (this.flags & FLAG_CARRY) !== 0;
  }
  set carry(on: boolean) {
    this.flags = on ? this.flags | FLAG_CARRY : this.flags & ~FLAG_CARRY;
  }
  set zero(on: boolean) {
    this.flags = on ? this.flags | FLAG_ZERO : this.flags & ~FLAG_ZERO;
  }
  /** The caller returns with interrupts on. */
  enableInterrupts(): void {
    this.flags |= FLAG_INTERRUPT;
  }

  /** Success with carry clear and AH = 0, or failure with carry set and AH = `status`. */
  finish(status: number): void {
    this.carry = status !== 0;
    this.ah = status;
  }
}

/** Where flags go: into the image that IRET will pop, or live (far-called protected-mode entries). */
export type FlagsPlace = "stacked" | "live";

/** The registers of a trap in an immediate service. */
export class TrapCaller extends Caller {
  private readonly cpu: VirtualCpu;
  private readonly before: { [name in GeneralName]: number };
  private readonly flagsPlace: FlagsPlace;
  private readonly flagsLinear: number;
  private readonly flagsBefore: number;
  private readonly esBefore: number;

  constructor(cpu: VirtualCpu, flagsPlace: FlagsPlace) {
    super();
    this.cpu = cpu;
    this.flagsPlace = flagsPlace;
    this.before = {} as { [name in GeneralName]: number };
    for (const name of names) this.before[name] = this[name] = cpu.getRegister(name) >>> 0;
    const ds = cpu.getSegment("ds");
    const es = cpu.getSegment("es");
    this.ds = ds.selector;
    this.dsBase = ds.base;
    this.es = this.esBefore = es.selector;
    this.esBase = es.base;
    if (flagsPlace === "live") {
      this.flagsLinear = 0;
      this.flags = cpu.getRegister("eflags") >>> 0;
    } else {
      const stack = cpu.getSegment("ss");
      const pointer = cpu.getRegister("esp") + 4;
      const isWide = cpu.mode === "protected" && stack.limit > 0xffff;
      this.flagsLinear = (stack.base + (isWide ? pointer : pointer & 0xffff)) >>> 0;
      this.flags = cpu.readLinear(this.flagsLinear, 2);
    }
    this.flagsBefore = this.flags;
  }

  /** Writes what changed. `retry` leaves carry set in the CPU's own flags: the stub asks again (zero: it may sleep). */
  commit(retry: "no" | "sleep" | "spin" = "no"): void {
    const { cpu } = this;
    if (this.flagsPlace === "stacked") {
      if (this.flags !== this.flagsBefore) cpu.writeLinear(this.flagsLinear, 2, this.flags & 0xffff);
      const live = cpu.getRegister("eflags") & ~(FLAG_CARRY | FLAG_ZERO);
      const answer = retry === "no" ? 0 : retry === "sleep" ? FLAG_CARRY | FLAG_ZERO : FLAG_CARRY;
      cpu.setRegister("eflags", (live | answer) >>> 0);
    } else if (this.flags !== this.flagsBefore) cpu.setRegister("eflags", this.flags);
    for (const name of names) if (this[name] !== this.before[name]) cpu.setRegister(name, this[name] >>> 0);
    if (this.es !== this.esBefore) cpu.setSegment("es", this.es);
  }
}

/** Offsets in the frame of a directed service: ES, DS, PUSHAD's registers, then the interrupt's IP, CS, FLAGS. */
const frameOffset = { es: 0, ds: 2, edi: 4, esi: 8, ebp: 12, ebx: 20, edx: 24, ecx: 28, eax: 32, flags: 40 } as const;
const FRAME_BYTES = 42;

/** The registers in the frame of a directed service. Real mode or V86 only. */
export class FrameCaller extends Caller {
  private readonly memory: ServiceMemory;
  private readonly frame: number;
  private readonly before: DataView;

  constructor(memory: ServiceMemory, frame: number) {
    super();
    this.memory = memory;
    this.frame = frame;
    const bytes = memory.readBytes(frame, FRAME_BYTES);
    this.before = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const name of names) this[name] = this.before.getUint32(frameOffset[name], true);
    this.ds = this.before.getUint16(frameOffset.ds, true);
    this.es = this.before.getUint16(frameOffset.es, true);
    this.dsBase = this.ds * 16;
    this.esBase = this.es * 16;
    this.flags = this.before.getUint16(frameOffset.flags, true);
  }

  commit(): void {
    const { before, frame, memory } = this;
    for (const name of names) {
      if (this[name] >>> 0 !== before.getUint32(frameOffset[name], true))
        memory.write32(frame + frameOffset[name], this[name]);
    }
    if (this.es !== before.getUint16(frameOffset.es, true)) memory.write16(frame + frameOffset.es, this.es);
    if (this.flags !== before.getUint16(frameOffset.flags, true)) memory.write16(frame + frameOffset.flags, this.flags);
  }
}
