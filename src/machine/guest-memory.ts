/**
 * GuestMemory over the machine's shared memory: what DMA sees. RAM is contiguous from guest-physical 0; the legacy hole
 * A0000h–FFFFFh is not RAM to bus masters here (shadow RAM belongs to the CPU's side of the chipset).
 */
import type { GuestMemory } from "../device-api/guest-memory.ts";

const HOLE_START = 0xa0000;
const HOLE_END = 0x100000;

export interface SharedGuestMemoryOptions {
  readonly memory: WebAssembly.Memory;
  /** Byte offset of guest RAM in it. */
  readonly ramHostOffset: number;
  readonly ramBytes: number;
  /** Drops code decoded or translated from the range. */
  readonly invalidateCode: (gpa: number, lengthBytes: number) => void;
}

export class SharedGuestMemory implements GuestMemory {
  readonly ramBytes: number;
  readonly #ram: Uint8Array;
  readonly #invalidateCode: (gpa: number, lengthBytes: number) => void;

  constructor(options: SharedGuestMemoryOptions) {
    this.ramBytes = options.ramBytes;
    this.#ram = new Uint8Array(options.memory.buffer, options.ramHostOffset, options.ramBytes);
    this.#invalidateCode = options.invalidateCode;
  }

  read8(gpa: number): number {
    return this.#isRam(gpa, 1) ? this.#ram[gpa] : 0xff;
  }
  read16(gpa: number): number {
    if (!this.#isRam(gpa, 2)) return this.read8(gpa) | (this.read8(gpa + 1) << 8);
    return this.#ram[gpa] | (this.#ram[gpa + 1] << 8);
  }
  read32(gpa: number): number {
    if (!this.#isRam(gpa, 4)) return (this.read16(gpa) | (this.read16(gpa + 2) << 16)) >>> 0;
    const ram = this.#ram;
    return (ram[gpa] | (ram[gpa + 1] << 8) | (ram[gpa + 2] << 16) | (ram[gpa + 3] << 24)) >>> 0;
  }

  write8(gpa: number, value: number): void {
    if (!this.#isRam(gpa, 1)) return;
    this.#ram[gpa] = value;
    this.#invalidateCode(gpa, 1);
  }
  write16(gpa: number, value: number): void {
    if (!this.#isRam(gpa, 2)) {
      this.write8(gpa, value & 0xff);
      this.write8(gpa + 1, (value >>> 8) & 0xff);
      return;
    }
    this.#ram[gpa] = value;
    this.#ram[gpa + 1] = value >>> 8;
    this.#invalidateCode(gpa, 2);
  }
  write32(gpa: number, value: number): void {
    if (!this.#isRam(gpa, 4)) {
      this.write16(gpa, value & 0xffff);
      this.write16(gpa + 2, value >>> 16);
      return;
    }
    const ram = this.#ram;
    ram[gpa] = value;
    ram[gpa + 1] = value >>> 8;
    ram[gpa + 2] = value >>> 16;
    ram[gpa + 3] = value >>> 24;
    this.#invalidateCode(gpa, 4);
  }

  read(gpa: number, target: Uint8Array): void {
    if (this.#isRam(gpa, target.length)) {
      target.set(this.#ram.subarray(gpa, gpa + target.length));
      return;
    }
    this.#eachPart(gpa, target.length, (at, start, length, isRam) => {
      if (isRam) target.set(this.#ram.subarray(at, at + length), start);
      else target.fill(0xff, start, start + length);
    });
  }

  write(gpa: number, source: Uint8Array): void {
    if (this.#isRam(gpa, source.length)) {
      this.#ram.set(source, gpa);
      this.#invalidateCode(gpa, source.length);
      return;
    }
    this.#eachPart(gpa, source.length, (at, start, length, isRam) => {
      if (!isRam) return;
      this.#ram.set(source.subarray(start, start + length), at);
      this.#invalidateCode(at, length);
    });
  }

  view(gpa: number, lengthBytes: number): Uint8Array | undefined {
    return this.#isRam(gpa, lengthBytes) ? this.#ram.subarray(gpa, gpa + lengthBytes) : undefined;
  }

  invalidate(gpa: number, lengthBytes: number): void {
    if (lengthBytes > 0 && gpa < this.ramBytes) this.#invalidateCode(gpa, Math.min(lengthBytes, this.ramBytes - gpa));
  }

  #isRam(gpa: number, length: number): boolean {
    return gpa >= 0 && gpa + length <= this.ramBytes && (gpa + length <= HOLE_START || gpa >= HOLE_END);
  }

  /** Cuts [gpa, gpa+length) at the borders of RAM. */
  #eachPart(
    gpa: number,
    length: number,
    part: (gpa: number, start: number, length: number, isRam: boolean) => void,
  ): void {
    const end = gpa + length;
    let at = gpa;
    for (const border of [0, HOLE_START, HOLE_END, this.ramBytes, end]) {
      const stop = Math.min(border, end);
      if (stop <= at) continue;
      part(at, at - gpa, stop - at, this.#isRam(at, 1));
      at = stop;
    }
  }
}
