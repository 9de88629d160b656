/**
 * States for an encoding: registers, flags, stack and memory such that the instruction does something worth comparing.
 * First any edge values, then the stack, then what the particular instruction looks at, last the registers that address
 * its memory operand.
 */
import {
  chooseCodeOffset,
  chooseOffset,
  chooseSelector,
  type Form,
  type MemoryForm,
  pick,
  type Random,
} from "./instruction-forms.ts";
import {
  BACKGROUND,
  baseOf,
  CS_FLAT,
  dataOffset,
  entryOf,
  type SegmentedCases,
  type SegmentedCaseWriter,
  segment,
  selectorOf,
} from "./segmented-case.ts";
import { integer } from "./values.ts";

const EAX = 0;
const ECX = 1;
const EDX = 2;
const EBX = 3;
const ESP = 4;
const EBP = 5;
const ESI = 6;
const EDI = 7;
const FLAG_TF = 0x100;
const FLAG_DF = 0x400;
const FLAG_AC = 0x40000;

const chance = (random: Random, percent: number): boolean => random() % 100 < percent;

/** An edge value of 8, 16 or 32 bits, with edge values above it. */
export function value(random: Random): number {
  const kind = random() % 4;
  if (kind === 0) return integer(random);
  if (kind === 1) return ((integer(random) & 0xffff) | (integer(random) << 16)) >>> 0;
  if (kind === 2)
    return (pick(random, [0, 1, 0x7f, 0x80, 0xff, 0x0f, 0x10, 0xfe]) | (integer(random) & 0xffffff00)) >>> 0;
  return random();
}

export function littleEndian(...words: readonly [number, number][]): Uint8Array {
  const bytes: number[] = [];
  for (const [word, size] of words) for (let n = 0; n < size; n++) bytes.push((word >>> (n * 8)) & 255);
  return Uint8Array.from(bytes);
}

/** Adds one case of the encoding. */
export function addCase(cases: SegmentedCases, form: Form, random: Random): void {
  const item = cases.add(form.bytes, form.codeOffset);
  for (let number = 0; number < 6; number++) item.setSegment(number, form.segments[number]);
  for (let r = 0; r < 8; r++) item.setGpr(r, value(random));
  let flags = 0x202 | (random() & 0x8d5);
  if (chance(random, form.row.options.usesAddressWidth === true ? 40 : 10)) flags |= FLAG_DF;
  if (chance(random, 4)) flags |= FLAG_TF;
  if (form.isAlignmentChecked) flags |= FLAG_AC;
  item.setEflags(flags);
  item.setGpr(ESP, chooseStackPointer(form, random));
  const state = new CaseState(item, form, random);
  state.prepare();
  if (form.memory !== undefined) {
    state.aim(form.memory);
    state.prepareOperand(form.memory);
  }
}

function chooseStackPointer(form: Form, random: Random): number {
  const selector = form.segments[segment.ss];
  const isBig = selector === CS_FLAT || entryOf(selector) === undefined || entryOf(selector)?.is32 === true;
  let offset = chooseOffset(selector, isBig ? 32 : 16, 4, random);
  // Mostly aligned: other stacks are rare.
  if (chance(random, 80)) offset = (offset & ~3) >>> 0;
  return isBig ? offset : ((offset & 0xffff) | (value(random) & 0xffff0000)) >>> 0;
}

class CaseState {
  readonly #item: SegmentedCaseWriter;
  readonly #form: Form;
  readonly #random: Random;
  constructor(item: SegmentedCaseWriter, form: Form, random: Random) {
    this.#item = item;
    this.#form = form;
    this.#random = random;
  }

  /** Linear address of an offset in a segment register's segment. */
  #linear(number: number, offset: number): number {
    return (baseOf(this.#item.segment(number)) + offset) >>> 0;
  }

  #isBigStack(): boolean {
    const selector = this.#item.segment(segment.ss);
    return (selector & 4) === 0 || entryOf(selector)?.is32 === true;
  }

  /** Puts values on the stack, the first on top. */
  #patchStack(...words: readonly [number, number][]): void {
    const esp = this.#item.gpr(ESP);
    this.#item.patch(this.#linear(segment.ss, this.#isBigStack() ? esp : esp & 0xffff), littleEndian(...words));
  }

  /** Sets a register's part of the operand or address width. */
  #setPart(register: number, width: number, part: number): void {
    if (width === 32) this.#item.setGpr(register, part >>> 0);
    else this.#item.setGpr(register, ((this.#item.gpr(register) & 0xffff0000) | (part & 0xffff)) >>> 0);
  }

  prepare(): void {
    const item = this.#item;
    const random = this.#random;
    const form = this.#form;
    const { row, width } = form;
    const size = width / 8;
    const codeSelector = item.segment(segment.cs);
    switch (row.mnemonic) {
      case "rol":
      case "ror":
      case "rcl":
      case "rcr":
      case "shl":
      case "shr":
      case "sal":
      case "sar":
      case "shld":
      case "shrd":
        item.setGpr(ECX, pick(random, [0, 1, 2, 7, 8, 9, 15, 16, 17, 18, 31, 32, 33, 63, 0xff, 0x1234_5610, random()]));
        break;
      case "bt":
      case "bts":
      case "btr":
      case "btc":
        // Bit strings reach far: not into the code window.
        item.setGpr(
          form.reg,
          pick(random, [0, 7, 31, 32, -1, -32, -33, 0xffff, 0x8000, 0x7fff, (random() << 14) >> 14]) >>> 0,
        );
        break;
      case "div":
      case "idiv":
        this.#prepareDivision();
        break;
      case "aam":
      case "aad":
        break;
      case "loop":
      case "loope":
      case "loopne":
      case "jcxz":
        item.setGpr(ECX, pick(random, [0, 1, 2, 3, 0x10000, 0x10001, 0xffff0000, 0xffff0001, 0xffffffff, random()]));
        break;
      case "xlat": {
        const used = form.override >= 0 ? form.override : segment.ds;
        const offset = chooseOffset(item.segment(used), form.addressWidth, 1, random);
        this.#setPart(EBX, form.addressWidth, offset - (item.gpr(EAX) & 0xff));
        break;
      }
      case "pop":
        if (/^[ECSDFG]S$/.test(row.operands[0])) this.#patchStack([chooseSelector(random), 2], [random(), 2]);
        else this.#patchStack([value(random), 4]);
        break;
      case "push":
        // Processors differ in what the upper half of a pushed selector holds.
        if (/^[ECSDFG]S$/.test(row.operands[0])) {
          const sp = (item.gpr(ESP) - 4) >>> 0;
          item.patch(this.#linear(segment.ss, this.#isBigStack() ? sp : sp & 0xffff), new Uint8Array(4));
        }
        break;
      case "popf":
        this.#patchStack([chance(random, 50) ? random() : random() & 0x244ed5, 4]);
        break;
      case "popa":
        this.#patchStack(...[0, 1, 2, 3, 4, 5, 6, 7].map((): [number, number] => [value(random), 4]));
        break;
      case "ret":
        this.#patchStack([chooseCodeOffset(codeSelector, random), size]);
        break;
      case "retf":
      case "iret": {
        const selector = chooseSelector(random, true);
        const flags = chance(random, 50) ? random() : random() & 0x244ed5;
        // VM is ignored at level 3.
        const words: [number, number][] = [
          [chooseCodeOffset(selector, random), size],
          [selector | (random() << 16), size],
        ];
        if (row.mnemonic === "iret") words.push([flags, size]);
        this.#patchStack(...words);
        break;
      }
      case "enter":
        this.#setPart(EBP, this.#isBigStack() ? 32 : 16, item.gpr(ESP) + pick(random, [0, 4, 16, 32, 128, -64]));
        break;
      case "leave":
        this.#setPart(EBP, this.#isBigStack() ? 32 : 16, chooseStackPointer(form, random));
        break;
      case "jmp":
      case "call":
        if (row.operands[0] === "Ev" && form.memory === undefined)
          item.setGpr(form.rm, chooseCodeOffset(codeSelector, random));
        break;
      case "mov":
        if (row.operands[0] === "Sw" && form.memory === undefined) this.#setPart(form.rm, 16, chooseSelector(random));
        break;
      case "arpl":
        this.#setPart(form.reg, 16, chooseSelector(random));
        if (form.memory === undefined && form.rm !== form.reg) this.#setPart(form.rm, 16, chooseSelector(random));
        break;
      case "lar":
      case "lsl":
      case "verr":
      case "verw":
        if (form.memory === undefined) this.#setPart(form.rm, 16, chooseSelector(random));
        break;
    }
    if (/^(mov|cmp|sto|lod|sca|in|out)s?b?$/.test(row.mnemonic) && /^c[bv]$/.test(row.operands[0] ?? ""))
      this.#prepareString();
  }

  /** A dividend whose quotient mostly fits, for a divisor in a register (a divisor in memory follows in prepareOperand). */
  #prepareDivision(): void {
    const item = this.#item;
    const random = this.#random;
    const { rm, memory, row } = this.#form;
    const width = row.operands[0] === "Eb" ? 8 : this.#form.width;
    if (memory !== undefined) return;
    if (width === 8) {
      if (rm === 0 || rm === 4) return;
      const register = rm & 3;
      this.#setDividend(8, (item.gpr(register) >>> (rm >= 4 ? 8 : 0)) & 255);
    } else if (rm !== EAX && rm !== EDX && chance(random, 90)) this.#setDividend(width, item.gpr(rm));
  }

  #setDividend(width: number, divisor: number): void {
    const random = this.#random;
    if (chance(random, 25)) return;
    const isSigned = this.#form.row.mnemonic === "idiv";
    const bits = BigInt(width);
    const d = isSigned ? BigInt.asIntN(width, BigInt(divisor)) : BigInt.asUintN(width, BigInt(divisor));
    const edges = [0n, 1n, -1n, (1n << bits) - 1n, 1n << (bits - 1n), (1n << (bits - 1n)) - 1n, BigInt(value(random))];
    let quotient = pick(random, edges);
    quotient = isSigned ? BigInt.asIntN(width, quotient) : BigInt.asUintN(width, quotient);
    let dividend = quotient * d;
    const magnitude = d < 0n ? -d : d;
    if (magnitude > 1n) {
      const remainder = pick(random, [0n, 1n, magnitude - 1n, BigInt(random()) % magnitude]);
      dividend += dividend < 0n ? -remainder : remainder;
    }
    dividend += pick(random, [0n, 0n, 0n, 0n, 1n, -1n]);
    const raw = BigInt.asUintN(width * 2, dividend);
    if (width === 8) this.#setPart(EAX, 16, Number(raw));
    else {
      this.#setPart(EAX, width, Number(raw & ((1n << bits) - 1n)));
      this.#setPart(EDX, width, Number(raw >> bits));
    }
  }

  #prepareString(): void {
    const item = this.#item;
    const random = this.#random;
    const { addressWidth, repeat, override, row } = this.#form;
    const size = row.operands[0] === "cb" ? 1 : this.#form.width / 8;
    const source = chooseOffset(item.segment(override >= 0 ? override : segment.ds), addressWidth, size, random);
    let destination = chooseOffset(item.segment(segment.es), addressWidth, size, random);
    // Overlaps, also a little above the source.
    if (chance(random, 25)) destination = source + pick(random, [-8, -4, -1, 0, 1, 2, 3, 4, 5, 8, 16, 64]);
    const count =
      repeat === 0
        ? value(random)
        : pick(random, [0, 1, 2, 3, 4, 5, 8, 16, 63, 64, 255, 600, 2000, 0x10000, 0x10001, 0x10004]);
    item.setGpr(ECX, repeat !== 0 && addressWidth === 32 && count > 0xffff ? 0x3000 : count);
    item.setGpr(ESI, (source | (addressWidth === 16 ? random() << 16 : 0)) >>> 0);
    item.setGpr(
      EDI,
      ((destination & (addressWidth === 16 ? 0xffff : -1)) | (addressWidth === 16 ? random() << 16 : 0)) >>> 0,
    );
    // Equal beginnings for comparisons.
    const from = dataOffset(this.#linear(override >= 0 ? override : segment.ds, source));
    const to = this.#linear(segment.es, destination);
    const length = pick(random, [1, 2, 4, 8, 12, 40]);
    if (/^cmps/.test(row.mnemonic) && from >= 0 && chance(random, 70)) {
      const isDown = (item.eflags & FLAG_DF) !== 0;
      const first = isDown ? from - length + size : from;
      const bytes = BACKGROUND.slice(Math.max(first, 0), Math.max(first, 0) + length);
      if (repeat === 0xf2) for (let n = 0; n < bytes.length; n++) bytes[n] = ~bytes[n];
      item.patch(isDown ? to - length + size : to, bytes);
    }
    if (/^scas/.test(row.mnemonic)) {
      if (chance(random, 60)) {
        // A run of the accumulator's value, or one far away.
        const eax = item.gpr(EAX);
        const bytes = new Uint8Array(length + 4).map((_, n) => eax >>> ((n & (size - 1)) * 8));
        item.patch(repeat === 0xf3 ? to : to + size * pick(random, [1, 2, 7]), bytes);
      }
    }
    if (/^stos/.test(row.mnemonic) && chance(random, 40))
      item.setGpr(EAX, pick(random, [0, 0xffffffff, 0x20202020, 0x07200720]));
  }

  /** Sets the address registers so that the memory operand lies where something can be seen; now and then anywhere. */
  aim(memory: MemoryForm): void {
    if (memory.base < 0 && memory.index < 0) return;
    const isWrapping = this.#item.segment(memory.segment) === selectorOf("wrap32");
    if (!isWrapping && chance(this.#random, 2) && isOurs(this.#operandAddress(memory))) return;
    do this.#aimOnce(memory);
    while (!isOurs(this.#operandAddress(memory)));
  }

  #aimOnce(memory: MemoryForm): void {
    const item = this.#item;
    const random = this.#random;
    const { base, index, scale, displacement, addressWidth } = memory;
    const size = operandBytes(this.#form);
    const wanted = chooseOffset(item.segment(memory.segment), addressWidth, size, random) - displacement;
    const mask = addressWidth === 16 ? 0xffff : 0xffffffff;
    const set = (register: number, part: number) => this.#setPart(register, addressWidth, part & mask);
    if (base < 0) set(index, wanted >>> scale);
    else if (index === base) {
      // (1 + 2^scale) x = wanted: by the inverse, or half of it.
      const factor = (1 << scale) + 1;
      set(base, factor === 2 ? wanted >>> 1 : Math.imul(wanted, inverse(factor)));
    } else {
      const scaled = index < 0 ? 0 : Math.imul(item.gpr(index), 1 << scale);
      set(base, wanted - scaled);
    }
  }

  /** Linear address of the memory operand with the registers as they are. */
  #operandAddress(memory: MemoryForm): number {
    const item = this.#item;
    let offset = memory.displacement;
    if (memory.base >= 0) offset += item.gpr(memory.base);
    if (memory.index >= 0) offset += Math.imul(item.gpr(memory.index), 1 << memory.scale);
    return this.#linear(memory.segment, memory.addressWidth === 16 ? offset & 0xffff : offset >>> 0);
  }

  /** What the memory operand holds. */
  prepareOperand(memory: MemoryForm): void {
    const item = this.#item;
    const random = this.#random;
    const form = this.#form;
    const { row, width } = form;
    const size = width / 8;
    const linear = this.#operandAddress(memory);
    const codeSelector = item.segment(segment.cs);
    switch (row.mnemonic) {
      case "jmp":
      case "call":
        item.patch(linear, littleEndian([chooseCodeOffset(codeSelector, random), size]));
        return;
      case "jmpf":
      case "callf": {
        const selector = chooseSelector(random, true);
        item.patch(linear, littleEndian([chooseCodeOffset(selector, random), size], [selector, 2]));
        return;
      }
      case "les":
      case "lds":
      case "lss":
      case "lfs":
      case "lgs":
        item.patch(linear, littleEndian([value(random), size], [chooseSelector(random), 2]));
        return;
      case "lar":
      case "lsl":
      case "verr":
      case "verw":
      case "arpl":
        item.patch(linear, littleEndian([chooseSelector(random), 2]));
        return;
      case "bound": {
        const bounds = [value(random), value(random)].map((x) => (width === 16 ? (x << 16) >> 16 : x | 0));
        if (chance(random, 70)) bounds.sort((a, b) => a - b);
        item.patch(linear, littleEndian([bounds[0], size], [bounds[1], size]));
        if (form.reg !== memory.base && form.reg !== memory.index && chance(random, 70))
          item.setGpr(form.reg, (pick(random, bounds) + pick(random, [-1, 0, 1])) >>> 0);
        return;
      }
      case "cmpxchg": {
        const bytes = row.operands[0] === "Eb" ? 1 : size;
        const old = value(random);
        item.patch(linear, littleEndian([old, bytes]));
        if (memory.base !== EAX && memory.index !== EAX && chance(random, 60)) item.setGpr(EAX, old);
        return;
      }
      case "cmpxchg8b": {
        const old = [value(random), value(random)];
        item.patch(linear, littleEndian([old[0], 4], [old[1], 4]));
        const isFree = (register: number) => memory.base !== register && memory.index !== register;
        if (isFree(EAX) && isFree(EDX) && chance(random, 70)) {
          item.setGpr(EAX, old[0]);
          item.setGpr(EDX, old[1]);
        }
        return;
      }
      case "div":
      case "idiv": {
        const divisorBytes = row.operands[0] === "Eb" ? 1 : size;
        const divisor = value(random);
        item.patch(linear, littleEndian([divisor, divisorBytes]));
        if (memory.base !== EAX && memory.base !== EDX && memory.index !== EAX && memory.index !== EDX)
          this.#setDividend(divisorBytes * 8, divisor);
        return;
      }
      case "mov":
        if (row.operands[0] === "Sw") item.patch(linear, littleEndian([chooseSelector(random), 2]));
        else item.patch(linear, littleEndian([value(random), 4]));
        return;
      default:
        item.patch(linear, littleEndian([value(random), 4]));
    }
  }
}

/** Not among the pages of the native runner itself: program and heap, libraries and stack. */
function isOurs(linear: number): boolean {
  return (linear < 0x08000000 || linear >= 0x10000000) && (linear < 0xf1000000 || linear >= 0xffffe000);
}

/** Size of the memory operand, for addresses around limits. */
function operandBytes(form: Form): number {
  const code = form.row.operands.find((item) => /^[EMO]/.test(item)) ?? "Ev";
  if (/b$/.test(code)) return 1;
  if (/w|S$/.test(code)) return 2;
  if (code === "Mp") return form.width / 8 + 2;
  if (code === "Ms") return 6;
  if (code === "Ma") return form.width / 4;
  if (code === "Mq") return 8;
  return form.width / 8;
}

/** Of an odd factor modulo 2^32. */
function inverse(factor: number): number {
  let x = factor;
  for (let n = 0; n < 5; n++) x = Math.imul(x, 2 - Math.imul(factor, x));
  return x;
}
