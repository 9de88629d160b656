/**
 * Guest-physical memory as the CPU reaches it: RAM and ROM through the physical map, everything else through the bus.
 * Addresses are after the A20 mask and may exceed 4 GiB (nothing but the bus there). An access never crosses a page: its
 * callers split. Writes to pages that hold decoded code are reported after the bytes are there.
 */
import type { CpuBus } from "../../device-api/virtual-cpu.ts";
import { PHYSICAL_CODE, PHYSICAL_MAP, PHYSICAL_WRITABLE } from "../layout.ts";
import type { CpuState } from "../state.ts";

const MAP = PHYSICAL_MAP >> 2;

export class PhysicalMemory {
  /** Called after a write of `sizeBytes` at `gpa` to a page marked as code; set by the engine. */
  onCodeWrite: (gpa: number, sizeBytes: number) => void = () => {};
  readonly #u32: Uint32Array;
  readonly #u8: Uint8Array;
  readonly #view: DataView;
  readonly #bus: CpuBus;

  constructor(state: CpuState, bus: CpuBus) {
    this.#u32 = state.u32;
    this.#u8 = state.u8;
    this.#view = state.view;
    this.#bus = bus;
  }

  /** Physical map entry of a page (0 = not memory). */
  entry(gpaPage: number): number {
    return gpaPage < 0x100000 ? this.#u32[MAP + gpaPage] : 0;
  }

  #entryAt(gpa: number): number {
    return gpa <= 0xffffffff ? this.#u32[MAP + (gpa >>> 12)] : 0;
  }

  read8(gpa: number): number {
    const entry = this.#entryAt(gpa);
    if (entry !== 0) return this.#u8[hostOffset(entry, gpa)];
    return this.#bus.readMmio(gpa, 1) & 0xff;
  }
  read16(gpa: number): number {
    const entry = this.#entryAt(gpa);
    if (entry !== 0) return this.#view.getUint16(hostOffset(entry, gpa), true);
    return this.#bus.readMmio(gpa, 2) & 0xffff;
  }
  read32(gpa: number): number {
    const entry = this.#entryAt(gpa);
    if (entry !== 0) return this.#view.getUint32(hostOffset(entry, gpa), true);
    return this.#bus.readMmio(gpa, 4) >>> 0;
  }

  write8(gpa: number, value: number): void {
    const entry = this.#entryAt(gpa);
    if ((entry & PHYSICAL_WRITABLE) === 0) {
      this.#bus.writeMmio(gpa, 1, value & 0xff);
      return;
    }
    this.#u8[hostOffset(entry, gpa)] = value;
    if ((entry & PHYSICAL_CODE) !== 0) this.onCodeWrite(gpa, 1);
  }
  write16(gpa: number, value: number): void {
    const entry = this.#entryAt(gpa);
    if ((entry & PHYSICAL_WRITABLE) === 0) {
      this.#bus.writeMmio(gpa, 2, value & 0xffff);
      return;
    }
    this.#view.setUint16(hostOffset(entry, gpa), value, true);
    if ((entry & PHYSICAL_CODE) !== 0) this.onCodeWrite(gpa, 2);
  }
  write32(gpa: number, value: number): void {
    const entry = this.#entryAt(gpa);
    if ((entry & PHYSICAL_WRITABLE) === 0) {
      this.#bus.writeMmio(gpa, 4, value >>> 0);
      return;
    }
    this.#view.setInt32(hostOffset(entry, gpa), value, true);
    if ((entry & PHYSICAL_CODE) !== 0) this.onCodeWrite(gpa, 4);
  }
}

function hostOffset(entry: number, gpa: number): number {
  return ((entry & 0xfffff000) >>> 0) + (gpa & 0xfff);
}
