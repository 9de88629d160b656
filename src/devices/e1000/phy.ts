/**
 * The transceiver of an 8254x card, a Marvell 88E1000 or 88E1011 at management address 1: the basic registers and those of the
 * vendor that drivers read (specific control and status), and the serial management bus that the 82543 leaves to software
 * (IEEE 802.3, 22.2.4.5).
 */

import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { MiiPhy } from "../../device-parts/mii-phy.ts";

export const PHY_ADDRESS = 1;
const PSCR = 16;
const PSSR = 17;
const EPSCR = 20;
const PSSR_LINK = 0x0400;
const PSSR_RESOLVED = 0x0800;
const PSSR_FULL_DUPLEX = 0x2000;
const PSSR_SPEED_100 = 0x4000;
const PSSR_SPEED_1000 = 0x8000;
/** Automatic crossover, carrier sense on transmission. */
const PSCR_DEFAULT = 0x0068;
const EPSCR_DEFAULT = 0x0d60;
/** Vendor registers that keep what is written: interrupt enable, cable, page select, … */
const FIRST_VENDOR = 16;

export class MarvellPhy extends MiiPhy {
  readonly #vendor = new Uint16Array(16);

  constructor(id2: number) {
    super({ id1: 0x0141, id2, isGigabit: true });
    this.#setVendorDefaults();
  }

  override reset(): void {
    super.reset();
    this.#setVendorDefaults();
  }

  #setVendorDefaults(): void {
    this.#vendor.fill(0);
    this.#vendor[PSCR - FIRST_VENDOR] = PSCR_DEFAULT;
    this.#vendor[EPSCR - FIRST_VENDOR] = EPSCR_DEFAULT;
  }

  override read(register: number): number {
    if (register < FIRST_VENDOR) return super.read(register);
    if (register !== PSSR) return this.#vendor[register - FIRST_VENDOR];
    if (!this.isLinkUp) return 0;
    const speed = this.speedMbps === 1000 ? PSSR_SPEED_1000 : this.speedMbps === 100 ? PSSR_SPEED_100 : 0;
    return PSSR_LINK | PSSR_RESOLVED | speed | (this.isFullDuplex ? PSSR_FULL_DUPLEX : 0);
  }

  override write(register: number, value: number): void {
    if (register < FIRST_VENDOR) super.write(register, value);
    else if (register !== PSSR) this.#vendor[register - FIRST_VENDOR] = value;
  }

  override save(): { readonly [key: string]: SavedValue } {
    return { ...super.save(), vendor: [...this.#vendor] };
  }

  override load(state: StateReader): void {
    super.load(state);
    this.#vendor.set(state.integers("vendor", 16, 16, 0, 0xffff));
  }
}

const PREAMBLE_ONES = 32;
const OP_READ = 2;
const OP_WRITE = 1;
/** Start, operation, two addresses; data and turnaround. */
const HEADER_BITS = 14;
const FRAME_BITS = 32;

/** The serial bus as the transceiver sees it: a bit at each rising clock. */
export class ManagementBus {
  readonly #phy: MarvellPhy;
  /** Ones seen in a row, outside a frame. */
  #ones = 0;
  /** Bits of the frame so far, 0: outside. */
  #count = 0;
  #bits = 0;
  /** What a read frame gives out. */
  #data = 0;
  #isReading = false;
  #isHigh = true;

  constructor(phy: MarvellPhy) {
    this.#phy = phy;
  }

  /** The level that the transceiver drives (high when it drives nothing). */
  get dataOut(): boolean {
    return this.#isHigh;
  }

  /** A rising clock; `bit` is the line's level where software drives it. */
  clock(bit: number): void {
    if (this.#isReading) {
      this.#count++;
      // One bit of turnaround, then sixteen of data.
      const at = this.#count - HEADER_BITS - 2;
      this.#isHigh = at < 0 || at > 15 || ((this.#data >>> (15 - at)) & 1) !== 0;
      if (this.#count >= FRAME_BITS) this.#end();
      return;
    }
    if (this.#count === 0) {
      if (bit === 1) this.#ones = Math.min(this.#ones + 1, PREAMBLE_ONES);
      else if (this.#ones === PREAMBLE_ONES) {
        this.#count = 1;
        this.#bits = 0;
        this.#ones = 0;
      } else this.#ones = 0;
      return;
    }
    this.#bits = ((this.#bits << 1) | bit) >>> 0;
    this.#count++;
    if (this.#count === HEADER_BITS) this.#header();
    else if (this.#count === FRAME_BITS) this.#write();
  }

  #header(): void {
    const operation = (this.#bits >>> 10) & 3;
    const isStart = this.#bits >>> 12 === 1;
    if (!isStart || (operation !== OP_READ && operation !== OP_WRITE)) {
      this.#end();
      return;
    }
    if (operation === OP_WRITE) return;
    this.#isReading = true;
    this.#data = ((this.#bits >>> 5) & 31) === PHY_ADDRESS ? this.#phy.read(this.#bits & 31) : 0xffff;
  }

  #write(): void {
    const header = this.#bits >>> 18;
    if (((header >>> 5) & 31) === PHY_ADDRESS) this.#phy.write(header & 31, this.#bits & 0xffff);
    this.#end();
  }

  #end(): void {
    this.#count = 0;
    this.#bits = 0;
    this.#ones = 0;
    this.#isReading = false;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      ones: this.#ones,
      count: this.#count,
      bits: this.#bits,
      data: this.#data,
      isReading: this.#isReading,
      isHigh: this.#isHigh,
    };
  }

  load(state: StateReader): void {
    this.#ones = state.integer("ones", 0, PREAMBLE_ONES);
    this.#count = state.integer("count", 0, FRAME_BITS - 1);
    this.#bits = state.integer("bits", 0, 0xffffffff);
    this.#data = state.integer("data", 0, 0xffff);
    this.#isReading = state.boolean("isReading");
    this.#isHigh = state.boolean("isHigh");
    state.end();
  }
}
