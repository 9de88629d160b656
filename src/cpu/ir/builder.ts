/**
 * The builder that semantics functions write to: `sem(b, insn)`. TypeScript control flow that depends only on the decoded
 * instruction is partial evaluation; everything dynamic goes through here. Integers of 8, 16 and 32 bits travel as i32
 * values, zero extended unless said otherwise; 64 bits as i64.
 *
 * Rule: every possible fault comes before the first irrevocable write. The builder keeps track and throws when a
 * semantics function loads, or checks, after it has written (stores are checked before they write).
 */
import type { Operand } from "../decode/operand.ts";
import * as L from "../layout.ts";
import { float, op, simd } from "../wasm/opcodes.ts";
import { F32, F64, I32, I64, Node, pseudo, type Statement, typeOfSize, V128, Variable } from "./node.ts";

/** Condition codes as encoded in Jcc, SETcc, CMOVcc. */
export const condition = {
  o: 0,
  no: 1,
  b: 2,
  nb: 3,
  z: 4,
  nz: 5,
  be: 6,
  nbe: 7,
  s: 8,
  ns: 9,
  p: 10,
  np: 11,
  l: 12,
  nl: 13,
  le: 14,
  nle: 15,
} as const;

export class Builder {
  statements: Statement[] = [];
  #hasWritten = false;

  // ---- statements and control ------------------------------------------------------------------------------------

  protected push(statement: Statement): void {
    this.statements.push(statement);
  }

  protected pure(node: Node): Node {
    this.push({ kind: "let", node, isImpure: false });
    return node;
  }

  protected impure(node: Node): Node {
    this.push({ kind: "let", node, isImpure: true });
    return node;
  }

  #mayFault(what: string): void {
    if (this.#hasWritten) throw new Error(`semantics: ${what} after an irrevocable write`);
  }

  /** For instructions that commit in steps (string iterations, POPA …): from here a fault is again allowed. */
  commit(): void {
    this.#hasWritten = false;
  }

  if(cond: Node, then: () => void, otherwise?: () => void): void {
    const outer = this.statements;
    const before = this.#hasWritten;
    const thenList: Statement[] = [];
    this.statements = thenList;
    then();
    const afterThen = this.#hasWritten;
    this.#hasWritten = before;
    const elseList: Statement[] = [];
    this.statements = elseList;
    otherwise?.();
    this.statements = outer;
    this.#hasWritten = this.#hasWritten || afterThen;
    this.push({ kind: "if", condition: cond, whenTrue: thenList, whenFalse: elseList });
  }

  /** Runs `body`; again while the value it returns is true. */
  loop(body: () => Node): void {
    const outer = this.statements;
    const list: Statement[] = [];
    this.statements = list;
    const again = body();
    this.statements = outer;
    this.push({ kind: "loop", body: list, condition: again });
  }

  variable(initial: Node): Variable {
    const variable = new Variable(initial.type);
    this.set(variable, initial);
    return variable;
  }

  set(variable: Variable, value: Node): void {
    this.push({ kind: "setVariable", variable, value });
  }

  get(variable: Variable): Node {
    return this.pure(new Node(variable.type, pseudo.variable, [], 0, { variable }));
  }

  // ---- constants and arithmetic ----------------------------------------------------------------------------------

  i32(value: number): Node {
    return new Node(I32, op.i32Const, [], value | 0);
  }

  i64(value: bigint | number): Node {
    return new Node(I64, op.i64Const, [], 0, { big: BigInt(value) });
  }

  /** A constant of the type that holds `width` bits. */
  constant(width: number, value: number): Node {
    return width === 64 ? this.i64(value) : this.i32(value);
  }

  /** Any WebAssembly operator. */
  raw(
    type: typeof I32 | typeof I64 | typeof F32 | typeof F64 | typeof V128,
    opcode: number,
    args: readonly Node[],
    imm = 0,
  ): Node {
    return this.pure(new Node(type, opcode, args, imm));
  }

  // ---- floating point and vectors --------------------------------------------------------------------------------

  /** Scalar floating-point operator; its type follows from the opcode. */
  float(opcode: number, ...args: readonly Node[]): Node {
    return this.raw(floatType(opcode), opcode, args);
  }

  /** Vector constant of two quadwords, low one first. */
  vector(low: bigint, high: bigint = low): Node {
    return new Node(V128, simd.v128Const, [], 0, { big: BigInt.asUintN(64, low) | (BigInt.asUintN(64, high) << 64n) });
  }

  /** Vector operator without a lane number (SIMD opcodes of wasm/opcodes.ts). */
  simd(opcode: number, ...args: readonly Node[]): Node {
    return this.raw(isVectorTest(opcode) ? I32 : V128, opcode, args);
  }

  /** extract_lane operators; the type follows from the opcode. */
  lane(opcode: number, vector: Node, lane: number): Node {
    const type =
      opcode === simd.i64x2ExtractLane
        ? I64
        : opcode === simd.f32x4ExtractLane
          ? F32
          : opcode === simd.f64x2ExtractLane
            ? F64
            : I32;
    return this.raw(type, opcode, [vector], lane);
  }

  /** replace_lane operators. */
  withLane(opcode: number, vector: Node, lane: number, value: Node): Node {
    return this.raw(V128, opcode, [vector, value], lane);
  }

  /** Bytes 0–15 are those of `a`, 16–31 those of `b`. */
  shuffle(a: Node, b: Node, bytes: readonly number[]): Node {
    let big = 0n;
    for (let n = 15; n >= 0; n--) big = (big << 8n) | BigInt(bytes[n]);
    return this.pure(new Node(V128, simd.i8x16Shuffle, [a, b], 0, { big }));
  }

  #arith(op32: number, a: Node, b: Node, fold?: (x: number, y: number) => number): Node {
    if (fold && a.op === op.i32Const && b.op === op.i32Const) return this.i32(fold(a.imm, b.imm));
    if (a.type !== b.type) throw new Error("semantics: operand types differ");
    const opcode = a.type === I64 ? op32 + (op.i64Add - op.i32Add) : op32;
    return this.pure(new Node(a.type, opcode, [a, b]));
  }

  #compare(op32: number, a: Node, b: Node, fold?: (x: number, y: number) => boolean): Node {
    if (fold && a.op === op.i32Const && b.op === op.i32Const) return this.i32(fold(a.imm, b.imm) ? 1 : 0);
    if (a.type !== b.type) throw new Error("semantics: operand types differ");
    const opcode = a.type === I64 ? op32 + (op.i64Eq - op.i32Eq) : op32;
    return this.pure(new Node(I32, opcode, [a, b]));
  }

  add(a: Node, b: Node): Node {
    if (b.op === op.i32Const && b.imm === 0) return a;
    return this.#arith(op.i32Add, a, b, (x, y) => x + y);
  }
  sub(a: Node, b: Node): Node {
    return this.#arith(op.i32Sub, a, b, (x, y) => x - y);
  }
  mul(a: Node, b: Node): Node {
    return this.#arith(op.i32Mul, a, b, Math.imul);
  }
  divS(a: Node, b: Node): Node {
    return this.#arith(op.i32DivS, a, b);
  }
  divU(a: Node, b: Node): Node {
    return this.#arith(op.i32DivU, a, b);
  }
  remS(a: Node, b: Node): Node {
    return this.#arith(op.i32RemS, a, b);
  }
  remU(a: Node, b: Node): Node {
    return this.#arith(op.i32RemU, a, b);
  }
  and(a: Node, b: Node): Node {
    if (b.op === op.i32Const && b.imm === -1) return a;
    return this.#arith(op.i32And, a, b, (x, y) => x & y);
  }
  or(a: Node, b: Node): Node {
    return this.#arith(op.i32Or, a, b, (x, y) => x | y);
  }
  xor(a: Node, b: Node): Node {
    return this.#arith(op.i32Xor, a, b, (x, y) => x ^ y);
  }
  shl(a: Node, b: Node): Node {
    return this.#arith(op.i32Shl, a, b, (x, y) => x << y);
  }
  shrS(a: Node, b: Node): Node {
    return this.#arith(op.i32ShrS, a, b, (x, y) => x >> y);
  }
  shrU(a: Node, b: Node): Node {
    return this.#arith(op.i32ShrU, a, b, (x, y) => (x >>> y) | 0);
  }
  rotl(a: Node, b: Node): Node {
    return this.#arith(op.i32Rotl, a, b);
  }
  rotr(a: Node, b: Node): Node {
    return this.#arith(op.i32Rotr, a, b);
  }
  eq(a: Node, b: Node): Node {
    return this.#compare(op.i32Eq, a, b, (x, y) => x === y);
  }
  ne(a: Node, b: Node): Node {
    return this.#compare(op.i32Ne, a, b, (x, y) => x !== y);
  }
  ltS(a: Node, b: Node): Node {
    return this.#compare(op.i32LtS, a, b);
  }
  ltU(a: Node, b: Node): Node {
    return this.#compare(op.i32LtU, a, b, (x, y) => x >>> 0 < y >>> 0);
  }
  gtS(a: Node, b: Node): Node {
    return this.#compare(op.i32GtS, a, b);
  }
  gtU(a: Node, b: Node): Node {
    return this.#compare(op.i32GtU, a, b);
  }
  leU(a: Node, b: Node): Node {
    return this.#compare(op.i32LeU, a, b, (x, y) => x >>> 0 <= y >>> 0);
  }
  geS(a: Node, b: Node): Node {
    return this.#compare(op.i32GeS, a, b);
  }
  geU(a: Node, b: Node): Node {
    return this.#compare(op.i32GeU, a, b);
  }
  /** 1 if zero. */
  eqz(a: Node): Node {
    return this.pure(new Node(I32, a.type === I64 ? op.i64Eqz : op.i32Eqz, [a]));
  }
  /** 1 if not zero. */
  nez(a: Node): Node {
    return a.type === I64 ? this.ne(a, this.i64(0)) : this.ne(a, this.i32(0));
  }
  not(a: Node): Node {
    return a.type === I64 ? this.xor(a, this.i64(-1)) : this.xor(a, this.i32(-1));
  }
  neg(a: Node): Node {
    return a.type === I64 ? this.sub(this.i64(0), a) : this.sub(this.i32(0), a);
  }
  clz(a: Node): Node {
    return this.pure(new Node(a.type, a.type === I64 ? op.i64Clz : op.i32Clz, [a]));
  }
  ctz(a: Node): Node {
    return this.pure(new Node(a.type, a.type === I64 ? op.i64Ctz : op.i32Ctz, [a]));
  }
  popcnt(a: Node): Node {
    return this.pure(new Node(a.type, a.type === I64 ? op.i64Popcnt : op.i32Popcnt, [a]));
  }
  /** `cond ? a : b`, both evaluated. */
  select(cond: Node, a: Node, b: Node): Node {
    return this.pure(new Node(a.type, pseudo.select, [cond, a, b]));
  }
  wrap(a: Node): Node {
    return this.pure(new Node(I32, op.i32WrapI64, [a]));
  }
  extendU64(a: Node): Node {
    return this.pure(new Node(I64, op.i64ExtendI32U, [a]));
  }
  extendS64(a: Node): Node {
    return this.pure(new Node(I64, op.i64ExtendI32S, [a]));
  }
  /** Sign extends the low `width` bits within the value's own type. */
  signExtend(width: number, a: Node): Node {
    if (width === 8) return this.pure(new Node(a.type, a.type === I64 ? op.i64Extend8S : op.i32Extend8S, [a]));
    if (width === 16) return this.pure(new Node(a.type, a.type === I64 ? op.i64Extend16S : op.i32Extend16S, [a]));
    if (width === 32 && a.type === I64) return this.pure(new Node(I64, op.i64Extend32S, [a]));
    return a;
  }
  /** Clears all but the low `width` bits. */
  truncate(width: number, a: Node): Node {
    if (width === 8) return this.and(a, this.i32(0xff));
    if (width === 16) return this.and(a, this.i32(0xffff));
    return a;
  }

  // ---- operands, state, memory -----------------------------------------------------------------------------------

  /** Value of an operand, zero extended. A memory operand is loaded here and may fault here. */
  read(operand: Operand): Node {
    if (operand.kind === "memory") return this.load(this.address(operand.width / 8, false), operand.width / 8);
    if (operand.kind === "constant") return this.constant(operand.width, operand.value);
    return this.pure(new Node(typeOfSize(operand.width / 8), pseudo.operand, [], 0, { operand }));
  }

  /** As `read`, for an operand that is written afterwards: a memory operand must be writable already now. */
  readForWrite(operand: Operand): Node {
    if (operand.kind !== "memory") return this.read(operand);
    return this.load(this.address(operand.width / 8, true), operand.width / 8, true);
  }

  /** Writes the low bits of `value`. */
  write(operand: Operand, value: Node): void {
    if (operand.kind === "memory") {
      this.store(this.address(operand.width / 8, true), operand.width / 8, value);
      return;
    }
    this.#hasWritten = true;
    this.push({ kind: "writeOperand", operand, value });
  }

  /** Linear address of the memory operand, checked for an access of `size` bytes (0: effective address only, LEA). */
  address(size: number, isWrite: boolean): Node {
    return this.pure(new Node(I32, pseudo.address, [], size, { imm2: isWrite ? 1 : 0 }));
  }

  /** Linear address of `segment`:`offset`, checked for `size` bytes. `segment` -1: the instruction's (DS or override). */
  linear(segment: number, offset: Node, size: number, isWrite: boolean): Node {
    this.#mayFault("segment check");
    return this.impure(new Node(I32, pseudo.segmented, [offset, this.i32(segment)], size, { imm2: isWrite ? 1 : 0 }));
  }

  /** Guest memory at a linear address: i32 for 1, 2, 4 bytes (zero extended), i64 for 8, v128 for 16. */
  load(linear: Node, size: number, forWrite = false): Node {
    this.#mayFault("load");
    return this.impure(new Node(typeOfSize(size), pseudo.guestLoad, [linear], size, { imm2: forWrite ? 1 : 0 }));
  }

  /** Stores to guest memory; the fault, if any, comes before any byte is written. */
  store(linear: Node, size: number, value: Node): void {
    this.#mayFault("store");
    this.push({ kind: "guestStore", linear, size, value });
    this.#hasWritten = true;
  }

  /** A second store whose page is known to be writable from an earlier `load(…, true)` or probe. */
  storeAgain(linear: Node, size: number, value: Node): void {
    this.push({ kind: "guestStore", linear, size, value });
    this.#hasWritten = true;
  }

  /** Faults unless `size` bytes at `linear` are writable; writes nothing. */
  probeWrite(linear: Node, size: number): void {
    this.load(linear, size, true);
  }

  /** Host address of linear memory for bulk access within the page, or 0. */
  hostAddress(linear: Node, isWrite: boolean): Node {
    return this.impure(new Node(I32, pseudo.hostAddress, [linear], 0, { imm2: isWrite ? 1 : 0 }));
  }

  memoryCopy(to: Node, from: Node, length: Node): void {
    this.#hasWritten = true;
    this.push({ kind: "memoryCopy", to, from, length });
  }

  memoryFill(to: Node, value: Node, length: Node): void {
    this.#hasWritten = true;
    this.push({ kind: "memoryFill", to, value, length });
  }

  /** CPU state at a constant offset of layout.ts. */
  state(offset: number, size = 4): Node {
    return this.pure(new Node(typeOfSize(size), pseudo.stateLoad, [], offset, { imm2: size }));
  }

  setState(offset: number, value: Node, size = 4): void {
    this.#hasWritten = true;
    this.push({ kind: "stateStore", offset, size, value });
  }

  /** CPU state at a computed host address. */
  host(address: Node, size: number, offset = 0): Node {
    return this.pure(new Node(typeOfSize(size), pseudo.hostLoad, [address], offset, { imm2: size }));
  }

  setHost(address: Node, size: number, value: Node, offset = 0): void {
    this.#hasWritten = true;
    this.push({ kind: "hostStore", address, offset, size, value });
  }

  /** General register by number, full 32 bits. */
  gpr(index: number): Node {
    return this.read({ kind: "fixed", width: 32, index });
  }

  /** Number of a register operand (segment, control, debug), rather than its contents. */
  registerIndex(operand: Operand): Node {
    if (operand.kind === "fixedSegment") return this.i32(operand.index);
    return this.pure(new Node(I32, pseudo.registerIndex, [], 0, { operand }));
  }

  segmentIndex(operand: Operand): Node {
    return this.registerIndex(operand);
  }

  setGpr(index: number, value: Node): void {
    this.write({ kind: "fixed", width: 32, index }, value);
  }

  /** Number of the instruction's data segment (DS or override). */
  segmentNumber(): Node {
    return this.pure(new Node(I32, pseudo.segmentNumber));
  }

  nextEip(): Node {
    return this.pure(new Node(I32, pseudo.nextEip));
  }

  thisEip(): Node {
    return this.pure(new Node(I32, pseudo.thisEip));
  }

  /** Not 0 unless the budget may end right behind this instruction, so that something outside may happen there. */
  hasBudget(): Node {
    return this.pure(new Node(I32, pseudo.hasBudget));
  }

  // ---- flags -----------------------------------------------------------------------------------------------------

  #result64(width: number, result: Node): Node {
    if (result.type === I64) {
      // ZF must show in the low half: fold the rest into bit 8, keep byte 0 for parity and bit 63 for the sign.
      const low = this.and(result, this.i64(0xff));
      const rest = this.extendU64(this.nez(this.shrU(result, this.i64(8))));
      const sign = this.shl(this.shrU(result, this.i64(63)), this.i64(63));
      return this.or(this.or(low, this.shl(rest, this.i64(8))), sign);
    }
    return this.extendS64(this.signExtend(width, result));
  }

  /** Carry vector of `width` bits moved so that its top bit is bit 31, with bit 3 (AF) kept in place. */
  #alignCarry(width: number, vector: Node): Node {
    if (width === 64) {
      const low = this.wrap(vector);
      return this.or(this.and(this.wrap(this.shrU(vector, this.i64(32))), this.i32(~8)), this.and(low, this.i32(8)));
    }
    if (width === 32) return vector;
    return this.or(this.shl(vector, this.i32(32 - width)), this.and(vector, this.i32(8)));
  }

  /** Flags of a + b (+ carry in) = r; r may carry garbage above `width`. */
  flagsAdd(width: number, a: Node, b: Node, r: Node): void {
    const vector = this.or(this.and(a, b), this.and(this.or(a, b), this.not(r)));
    this.pushFlags("add", width, a, b, this.#result64(width, r), this.#alignCarry(width, vector));
  }

  /** Flags of a − b = r, or with `hasBorrow` a − b − borrow = r (then they are not those of a comparison). */
  flagsSub(width: number, a: Node, b: Node, r: Node, hasBorrow = false): void {
    const na = this.not(a);
    const vector = this.or(this.and(na, b), this.and(this.or(na, b), r));
    this.pushFlags(hasBorrow ? "other" : "sub", width, a, b, this.#result64(width, r), this.#alignCarry(width, vector));
  }

  /** AND, OR, XOR, TEST: CF = OF = AF = 0. */
  flagsLogic(width: number, r: Node): void {
    this.pushFlags("logic", width, undefined, undefined, this.#result64(width, r), this.i32(0));
  }

  /** INC/DEC: as add/sub of one, CF kept. */
  flagsIncDec(width: number, a: Node, r: Node, isInc: boolean): void {
    const top = this.constant(width, width === 64 ? 0 : width === 32 ? -0x80000000 : 1 << (width - 1));
    if (width === 64) throw new Error("64-bit INC/DEC comes with long mode");
    // OF: result is 80…0 after INC, 7F…F after DEC. AF: low nibble wrapped.
    const overflow = this.eq(this.truncate(width, isInc ? r : a), width === 32 ? this.i32(-0x80000000) : top);
    const nibble = this.and(isInc ? r : a, this.i32(15));
    const auxiliary = this.shl(this.eqz(nibble), this.i32(3));
    const oldCarry = this.and(this.state(L.FLAGS_CARRY), this.i32(-0x80000000));
    // bit 30 = CF xor OF
    const bit30 = this.shl(this.xor(this.shrU(oldCarry, this.i32(31)), overflow), this.i32(30));
    this.pushFlags(
      "other",
      width,
      a,
      undefined,
      this.#result64(width, r),
      this.or(this.or(oldCarry, bit30), auxiliary),
    );
  }

  /** Result flags from `r`; CF, OF, AF given as 0/1 values (AF may be left out: cleared). */
  flagsFrom(width: number, r: Node, cf: Node, of: Node, af?: Node): void {
    let carry = this.or(this.shl(cf, this.i32(31)), this.shl(this.xor(cf, of), this.i32(30)));
    if (af) carry = this.or(carry, this.shl(af, this.i32(3)));
    this.pushFlags("other", width, undefined, undefined, this.#result64(width, r), carry);
  }

  /** CF, OF, AF (0/1) only; ZF, SF, PF stay. */
  flagsCarry(cf: Node, of: Node, af?: Node): void {
    let carry = this.or(this.shl(cf, this.i32(31)), this.shl(this.xor(cf, of), this.i32(30)));
    if (af) carry = this.or(carry, this.shl(af, this.i32(3)));
    this.pushFlags("other", 32, undefined, undefined, undefined, carry);
  }

  /** CF replaced, all else kept (CLC, STC, CMC, BT …). */
  setCarry(cf: Node): void {
    const old = this.state(L.FLAGS_CARRY);
    const overflow = this.and(this.xor(this.shrU(old, this.i32(31)), this.shrU(old, this.i32(30))), this.i32(1));
    const carry = this.or(
      this.or(this.shl(cf, this.i32(31)), this.shl(this.xor(cf, overflow), this.i32(30))),
      this.and(old, this.i32(8)),
    );
    this.pushFlags("other", 32, undefined, undefined, undefined, carry);
  }

  /** ZF replaced, all else kept. `zf` is 0/1. */
  setZero(zf: Node): void {
    // Rebuild the low half: zero or not, parity moved into byte 4, the sign bit kept.
    const parityOdd = this.and(this.popcnt(this.#parityByte()), this.i32(1));
    const sign = this.and(this.state(L.FLAGS_RESULT + 4), this.i32(-0x80000000));
    // Low half: 0 (even byte 0) or 100h (even byte 0, not zero); byte 4 carries the parity.
    const low = this.select(zf, this.i32(0), this.i32(0x100));
    const result = this.or(this.extendU64(low), this.shl(this.extendU64(this.or(sign, parityOdd)), this.i64(32)));
    this.pushFlags("other", 32, undefined, undefined, result, undefined);
  }

  /** All six from 0/1 values. */
  flagsExplicit(f: { cf: Node; pf: Node; af: Node; zf: Node; sf: Node; of: Node }): void {
    const low = this.select(f.zf, this.i32(0), this.i32(0x100));
    const high = this.or(this.shl(f.sf, this.i32(31)), this.xor(f.pf, this.i32(1)));
    const result = this.or(this.extendU64(low), this.shl(this.extendU64(high), this.i64(32)));
    const carry = this.or(
      this.or(this.shl(f.cf, this.i32(31)), this.shl(this.xor(f.cf, f.of), this.i32(30))),
      this.shl(f.af, this.i32(3)),
    );
    this.pushFlags("other", 32, undefined, undefined, result, carry);
  }

  protected pushFlags(
    flagKind: "add" | "sub" | "logic" | "other",
    width: number,
    a: Node | undefined,
    b: Node | undefined,
    result: Node | undefined,
    carry: Node | undefined,
  ): void {
    this.#hasWritten = true;
    this.push({ kind: "flags", flagKind, width, a, b, result, carry });
  }

  #parityByte(): Node {
    return this.and(this.xor(this.state(L.FLAGS_RESULT), this.state(L.FLAGS_RESULT + 4)), this.i32(0xff));
  }

  cf(): Node {
    return this.shrU(this.state(L.FLAGS_CARRY), this.i32(31));
  }
  of(): Node {
    const c = this.state(L.FLAGS_CARRY);
    return this.shrU(this.xor(c, this.shl(c, this.i32(1))), this.i32(31));
  }
  af(): Node {
    return this.and(this.shrU(this.state(L.FLAGS_CARRY), this.i32(3)), this.i32(1));
  }
  zf(): Node {
    return this.eqz(this.state(L.FLAGS_RESULT));
  }
  sf(): Node {
    return this.shrU(this.state(L.FLAGS_RESULT + 4), this.i32(31));
  }
  pf(): Node {
    return this.eqz(this.and(this.popcnt(this.#parityByte()), this.i32(1)));
  }

  /** Truth of a condition code (0–15), as 0/1. */
  condition(code: number): Node {
    let value: Node;
    switch (code >> 1) {
      case 0:
        value = this.of();
        break;
      case 1:
        value = this.cf();
        break;
      case 2:
        value = this.zf();
        break;
      case 3:
        value = this.or(this.cf(), this.zf());
        break;
      case 4:
        value = this.sf();
        break;
      case 5:
        value = this.pf();
        break;
      case 6:
        value = this.xor(this.sf(), this.of());
        break;
      default:
        value = this.or(this.xor(this.sf(), this.of()), this.zf());
    }
    return (code & 1) !== 0 ? this.eqz(value) : value;
  }

  // ---- leaving ---------------------------------------------------------------------------------------------------

  /** Control continues at `eip` (an offset in CS, already truncated to the operand size). Ends the instruction. */
  jump(eip: Node): void {
    this.push({ kind: "jump", eip });
  }

  /** Raises an exception; the rest of the instruction does not run. */
  fault(vector: number, errorCode?: Node): void {
    this.#mayFault("fault");
    this.push({ kind: "fault", vector, errorCode });
  }

  /**
   * Calls a TypeScript helper of the engine with up to four i32 values. It may fault (then nothing has changed). A helper
   * with `isEnding` completes the instruction, EIP included; otherwise execution goes on, and up to 16 bytes of
   * results stand at SCRATCH.
   */
  helper(name: string, args: readonly Node[] = [], isEnding = false): void {
    this.#mayFault("helper");
    this.push({ kind: "helper", name, args, isEnding });
    // Nothing comes behind an ending one.
    if (!isEnding) this.#hasWritten = true;
  }

  /** A helper that cannot fault and ends the instruction, after architectural writes. */
  helperAfterWrite(name: string, args: readonly Node[] = []): void {
    this.push({ kind: "helper", name, args, isEnding: true });
  }

  /** Result value `index` (i32) of the last helper. */
  helperResult(index = 0): Node {
    return this.impure(new Node(I32, pseudo.stateLoad, [], L.SCRATCH + index * 4, { imm2: 4 }));
  }

  /** Calls a WebAssembly library function of the core module (floating point); not for guest memory. */
  call(
    callee: string,
    type: typeof I32 | typeof I64 | typeof F32 | typeof F64 | typeof V128,
    args: readonly Node[],
  ): Node {
    return this.impure(new Node(type, pseudo.call, args, 0, { callee }));
  }
}

function isVectorTest(opcode: number): boolean {
  switch (opcode) {
    case simd.v128AnyTrue:
    case simd.i8x16AllTrue:
    case simd.i16x8AllTrue:
    case simd.i32x4AllTrue:
    case simd.i64x2AllTrue:
    case simd.i8x16Bitmask:
    case simd.i16x8Bitmask:
    case simd.i32x4Bitmask:
    case simd.i64x2Bitmask:
      return true;
  }
  return false;
}

function floatType(opcode: number): typeof I32 | typeof I64 | typeof F32 | typeof F64 {
  if (opcode >= 0xfc00) return opcode >= float.i64TruncSatF32S ? I64 : I32;
  if (opcode <= float.f64Ge || opcode === float.i32ReinterpretF32) return I32;
  if (opcode === float.i64ReinterpretF64) return I64;
  if (opcode <= float.f32Copysign) return F32;
  if (opcode <= float.f64Copysign) return F64;
  if (opcode <= float.f32DemoteF64 || opcode === float.f32ReinterpretI32) return F32;
  return F64;
}
