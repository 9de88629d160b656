/**
 * The VGA's I/O ports 3B0h–3DFh (IBM's VGA reference, "Video Subsystem Registers"): CRTC with its write protection,
 * sequencer, graphics controller, attribute controller with its flip-flop, DAC, and the general registers. All byte-wide;
 * a 16-bit write to an index port reaches index and data, as on the bus.
 *
 * Not modelled: light pen, the vertical interrupt (IRQ 2, absent on most adapters), a palette that is locked while it
 * feeds the screen (writable at any time, as clones do), gating by 3C3h (stored only).
 */
import type { ByteRegisters } from "../../device-api/io-window.ts";
import type { VgaRegisterFile } from "./register-file.ts";
import * as R from "./registers.ts";

/** What a register write changes outside the register file. */
export interface VgaEvents {
  /** Sequencer, graphics controller or misc: how the processor's accesses reach the maps. */
  addressing(): void;
  /** CRTC, sequencer or misc: where the beam is. */
  timing(): void;
  /** AR10h was written: the guest has set a VGA mode, as this is the last step of every mode set. */
  modeSet(): void;
  /** Bits 0 and 3 of input status 1. */
  status(): number;
  /** Bits of a DAC component: 8 instead of 6. */
  isDac8Bit(): boolean;
}

export class VgaPorts {
  readonly #r: VgaRegisterFile;
  readonly #events: VgaEvents;

  constructor(registers: VgaRegisterFile, events: VgaEvents) {
    this.#r = registers;
    this.#events = events;
  }

  /** The byte registers of a range of ports that starts at `base`. */
  range(base: number): ByteRegisters {
    return {
      readByte: (offset) => this.read(base + offset),
      writeByte: (offset, value) => this.write(base + offset, value),
    };
  }

  /** A CRTC, status or feature port of the emulation that is not selected does not answer. */
  #isDeaf(port: number): boolean {
    return port < 0x3c0 ? this.#r.isColor : port >= 0x3d0 && !this.#r.isColor;
  }

  read(port: number): number {
    const r = this.#r;
    if (this.#isDeaf(port)) return 0xff;
    switch (port) {
      case R.ATTRIBUTE_WRITE:
        return r.arIndex | (r.isPaletteOnScreen ? R.AR_INDEX_PAS : 0);
      case R.ATTRIBUTE_READ:
        return r.arIndex < R.AR_COUNT ? r.ar[r.arIndex] : 0;
      case R.MISC_OUTPUT_WRITE:
        return R.IS0_SWITCH_SENSE;
      case R.VIDEO_SUBSYSTEM_ENABLE:
        return r.subsystemEnable;
      case R.SEQUENCER_INDEX:
        return r.srIndex;
      case R.SEQUENCER_DATA:
        return r.sr[r.srIndex];
      case R.PEL_MASK:
        return r.pelMask;
      case R.PEL_ADDRESS_READ:
        return r.dacState;
      case R.PEL_ADDRESS_WRITE:
        return r.dacWriteIndex;
      case R.PEL_DATA:
        return this.#readDac();
      case R.FEATURE_CONTROL_READ:
        return r.featureControl;
      case R.MISC_OUTPUT_READ:
        return r.misc;
      case R.GRAPHICS_INDEX:
        return r.grIndex;
      case R.GRAPHICS_DATA:
        return r.gr[r.grIndex];
      case R.CRTC_INDEX_MONO:
      case R.CRTC_INDEX_COLOR:
        return r.crIndex;
      case R.CRTC_DATA_MONO:
      case R.CRTC_DATA_COLOR:
        return this.#readCrtc();
      case R.INPUT_STATUS_1_MONO:
      case R.INPUT_STATUS_1_COLOR:
        r.isAttributeData = false;
        return this.#events.status();
      default:
        return 0xff;
    }
  }

  write(port: number, value: number): void {
    const r = this.#r;
    if (this.#isDeaf(port)) return;
    switch (port) {
      case R.ATTRIBUTE_WRITE:
        this.#writeAttribute(value);
        break;
      case R.MISC_OUTPUT_WRITE:
        r.misc = value;
        this.#events.addressing();
        this.#events.timing();
        break;
      case R.VIDEO_SUBSYSTEM_ENABLE:
        r.subsystemEnable = value & 1;
        break;
      case R.SEQUENCER_INDEX:
        r.srIndex = value & 7;
        break;
      case R.SEQUENCER_DATA:
        r.sr[r.srIndex] = value & R.SR_MASKS[r.srIndex];
        this.#events.addressing();
        if (r.srIndex === R.SR1_CLOCKING_MODE) this.#events.timing();
        break;
      case R.PEL_MASK:
        r.pelMask = value;
        break;
      case R.PEL_ADDRESS_READ:
        r.dacReadIndex = value;
        r.dacState = 3;
        r.dacComponent = 0;
        break;
      case R.PEL_ADDRESS_WRITE:
        r.dacWriteIndex = value;
        r.dacState = 0;
        r.dacComponent = 0;
        break;
      case R.PEL_DATA:
        this.#writeDac(value);
        break;
      case R.GRAPHICS_INDEX:
        r.grIndex = value & 15;
        break;
      case R.GRAPHICS_DATA:
        r.gr[r.grIndex] = value & R.GR_MASKS[r.grIndex];
        this.#events.addressing();
        break;
      case R.CRTC_INDEX_MONO:
      case R.CRTC_INDEX_COLOR:
        r.crIndex = value;
        break;
      case R.CRTC_DATA_MONO:
      case R.CRTC_DATA_COLOR:
        this.#writeCrtc(value);
        break;
      case R.INPUT_STATUS_1_MONO:
      case R.INPUT_STATUS_1_COLOR:
        r.featureControl = value & 0x0b;
        break;
    }
  }

  #writeAttribute(value: number): void {
    const r = this.#r;
    if (!r.isAttributeData) {
      r.arIndex = value & 0x1f;
      r.isPaletteOnScreen = (value & R.AR_INDEX_PAS) !== 0;
    } else if (r.arIndex < R.AR_COUNT) {
      r.ar[r.arIndex] = value & (r.arIndex < 0x10 ? R.AR_PALETTE_MASK : R.AR_MODE_MASKS[r.arIndex - 0x10]);
      if (r.arIndex === R.AR10_MODE) this.#events.modeSet();
    }
    r.isAttributeData = !r.isAttributeData;
  }

  #readDac(): number {
    const r = this.#r;
    const value = r.dac[r.dacReadIndex * 3 + r.dacComponent];
    if (++r.dacComponent === 3) {
      r.dacComponent = 0;
      r.dacReadIndex = (r.dacReadIndex + 1) & 0xff;
    }
    return this.#events.isDac8Bit() ? value : value & 0x3f;
  }

  /** A colour is stored when its third byte arrives. */
  #writeDac(value: number): void {
    const r = this.#r;
    r.dacPending[r.dacComponent] = this.#events.isDac8Bit() ? value : value & 0x3f;
    if (++r.dacComponent === 3) {
      r.dac.set(r.dacPending, r.dacWriteIndex * 3);
      r.dacComponent = 0;
      r.dacWriteIndex = (r.dacWriteIndex + 1) & 0xff;
    }
  }

  #readCrtc(): number {
    const r = this.#r;
    if (r.crIndex < R.CR_COUNT) return r.cr[r.crIndex];
    if (r.crIndex === R.CR22_LATCH) return (r.latch >>> (r.gr[R.GR4_READ_MAP_SELECT] * 8)) & 0xff;
    if (r.crIndex === R.CR24_ATTRIBUTE_STATE) return (r.isAttributeData ? 0x80 : 0) | r.arIndex;
    return 0;
  }

  #writeCrtc(value: number): void {
    const { cr, crIndex } = this.#r;
    if (crIndex >= R.CR_COUNT) return;
    if (crIndex <= R.CR07_OVERFLOW && (cr[R.CR11_RETRACE_END] & R.CR11_PROTECT) !== 0) {
      if (crIndex !== R.CR07_OVERFLOW) return;
      value = (cr[R.CR07_OVERFLOW] & ~R.CR07_LINE_COMPARE_8) | (value & R.CR07_LINE_COMPARE_8);
    }
    cr[crIndex] = value;
    // Cursor and start address change all the time and move no beam.
    if (crIndex < R.CR0A_CURSOR_START || crIndex > R.CR0F_CURSOR_LOW) this.#events.timing();
  }
}
