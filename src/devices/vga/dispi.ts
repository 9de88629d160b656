/**
 * The DISPI interface: modes with 4, 8, 15, 16, 24 and 32 bits per pixel through an index port 1CEh and a data port 1CFh
 * (Bochs' "VBE Display API" B0C0h–B0C5h, with VirtualBox's ids BE00h and BE02h and its doubleword read of the video
 * memory's size). VirtualBox's HGSMI (BE01h) is accepted where the host interface is, else refused, as its configuration (BE03h)
 * always is: VirtualBox's own drivers then give way to others.
 *
 * Both ports take 16-bit accesses, or two 8-bit accesses to the same port, **high byte first** (VirtualBox's byte-wise
 * protocol, which x86 emulators inside guests need). A 16-bit access or one to the other port starts a pair anew.
 *
 * The register contents and the mode on the screen are two things: clearing ENABLE leaves the picture until the guest
 * sets a VGA mode (`settle`). Windows 9x lets a DOS box through to these ports while it keeps 3B0h–3DFh from it, and a
 * mode set in the box must not take the desktop's picture away.
 */
import { FormatError } from "../../base/errors.ts";
import type { AccessSize, IoWindow } from "../../device-api/io-window.ts";
import { allOnes } from "../../device-api/io-window.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import type { HgsmiScreen } from "./hgsmi.ts";
import * as R from "./registers.ts";

/** The picture that DISPI gives, while `isActive`. */
export interface DispiMode {
  readonly isActive: boolean;
  readonly widthPixels: number;
  readonly heightPixels: number;
  readonly bitsPerPixel: number;
  /** Bytes from one line to the next; map addresses with 4 bits per pixel. */
  readonly pitch: number;
  readonly xOffset: number;
  readonly yOffset: number;
  /** Where packed pixels begin in video memory. */
  readonly startBytes: number;
  /** The guest wants to see nothing. */
  readonly isBlank: boolean;
}

export interface DispiOptions {
  /** Video memory; `sizeBytes` of it belong to the guest. */
  readonly vram: Uint8Array;
  readonly sizeBytes: number;
  /** The mode, the bank or the DAC's width changed. */
  onChange(): void;
  /** Video memory is about to be cleared. */
  onClear(): void;
  /** HGSMI's id is accepted. */
  readonly hasHostInterface: boolean;
  /** The frame buffer's guest-physical address. */
  frameBufferBase(): number;
}

/** Bytes from line to line; as much as the widest virtual screen takes. */
const MAX_PITCH = 0x40000;
const supportedBits = [4, 8, 15, 16, 24, 32];

export class Dispi implements IoWindow, DispiMode {
  readonly #options: DispiOptions;
  readonly #regs = new Uint16Array(R.DISPI_COUNT);
  #index = 0;
  /** High byte of a pair of byte writes, -1 if none is pending. */
  #indexHigh = -1;
  #dataHigh = -1;
  /** The next byte read of the port is the low one. */
  #isIndexLow = false;
  #isDataLow = false;

  isActive = false;
  widthPixels = 0;
  heightPixels = 0;
  bitsPerPixel = 0;
  pitch = 0;
  isBlank = false;
  /** Set by `setScreen` until registers say something else; -1: the registers decide. */
  #screenStart = -1;

  constructor(options: DispiOptions) {
    this.#options = options;
    this.reset();
  }

  get xOffset(): number {
    return this.#regs[R.DISPI_INDEX_X_OFFSET];
  }
  get yOffset(): number {
    return this.#regs[R.DISPI_INDEX_Y_OFFSET];
  }
  get startBytes(): number {
    if (this.#screenStart >= 0) return this.#screenStart;
    return this.yOffset * this.pitch + this.xOffset * ((this.bitsPerPixel + 7) >> 3);
  }
  get bank(): number {
    return this.#regs[R.DISPI_INDEX_BANK];
  }
  get isDac8Bit(): boolean {
    return (this.#regs[R.DISPI_INDEX_ENABLE] & R.DISPI_8BIT_DAC) !== 0;
  }

  reset(): void {
    this.#regs.fill(0);
    this.#regs[R.DISPI_INDEX_ID] = R.DISPI_ID0;
    this.#index = 0;
    this.#indexHigh = -1;
    this.#dataHigh = -1;
    this.#isIndexLow = false;
    this.#isDataLow = false;
    this.#deactivate();
  }

  /** A mode that comes by HGSMI, with a pitch and a place of its own. False: it does not fit. */
  setScreen(screen: HgsmiScreen): boolean {
    const { widthPixels, heightPixels, bitsPerPixel, pitch, startBytes } = screen;
    if (widthPixels === 0 || widthPixels > R.DISPI_MAX_XRES || heightPixels === 0) return false;
    if (heightPixels > R.DISPI_MAX_YRES || bitsPerPixel < 8 || !supportedBits.includes(bitsPerPixel)) return false;
    if (pitch < pitchOf(widthPixels, bitsPerPixel) || pitch > MAX_PITCH) return false;
    if (startBytes + pitch * heightPixels > this.#options.sizeBytes) return false;
    this.isActive = true;
    this.widthPixels = widthPixels;
    this.heightPixels = heightPixels;
    this.bitsPerPixel = bitsPerPixel;
    this.pitch = pitch;
    this.#screenStart = startBytes;
    this.#options.onChange();
    return true;
  }

  setBlank(isBlank: boolean): void {
    if (isBlank === this.isBlank) return;
    this.isBlank = isBlank;
    this.#options.onChange();
  }

  /** The guest sets a VGA mode: a DISPI mode that it has disabled leaves the screen. */
  settle(): void {
    if (!this.isActive || (this.#regs[R.DISPI_INDEX_ENABLE] & R.DISPI_ENABLED) !== 0) return;
    this.#deactivate();
    this.#options.onChange();
  }

  read(offset: number, size: AccessSize): number {
    if (offset > 1) return allOnes(size);
    if (size === 4) return offset === 1 ? this.#options.sizeBytes : allOnes(size);
    const value = offset === 0 ? this.#index : this.#readData();
    if (size === 2) {
      this.#forgetPairs();
      return value;
    }
    const isLow = offset === 0 ? this.#isIndexLow : this.#isDataLow;
    this.#forgetPairs();
    if (offset === 0) this.#isIndexLow = !isLow;
    else this.#isDataLow = !isLow;
    return isLow ? value & 0xff : value >> 8;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset > 1) return;
    if (size === 1) {
      const high = offset === 0 ? this.#indexHigh : this.#dataHigh;
      this.#forgetPairs();
      if (high < 0) {
        if (offset === 0) this.#indexHigh = value;
        else this.#dataHigh = value;
        return;
      }
      value = (high << 8) | value;
    }
    this.#forgetPairs();
    if (offset === 0) this.#index = value & 0xffff;
    else this.#writeData(value & 0xffff);
  }

  #forgetPairs(): void {
    this.#indexHigh = -1;
    this.#dataHigh = -1;
    this.#isIndexLow = false;
    this.#isDataLow = false;
  }

  #readData(): number {
    if ((this.#regs[R.DISPI_INDEX_ENABLE] & R.DISPI_GETCAPS) !== 0) {
      if (this.#index === R.DISPI_INDEX_XRES) return R.DISPI_MAX_XRES;
      if (this.#index === R.DISPI_INDEX_YRES) return R.DISPI_MAX_YRES;
      if (this.#index === R.DISPI_INDEX_BPP) return R.DISPI_MAX_BPP;
    }
    if (this.#index === R.DISPI_INDEX_VIDEO_MEMORY_64K) return this.#options.sizeBytes >>> 16;
    if (this.#index === R.DISPI_INDEX_FB_BASE_HI) return (this.#options.frameBufferBase() >>> 16) & 0xffff;
    return this.#index < R.DISPI_COUNT ? this.#regs[this.#index] : 0;
  }

  #writeData(value: number): void {
    const regs = this.#regs;
    switch (this.#index) {
      case R.DISPI_INDEX_ID:
        if (
          (value >= R.DISPI_ID0 && value <= R.DISPI_ID5) ||
          value === R.DISPI_ID_VBOX_VIDEO ||
          value === R.DISPI_ID_ANYX ||
          (value === R.DISPI_ID_HGSMI && this.#options.hasHostInterface)
        )
          regs[R.DISPI_INDEX_ID] = value;
        break;
      case R.DISPI_INDEX_XRES:
        if (value <= R.DISPI_MAX_XRES) regs[R.DISPI_INDEX_XRES] = value;
        break;
      case R.DISPI_INDEX_YRES:
        if (value <= R.DISPI_MAX_YRES) regs[R.DISPI_INDEX_YRES] = value;
        break;
      case R.DISPI_INDEX_BPP:
        if (value === 0) value = 8;
        if (supportedBits.includes(value)) regs[R.DISPI_INDEX_BPP] = value;
        break;
      case R.DISPI_INDEX_ENABLE:
        this.#enable(value);
        break;
      case R.DISPI_INDEX_BANK:
        regs[R.DISPI_INDEX_BANK] = value % this.#bankCount();
        this.#options.onChange();
        break;
      case R.DISPI_INDEX_VIRT_WIDTH:
        this.#setVirtualWidth(value);
        break;
      case R.DISPI_INDEX_X_OFFSET:
      case R.DISPI_INDEX_Y_OFFSET:
        this.#screenStart = -1;
        regs[this.#index] = value;
        break;
    }
  }

  /** 64 KiB banks of packed pixels, or of each map. */
  #bankCount(): number {
    const banks = this.#options.sizeBytes >>> 16;
    return this.isActive && this.bitsPerPixel === 4 ? Math.max(1, banks >>> 2) : banks;
  }

  #enable(value: number): void {
    const regs = this.#regs;
    const wasEnabled = (regs[R.DISPI_INDEX_ENABLE] & R.DISPI_ENABLED) !== 0;
    regs[R.DISPI_INDEX_ENABLE] =
      value & (R.DISPI_ENABLED | R.DISPI_GETCAPS | R.DISPI_8BIT_DAC | R.DISPI_LFB_ENABLED | R.DISPI_NOCLEARMEM);
    if ((value & R.DISPI_ENABLED) !== 0) {
      const width = regs[R.DISPI_INDEX_XRES];
      const height = regs[R.DISPI_INDEX_YRES];
      const bits = regs[R.DISPI_INDEX_BPP];
      const pitch = pitchOf(width, bits);
      const planes = bits === 4 ? 4 : 1;
      if (width === 0 || height === 0 || bits === 0 || pitch * planes * height > this.#options.sizeBytes) {
        regs[R.DISPI_INDEX_ENABLE] &= ~R.DISPI_ENABLED;
      } else {
        this.isActive = true;
        this.isBlank = false;
        this.#screenStart = -1;
        this.widthPixels = width;
        this.heightPixels = height;
        this.bitsPerPixel = bits;
        regs[R.DISPI_INDEX_BANK] = 0;
        regs[R.DISPI_INDEX_X_OFFSET] = 0;
        regs[R.DISPI_INDEX_Y_OFFSET] = 0;
        this.#setVirtualWidth(width);
        if (!wasEnabled && (value & R.DISPI_NOCLEARMEM) === 0) {
          this.#options.onClear();
          this.#options.vram.fill(0, 0, pitch * planes * height);
        }
      }
    }
    this.#options.onChange();
  }

  /** Widths that do not fit are brought into range: at least the visible width, at most what video memory holds. */
  #setVirtualWidth(value: number): void {
    const regs = this.#regs;
    if (!this.isActive) {
      regs[R.DISPI_INDEX_VIRT_WIDTH] = value;
      return;
    }
    const bits = this.bitsPerPixel;
    const planes = bits === 4 ? 4 : 1;
    const { sizeBytes } = this.#options;
    let width = Math.max(value, this.widthPixels);
    if (pitchOf(width, bits) * planes * this.heightPixels > sizeBytes) width = this.widthPixels;
    this.pitch = pitchOf(width, bits);
    regs[R.DISPI_INDEX_VIRT_WIDTH] = width;
    regs[R.DISPI_INDEX_VIRT_HEIGHT] = Math.min(0xffff, Math.floor(sizeBytes / (this.pitch * planes)));
  }

  #deactivate(): void {
    this.isActive = false;
    this.widthPixels = 0;
    this.heightPixels = 0;
    this.bitsPerPixel = 0;
    this.pitch = 0;
    this.isBlank = false;
    this.#screenStart = -1;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      regs: [...this.#regs],
      index: this.#index,
      indexHigh: this.#indexHigh,
      dataHigh: this.#dataHigh,
      isIndexLow: this.#isIndexLow,
      isDataLow: this.#isDataLow,
      isActive: this.isActive,
      widthPixels: this.widthPixels,
      heightPixels: this.heightPixels,
      bitsPerPixel: this.bitsPerPixel,
      pitch: this.pitch,
      isBlank: this.isBlank,
      screenStart: this.#screenStart,
    };
  }

  load(state: StateReader): void {
    this.#regs.set(state.integers("regs", R.DISPI_COUNT, R.DISPI_COUNT, 0, 0xffff));
    this.#index = state.integer("index", 0, 0xffff);
    this.#indexHigh = state.integer("indexHigh", -1, 0xff);
    this.#dataHigh = state.integer("dataHigh", -1, 0xff);
    this.#isIndexLow = state.boolean("isIndexLow");
    this.#isDataLow = state.boolean("isDataLow");
    this.isActive = state.boolean("isActive");
    this.widthPixels = state.integer("widthPixels", 0, R.DISPI_MAX_XRES);
    this.heightPixels = state.integer("heightPixels", 0, R.DISPI_MAX_YRES);
    this.bitsPerPixel = state.integer("bitsPerPixel", 0, R.DISPI_MAX_BPP);
    this.pitch = state.integer("pitch", 0, MAX_PITCH);
    this.isBlank = state.boolean("isBlank");
    this.#screenStart = state.integer("screenStart", -1, this.#options.sizeBytes);
    state.end();
    if (this.isActive && !supportedBits.includes(this.bitsPerPixel)) {
      throw new FormatError(`saved state: vga.dispi.bitsPerPixel is ${this.bitsPerPixel}`);
    }
  }
}

/** Bytes of a line; map addresses of a line with 4 bits per pixel. */
function pitchOf(widthPixels: number, bits: number): number {
  return bits === 4 ? (widthPixels + 7) >> 3 : widthPixels * ((bits + 7) >> 3);
}
