/**
 * One Intel 8259A (data sheet order 231468) with the PIIX3's edge/level control register in place of ICW1's LTIM bit.
 * Modelled: ICW1–4, OCW1–3, fully nested and special fully nested mode, automatic EOI, all rotations, special mask and
 * poll mode, the edge-sense latch, withdrawal of a request before INTA. Not modelled: MCS-80/85 vectoring and buffered
 * mode (no effect on a PC). The cascade of two is pair.ts.
 *
 * An input's request follows the data sheet's cell: in edge mode IRR is set by a rising edge and cleared by the falling
 * edge or by INTA, in level mode IRR is the line.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

/** Index of the lowest set bit of a byte; 8 for 0. */
const lowestBit = new Uint8Array(256);
for (let value = 0; value < 256; value++) {
  let bit = 0;
  while (bit < 8 && (value & (1 << bit)) === 0) bit++;
  lowestBit[value] = bit;
}

export class Pic8259 {
  #lines = 0;
  #irr = 0;
  #isr = 0;
  #imr = 0;
  #elcr = 0;
  readonly #elcrWritable: number;
  #vectorBase = 0;
  /** The input with the lowest priority; priorities fall from the one above it. */
  #lowest = 7;
  /** 0 operational; 2, 3, 4: the ICW expected next; 1: never initialised. */
  #icwExpected = 1;
  #needsIcw4 = false;
  #isSingle = false;
  #autoEoi = false;
  #rotateOnAutoEoi = false;
  #specialMask = false;
  #specialFullyNested = false;
  #readsIsr = false;
  #pollPending = false;
  readonly #hasCascade: boolean;

  /** `hasCascade`: the master, whose input 2 carries a slave. */
  constructor(hasCascade: boolean, elcrWritable: number) {
    this.#hasCascade = hasCascade;
    this.#elcrWritable = elcrWritable;
  }

  /** Back to the state before any ICW; the lines keep their levels (they are the devices'). */
  reset(): void {
    this.#elcr = 0;
    this.#vectorBase = 0;
    this.#initialise();
    this.#icwExpected = 1;
    this.#needsIcw4 = false;
    this.#isSingle = false;
    this.#autoEoi = false;
    this.#specialFullyNested = false;
  }

  #initialise(): void {
    this.#imr = 0;
    this.#isr = 0;
    this.#irr = this.#lines & this.#elcr;
    this.#lowest = 7;
    this.#rotateOnAutoEoi = false;
    this.#specialMask = false;
    this.#readsIsr = false;
    this.#pollPending = false;
  }

  /** The level of input `input`. */
  setLine(input: number, level: boolean): void {
    const bit = 1 << input;
    if (level) {
      if ((this.#lines & bit) === 0) this.#irr |= bit;
      this.#lines |= bit;
    } else {
      this.#lines &= ~bit;
      this.#irr &= ~bit;
    }
  }

  get elcr(): number {
    return this.#elcr;
  }
  set elcr(value: number) {
    this.#elcr = value & this.#elcrWritable;
    // A level input requests as long as its line is high, latched or not.
    this.#irr = (this.#irr & ~this.#elcr) | (this.#lines & this.#elcr);
  }

  get vectorBase(): number {
    return this.#vectorBase;
  }

  /** The input that INT stands for now, or -1: the highest unmasked request above everything in service. */
  pendingInput(): number {
    const requests = this.#irr & ~this.#imr;
    if (requests === 0 || this.#icwExpected !== 0) return -1;
    const first = (this.#lowest + 1) & 7;
    const request = lowestBit[rotateRight(requests, first)];
    let blocking = this.#isr;
    if (this.#specialMask) blocking &= ~this.#imr;
    // In special fully nested mode the slave's own priorities decide among its requests.
    if (this.#specialFullyNested && this.#hasCascade) {
      const service = lowestBit[rotateRight(blocking, first)];
      if (((service + first) & 7) === R.CASCADE_INPUT && blocking !== 0 && request === service) {
        return R.CASCADE_INPUT;
      }
    }
    return request < lowestBit[rotateRight(blocking, first)] ? (request + first) & 7 : -1;
  }

  /** INTA (or a poll) for `input`: into service, the edge latch is used up. */
  beginService(input: number): void {
    const bit = 1 << input;
    if ((this.#elcr & bit) === 0) this.#irr &= ~bit;
    if (this.#autoEoi) {
      if (this.#rotateOnAutoEoi) this.#lowest = input;
    } else {
      this.#isr |= bit;
    }
  }

  /** `offset` 0 the even port, 1 the odd one. */
  read(offset: number): number {
    if (this.#pollPending) {
      this.#pollPending = false;
      const input = this.pendingInput();
      if (input < 0) return 0;
      this.beginService(input);
      return R.POLL_REQUEST | input;
    }
    if (offset === 1) return this.#imr;
    return this.#readsIsr ? this.#isr : this.#irr;
  }

  write(offset: number, value: number): void {
    if (offset === 1) this.#writeOdd(value);
    else if ((value & R.ICW1_SELECT) !== 0) this.#writeIcw1(value);
    else if ((value & R.OCW3_SELECT) !== 0) this.#writeOcw3(value);
    else this.#writeOcw2(value);
  }

  #writeIcw1(value: number): void {
    this.#initialise();
    this.#needsIcw4 = (value & R.ICW1_IC4) !== 0;
    this.#isSingle = (value & R.ICW1_SNGL) !== 0;
    if (!this.#needsIcw4) {
      this.#autoEoi = false;
      this.#specialFullyNested = false;
    }
    this.#icwExpected = 2;
  }

  #writeOdd(value: number): void {
    switch (this.#icwExpected) {
      case 2:
        this.#vectorBase = value & 0xf8;
        this.#icwExpected = this.#isSingle ? (this.#needsIcw4 ? 4 : 0) : 3;
        return;
      case 3:
        // The cascade is wired: the identity in ICW3 changes nothing.
        this.#icwExpected = this.#needsIcw4 ? 4 : 0;
        return;
      case 4:
        this.#autoEoi = (value & R.ICW4_AEOI) !== 0;
        this.#specialFullyNested = (value & R.ICW4_SFNM) !== 0;
        this.#icwExpected = 0;
        return;
      default:
        this.#imr = value;
    }
  }

  #writeOcw3(value: number): void {
    if ((value & R.OCW3_ESMM) !== 0) this.#specialMask = (value & R.OCW3_SMM) !== 0;
    if ((value & R.OCW3_P) !== 0) this.#pollPending = true;
    else if ((value & R.OCW3_RR) !== 0) this.#readsIsr = (value & R.OCW3_RIS) !== 0;
  }

  #writeOcw2(value: number): void {
    const isRotating = (value & R.OCW2_R) !== 0;
    const isSpecific = (value & R.OCW2_SL) !== 0;
    const level = value & R.OCW2_LEVEL;
    if ((value & R.OCW2_EOI) !== 0) {
      const ended = isSpecific ? level : this.#highestInService();
      if (ended < 0) return;
      this.#isr &= ~(1 << ended);
      if (isRotating) this.#lowest = ended;
    } else if (!isSpecific) {
      this.#rotateOnAutoEoi = isRotating;
    } else if (isRotating) {
      this.#lowest = level;
    }
  }

  /** What a non-specific EOI ends: in special mask mode a masked level stays in service. */
  #highestInService(): number {
    const inService = this.#specialMask ? this.#isr & ~this.#imr : this.#isr;
    if (inService === 0) return -1;
    const first = (this.#lowest + 1) & 7;
    return (lowestBit[rotateRight(inService, first)] + first) & 7;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      lines: this.#lines,
      irr: this.#irr,
      isr: this.#isr,
      imr: this.#imr,
      elcr: this.#elcr,
      vectorBase: this.#vectorBase,
      lowest: this.#lowest,
      icwExpected: this.#icwExpected,
      needsIcw4: this.#needsIcw4,
      isSingle: this.#isSingle,
      autoEoi: this.#autoEoi,
      rotateOnAutoEoi: this.#rotateOnAutoEoi,
      specialMask: this.#specialMask,
      specialFullyNested: this.#specialFullyNested,
      readsIsr: this.#readsIsr,
      pollPending: this.#pollPending,
    };
  }

  load(state: StateReader): void {
    this.#lines = state.byte("lines");
    this.#irr = state.byte("irr");
    this.#isr = state.byte("isr");
    this.#imr = state.byte("imr");
    this.#elcr = state.byte("elcr") & this.#elcrWritable;
    this.#vectorBase = state.byte("vectorBase") & 0xf8;
    this.#lowest = state.integer("lowest", 0, 7);
    this.#icwExpected = state.integer("icwExpected", 0, 4);
    this.#needsIcw4 = state.boolean("needsIcw4");
    this.#isSingle = state.boolean("isSingle");
    this.#autoEoi = state.boolean("autoEoi");
    this.#rotateOnAutoEoi = state.boolean("rotateOnAutoEoi");
    this.#specialMask = state.boolean("specialMask");
    this.#specialFullyNested = state.boolean("specialFullyNested");
    this.#readsIsr = state.boolean("readsIsr");
    this.#pollPending = state.boolean("pollPending");
    state.end();
  }
}

/** A byte rotated so that bit `count` becomes bit 0: priority order becomes bit order. */
function rotateRight(value: number, count: number): number {
  return ((value >>> count) | (value << (8 - count))) & 0xff;
}
