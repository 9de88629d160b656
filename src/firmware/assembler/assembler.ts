/**
 * A small x86 assembler for ROM code: methods emit one instruction each into the current position, labels are names,
 * branches choose their short or near form when `finish` lays the code out. 16- and 32-bit code (Intel SDM volume 2); only
 * the instructions that firmware needs. Encodings are the ones NASM chooses, which tests/firmware checks with ndisasm.
 */
import { InternalError } from "../../base/errors.ts";
import { CodeLayout } from "./layout.ts";
import { type Immediate, type Memory, type OperandSize, type Register, type SegmentRegister, SP } from "./operands.ts";

/** Condition codes by their SDM numbers. */
const conditions = {
  o: 0,
  no: 1,
  b: 2,
  c: 2,
  ae: 3,
  nc: 3,
  e: 4,
  z: 4,
  ne: 5,
  nz: 5,
  be: 6,
  a: 7,
  s: 8,
  ns: 9,
  p: 10,
  np: 11,
  l: 12,
  ge: 13,
  le: 14,
  g: 15,
} as const;
export type Condition = keyof typeof conditions;

const aluCodes = { add: 0, or: 1, adc: 2, sbb: 3, and: 4, sub: 5, xor: 6, cmp: 7 } as const;
const shiftCodes = { rol: 0, ror: 1, rcl: 2, rcr: 3, shl: 4, shr: 5, sar: 7 } as const;

/** Assembles one segment: addresses are offsets in it, from `base` on. */
export class Assembler extends CodeLayout {
  // Data movement

  mov(to: Register | SegmentRegister | Memory, from: Register | SegmentRegister | Memory | Immediate): void {
    if (typeof from === "number" || typeof from === "string") {
      if (to.kind === "segment") throw new InternalError("assembler: no move of an immediate to a segment register");
      this.sizePrefix(to.size);
      if (to.kind === "register") this.emit((to.size === 8 ? 0xb0 : 0xb8) + to.code);
      else this.modRm([to.size === 8 ? 0xc6 : 0xc7], 0, to);
      this.immediate(from, to.size === 8 ? 1 : to.size === 16 ? 2 : 4);
    } else if (to.kind === "segment") {
      if (from.kind === "segment") throw new InternalError("assembler: no move between segment registers");
      this.modRm([0x8e], to.code, from);
    } else if (from.kind === "segment") {
      if (to.kind === "register") this.sizePrefix(to.size);
      this.modRm([0x8c], from.code, to);
    } else if (from.kind === "register" && to.kind === "memory" && this.isAccumulatorOffset(from, to)) {
      this.accumulatorOffset(0xa2, from, to);
    } else if (from.kind === "memory" && to.kind === "register" && this.isAccumulatorOffset(to, from)) {
      this.accumulatorOffset(0xa0, to, from);
    } else if (from.kind === "register") {
      this.sizePrefix(from.size);
      this.modRm([from.size === 8 ? 0x88 : 0x89], from.code, to);
    } else if (to.kind === "register") {
      this.sizePrefix(to.size);
      this.modRm([to.size === 8 ? 0x8a : 0x8b], to.code, from);
    } else throw new InternalError("assembler: no move from memory to memory");
  }

  movzx(to: Register, from: Register | Memory): void {
    this.sizePrefix(to.size);
    this.modRm([0x0f, from.size === 8 ? 0xb6 : 0xb7], to.code, from);
  }

  movsx(to: Register, from: Register | Memory): void {
    this.sizePrefix(to.size);
    this.modRm([0x0f, from.size === 8 ? 0xbe : 0xbf], to.code, from);
  }

  xchg(one: Register, other: Register | Memory): void {
    this.sizePrefix(one.size);
    this.modRm([one.size === 8 ? 0x86 : 0x87], one.code, other);
  }

  lea(to: Register, from: Memory): void {
    this.sizePrefix(to.size);
    this.modRm([0x8d], to.code, from);
  }

  lds(to: Register, from: Memory): void {
    this.sizePrefix(to.size);
    this.modRm([0xc5], to.code, from);
  }

  les(to: Register, from: Memory): void {
    this.sizePrefix(to.size);
    this.modRm([0xc4], to.code, from);
  }

  push(from: Register | SegmentRegister | Memory | number): void {
    if (typeof from === "number") {
      if (from >= -128 && from <= 127) this.emit(0x6a, from);
      else {
        this.emit(0x68);
        this.immediate(from, this.bitsNow === 16 ? 2 : 4);
      }
    } else if (from.kind === "segment") this.segmentStack(from, 0x06, 0xa0);
    else {
      this.sizePrefix(from.size);
      if (from.kind === "register") this.emit(0x50 + from.code);
      else this.modRm([0xff], 6, from);
    }
  }

  pop(to: Register | SegmentRegister | Memory): void {
    if (to.kind === "segment") this.segmentStack(to, 0x07, 0xa1);
    else {
      this.sizePrefix(to.size);
      if (to.kind === "register") this.emit(0x58 + to.code);
      else this.modRm([0x8f], 0, to);
    }
  }

  /** All eight general registers, 32 bits wide in either code size. */
  pushad(): void {
    this.sizePrefix(32);
    this.emit(0x60);
  }

  popad(): void {
    this.sizePrefix(32);
    this.emit(0x61);
  }

  pusha(): void {
    this.sizePrefix(16);
    this.emit(0x60);
  }

  popa(): void {
    this.sizePrefix(16);
    this.emit(0x61);
  }

  // Arithmetic and logic

  add(to: Register | Memory, from: Register | Memory | Immediate): void {
    this.alu("add", to, from);
  }
  adc(to: Register | Memory, from: Register | Memory | Immediate): void {
    this.alu("adc", to, from);
  }
  sub(to: Register | Memory, from: Register | Memory | Immediate): void {
    this.alu("sub", to, from);
  }
  sbb(to: Register | Memory, from: Register | Memory | Immediate): void {
    this.alu("sbb", to, from);
  }
  and(to: Register | Memory, from: Register | Memory | Immediate): void {
    this.alu("and", to, from);
  }
  or(to: Register | Memory, from: Register | Memory | Immediate): void {
    this.alu("or", to, from);
  }
  xor(to: Register | Memory, from: Register | Memory | Immediate): void {
    this.alu("xor", to, from);
  }
  cmp(to: Register | Memory, from: Register | Memory | Immediate): void {
    this.alu("cmp", to, from);
  }

  test(to: Register | Memory, from: Register | number): void {
    this.sizePrefix(to.size);
    if (typeof from !== "number") this.modRm([to.size === 8 ? 0x84 : 0x85], from.code, to);
    else {
      if (to.kind === "register" && to.code === 0) this.emit(to.size === 8 ? 0xa8 : 0xa9);
      else this.modRm([to.size === 8 ? 0xf6 : 0xf7], 0, to);
      this.immediate(from, to.size === 8 ? 1 : to.size === 16 ? 2 : 4);
    }
  }

  inc(to: Register | Memory): void {
    this.incDec(to, 0x40, 0);
  }

  dec(to: Register | Memory): void {
    this.incDec(to, 0x48, 1);
  }

  not(to: Register | Memory): void {
    this.group3(2, to);
  }
  neg(to: Register | Memory): void {
    this.group3(3, to);
  }
  mul(by: Register | Memory): void {
    this.group3(4, by);
  }
  div(by: Register | Memory): void {
    this.group3(6, by);
  }

  shl(to: Register | Memory, count: number | Register): void {
    this.shift("shl", to, count);
  }
  shr(to: Register | Memory, count: number | Register): void {
    this.shift("shr", to, count);
  }
  sar(to: Register | Memory, count: number | Register): void {
    this.shift("sar", to, count);
  }
  rol(to: Register | Memory, count: number | Register): void {
    this.shift("rol", to, count);
  }
  ror(to: Register | Memory, count: number | Register): void {
    this.shift("ror", to, count);
  }
  rcl(to: Register | Memory, count: number | Register): void {
    this.shift("rcl", to, count);
  }
  rcr(to: Register | Memory, count: number | Register): void {
    this.shift("rcr", to, count);
  }

  // Port I/O: the port is DX or an immediate below 256

  in(to: Register, port: Register | number): void {
    this.sizePrefix(to.size);
    if (typeof port === "number") this.emit(to.size === 8 ? 0xe4 : 0xe5, port);
    else this.emit(to.size === 8 ? 0xec : 0xed);
  }

  out(port: Register | number, from: Register): void {
    this.sizePrefix(from.size);
    if (typeof port === "number") this.emit(from.size === 8 ? 0xe6 : 0xe7, port);
    else this.emit(from.size === 8 ? 0xee : 0xef);
  }

  // String instructions

  rep(): void {
    this.emit(0xf3);
  }
  repne(): void {
    this.emit(0xf2);
  }
  insw(): void {
    this.string(0x6d, 16);
  }
  outsw(): void {
    this.string(0x6f, 16);
  }
  insb(): void {
    this.emit(0x6c);
  }
  outsb(): void {
    this.emit(0x6e);
  }
  insd(): void {
    this.string(0x6d, 32);
  }
  outsd(): void {
    this.string(0x6f, 32);
  }
  movsb(): void {
    this.emit(0xa4);
  }
  movsw(): void {
    this.string(0xa5, 16);
  }
  stosb(): void {
    this.emit(0xaa);
  }
  stosw(): void {
    this.string(0xab, 16);
  }
  lodsb(): void {
    this.emit(0xac);
  }
  lodsw(): void {
    this.string(0xad, 16);
  }
  /** A segment override prefix, for string instructions. */
  segment(override: SegmentRegister): void {
    this.emit(segmentPrefixes[override.code]);
  }

  // Control transfer

  jmp(target: string | Register | Memory): void {
    if (typeof target === "string") this.branch(target, 0xeb, [0xe9]);
    else {
      this.sizePrefix(target.size);
      this.modRm([0xff], 4, target);
    }
  }

  call(target: string | Register | Memory): void {
    if (typeof target === "string") this.branch(target, undefined, [0xe8]);
    else {
      this.sizePrefix(target.size);
      this.modRm([0xff], 2, target);
    }
  }

  /** Jump if the condition holds: `j("nz", "again")`. */
  j(condition: Condition, target: string): void {
    const code = conditions[condition];
    this.branch(target, 0x70 + code, [0x0f, 0x80 + code]);
  }

  jcxz(target: string): void {
    this.branch(target, 0xe3, undefined);
  }

  loop(target: string): void {
    this.branch(target, 0xe2, undefined);
  }

  jmpFar(selector: number, offset: Immediate, offsetBits: 16 | 32 = this.bitsNow): void {
    this.sizePrefix(offsetBits);
    this.emit(0xea);
    this.immediate(offset, offsetBits === 16 ? 2 : 4);
    this.immediate(selector, 2);
  }

  callFar(selector: number, offset: Immediate): void {
    this.emit(0x9a);
    this.immediate(offset, this.bitsNow === 16 ? 2 : 4);
    this.immediate(selector, 2);
  }

  /** Through a 16:16 (16:32 in 32-bit code) pointer in memory. */
  callFarAt(pointer: Memory): void {
    this.modRm([0xff], 3, pointer);
  }

  jmpFarAt(pointer: Memory): void {
    this.modRm([0xff], 5, pointer);
  }

  ret(): void {
    this.emit(0xc3);
  }

  retf(popBytes = 0): void {
    if (popBytes === 0) this.emit(0xcb);
    else {
      this.emit(0xca);
      this.immediate(popBytes, 2);
    }
  }

  iret(): void {
    this.emit(0xcf);
  }

  int(vector: number): void {
    this.emit(0xcd, vector);
  }

  // Flags and the processor

  pushf(): void {
    this.emit(0x9c);
  }
  popf(): void {
    this.emit(0x9d);
  }
  lahf(): void {
    this.emit(0x9f);
  }
  sahf(): void {
    this.emit(0x9e);
  }
  clc(): void {
    this.emit(0xf8);
  }
  stc(): void {
    this.emit(0xf9);
  }
  cmc(): void {
    this.emit(0xf5);
  }
  cli(): void {
    this.emit(0xfa);
  }
  sti(): void {
    this.emit(0xfb);
  }
  cld(): void {
    this.emit(0xfc);
  }
  std(): void {
    this.emit(0xfd);
  }
  hlt(): void {
    this.emit(0xf4);
  }
  nop(): void {
    this.emit(0x90);
  }
  cbw(): void {
    this.string(0x98, 16);
  }
  /** FNCLEX and FNINIT are the two that interrupt handlers and POST want. */
  fnclex(): void {
    this.emit(0xdb, 0xe2);
  }
  fninit(): void {
    this.emit(0xdb, 0xe3);
  }
  lgdt(from: Memory): void {
    this.modRm([0x0f, 0x01], 2, from);
  }
  lidt(from: Memory): void {
    this.modRm([0x0f, 0x01], 3, from);
  }
  /** The low word of CR0, the only way a 286 (and a monitor) leaves no 0F 20 behind. */
  lmsw(from: Register): void {
    this.modRm([0x0f, 0x01], 6, from);
  }
  movFromCr0(to: Register): void {
    this.emit(0x0f, 0x20, 0xc0 + to.code);
  }
  movToCr0(from: Register): void {
    this.emit(0x0f, 0x22, 0xc0 + from.code);
  }
  wbinvd(): void {
    this.emit(0x0f, 0x09);
  }

  // Encoding

  private sizePrefix(size: OperandSize): void {
    if (size !== 8 && size !== this.bitsNow) this.emit(0x66);
  }

  private string(opcode: number, size: OperandSize): void {
    this.sizePrefix(size);
    this.emit(opcode);
  }

  private segmentStack(segment: SegmentRegister, oneByte: number, twoByte: number): void {
    if (segment.code < 4) this.emit(oneByte + segment.code * 8);
    else this.emit(0x0f, twoByte + (segment.code - 4) * 8);
  }

  private alu(name: keyof typeof aluCodes, to: Register | Memory, from: Register | Memory | Immediate): void {
    const code = aluCodes[name];
    this.sizePrefix(to.size);
    if (typeof from === "object") {
      if (from.kind === "register") this.modRm([code * 8 + (to.size === 8 ? 0 : 1)], from.code, to);
      else if (to.kind === "register") this.modRm([code * 8 + (to.size === 8 ? 2 : 3)], to.code, from);
      else throw new InternalError("assembler: two memory operands");
      return;
    }
    const isAccumulator = to.kind === "register" && to.code === 0;
    if (to.size === 8) {
      if (isAccumulator) this.emit(code * 8 + 4);
      else this.modRm([0x80], code, to);
      this.immediate(from, 1);
    } else if (typeof from === "number" && from >= -128 && from <= 127) {
      this.modRm([0x83], code, to);
      this.immediate(from, 1);
    } else {
      if (isAccumulator) this.emit(code * 8 + 5);
      else this.modRm([0x81], code, to);
      this.immediate(from, to.size === 16 ? 2 : 4);
    }
  }

  private incDec(to: Register | Memory, oneByte: number, extension: number): void {
    this.sizePrefix(to.size);
    if (to.kind === "register" && to.size !== 8) this.emit(oneByte + to.code);
    else this.modRm([to.size === 8 ? 0xfe : 0xff], extension, to);
  }

  private group3(extension: number, to: Register | Memory): void {
    this.sizePrefix(to.size);
    this.modRm([to.size === 8 ? 0xf6 : 0xf7], extension, to);
  }

  private shift(name: keyof typeof shiftCodes, to: Register | Memory, count: number | Register): void {
    const code = shiftCodes[name];
    const wide = to.size === 8 ? 0 : 1;
    this.sizePrefix(to.size);
    if (count === 1) this.modRm([0xd0 + wide], code, to);
    else if (typeof count === "number") {
      this.modRm([0xc0 + wide], code, to);
      this.emit(count);
    } else this.modRm([0xd2 + wide], code, to);
  }

  private isAccumulatorOffset(register: Register, memory: Memory): boolean {
    return register.code === 0 && memory.registers.length === 0;
  }

  private accumulatorOffset(opcode: number, register: Register, memory: Memory): void {
    if (memory.segment) this.segment(memory.segment);
    this.sizePrefix(register.size);
    this.emit(opcode + (register.size === 8 ? 0 : 1));
    this.displacement(memory, this.bitsNow === 16 ? 2 : 4);
  }

  private displacement(memory: Memory, sizeBytes: 1 | 2 | 4): void {
    if (memory.label === undefined) this.immediate(memory.displacement, sizeBytes);
    else this.reference(memory.label, memory.displacement, sizeBytes);
  }

  /** Opcode, ModRM and displacement. A segment override goes before a size prefix already emitted or not: order is free. */
  private modRm(opcode: readonly number[], field: number, operand: Register | Memory): void {
    if (operand.kind === "register") {
      this.emit(...opcode, 0xc0 | (field << 3) | operand.code);
      return;
    }
    if (operand.segment) this.segment(operand.segment);
    this.emit(...opcode);
    const { registers, displacement, label } = operand;
    if (registers.length === 0) {
      this.emit((field << 3) | (this.bitsNow === 16 ? 6 : 5));
      this.displacement(operand, this.bitsNow === 16 ? 2 : 4);
      return;
    }
    const rm = this.bitsNow === 16 ? rm16(registers) : rm32(registers);
    const needsDisplacement = this.bitsNow === 16 ? rm === 6 : rm === 5;
    const isShort = label === undefined && displacement >= -128 && displacement <= 127;
    const mode = label === undefined && displacement === 0 && !needsDisplacement ? 0 : isShort ? 1 : 2;
    this.emit((mode << 6) | (field << 3) | rm);
    if (this.bitsNow === 32 && rm === SP.code) this.emit(0x24);
    if (mode === 1) this.emit(displacement);
    else if (mode === 2) this.displacement(operand, this.bitsNow === 16 ? 2 : 4);
  }
}

const segmentPrefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** The r/m field of a 16-bit address: [BX+SI] [BX+DI] [BP+SI] [BP+DI] [SI] [DI] [BP] [BX]. */
function rm16(registers: readonly Register[]): number {
  const key = registers
    .map((register) => {
      if (register.size !== 16) throw new InternalError("assembler: 16-bit address with another register size");
      return register.code;
    })
    .sort()
    .join("+");
  const rm = { "3+6": 0, "3+7": 1, "5+6": 2, "5+7": 3, "6": 4, "7": 5, "5": 6, "3": 7 }[key];
  if (rm === undefined) throw new InternalError(`assembler: no such 16-bit address (${key})`);
  return rm;
}

/** A base register alone: firmware's 32-bit code needs no index. */
function rm32(registers: readonly Register[]): number {
  if (registers.length !== 1 || registers[0].size !== 32)
    throw new InternalError("assembler: 32-bit addresses take one 32-bit base register");
  return registers[0].code;
}
