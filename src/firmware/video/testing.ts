/**
 * An x86 emulator as operating systems carry them to run a video BIOS: its own memory, ports forwarded, nothing else of the
 * machine. It knows only 8086 instructions that such emulators certainly have and throws on all others, string I/O and wide
 * port accesses included. Only tests import this file.
 */

export interface RunnerPorts {
  in(port: number): number;
  out(port: number, value: number): void;
}

export interface RunnerRegisters {
  readonly ax?: number;
  readonly bx?: number;
  readonly cx?: number;
  readonly dx?: number;
  readonly si?: number;
  readonly di?: number;
  readonly bp?: number;
  readonly ds?: number;
  readonly es?: number;
}

const [AX, CX, DX, BX, SP, BP, SI, DI] = [0, 1, 2, 3, 4, 5, 6, 7];
const [ES, CS, SS, DS] = [0, 1, 2, 3];
const CARRY = 1;
const ZERO = 0x40;
const SIGN = 0x80;
const DIRECTION = 0x400;
const STACK_SEGMENT = 0x3000;
const RETURN_SEGMENT = 0x5000;

export class RomRunner {
  readonly memory = new Uint8Array(0x110000);
  readonly regs = new Uint16Array(8);
  readonly segs = new Uint16Array(4);
  /** Called for writes to A0000h–BFFFFh and reads from there, if given. */
  aperture: { read(offset: number): number; write(offset: number, value: number): void } | undefined;
  instructions = 0;
  /** Lowest stack pointer seen. */
  lowestStack = 0xffff;
  private ip = 0;
  private flags = 0;
  private readonly ports: RunnerPorts;

  constructor(ports: RunnerPorts) {
    this.ports = ports;
  }

  /** Far-calls a routine; it returns by RETF (or IRET, if `isInterrupt`). */
  call(segment: number, offset: number, registers: RunnerRegisters, isInterrupt: boolean): void {
    const { regs, segs } = this;
    const r = registers;
    regs.set([r.ax ?? 0, r.cx ?? 0, r.dx ?? 0, r.bx ?? 0, 0x1000, r.bp ?? 0, r.si ?? 0, r.di ?? 0]);
    segs.set([r.es ?? 0, 0, STACK_SEGMENT, r.ds ?? 0]);
    this.lowestStack = 0x1000;
    this.flags = 0;
    if (isInterrupt) this.push(0);
    this.push(RETURN_SEGMENT);
    this.push(0);
    segs[CS] = segment;
    this.ip = offset;
    for (const end = this.instructions + 50_000_000; !(segs[CS] === RETURN_SEGMENT && this.ip === 0); ) {
      if (this.instructions++ > end) throw new Error("the routine does not return");
      this.step();
    }
  }

  int(vector: number, registers: RunnerRegisters): void {
    this.call(this.word(vector * 4 + 2), this.word(vector * 4), registers, true);
  }

  byte(linear: number): number {
    if (this.aperture && linear >= 0xa0000 && linear < 0xc0000) return this.aperture.read(linear - 0xa0000);
    return this.memory[linear];
  }
  word(linear: number): number {
    return this.byte(linear) | (this.byte(linear + 1) << 8);
  }
  setByte(linear: number, value: number): void {
    if (this.aperture && linear >= 0xa0000 && linear < 0xc0000) this.aperture.write(linear - 0xa0000, value & 0xff);
    else if (linear < 0xc0000) this.memory[linear] = value;
  }
  setWord(linear: number, value: number): void {
    this.setByte(linear, value & 0xff);
    this.setByte(linear + 1, value >> 8);
  }

  private fetch(): number {
    const byte = this.memory[this.segs[CS] * 16 + this.ip];
    this.ip = (this.ip + 1) & 0xffff;
    return byte;
  }
  private fetchWord(): number {
    const low = this.fetch();
    return low | (this.fetch() << 8);
  }
  private push(value: number): void {
    this.regs[SP] -= 2;
    this.lowestStack = Math.min(this.lowestStack, this.regs[SP]);
    this.setWord(this.segs[SS] * 16 + this.regs[SP], value);
  }
  private pop(): number {
    const value = this.word(this.segs[SS] * 16 + this.regs[SP]);
    this.regs[SP] += 2;
    return value;
  }
  private reg8(code: number): number {
    return code < 4 ? this.regs[code] & 0xff : this.regs[code - 4] >> 8;
  }
  private setReg8(code: number, value: number): void {
    const index = code & 3;
    this.regs[index] =
      code < 4 ? (this.regs[index] & 0xff00) | (value & 0xff) : (this.regs[index] & 0xff) | ((value & 0xff) << 8);
  }
  private has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** A decoded ModRM operand: a register code or a linear address. */
  private modRm(override: number): { reg: number; rm: number; linear: number } {
    const byte = this.fetch();
    const reg = (byte >> 3) & 7;
    const rm = byte & 7;
    const mode = byte >> 6;
    if (mode === 3) return { reg, rm, linear: -1 };
    const { regs } = this;
    const bases = [
      regs[BX] + regs[SI],
      regs[BX] + regs[DI],
      regs[BP] + regs[SI],
      regs[BP] + regs[DI],
      regs[SI],
      regs[DI],
      regs[BP],
      regs[BX],
    ];
    let offset = bases[rm];
    let segment = rm === 2 || rm === 3 || rm === 6 ? SS : DS;
    if (mode === 0 && rm === 6) {
      offset = this.fetchWord();
      segment = DS;
    } else if (mode === 1) offset += (this.fetch() << 24) >> 24;
    else if (mode === 2) offset += this.fetchWord();
    if (override >= 0) segment = override;
    return { reg, rm, linear: this.segs[segment] * 16 + (offset & 0xffff) };
  }

  private read(operand: { rm: number; linear: number }, isWord: boolean): number {
    if (operand.linear < 0) return isWord ? this.regs[operand.rm] : this.reg8(operand.rm);
    return isWord ? this.word(operand.linear) : this.byte(operand.linear);
  }
  private write(operand: { rm: number; linear: number }, isWord: boolean, value: number): void {
    if (operand.linear >= 0) {
      if (isWord) this.setWord(operand.linear, value & 0xffff);
      else this.setByte(operand.linear, value);
    } else if (isWord) this.regs[operand.rm] = value;
    else this.setReg8(operand.rm, value);
  }

  private setResult(value: number, isWord: boolean, carry: boolean): number {
    const mask = isWord ? 0xffff : 0xff;
    const result = value & mask;
    this.flags =
      (this.flags & ~(CARRY | ZERO | SIGN)) |
      (carry ? CARRY : 0) |
      (result === 0 ? ZERO : 0) |
      (result > mask >> 1 ? SIGN : 0);
    return result;
  }

  private alu(operation: number, one: number, other: number, isWord: boolean): number {
    const mask = isWord ? 0xffff : 0xff;
    switch (operation) {
      case 0:
        return this.setResult(one + other, isWord, one + other > mask);
      case 1:
        return this.setResult(one | other, isWord, false);
      case 4:
        return this.setResult(one & other, isWord, false);
      case 5:
      case 7:
        return this.setResult(one - other, isWord, one < other);
      case 6:
        return this.setResult(one ^ other, isWord, false);
    }
    throw new Error(`ALU operation ${operation} is not on the list`);
  }

  private step(): void {
    const { ports, regs, segs } = this;
    let override = -1;
    let repeat = false;
    let opcode = this.fetch();
    for (; ; opcode = this.fetch()) {
      if ((opcode & 0xe7) === 0x26) override = (opcode >> 3) & 3;
      else if (opcode === 0xf3) repeat = true;
      else break;
    }
    const isWord = (opcode & 1) !== 0;
    if (opcode < 0x40 && (opcode & 7) < 6) {
      this.aluInstruction(opcode, isWord, override);
      return;
    }
    if (opcode >= 0x70 && opcode < 0x80) {
      const distance = (this.fetch() << 24) >> 24;
      if (this.condition(opcode & 15)) this.ip = (this.ip + distance) & 0xffff;
      return;
    }
    switch (opcode & 0xf8) {
      case 0x40:
      case 0x48: {
        const carry = this.has(CARRY);
        regs[opcode & 7] = this.setResult(regs[opcode & 7] + (opcode < 0x48 ? 1 : -1), true, carry);
        return;
      }
      case 0x50:
        this.push(regs[opcode & 7]);
        return;
      case 0x58:
        regs[opcode & 7] = this.pop();
        return;
      case 0xb0:
        this.setReg8(opcode & 7, this.fetch());
        return;
      case 0xb8:
        regs[opcode & 7] = this.fetchWord();
        return;
    }
    switch (opcode) {
      case 0x06:
      case 0x0e:
      case 0x16:
      case 0x1e:
        this.push(segs[(opcode >> 3) & 3]);
        return;
      case 0x07:
      case 0x1f:
        segs[(opcode >> 3) & 3] = this.pop();
        return;
      case 0x80:
      case 0x81:
      case 0x83: {
        const operand = this.modRm(override);
        const immediate =
          opcode === 0x81 ? this.fetchWord() : opcode === 0x83 ? ((this.fetch() << 24) >> 24) & 0xffff : this.fetch();
        const result = this.alu(operand.reg, this.read(operand, isWord), immediate, isWord);
        if (operand.reg !== 7) this.write(operand, isWord, result);
        return;
      }
      case 0x84:
      case 0x85: {
        const operand = this.modRm(override);
        const other = isWord ? regs[operand.reg] : this.reg8(operand.reg);
        this.setResult(this.read(operand, isWord) & other, isWord, false);
        return;
      }
      case 0x86:
      case 0x87: {
        const operand = this.modRm(override);
        const old = this.read(operand, isWord);
        this.write(operand, isWord, isWord ? regs[operand.reg] : this.reg8(operand.reg));
        if (isWord) regs[operand.reg] = old;
        else this.setReg8(operand.reg, old);
        return;
      }
      case 0x88:
      case 0x89: {
        const operand = this.modRm(override);
        this.write(operand, isWord, isWord ? regs[operand.reg] : this.reg8(operand.reg));
        return;
      }
      case 0x8a:
      case 0x8b: {
        const operand = this.modRm(override);
        if (isWord) regs[operand.reg] = this.read(operand, true);
        else this.setReg8(operand.reg, this.read(operand, false));
        return;
      }
      case 0x8c: {
        const operand = this.modRm(override);
        this.write(operand, true, segs[operand.reg & 3]);
        return;
      }
      case 0x8e: {
        const operand = this.modRm(override);
        segs[operand.reg & 3] = this.read(operand, true);
        return;
      }
      case 0xa0:
      case 0xa1:
      case 0xa2:
      case 0xa3: {
        const linear = segs[override < 0 ? DS : override] * 16 + this.fetchWord();
        const operand = { rm: 0, linear };
        if (opcode >= 0xa2) this.write(operand, isWord, isWord ? regs[AX] : this.reg8(0));
        else if (isWord) regs[AX] = this.word(linear);
        else this.setReg8(0, this.byte(linear));
        return;
      }
      case 0xa4:
      case 0xa5:
      case 0xaa:
      case 0xab:
      case 0xac:
        this.string(opcode, isWord, repeat, override);
        return;
      case 0xc3:
        this.ip = this.pop();
        return;
      case 0xc6:
      case 0xc7: {
        const operand = this.modRm(override);
        this.write(operand, isWord, isWord ? this.fetchWord() : this.fetch());
        return;
      }
      case 0xcb:
        this.ip = this.pop();
        segs[CS] = this.pop();
        return;
      case 0xcd: {
        const vector = this.fetch();
        this.push(this.flags);
        this.push(segs[CS]);
        this.push(this.ip);
        segs[CS] = this.word(vector * 4 + 2);
        this.ip = this.word(vector * 4);
        return;
      }
      case 0xcf:
        this.ip = this.pop();
        segs[CS] = this.pop();
        this.flags = this.pop();
        return;
      case 0xd0:
      case 0xd1: {
        const operand = this.modRm(override);
        if (operand.reg !== 4 && operand.reg !== 5) break;
        const value = this.read(operand, isWord);
        if (operand.reg === 5) {
          this.write(operand, isWord, this.setResult(value >> 1, isWord, (value & 1) !== 0));
          return;
        }
        this.write(operand, isWord, this.setResult(value * 2, isWord, value * 2 > (isWord ? 0xffff : 0xff)));
        return;
      }
      case 0xe2:
      case 0xe3: {
        const distance = (this.fetch() << 24) >> 24;
        const isTaken = opcode === 0xe2 ? (regs[CX] = (regs[CX] - 1) & 0xffff) !== 0 : regs[CX] === 0;
        if (isTaken) this.ip = (this.ip + distance) & 0xffff;
        return;
      }
      case 0xe8: {
        const distance = this.fetchWord();
        this.push(this.ip);
        this.ip = (this.ip + distance) & 0xffff;
        return;
      }
      case 0xe9: {
        const distance = this.fetchWord();
        this.ip = (this.ip + distance) & 0xffff;
        return;
      }
      case 0xeb: {
        const distance = (this.fetch() << 24) >> 24;
        this.ip = (this.ip + distance) & 0xffff;
        return;
      }
      case 0xec:
        this.setReg8(0, ports.in(regs[DX]));
        return;
      case 0xee:
        ports.out(regs[DX], this.reg8(0));
        return;
      case 0xf6: {
        const operand = this.modRm(override);
        if (operand.reg !== 4) break;
        regs[AX] = this.reg8(0) * this.read(operand, false);
        return;
      }
      case 0xfa:
      case 0xfb:
        return;
      case 0xfe: {
        const operand = this.modRm(override);
        if (operand.reg > 1) break;
        const value = this.read(operand, false) + (operand.reg === 0 ? 1 : -1);
        this.write(operand, false, this.setResult(value, false, this.has(CARRY)));
        return;
      }
      case 0xfc:
        this.flags &= ~DIRECTION;
        return;
      case 0xfd:
        this.flags |= DIRECTION;
        return;
      case 0xff: {
        const operand = this.modRm(override);
        if (operand.reg !== 4) break;
        this.ip = this.read(operand, true);
        return;
      }
    }
    throw new Error(`opcode ${opcode.toString(16)}h at ${segs[CS].toString(16)}:${this.ip.toString(16)} is not simple`);
  }

  private aluInstruction(opcode: number, isWord: boolean, override: number): void {
    const operation = opcode >> 3;
    if ((opcode & 7) >= 4) {
      const immediate = isWord ? this.fetchWord() : this.fetch();
      const result = this.alu(operation, isWord ? this.regs[AX] : this.reg8(0), immediate, isWord);
      if (operation !== 7) this.write({ rm: 0, linear: -1 }, isWord, result);
      return;
    }
    const operand = this.modRm(override);
    const register = isWord ? this.regs[operand.reg] : this.reg8(operand.reg);
    const toRegister = (opcode & 2) !== 0;
    const value = this.read(operand, isWord);
    const result = toRegister
      ? this.alu(operation, register, value, isWord)
      : this.alu(operation, value, register, isWord);
    if (operation === 7) return;
    this.write(toRegister ? { rm: operand.reg, linear: -1 } : operand, isWord, result);
  }

  private condition(code: number): boolean {
    const holds = [
      false,
      this.has(CARRY),
      this.has(ZERO),
      this.has(CARRY) || this.has(ZERO),
      this.has(SIGN),
      false,
      false,
      false,
    ][code >> 1];
    if (code >> 1 === 0 || code >> 1 > 4) throw new Error(`condition ${code} is not on the list`);
    return (code & 1) !== 0 ? !holds : holds;
  }

  private string(opcode: number, isWord: boolean, repeat: boolean, override: number): void {
    const { regs, segs } = this;
    const size = (isWord ? 2 : 1) * (this.has(DIRECTION) ? -1 : 1);
    const once = () => {
      const source = segs[override < 0 ? DS : override] * 16 + regs[SI];
      const target = segs[ES] * 16 + regs[DI];
      if (opcode === 0xac) this.setReg8(0, this.byte(source));
      else if (opcode >= 0xaa) this.write({ rm: 0, linear: target }, isWord, isWord ? regs[AX] : this.reg8(0));
      else this.write({ rm: 0, linear: target }, isWord, isWord ? this.word(source) : this.byte(source));
      if (opcode < 0xaa || opcode === 0xac) regs[SI] += size;
      if (opcode < 0xac) regs[DI] += size;
    };
    if (!repeat) once();
    else for (; regs[CX] !== 0; regs[CX]--) once();
  }
}
