/**
 * Linear memory for TypeScript code that executes instructions, and the slow path of generated code. Accesses may be
 * unaligned and cross pages (both pages are checked before anything is read or written); memory-mapped I/O goes to the
 * bus, writes to ROM too (where they vanish unless a device claims the place), writes to code are reported by
 * PhysicalMemory. A20 and page tables are applied here.
 *
 * Read and write methods take `user`: whether page protection sees a user access (state.isUser for the program's own
 * accesses, false for descriptor tables and task state segments). They throw CpuFault #PF and then have changed nothing.
 */
import {
  FAULT,
  FAULT_ERROR,
  FAULT_LINEAR,
  MODE,
  MODE_USER,
  TLB_BIAS,
  TLB_READ_SUPERVISOR,
  TLB_READ_USER,
  TLB_WRITE_SUPERVISOR,
  TLB_WRITE_USER,
} from "../layout.ts";
import type { CpuState } from "../state.ts";
import { CpuFault, VECTOR_PF } from "../system/fault.ts";
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, type PageWalker } from "./page-walk.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { checkSegment } from "./segment-check.ts";
import type { Tlb } from "./tlb.ts";

export class LinearMemory {
  /** Halves of the last 64-bit read, unsigned. */
  low = 0;
  high = 0;
  /** The last 128-bit read; the source of 128-bit writes. */
  readonly parts = new Uint32Array(4);
  /** Accesses that the TLB tables did not serve, and page walks for them and for instruction fetches (statistics). */
  translations = 0;
  walks = 0;
  /** Called with each access to a watched page that reaches the slow path; set by the engine. */
  onWatchedAccess: ((linear: number, sizeBytes: number, isWrite: boolean) => void) | undefined;

  readonly #state: CpuState;
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #view: DataView;
  readonly #physical: PhysicalMemory;
  readonly #walker: PageWalker;
  readonly #tlb: Tlb;
  /** Address of the last failed translation. */
  #faultLinear = 0;

  constructor(state: CpuState, physical: PhysicalMemory, walker: PageWalker, tlb: Tlb) {
    this.#state = state;
    this.#u8 = state.u8;
    this.#i32 = state.i32;
    this.#view = state.view;
    this.#physical = physical;
    this.#walker = walker;
    this.#tlb = tlb;
  }

  // --- translation -----------------------------------------------------------------------------------------------

  /**
   * Guest-physical page of a linear address for an access (sum of ACCESS_*), -1 if that faults. Fills the TLB. Never
   * throws; the fault's details are kept for `pageFault` and `recordFault`.
   */
  translate(linear: number, access: number): number {
    const page = linear >>> 12;
    this.translations++;
    const remembered = this.#tlb.lookupSlow(page, access);
    if (remembered >= 0) return remembered;
    const walker = this.#walker;
    this.walks++;
    if (!walker.lookup(linear, access)) {
      this.#faultLinear = linear >>> 0;
      return -1;
    }
    this.#tlb.insert(page, walker.gpaPage, access, walker.canCacheWrite, walker.isGlobal);
    return walker.gpaPage;
  }

  /** Guest-physical page that instructions of a linear address are fetched from; throws #PF. Always walks. */
  fetchPage(linear: number, user: boolean): number {
    const walker = this.#walker;
    const access = ACCESS_FETCH | (user ? ACCESS_USER : 0);
    this.walks++;
    walker.walk(linear, access);
    this.#tlb.insert(linear >>> 12, walker.gpaPage, access, walker.canCacheWrite, walker.isGlobal);
    return walker.gpaPage;
  }

  /** Checks that `sizeBytes` (≤ 4096) at `linear` may be read or written, so that the access itself cannot fault. */
  probe(linear: number, sizeBytes: number, isWrite: boolean, user: boolean): void {
    if ((linear & 0xfff) + sizeBytes <= 4096) {
      const reads = user ? TLB_READ_USER : TLB_READ_SUPERVISOR;
      const writes = user ? TLB_WRITE_USER : TLB_WRITE_SUPERVISOR;
      if (this.#i32[((isWrite ? writes : reads) >> 2) + (linear >>> 12)] !== 0) return;
    }
    const access = (isWrite ? ACCESS_WRITE : ACCESS_READ) | (user ? ACCESS_USER : 0);
    this.#gpa(linear, access);
    if ((linear & 0xfff) + sizeBytes > 4096) this.#gpa((linear | 0xfff) + 1, access);
  }

  /** The #PF of the last failed `translate`. */
  pageFault(): CpuFault {
    return new CpuFault(VECTOR_PF, this.#walker.errorCode, this.#faultLinear);
  }

  /** Leaves the #PF of the last failed `translate` in FAULT for generated code. */
  recordFault(): void {
    this.#i32[FAULT_ERROR >> 2] = this.#walker.errorCode;
    this.#i32[FAULT_LINEAR >> 2] = this.#faultLinear;
    this.#i32[FAULT >> 2] = VECTOR_PF + 1;
  }

  /** Guest-physical address, or throws #PF. */
  #gpa(linear: number, access: number): number {
    const page = this.translate(linear, access);
    if (page < 0) throw this.pageFault();
    return page * 4096 + (linear & 0xfff);
  }

  // --- reads -----------------------------------------------------------------------------------------------------

  read8(linear: number, user: boolean): number {
    const entry = this.#i32[((user ? TLB_READ_USER : TLB_READ_SUPERVISOR) >> 2) + (linear >>> 12)];
    if (entry !== 0) return this.#u8[((linear + entry) >>> 0) + TLB_BIAS];
    const gpa = this.#gpa(linear, user ? ACCESS_USER : ACCESS_READ);
    this.onWatchedAccess?.(linear, 1, false);
    return this.#physical.read8(gpa);
  }

  read16(linear: number, user: boolean): number {
    const offset = linear & 0xfff;
    if (offset <= 4094) {
      const entry = this.#i32[((user ? TLB_READ_USER : TLB_READ_SUPERVISOR) >> 2) + (linear >>> 12)];
      if (entry !== 0) return this.#view.getUint16(((linear + entry) >>> 0) + TLB_BIAS, true);
      const gpa = this.#gpa(linear, user ? ACCESS_USER : ACCESS_READ);
      this.onWatchedAccess?.(linear, 2, false);
      return this.#physical.read16(gpa);
    }
    return this.#readAcross(linear, 2, user);
  }

  /** Unsigned. */
  read32(linear: number, user: boolean): number {
    return this.readInt32(linear, user) >>> 0;
  }

  /** Signed: never a heap number, whatever the value. */
  readInt32(linear: number, user: boolean): number {
    const offset = linear & 0xfff;
    if (offset <= 4092) {
      const entry = this.#i32[((user ? TLB_READ_USER : TLB_READ_SUPERVISOR) >> 2) + (linear >>> 12)];
      if (entry !== 0) return this.#view.getInt32(((linear + entry) >>> 0) + TLB_BIAS, true);
      const gpa = this.#gpa(linear, user ? ACCESS_USER : ACCESS_READ);
      this.onWatchedAccess?.(linear, 4, false);
      return this.#physical.read32(gpa) | 0;
    }
    return this.#readAcross(linear, 4, user);
  }

  /** 64 bits into `low` and `high`. */
  read64(linear: number, user: boolean): void {
    this.probe(linear, 8, false, user);
    const low = this.read32(linear, user);
    this.high = this.read32((linear + 4) >>> 0, user);
    this.low = low;
  }

  /** 128 bits into `parts`. */
  read128(linear: number, user: boolean): void {
    this.probe(linear, 16, false, user);
    for (let i = 0; i < 4; i++) this.parts[i] = this.read32((linear + i * 4) >>> 0, user);
  }

  /** `target.length` bytes; any length. On a #PF part of the target is filled. */
  readBytes(linear: number, target: Uint8Array, user: boolean): void {
    for (let i = 0; i < target.length; i++) target[i] = this.read8((linear + i) >>> 0, user);
  }

  #readAcross(linear: number, sizeBytes: number, user: boolean): number {
    const access = user ? ACCESS_USER : ACCESS_READ;
    const first = this.#gpa(linear, access);
    const second = this.#gpa((linear | 0xfff) + 1, access);
    this.onWatchedAccess?.(linear, sizeBytes, false);
    const firstBytes = 4096 - (linear & 0xfff);
    let value = 0;
    for (let i = 0; i < sizeBytes; i++) {
      const gpa = i < firstBytes ? first + i : second + i - firstBytes;
      value |= this.#physical.read8(gpa) << (i * 8);
    }
    return value;
  }

  // --- writes ----------------------------------------------------------------------------------------------------

  write8(linear: number, value: number, user: boolean): void {
    const entry = this.#i32[((user ? TLB_WRITE_USER : TLB_WRITE_SUPERVISOR) >> 2) + (linear >>> 12)];
    if (entry !== 0) {
      this.#u8[((linear + entry) >>> 0) + TLB_BIAS] = value;
      return;
    }
    const gpa = this.#gpa(linear, user ? ACCESS_USER | ACCESS_WRITE : ACCESS_WRITE);
    this.onWatchedAccess?.(linear, 1, true);
    this.#physical.write8(gpa, value);
  }

  write16(linear: number, value: number, user: boolean): void {
    if ((linear & 0xfff) > 4094) {
      this.#writeAcross(linear, 2, value, user);
      return;
    }
    const entry = this.#i32[((user ? TLB_WRITE_USER : TLB_WRITE_SUPERVISOR) >> 2) + (linear >>> 12)];
    if (entry !== 0) {
      this.#view.setUint16(((linear + entry) >>> 0) + TLB_BIAS, value, true);
      return;
    }
    const gpa = this.#gpa(linear, user ? ACCESS_USER | ACCESS_WRITE : ACCESS_WRITE);
    this.onWatchedAccess?.(linear, 2, true);
    this.#physical.write16(gpa, value);
  }

  write32(linear: number, value: number, user: boolean): void {
    if ((linear & 0xfff) > 4092) {
      this.#writeAcross(linear, 4, value, user);
      return;
    }
    const entry = this.#i32[((user ? TLB_WRITE_USER : TLB_WRITE_SUPERVISOR) >> 2) + (linear >>> 12)];
    if (entry !== 0) {
      this.#view.setInt32(((linear + entry) >>> 0) + TLB_BIAS, value, true);
      return;
    }
    const gpa = this.#gpa(linear, user ? ACCESS_USER | ACCESS_WRITE : ACCESS_WRITE);
    this.onWatchedAccess?.(linear, 4, true);
    this.#physical.write32(gpa, value);
  }

  write64(linear: number, low: number, high: number, user: boolean): void {
    this.probe(linear, 8, true, user);
    this.write32(linear, low, user);
    this.write32((linear + 4) >>> 0, high, user);
  }

  /** Writes `parts`. */
  write128(linear: number, user: boolean): void {
    this.probe(linear, 16, true, user);
    for (let i = 0; i < 4; i++) this.write32((linear + i * 4) >>> 0, this.parts[i], user);
  }

  /** Any length; every page is checked before the first byte is written. */
  writeBytes(linear: number, source: Uint8Array, user: boolean): void {
    if (source.length === 0) return;
    const access = user ? ACCESS_USER | ACCESS_WRITE : ACCESS_WRITE;
    const pages = ((linear & 0xfff) + source.length + 0xfff) >>> 12;
    this.#gpa(linear, access);
    for (let i = 1; i < pages; i++) this.#gpa(((linear & 0xfffff000) + i * 4096) >>> 0, access);
    for (let i = 0; i < source.length; i++) this.write8((linear + i) >>> 0, source[i], user);
  }

  #writeAcross(linear: number, sizeBytes: number, value: number, user: boolean): void {
    const access = user ? ACCESS_USER | ACCESS_WRITE : ACCESS_WRITE;
    const first = this.#gpa(linear, access);
    const second = this.#gpa((linear | 0xfff) + 1, access);
    this.onWatchedAccess?.(linear, sizeBytes, true);
    const firstBytes = 4096 - (linear & 0xfff);
    for (let i = 0; i < sizeBytes; i++) {
      const gpa = i < firstBytes ? first + i : second + i - firstBytes;
      this.#physical.write8(gpa, value >>> (i * 8));
    }
  }

  // --- the slow path of generated code ----------------------------------------------------------------------------
  // At the current privilege; a fault is left in FAULT (and 0 returned) instead of thrown, which is many times cheaper.

  load(linear: number, sizeBytes: number): number {
    const user = (this.#i32[MODE >> 2] & MODE_USER) !== 0;
    const access = user ? ACCESS_USER : ACCESS_READ;
    const offset = linear & 0xfff;
    if (offset + sizeBytes > 4096)
      return this.#admits(linear, sizeBytes, access) ? this.#readAcross(linear, sizeBytes, user) : 0;
    const page = this.translate(linear, access);
    if (page < 0) {
      this.recordFault();
      return 0;
    }
    this.onWatchedAccess?.(linear, sizeBytes, false);
    const gpa = page * 4096 + offset;
    if (sizeBytes === 4) return this.#physical.read32(gpa) | 0;
    return sizeBytes === 2 ? this.#physical.read16(gpa) : this.#physical.read8(gpa);
  }

  store(linear: number, sizeBytes: number, value: number): void {
    const user = (this.#i32[MODE >> 2] & MODE_USER) !== 0;
    const access = user ? ACCESS_USER | ACCESS_WRITE : ACCESS_WRITE;
    const offset = linear & 0xfff;
    if (offset + sizeBytes > 4096) {
      if (this.#admits(linear, sizeBytes, access)) this.#writeAcross(linear, sizeBytes, value, user);
      return;
    }
    const page = this.translate(linear, access);
    if (page < 0) {
      this.recordFault();
      return;
    }
    this.onWatchedAccess?.(linear, sizeBytes, true);
    const gpa = page * 4096 + offset;
    if (sizeBytes === 4) this.#physical.write32(gpa, value);
    else if (sizeBytes === 2) this.#physical.write16(gpa, value);
    else this.#physical.write8(gpa, value);
  }

  /** As `probe` at the current privilege; answers false with FAULT set. For wide and read-modify-write accesses. */
  tryProbe(linear: number, sizeBytes: number, isWrite: boolean): boolean {
    const user = (this.#i32[MODE >> 2] & MODE_USER) !== 0;
    return this.#admits(linear, sizeBytes, (isWrite ? ACCESS_WRITE : ACCESS_READ) | (user ? ACCESS_USER : 0));
  }

  #admits(linear: number, sizeBytes: number, access: number): boolean {
    if (
      this.translate(linear, access) >= 0 &&
      ((linear & 0xfff) + sizeBytes <= 4096 || this.translate((linear | 0xfff) + 1, access) >= 0)
    )
      return true;
    this.recordFault();
    return false;
  }

  // --- segmented forms -------------------------------------------------------------------------------------------

  /** The exact segment check; answers the linear address or throws #GP, #SS or #AC. */
  checkSegment(seg: number, ea: number, sizeBytes: number, isWrite: boolean): number {
    return checkSegment(this.#state, seg, ea, sizeBytes, isWrite);
  }
}
