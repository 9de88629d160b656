/**
 * The guest-physical address space below 4 GiB, page by page, as CPU and DMA see it: RAM, ROM, directly mapped device
 * memory, or memory-mapped I/O (no entry). Lives in the shared memory (layout.ts PHYSICAL_MAP) so that generated code can
 * use it; changes must be followed by a TLB flush, which `onChange` asks for.
 */
import { PHYSICAL_CODE, PHYSICAL_MAP, PHYSICAL_PRESENT, PHYSICAL_WRITABLE } from "../layout.ts";

export class PhysicalMap {
  readonly #entries: Uint32Array;
  readonly #onChange: (gpaPage: number, pages: number) => void;

  /** `onChange` drops TLB entries and decoded code of the given pages (called before the entries change). */
  constructor(memory: WebAssembly.Memory, onChange: (gpaPage: number, pages: number) => void) {
    this.#entries = new Uint32Array(memory.buffer, PHYSICAL_MAP, 1 << 20);
    this.#onChange = onChange;
  }

  /** Maps [gpa, gpa+length) to host bytes at `hostOffset`; all page aligned. */
  map(gpa: number, lengthBytes: number, hostOffset: number, writable: boolean): void {
    const first = gpa >>> 12;
    const count = lengthBytes >>> 12;
    this.#onChange(first, count);
    const flags = PHYSICAL_PRESENT | (writable ? PHYSICAL_WRITABLE : 0);
    for (let i = 0; i < count; i++) this.#entries[first + i] = (hostOffset + i * 4096) | flags;
  }

  /** Makes [gpa, gpa+length) memory-mapped I/O (or nothing). */
  unmap(gpa: number, lengthBytes: number): void {
    const first = gpa >>> 12;
    const count = lengthBytes >>> 12;
    this.#onChange(first, count);
    this.#entries.fill(0, first, first + count);
  }

  /** Entry of a page: 0, or host page offset | flags. */
  entry(gpaPage: number): number {
    return this.#entries[gpaPage];
  }

  markCode(gpaPage: number): void {
    if (this.#entries[gpaPage] !== 0) this.#entries[gpaPage] |= PHYSICAL_CODE;
  }

  unmarkCode(gpaPage: number): void {
    this.#entries[gpaPage] &= ~PHYSICAL_CODE;
  }
}
