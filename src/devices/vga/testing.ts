/**
 * For tests of this folder: an attached adapter with the guest's side (register writes, memory, screen), and the register
 * values of the standard modes as IBM's VGA BIOS documents them. Only tests import this file.
 */

import type { DeviceMemory } from "../../device-api/pci-function.ts";
import { createDeviceMemory, FakeContext } from "../../device-api/testing.ts";
import { SHADOW_BYTES } from "./direct-window.ts";
import { createVga, type VgaDevice } from "./index.ts";

export interface ModeRegisters {
  readonly misc: number;
  readonly sr: string;
  readonly cr: string;
  readonly gr: string;
  readonly ar: string;
}

const egaPalette = "00 01 02 03 04 05 14 07 38 39 3a 3b 3c 3d 3e 3f";

export const mode03: ModeRegisters = {
  misc: 0x67,
  sr: "03 00 03 00 02",
  cr: "5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 1f 96 b9 a3 ff",
  gr: "00 00 00 00 00 10 0e 00 ff",
  ar: `${egaPalette} 0c 00 0f 08 00`,
};
export const mode04: ModeRegisters = {
  misc: 0x63,
  sr: "03 09 03 00 02",
  cr: "2d 27 28 90 2b 80 bf 1f 00 c1 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 a2 ff",
  gr: "00 00 00 00 00 30 0f 0f ff",
  ar: "00 13 15 17 02 04 06 07 10 11 12 13 14 15 16 17 01 00 03 00 00",
};
export const mode06: ModeRegisters = {
  misc: 0x63,
  sr: "03 01 01 00 06",
  cr: "5f 4f 50 82 54 80 bf 1f 00 c1 00 00 00 00 00 00 9c 8e 8f 28 00 96 b9 c2 ff",
  gr: "00 00 00 00 00 00 0d 0f ff",
  ar: "00 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 01 00 01 00 00",
};
export const mode07: ModeRegisters = {
  misc: 0x66,
  sr: "03 00 03 00 02",
  cr: "5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 0d 96 b9 a3 ff",
  gr: "00 00 00 00 00 10 0a 00 ff",
  ar: "00 08 08 08 08 08 08 08 10 18 18 18 18 18 18 18 0e 00 0f 08 00",
};
export const mode0d: ModeRegisters = {
  misc: 0x63,
  sr: "03 09 0f 00 06",
  cr: "2d 27 28 90 2b 80 bf 1f 00 c0 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 e3 ff",
  gr: "00 00 00 00 00 00 05 0f ff",
  ar: "00 01 02 03 04 05 06 07 10 11 12 13 14 15 16 17 01 00 0f 00 00",
};
export const mode12: ModeRegisters = {
  misc: 0xe3,
  sr: "03 01 0f 00 06",
  cr: "5f 4f 50 82 54 80 0b 3e 00 40 00 00 00 00 00 00 ea 8c df 28 00 e7 04 e3 ff",
  gr: "00 00 00 00 00 00 05 0f ff",
  ar: `${egaPalette} 01 00 0f 00 00`,
};
export const mode13: ModeRegisters = {
  misc: 0x63,
  sr: "03 01 0f 00 0e",
  cr: "5f 4f 50 82 54 80 bf 1f 00 41 00 00 00 00 00 00 9c 8e 8f 28 40 96 b9 a3 ff",
  gr: "00 00 00 00 00 40 05 0f ff",
  ar: "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 41 00 0f 00 00",
};
/** 320×240, unchained: as games set it on top of mode 13h. */
export const modeX: ModeRegisters = {
  misc: 0xe3,
  sr: "03 01 0f 00 06",
  cr: "5f 4f 50 82 54 80 0d 3e 00 41 00 00 00 00 00 00 ea ac df 28 00 e7 06 e3 ff",
  gr: "00 00 00 00 00 40 05 0f ff",
  ar: "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 41 00 0f 00 00",
};

export class VgaBench {
  readonly context = new FakeContext();
  readonly memory: DeviceMemory;
  /** Shadow and video memory, as they lie in a machine. */
  readonly both: DeviceMemory | undefined;
  readonly vga: VgaDevice;

  constructor(vramBytes = 4 << 20, reportedBytes?: number, hasShadow = false, hasHostInterface = false) {
    if (hasShadow) {
      this.both = createDeviceMemory(SHADOW_BYTES + vramBytes);
      const { bytes } = this.both;
      this.memory = { bytes: bytes.subarray(SHADOW_BYTES), hostOffset: SHADOW_BYTES };
    } else this.memory = createDeviceMemory(vramBytes);
    const shadow = this.both && { bytes: this.both.bytes.subarray(0, SHADOW_BYTES), hostOffset: 0 };
    this.vga = createVga({ vram: this.memory, vramBytes: reportedBytes, shadow, hasHostInterface });
    this.vga.attach(this.context);
    this.vga.reset("power-on");
  }

  in(port: number): number {
    return this.context.in(port);
  }
  out(port: number, value: number): void {
    this.context.out(port, 1, value);
  }
  sr(index: number, value: number): void {
    this.out(0x3c4, index);
    this.out(0x3c5, value);
  }
  gr(index: number, value: number): void {
    this.out(0x3ce, index);
    this.out(0x3cf, value);
  }
  cr(index: number, value: number): void {
    const port = (this.in(0x3cc) & 1) !== 0 ? 0x3d4 : 0x3b4;
    this.out(port, index);
    this.out(port + 1, value);
  }
  ar(index: number, value: number): void {
    this.in((this.in(0x3cc) & 1) !== 0 ? 0x3da : 0x3ba);
    this.out(0x3c0, index);
    this.out(0x3c0, value);
    this.out(0x3c0, 0x20);
  }
  dac(index: number, red: number, green: number, blue: number): void {
    this.out(0x3c8, index);
    for (const component of [red, green, blue]) this.out(0x3c9, component);
  }
  /** Sets a mode in the order that BIOSes do: sequencer in reset, CRTC unprotected. Entry n of the DAC becomes (n, 0, 0). */
  setMode(mode: ModeRegisters): void {
    const bytes = (text: string) => text.split(" ").map((byte) => Number.parseInt(byte, 16));
    this.out(0x3c2, mode.misc);
    this.sr(0, 1);
    for (const [index, value] of bytes(mode.sr).entries()) if (index > 0) this.sr(index, value);
    this.sr(0, 3);
    this.cr(0x11, 0);
    for (const [index, value] of bytes(mode.cr).entries()) this.cr(index, value);
    for (const [index, value] of bytes(mode.gr).entries()) this.gr(index, value);
    for (const [index, value] of bytes(mode.ar).entries()) this.ar(index, value);
    for (let index = 0; index < 256; index++) this.dac(index, index & 0x3f, index >> 6, 0);
  }
  /** A DISPI register by 16-bit accesses. */
  dispi(index: number, value?: number): number {
    this.context.out(0x1ce, 2, index);
    if (value !== undefined) this.context.out(0x1cf, 2, value);
    return this.context.in(0x1cf, 2);
  }
  setDispiMode(width: number, height: number, bits: number, flags = 0x41): void {
    this.dispi(4, 0);
    this.dispi(1, width);
    this.dispi(2, height);
    this.dispi(3, bits);
    this.dispi(4, flags);
  }
  read8(gpa: number): number {
    return this.context.readMmio(gpa, 1);
  }
  write8(gpa: number, value: number): void {
    this.context.writeMmio(gpa, 1, value);
  }
  /** The picture as red, green, blue of one pixel. */
  pixel(x: number, y: number): readonly [number, number, number] {
    const rgba = this.vga.renderRgba();
    const at = (y * this.vga.widthPixels + x) * 4;
    return [rgba[at], rgba[at + 1], rgba[at + 2]];
  }
  /** The DAC entry shown at a pixel, with the palette of `setMode`. */
  dacIndexAt(x: number, y: number): number {
    const [red, green] = this.pixel(x, y);
    return (red >> 2) | ((green >> 2) << 6);
  }
}
