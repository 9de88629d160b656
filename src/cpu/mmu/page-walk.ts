/**
 * Page walks (Intel SDM volume 3, chapter 4): 32-bit paging with 4 KiB and 4 MiB pages (PSE, PSE-36), PAE paging with
 * 4 KiB and 2 MiB pages and no-execute. Accessed and dirty bits are set only by walks that succeed, upper levels first.
 * Not modelled: 4-level paging, SMEP, SMAP, protection keys, memory types (all memory is coherent here).
 */
import { A20_MASK, CR3, PDPTE } from "../layout.ts";
import { type CpuState, CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, EFER_NXE } from "../state.ts";
import {
  CpuFault,
  PF_FETCH,
  PF_PRESENT,
  PF_RESERVED,
  PF_USER,
  PF_WRITE,
  VECTOR_GP,
  VECTOR_PF,
} from "../system/fault.ts";
import type { PhysicalMemory } from "./physical-memory.ts";

/** What an access is, as a sum; bit positions are those of the page-fault error code. */
export const ACCESS_READ = 0;
export const ACCESS_WRITE = PF_WRITE;
export const ACCESS_USER = PF_USER;
export const ACCESS_FETCH = PF_FETCH;

/** Bits of page-table entries. */
const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const G = 0x100;

export interface PagingFeatures {
  /** 4 MiB pages above 4 GiB: PDE bits 16–13 are address bits 35–32. */
  readonly pse36: boolean;
}

/** Physical addresses have 36 bits. */
const PAE_RESERVED_HIGH = 0x7ffffff0;

export class PageWalker {
  /** Results of the last successful walk: guest-physical page number (A20 applied, up to 24 bits). */
  gpaPage = 0;
  /** The page may be written at the privilege of the walk *and* its dirty bit is set: a write entry may be cached. */
  canCacheWrite = false;
  isGlobal = false;
  /** Error code of the last failed walk. */
  errorCode = 0;

  readonly #state: CpuState;
  readonly #physical: PhysicalMemory;
  readonly #features: PagingFeatures;

  constructor(state: CpuState, physical: PhysicalMemory, features: PagingFeatures) {
    this.#state = state;
    this.#physical = physical;
    this.#features = features;
  }

  /** Walks for an access (sum of ACCESS_*) and fills the result fields, or throws #PF. */
  walk(linear: number, access: number): void {
    if (!this.lookup(linear, access)) throw new CpuFault(VECTOR_PF, this.errorCode, linear >>> 0);
  }

  /** As `walk`, but answers false with `errorCode` set instead of throwing. */
  lookup(linear: number, access: number): boolean {
    const state = this.#state;
    if ((state.cr0 & CR0_PG) === 0) {
      this.gpaPage = this.#maskA20(linear >>> 12);
      this.canCacheWrite = true;
      this.isGlobal = false;
      return true;
    }
    if ((state.cr4 & CR4_PAE) !== 0) return this.#walkPae(linear, access);
    return this.#walk32(linear, access);
  }

  #walk32(linear: number, access: number): boolean {
    const physical = this.#physical;
    const pdeAddress = this.#maskGpa(((this.#state.i32[CR3 >> 2] & 0xfffff000) >>> 0) + ((linear >>> 22) << 2));
    const pde = physical.read32(pdeAddress) | 0;
    if ((pde & P) === 0) return this.#fail(access, 0);
    if ((pde & PS) !== 0 && (this.#state.cr4 & CR4_PSE) !== 0) {
      const reserved = this.#features.pse36 ? 0x003e0000 : 0x003fe000;
      if ((pde & reserved) !== 0) return this.#fail(access, PF_PRESENT | PF_RESERVED);
      if (!this.#permits(pde, access)) return this.#fail(access, PF_PRESENT);
      const leaf = pde | A | (access & ACCESS_WRITE ? D : 0);
      if (leaf !== pde) physical.write32(pdeAddress, leaf);
      const high = this.#features.pse36 ? (pde >>> 13) & 15 : 0;
      this.#succeed(high * 0x100000 + (((pde >>> 22) << 10) | ((linear >>> 12) & 0x3ff)), pde, leaf, access);
      return true;
    }
    const pteAddress = this.#maskGpa(((pde & 0xfffff000) >>> 0) + ((linear >>> 10) & 0xffc));
    const pte = physical.read32(pteAddress) | 0;
    if ((pte & P) === 0) return this.#fail(access, 0);
    const rights = pde & pte;
    if (!this.#permits(rights, access)) return this.#fail(access, PF_PRESENT);
    if ((pde & A) === 0) physical.write32(pdeAddress, pde | A);
    const leaf = pte | A | (access & ACCESS_WRITE ? D : 0);
    if (leaf !== pte) physical.write32(pteAddress, leaf);
    this.#succeed(pte >>> 12, rights, leaf, access);
    return true;
  }

  #walkPae(linear: number, access: number): boolean {
    const state = this.#state;
    const physical = this.#physical;
    const hasNx = (state.efer & EFER_NXE) !== 0;
    const reservedHigh = hasNx ? PAE_RESERVED_HIGH : PAE_RESERVED_HIGH | -0x80000000;
    const pdpte = (PDPTE >> 2) + (linear >>> 30) * 2;
    const pdpteLow = state.i32[pdpte];
    if ((pdpteLow & P) === 0) return this.#fail(access, 0);

    const pdeAddress = this.#maskGpa(tableAddress(pdpteLow, state.i32[pdpte + 1]) + ((linear >>> 18) & 0xff8));
    const pde = physical.read32(pdeAddress) | 0;
    if ((pde & P) === 0) return this.#fail(access, 0);
    const pdeHigh = physical.read32(pdeAddress + 4) | 0;
    if ((pdeHigh & reservedHigh) !== 0) return this.#fail(access, PF_PRESENT | PF_RESERVED);
    if ((pde & PS) !== 0) {
      if ((pde & 0x001fe000) !== 0) return this.#fail(access, PF_PRESENT | PF_RESERVED);
      if (!this.#permits(pde, access) || (pdeHigh < 0 && (access & ACCESS_FETCH) !== 0))
        return this.#fail(access, PF_PRESENT);
      const leaf = pde | A | (access & ACCESS_WRITE ? D : 0);
      if (leaf !== pde) physical.write32(pdeAddress, leaf);
      this.#succeed((pdeHigh & 15) * 0x100000 + (((pde >>> 21) << 9) | ((linear >>> 12) & 0x1ff)), pde, leaf, access);
      return true;
    }
    const pteAddress = this.#maskGpa(tableAddress(pde, pdeHigh) + ((linear >>> 9) & 0xff8));
    const pte = physical.read32(pteAddress) | 0;
    if ((pte & P) === 0) return this.#fail(access, 0);
    const pteHigh = physical.read32(pteAddress + 4) | 0;
    if ((pteHigh & reservedHigh) !== 0) return this.#fail(access, PF_PRESENT | PF_RESERVED);
    const rights = pde & pte;
    if (!this.#permits(rights, access) || ((pdeHigh | pteHigh) < 0 && (access & ACCESS_FETCH) !== 0))
      return this.#fail(access, PF_PRESENT);
    if ((pde & A) === 0) physical.write32(pdeAddress, pde | A);
    const leaf = pte | A | (access & ACCESS_WRITE ? D : 0);
    if (leaf !== pte) physical.write32(pteAddress, leaf);
    this.#succeed((pteHigh & 15) * 0x100000 + (pte >>> 12), rights, leaf, access);
    return true;
  }

  /**
   * Reads the four PAE page-directory pointers of the table `cr3` names, for `storePdptes`. Throws #GP(0) if a present
   * one has reserved bits set.
   */
  readPdptes(cr3: number): Int32Array {
    const base = (cr3 & 0xffffffe0) >>> 0;
    const values = new Int32Array(8);
    for (let i = 0; i < 8; i++) values[i] = this.#physical.read32(this.#maskGpa(base + i * 4)) | 0;
    for (let i = 0; i < 8; i += 2) {
      const isBad = (values[i] & 0x1e6) !== 0 || (values[i + 1] & (PAE_RESERVED_HIGH | -0x80000000)) !== 0;
      if ((values[i] & P) !== 0 && isBad) throw new CpuFault(VECTOR_GP, 0);
    }
    return values;
  }

  /** Puts what `readPdptes` answered into the registers that PAE walks start from. */
  storePdptes(values: Int32Array): void {
    this.#state.i32.set(values, PDPTE >> 2);
  }

  #permits(rights: number, access: number): boolean {
    if ((access & ACCESS_USER) !== 0) {
      if ((rights & US) === 0) return false;
      return (access & ACCESS_WRITE) === 0 || (rights & RW) !== 0;
    }
    return (access & ACCESS_WRITE) === 0 || (rights & RW) !== 0 || (this.#state.cr0 & CR0_WP) === 0;
  }

  #succeed(page: number, rights: number, leaf: number, access: number): void {
    this.gpaPage = this.#maskA20(page);
    this.isGlobal = (leaf & G) !== 0 && (this.#state.cr4 & CR4_PGE) !== 0;
    this.canCacheWrite = (leaf & D) !== 0 && this.#permits(rights, access | ACCESS_WRITE);
  }

  #fail(access: number, bits: number): boolean {
    const state = this.#state;
    // The instruction-fetch bit is defined only where no-execute exists and is on.
    const hasNx = (state.cr4 & CR4_PAE) !== 0 && (state.efer & EFER_NXE) !== 0;
    this.errorCode = (access & (PF_WRITE | PF_USER)) | (hasNx ? access & PF_FETCH : 0) | bits;
    return false;
  }

  #maskA20(page: number): number {
    return (this.#state.i32[A20_MASK >> 2] & 0x100000) !== 0 ? page : page & ~0x100;
  }
  #maskGpa(gpa: number): number {
    if ((this.#state.i32[A20_MASK >> 2] & 0x100000) !== 0) return gpa;
    return gpa - (gpa & 0x100000);
  }
}

/** Address of the table a PAE entry names: bits 35–12. */
function tableAddress(low: number, high: number): number {
  return (high & 15) * 0x100000000 + ((low & 0xfffff000) >>> 0);
}
