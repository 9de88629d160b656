/**
 * The i440FX's programmable attribute map as the memory bus carries it out: thirteen segments of C0000h–FFFFFh, each
 * reading from RAM or ROM and writing to RAM or nowhere (Intel 290549, registers 59h–5Fh). The host bridge decodes its
 * registers and tells `set`; the ROMs lie under the segments.
 */
import type { MemoryBus, MovableRegion } from "./memory-bus.ts";

/** Segment 0 is F0000h–FFFFFh, 1–12 are C0000h–EFFFFh in steps of 16 KiB. */
export const SHADOW_SEGMENTS: readonly { readonly base: number; readonly lengthBytes: number }[] = [
  { base: 0xf0000, lengthBytes: 0x10000 },
  ...Array.from({ length: 12 }, (_, i) => ({ base: 0xc0000 + i * 0x4000, lengthBytes: 0x4000 })),
];

export class ShadowRam {
  readonly #regions: readonly MovableRegion[];

  /** Made before the ROMs are added, so that the segments lie on top of them. RAM is at `ramHostOffset`. */
  constructor(bus: MemoryBus, ramHostOffset: number) {
    this.#regions = SHADOW_SEGMENTS.map(({ base, lengthBytes }) =>
      bus.addSwitched(`shadow RAM ${base.toString(16)}h`, lengthBytes, {
        kind: "memory",
        hostOffset: ramHostOffset + base,
      }),
    );
  }

  /**
   * PAM register `index` (0–6) holds `value`: read and write enable of the lower segment in bits 0 and 1, of the upper in
   * bits 4 and 5. Register 0 has only the upper one, F0000h–FFFFFh.
   */
  setPam(index: number, value: number): void {
    if (index === 0) {
      this.#set(0, value >> 4);
      return;
    }
    this.#set(2 * index - 1, value);
    this.#set(2 * index, value >> 4);
  }

  #set(segment: number, enables: number): void {
    this.#regions[segment].place(SHADOW_SEGMENTS[segment].base, (enables & 1) !== 0, (enables & 2) !== 0);
  }
}
