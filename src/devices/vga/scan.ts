/**
 * Where the beam is: line and frame times from the CRTC's registers and the dot clock, and from them input status 1
 * (display disabled, vertical retrace) and the phases of blinking. Nothing is counted: all follows from the guest's time.
 * In DISPI modes, which have no timing registers, 60 Hz with 4 % vertical and 20 % horizontal blanking.
 */
import type { Clock } from "../../device-api/clock.ts";
import type { DispiMode } from "./dispi.ts";
import type { VgaRegisterFile } from "./register-file.ts";
import * as R from "./registers.ts";

/** 25.175 and 28.322 MHz; the external inputs of clock select 2 and 3 carry 25.175 MHz too. */
const dotClocksHz = [25_175_000, 28_322_000, 25_175_000, 25_175_000] as const;
const dispiFrameNs = 1e9 / 60;

/** Vertical display end, total, …: eight low bits in their register, bits 8 and 9 in bits of the overflow register. */
function verticalValue(registers: VgaRegisterFile, index: number, bit8: number, bit9: number): number {
  const overflow = registers.cr[R.CR07_OVERFLOW];
  return registers.cr[index] | (((overflow >> bit8) & 1) << 8) | (((overflow >> bit9) & 1) << 9);
}

/** The scan line after which the picture goes on at address 0. */
export function lineCompare(registers: VgaRegisterFile): number {
  const bit8 = (registers.cr[R.CR07_OVERFLOW] & R.CR07_LINE_COMPARE_8) !== 0 ? 0x100 : 0;
  const bit9 = (registers.cr[R.CR09_MAXIMUM_SCAN_LINE] & R.CR09_LINE_COMPARE_9) !== 0 ? 0x200 : 0;
  return registers.cr[R.CR18_LINE_COMPARE] | bit8 | bit9;
}

/** Scan lines the CRTC displays, in units of its vertical counter. */
export function displayedLines(registers: VgaRegisterFile): number {
  return verticalValue(registers, R.CR12_VERTICAL_DISPLAY_END, 1, 6) + 1;
}

export class Scan {
  readonly #registers: VgaRegisterFile;
  readonly #dispi: DispiMode;
  readonly #clock: Clock;

  #frameNs = dispiFrameNs;
  #lineNs = dispiFrameNs;
  #displayedNs = 0;
  #displayedLines = 0;
  #retraceStart = 0;
  #retraceEnd = 0;

  constructor(registers: VgaRegisterFile, dispi: DispiMode, clock: Clock) {
    this.#registers = registers;
    this.#dispi = dispi;
    this.#clock = clock;
    this.refresh();
  }

  /** Takes over the timing registers; called after each change of them. */
  refresh(): void {
    const { cr, sr, misc } = this.#registers;
    if (this.#dispi.isActive) {
      const lines = this.#dispi.heightPixels;
      const totalLines = lines + Math.max(4, Math.ceil(lines / 25));
      this.#frameNs = dispiFrameNs;
      this.#lineNs = dispiFrameNs / totalLines;
      this.#displayedNs = this.#lineNs * 0.8;
      this.#displayedLines = lines;
      this.#retraceStart = lines + 1;
      this.#retraceEnd = lines + 3;
      return;
    }
    const dots = (sr[R.SR1_CLOCKING_MODE] & R.SR1_EIGHT_DOTS) !== 0 ? 8 : 9;
    const divider = (sr[R.SR1_CLOCKING_MODE] & R.SR1_DOT_CLOCK_HALVED) !== 0 ? 2 : 1;
    const characterNs = (1e9 * dots * divider) / dotClocksHz[(misc & R.MISC_CLOCK) >> 2];
    this.#lineNs = (cr[R.CR00_HORIZONTAL_TOTAL] + 5) * characterNs;
    this.#displayedNs = (cr[R.CR01_HORIZONTAL_DISPLAY_END] + 1) * characterNs;
    const unit = (cr[R.CR17_MODE] & R.CR17_LINES_BY_2) !== 0 ? 2 : 1;
    const total = verticalValue(this.#registers, R.CR06_VERTICAL_TOTAL, 0, 5) + 2;
    this.#frameNs = this.#lineNs * total * unit;
    this.#displayedLines = Math.min(displayedLines(this.#registers), total - 1) * unit;
    // A retrace that the registers put outside the frame would never come; guests wait for it without end.
    const start = Math.min(verticalValue(this.#registers, R.CR10_RETRACE_START, 2, 7), total - 1);
    const length = ((cr[R.CR11_RETRACE_END] - start - 1) & 15) + 1;
    this.#retraceStart = start * unit;
    this.#retraceEnd = Math.min(start + length, total) * unit;
  }

  /** Bits 0 and 3 of input status 1 at this moment. */
  status(): number {
    const inFrameNs = this.#clock.nowNs() % this.#frameNs;
    const line = Math.floor(inFrameNs / this.#lineNs);
    let status = 0;
    if (line >= this.#retraceStart && line < this.#retraceEnd) status |= R.IS1_VERTICAL_RETRACE;
    if (line >= this.#displayedLines || inFrameNs - line * this.#lineNs >= this.#displayedNs) {
      status |= R.IS1_DISPLAY_DISABLED;
    }
    return status;
  }

  /** Frames since power-on at the present rate: the cursor changes every 8, blinking characters every 16. */
  frame(): number {
    return Math.floor(this.#clock.nowNs() / this.#frameNs);
  }
}
