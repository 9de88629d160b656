/**
 * The registers of the VGA and of the DISPI interface as plain storage, shared by the parts that give them meaning:
 * `ports.ts` (guest's port accesses), `aperture.ts` (A0000h–BFFFFh), `dispi.ts`, `scan.ts` and the renderers.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

export class VgaRegisterFile {
  misc = 0;
  featureControl = 0;
  subsystemEnable = 0;

  srIndex = 0;
  readonly sr = new Uint8Array(8);
  grIndex = 0;
  readonly gr = new Uint8Array(16);
  crIndex = 0;
  readonly cr = new Uint8Array(R.CR_COUNT);

  /** Bits 0–4; the palette address source bit is kept apart. */
  arIndex = 0;
  isPaletteOnScreen = false;
  /** The next write of 3C0h is data. */
  isAttributeData = false;
  readonly ar = new Uint8Array(R.AR_COUNT);

  /** 256 × red, green, blue as the guest wrote them: 6 bits each, 8 with `DISPI_8BIT_DAC`. */
  readonly dac = new Uint8Array(768);
  pelMask = 0xff;
  dacReadIndex = 0;
  dacWriteIndex = 0;
  /** What 3C7h reads: 0 after 3C8h was written, 3 after 3C7h was. */
  dacState = 0;
  dacComponent = 0;
  readonly dacPending = new Uint8Array(3);

  /** One byte of each map, map 0 lowest, as a signed 32-bit number. */
  latch = 0;

  /** The ports of the current emulation (misc bit 0) answer; the others do not. */
  get isColor(): boolean {
    return (this.misc & R.MISC_IOS) !== 0;
  }
  get isGraphics(): boolean {
    return (this.gr[R.GR6_MISC] & R.GR6_GRAPHICS) !== 0;
  }
  /** Display start or cursor location: a high and a low register. */
  crWord(highIndex: number): number {
    return (this.cr[highIndex] << 8) | this.cr[highIndex + 1];
  }

  reset(): void {
    this.misc = 0;
    this.featureControl = 0;
    this.subsystemEnable = 1;
    this.srIndex = 0;
    this.sr.fill(0);
    this.grIndex = 0;
    this.gr.fill(0);
    this.crIndex = 0;
    this.cr.fill(0);
    this.arIndex = 0;
    this.isPaletteOnScreen = false;
    this.isAttributeData = false;
    this.ar.fill(0);
    this.dac.fill(0);
    this.pelMask = 0xff;
    this.dacReadIndex = 0;
    this.dacWriteIndex = 0;
    this.dacState = 0;
    this.dacComponent = 0;
    this.dacPending.fill(0);
    this.latch = 0;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      misc: this.misc,
      featureControl: this.featureControl,
      subsystemEnable: this.subsystemEnable,
      srIndex: this.srIndex,
      sr: this.sr.slice(),
      grIndex: this.grIndex,
      gr: this.gr.slice(),
      crIndex: this.crIndex,
      cr: this.cr.slice(),
      arIndex: this.arIndex,
      isPaletteOnScreen: this.isPaletteOnScreen,
      isAttributeData: this.isAttributeData,
      ar: this.ar.slice(),
      dac: this.dac.slice(),
      pelMask: this.pelMask,
      dacReadIndex: this.dacReadIndex,
      dacWriteIndex: this.dacWriteIndex,
      dacState: this.dacState,
      dacComponent: this.dacComponent,
      dacPending: this.dacPending.slice(),
      latch: this.latch,
    };
  }

  load(state: StateReader): void {
    this.misc = state.byte("misc");
    this.featureControl = state.byte("featureControl");
    this.subsystemEnable = state.byte("subsystemEnable");
    this.srIndex = state.integer("srIndex", 0, 7);
    this.sr.set(state.bytes("sr", this.sr.length));
    this.grIndex = state.integer("grIndex", 0, 15);
    this.gr.set(state.bytes("gr", this.gr.length));
    this.crIndex = state.byte("crIndex");
    this.cr.set(state.bytes("cr", this.cr.length));
    this.arIndex = state.integer("arIndex", 0, 31);
    this.isPaletteOnScreen = state.boolean("isPaletteOnScreen");
    this.isAttributeData = state.boolean("isAttributeData");
    this.ar.set(state.bytes("ar", this.ar.length));
    this.dac.set(state.bytes("dac", this.dac.length));
    this.pelMask = state.byte("pelMask");
    this.dacReadIndex = state.byte("dacReadIndex");
    this.dacWriteIndex = state.byte("dacWriteIndex");
    this.dacState = state.integer("dacState", 0, 3);
    this.dacComponent = state.integer("dacComponent", 0, 2);
    this.dacPending.set(state.bytes("dacPending", 3));
    this.latch = state.integer("latch", -0x8000_0000, 0x7fff_ffff);
    state.end();
    // A state made by hand may hold bits that the hardware has not; they must not reach the address computations.
    for (let i = 0; i < 8; i++) this.sr[i] &= R.SR_MASKS[i];
    for (let i = 0; i < 16; i++) this.gr[i] &= R.GR_MASKS[i];
    for (let i = 0; i < 16; i++) this.ar[i] &= R.AR_PALETTE_MASK;
    for (let i = 0x10; i < R.AR_COUNT; i++) this.ar[i] &= R.AR_MODE_MASKS[i - 0x10];
  }
}
