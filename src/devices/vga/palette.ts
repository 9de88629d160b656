/**
 * From pixel values to RGBA: the attribute controller's palette (AR0–AR14h), the PEL mask and the DAC, worked out once
 * per rendered picture into tables of 32-bit pixels (red in the lowest byte, opaque).
 */
import type { VgaRegisterFile } from "./register-file.ts";
import * as R from "./registers.ts";

export const BLACK = 0xff00_0000 | 0;

export class Palette {
  /** Pixel values of 8 bits, through the PEL mask. */
  readonly colors256 = new Int32Array(256);
  /** Pixel values of 4 bits, through the attribute controller. */
  readonly colors16 = new Int32Array(16);

  update(registers: VgaRegisterFile, isDac8Bit: boolean): void {
    const { dac, pelMask, ar } = registers;
    for (let value = 0; value < 256; value++) {
      const at = (value & pelMask) * 3;
      this.colors256[value] = isDac8Bit
        ? packed(dac[at], dac[at + 1], dac[at + 2])
        : packed(widened(dac[at]), widened(dac[at + 1]), widened(dac[at + 2]));
    }
    const select = ar[R.AR14_COLOR_SELECT];
    const hasP54S = (ar[R.AR10_MODE] & R.AR10_P54S) !== 0;
    const planes = ar[R.AR12_PLANE_ENABLE] & 15;
    for (let value = 0; value < 16; value++) {
      const entry = ar[value & planes];
      const low = hasP54S ? (entry & 0x0f) | ((select & 3) << 4) : entry;
      this.colors16[value] = this.colors256[low | ((select & 0x0c) << 4)];
    }
  }
}

function packed(red: number, green: number, blue: number): number {
  return BLACK | (blue << 16) | (green << 8) | red;
}

/** 6 bits to 8, 63 to 255. */
function widened(component: number): number {
  return ((component & 0x3f) << 2) | ((component & 0x3f) >> 4);
}
