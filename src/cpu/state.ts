/**
 * The CPU's architectural state as TypeScript sees it: typed views over the shared memory at the offsets of layout.ts,
 * plus what is derived from it (fast segment limits, the mode word). Generated code reads and writes the same bytes.
 * Only 32-bit accessors: high halves of the 64-bit slots stay zero until long mode exists.
 */
import * as L from "./layout.ts";

export const FLAG_CF = 1 << 0;
export const FLAG_PF = 1 << 2;
export const FLAG_AF = 1 << 4;
export const FLAG_ZF = 1 << 6;
export const FLAG_SF = 1 << 7;
export const FLAG_TF = 1 << 8;
export const FLAG_IF = 1 << 9;
export const FLAG_DF = 1 << 10;
export const FLAG_OF = 1 << 11;
export const FLAG_IOPL = 3 << 12;
export const FLAG_NT = 1 << 14;
export const FLAG_RF = 1 << 16;
export const FLAG_VM = 1 << 17;
export const FLAG_AC = 1 << 18;
export const FLAG_VIF = 1 << 19;
export const FLAG_VIP = 1 << 20;
export const FLAG_ID = 1 << 21;
/** The six flags that live in FLAGS_RESULT and FLAGS_CARRY. */
export const FLAGS_ARITHMETIC = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF;
/** Bits of EFLAGS that exist; bit 1 is always set. */
export const FLAGS_SYSTEM =
  FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;

export const CR0_PE = 1 << 0;
export const CR0_MP = 1 << 1;
export const CR0_EM = 1 << 2;
export const CR0_TS = 1 << 3;
export const CR0_ET = 1 << 4;
export const CR0_NE = 1 << 5;
export const CR0_WP = 1 << 16;
export const CR0_AM = 1 << 18;
export const CR0_NW = 1 << 29;
export const CR0_CD = 1 << 30;
export const CR0_PG = -0x80000000;

export const CR4_TSD = 1 << 2;
export const CR4_DE = 1 << 3;
export const CR4_PSE = 1 << 4;
export const CR4_PAE = 1 << 5;
export const CR4_PGE = 1 << 7;
export const CR4_OSFXSR = 1 << 9;
export const CR4_OSXMMEXCPT = 1 << 10;

export const EFER_LME = 1 << 8;
export const EFER_NXE = 1 << 11;

/** Bits of a segment's attributes word (layout.ts SEG_ATTRIBUTES). */
export const ATTRIBUTE_ACCESSED = 1;
/** Data: writable. Code: readable. */
export const ATTRIBUTE_WRITABLE = 2;
/** Data: expand-down. Code: conforming. */
export const ATTRIBUTE_EXPAND_DOWN = 4;
export const ATTRIBUTE_CODE = 8;
/** S: code or data, not a system segment. */
export const ATTRIBUTE_SEGMENT = 0x10;
export const ATTRIBUTE_PRESENT = 0x80;
export const ATTRIBUTE_BIG = 0x4000;
export const ATTRIBUTE_GRANULAR = 0x8000;

export const REG_EAX = 0;
export const REG_ECX = 1;
export const REG_EDX = 2;
export const REG_EBX = 3;
export const REG_ESP = 4;
export const REG_EBP = 5;
export const REG_ESI = 6;
export const REG_EDI = 7;

/** Attributes of every segment in virtual-8086 mode. */
export const V86_ATTRIBUTES = 0xf3 | L.ATTRIBUTE_USABLE;

export class CpuState {
  readonly memory: WebAssembly.Memory;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly u16: Uint16Array;
  readonly u8: Uint8Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  /** For unaligned accesses to guest memory. */
  readonly view: DataView;
  /** Alignment checks (#AC) are on: fast limits are all 0, so that each access meets the exact check. */
  isAlignmentChecked = false;

  constructor(memory: WebAssembly.Memory) {
    const buffer = memory.buffer;
    this.memory = memory;
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.view = new DataView(buffer);
  }

  /** General registers by number (0 EAX … 7 EDI), as unsigned values. */
  reg32(index: number): number {
    return this.u32[(L.GPR >> 2) + index * 2];
  }
  setReg32(index: number, value: number): void {
    this.i32[(L.GPR >> 2) + index * 2] = value;
  }
  reg16(index: number): number {
    return this.u16[(L.GPR >> 1) + index * 4];
  }
  setReg16(index: number, value: number): void {
    this.u16[(L.GPR >> 1) + index * 4] = value;
  }

  get eip(): number {
    return this.u32[L.EIP >> 2];
  }
  set eip(value: number) {
    this.i32[L.EIP >> 2] = value;
  }
  /** Linear address of the instruction at EIP. */
  get linearEip(): number {
    return (this.segmentBase(L.SEG_CS) + this.eip) >>> 0;
  }

  /** ESP or SP according to `isBig`. */
  stackPointer(isBig: boolean): number {
    return isBig ? this.u32[(L.GPR >> 2) + 8] : this.u16[(L.GPR >> 1) + 16];
  }
  setStackPointer(isBig: boolean, value: number): void {
    if (isBig) this.i32[(L.GPR >> 2) + 8] = value;
    else this.u16[(L.GPR >> 1) + 16] = value;
  }

  /** All of EFLAGS, arithmetic flags composed from their lazy form. */
  get eflags(): number {
    const low = this.i32[L.FLAGS_RESULT >> 2];
    const high = this.i32[(L.FLAGS_RESULT >> 2) + 1];
    const carry = this.i32[L.FLAGS_CARRY >> 2];
    let flags = this.i32[L.EFLAGS_SYSTEM >> 2] | 2;
    if (low === 0) flags |= FLAG_ZF;
    if (high < 0) flags |= FLAG_SF;
    if (carry < 0) flags |= FLAG_CF;
    if ((carry ^ (carry << 1)) < 0) flags |= FLAG_OF;
    if ((carry & 8) !== 0) flags |= FLAG_AF;
    let parity = (low ^ high) & 0xff;
    parity ^= parity >> 4;
    if (((0x6996 >> (parity & 15)) & 1) === 0) flags |= FLAG_PF;
    return flags;
  }
  /** Stores all of EFLAGS as given (no privilege rules); bits that do not exist are dropped. Call deriveMode if VM or AC changed. */
  set eflags(value: number) {
    this.i32[L.EFLAGS_SYSTEM >> 2] = (value & FLAGS_SYSTEM) | 2;
    this.i32[L.FLAGS_RESULT >> 2] = value & FLAG_ZF ? 0 : 0x100;
    this.i32[(L.FLAGS_RESULT >> 2) + 1] = (value & FLAG_SF ? -0x80000000 : 0) | (value & FLAG_PF ? 0 : 1);
    const carry = value & FLAG_CF;
    const overflow = (value >> 11) & 1;
    this.i32[L.FLAGS_CARRY >> 2] = (carry << 31) | ((carry ^ overflow) << 30) | (value & FLAG_AF ? 8 : 0);
  }

  /** EFLAGS without the arithmetic flags: cheap, for IF, TF, NT, VM, IOPL, AC. */
  get systemFlags(): number {
    return this.i32[L.EFLAGS_SYSTEM >> 2];
  }
  set systemFlags(value: number) {
    this.i32[L.EFLAGS_SYSTEM >> 2] = (value & FLAGS_SYSTEM) | 2;
  }
  get iopl(): number {
    return (this.i32[L.EFLAGS_SYSTEM >> 2] >> 12) & 3;
  }

  segmentBase(seg: number): number {
    return this.u32[(L.SEG_BASE >> 2) + seg * 2];
  }
  segmentSelector(seg: number): number {
    return this.i32[(L.SEG_SELECTOR >> 2) + seg];
  }
  segmentLimit(seg: number): number {
    return this.u32[(L.SEG_LIMIT >> 2) + seg];
  }
  segmentAttributes(seg: number): number {
    return this.i32[(L.SEG_ATTRIBUTES >> 2) + seg];
  }
  /** Stores a segment register whole and derives its fast limits. For CS and SS call deriveMode afterwards. */
  setSegment(seg: number, selector: number, base: number, limit: number, attributes: number): void {
    this.i32[(L.SEG_SELECTOR >> 2) + seg] = selector;
    this.i32[(L.SEG_BASE >> 2) + seg * 2] = base;
    this.i32[(L.SEG_LIMIT >> 2) + seg] = limit;
    this.i32[(L.SEG_ATTRIBUTES >> 2) + seg] = attributes;
    deriveSegment(this, seg);
  }

  get cr0(): number {
    return this.i32[L.CR0 >> 2];
  }
  set cr0(value: number) {
    this.i32[L.CR0 >> 2] = value;
  }
  get cr2(): number {
    return this.u32[L.CR2 >> 2];
  }
  set cr2(value: number) {
    this.i32[L.CR2 >> 2] = value;
  }
  get cr3(): number {
    return this.u32[L.CR3 >> 2];
  }
  set cr3(value: number) {
    this.i32[L.CR3 >> 2] = value;
  }
  get cr4(): number {
    return this.i32[L.CR4 >> 2];
  }
  set cr4(value: number) {
    this.i32[L.CR4 >> 2] = value;
  }
  get efer(): number {
    return this.i32[L.EFER >> 2];
  }
  set efer(value: number) {
    this.i32[L.EFER >> 2] = value;
  }
  get cpl(): number {
    return this.i32[L.CPL >> 2];
  }
  set cpl(value: number) {
    this.i32[L.CPL >> 2] = value;
  }
  /** The mode word (MODE_* of layout.ts). */
  get mode(): number {
    return this.i32[L.MODE >> 2];
  }
  /** CR0.PE set and not in V86 mode: segment registers hold selectors. */
  get isProtected(): boolean {
    return (this.i32[L.MODE >> 2] & (L.MODE_PROTECTED | L.MODE_V86)) === L.MODE_PROTECTED;
  }
  get isV86(): boolean {
    return (this.i32[L.MODE >> 2] & L.MODE_V86) !== 0;
  }
  /** Data accesses of the running program are user accesses. */
  get isUser(): boolean {
    return (this.i32[L.MODE >> 2] & L.MODE_USER) !== 0;
  }

  /** 0 or 1: interrupts (and debug traps, for MOV SS) are held off for one instruction. */
  get interruptShadow(): number {
    return this.i32[L.INTERRUPT_SHADOW >> 2];
  }
  set interruptShadow(value: number) {
    this.i32[L.INTERRUPT_SHADOW >> 2] = value;
  }
}

/** Derives SEG_FAST_READ and SEG_FAST_WRITE of a segment from its limit and attributes and the current mode. */
export function deriveSegment(state: CpuState, seg: number): void {
  const attributes = state.segmentAttributes(seg);
  const limit = state.segmentLimit(seg);
  let read = 0;
  let write = 0;
  if (!state.isAlignmentChecked && limit >= 15) {
    const fast = limit === 0xffffffff ? -1 : limit - 14;
    if ((state.cr0 & CR0_PE) === 0) {
      // Real mode looks at limits only, whatever type the descriptor cache still holds.
      read = write = fast;
    } else if ((attributes & L.ATTRIBUTE_USABLE) !== 0) {
      const type = attributes & 15;
      if ((type & ATTRIBUTE_CODE) !== 0) {
        if ((type & ATTRIBUTE_WRITABLE) !== 0) read = fast;
      } else if ((type & ATTRIBUTE_EXPAND_DOWN) === 0) {
        read = fast;
        if ((type & ATTRIBUTE_WRITABLE) !== 0) write = fast;
      }
    }
  }
  state.i32[(L.SEG_FAST_READ >> 2) + seg] = read;
  state.i32[(L.SEG_FAST_WRITE >> 2) + seg] = write;
}

/** Derives the fast limits of all six segments. */
export function deriveSegments(state: CpuState): void {
  for (let seg = 0; seg < 6; seg++) deriveSegment(state, seg);
}

function isFlatData(state: CpuState, seg: number): boolean {
  return (
    state.i32[(L.SEG_BASE >> 2) + seg * 2] === 0 &&
    state.i32[(L.SEG_FAST_READ >> 2) + seg] === -1 &&
    state.i32[(L.SEG_FAST_WRITE >> 2) + seg] === -1
  );
}

/**
 * Derives what a load of a data or stack segment can change in the mode word: MODE_FLAT and MODE_STACK32. Cheaper than
 * deriveMode.
 */
export function deriveFlat(state: CpuState): void {
  let mode = state.i32[L.MODE >> 2] & ~(L.MODE_FLAT | L.MODE_STACK32);
  if ((state.segmentAttributes(L.SEG_SS) & ATTRIBUTE_BIG) !== 0) mode |= L.MODE_STACK32;
  if (isFlat(state)) mode |= L.MODE_FLAT;
  state.i32[L.MODE >> 2] = mode;
}

function isFlat(state: CpuState): boolean {
  return (
    state.i32[(L.SEG_BASE >> 2) + L.SEG_CS * 2] === 0 &&
    isFlatData(state, L.SEG_DS) &&
    isFlatData(state, L.SEG_ES) &&
    isFlatData(state, L.SEG_SS)
  );
}

/**
 * Derives the mode word from CR0, CR4, EFLAGS.VM, CPL and the segments. To be called after any change of those (loads of
 * DS and ES included, because of MODE_FLAT). Segments are derived again when protected mode or alignment checking changed.
 */
export function deriveMode(state: CpuState): void {
  const cr0 = state.cr0;
  const flags = state.systemFlags;
  const isProtected = (cr0 & CR0_PE) !== 0;
  const isUser = state.cpl === 3;
  const isAlignmentChecked = isUser && (cr0 & CR0_AM) !== 0 && (flags & FLAG_AC) !== 0;
  const old = state.i32[L.MODE >> 2];
  if (isAlignmentChecked !== state.isAlignmentChecked || isProtected !== ((old & L.MODE_PROTECTED) !== 0)) {
    state.isAlignmentChecked = isAlignmentChecked;
    deriveSegments(state);
  }
  let mode = 0;
  if ((state.segmentAttributes(L.SEG_CS) & ATTRIBUTE_BIG) !== 0) mode |= L.MODE_CODE32;
  if ((state.segmentAttributes(L.SEG_SS) & ATTRIBUTE_BIG) !== 0) mode |= L.MODE_STACK32;
  if (isProtected) mode |= L.MODE_PROTECTED;
  if ((flags & FLAG_VM) !== 0) mode |= L.MODE_V86;
  if (isUser) mode |= L.MODE_USER;
  if ((cr0 & CR0_PG) !== 0) mode |= L.MODE_PAGING;
  if (isFlat(state)) mode |= L.MODE_FLAT;
  if ((cr0 & (CR0_EM | CR0_TS)) !== 0) mode |= L.MODE_NO_FPU | L.MODE_NO_SSE;
  if ((state.cr4 & CR4_OSFXSR) === 0) mode |= L.MODE_NO_SSE;
  state.i32[L.MODE >> 2] = mode;
}

/** Derives everything that is not architectural state, after a reset or a load of saved state. */
export function deriveAll(state: CpuState): void {
  state.isAlignmentChecked = state.cpl === 3 && (state.cr0 & CR0_AM) !== 0 && (state.systemFlags & FLAG_AC) !== 0;
  deriveSegments(state);
  deriveMode(state);
}
