/**
 * VMware's SVGA II adapter (15ad:0405), VirtualBox's "VMSVGA": registers behind an index and a value port, a command queue in
 * memory of its own (BAR 2), interrupts for fences. 32 bits a pixel. Commands: UPDATE (nothing to do, as whoever looks compares
 * video memory), RECT_COPY, both kinds of pointers, FENCE, ESCAPE. Not modelled: 3D, guest memory regions, screen objects,
 * several displays, overlays, 8 and 16 bits a pixel (VBE has them), which the capabilities say.
 */
import type { PointerShape } from "../../backend-api/display.ts";
import type { AccessSize, IoWindow } from "../../device-api/io-window.ts";
import { allOnes } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { DeviceMemory } from "../../device-api/pci-function.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import type { HgsmiScreen } from "./hgsmi.ts";
import { DISPI_MAX_XRES, DISPI_MAX_YRES } from "./registers.ts";
import { type MaskCursor, maskWords, SvgaFifo } from "./svga-fifo.ts";
import * as S from "./svga-registers.ts";

export interface SvgaOptions {
  readonly vram: Uint8Array;
  readonly sizeBytes: number;
  readonly fifo: DeviceMemory;
  readonly intx: () => IrqLine;
  /** BARs as the guest has set them: 1 video memory, 2 the queue. */
  baseOf(bar: 1 | 2): number;
  /** The guest sets a mode, or leaves for the VGA's (undefined). */
  onScreen(screen: HgsmiScreen | undefined): void;
}

const CAPABILITIES =
  S.CAP_RECT_COPY |
  S.CAP_CURSOR |
  S.CAP_CURSOR_BYPASS |
  S.CAP_CURSOR_BYPASS_2 |
  S.CAP_ALPHA_CURSOR |
  S.CAP_EXTENDED_FIFO |
  S.CAP_PITCHLOCK |
  S.CAP_IRQMASK;
const FIFO_CAPABILITIES = S.FIFO_CAP_FENCE | S.FIFO_CAP_CURSOR_BYPASS_3 | S.FIFO_CAP_ESCAPE | S.FIFO_CAP_RESERVE;
const BITS = 32;
const MAX_PITCH = 0x40000;

export class Svga implements IoWindow {
  readonly #options: SvgaOptions;
  readonly #words: Uint32Array;
  readonly #fifo: SvgaFifo;
  #index = 0;
  #id = S.ID_2;
  #enable = 0;
  #width = 0;
  #height = 0;
  #pitchLock = 0;
  #configDone = 0;
  #guestId = 0;
  #irqMask = 0;
  #irqStatus = 0;
  #fence = 0;
  #shape: PointerShape | undefined;
  pointerRevision = 0;

  constructor(options: SvgaOptions) {
    this.#options = options;
    const { bytes } = options.fifo;
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    this.#fifo = new SvgaFifo(this.#words, {
      copy: (fromX, fromY, toX, toY, width, height) => this.#copy(fromX, fromY, toX, toY, width, height),
      alphaCursor: (hotX, hotY, width, height, pixels) => {
        const rgba = new Uint8Array(width * height * 4);
        for (const [i, pixel] of pixels.entries()) rgba.set(straight(pixel), i * 4);
        this.#setShape(hotX, hotY, width, height, rgba);
      },
      cursor: (shape) => this.#maskCursor(shape),
      fence: (value) => this.#passFence(value),
    });
  }

  get pointer(): PointerShape | undefined {
    return this.#shape;
  }

  reset(): void {
    this.#words.fill(0);
    this.#index = 0;
    this.#id = S.ID_2;
    this.#enable = 0;
    this.#width = 0;
    this.#height = 0;
    this.#pitchLock = 0;
    this.#configDone = 0;
    this.#guestId = 0;
    this.#irqMask = 0;
    this.#irqStatus = 0;
    this.#fence = 0;
    this.#options.intx().lower();
    if (this.#shape) this.pointerRevision++;
    this.#shape = undefined;
  }

  /** Carries out what waits in the queue. */
  run(): void {
    if (this.#configDone === 0 || this.#enable === 0) return;
    const isDone = this.#fifo.run();
    this.#words[S.FIFO_BUSY] = isDone ? 0 : 1;
    if ((this.#irqMask & S.IRQ_FIFO_PROGRESS) !== 0) this.#raise(S.IRQ_FIFO_PROGRESS);
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 4) return allOnes(size);
    if (offset === S.INDEX_PORT) return this.#index;
    if (offset === S.IRQ_STATUS_PORT) return this.#irqStatus;
    return offset === S.VALUE_PORT ? this.#readRegister() >>> 0 : 0xffff_ffff;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    if (offset === S.INDEX_PORT) this.#index = value >>> 0;
    else if (offset === S.VALUE_PORT) this.#writeRegister(value >>> 0);
    else if (offset === S.IRQ_STATUS_PORT) {
      this.#irqStatus &= ~value;
      this.#updateIrq();
    }
  }

  get #pitch(): number {
    return this.#pitchLock !== 0 ? this.#pitchLock : this.#width * 4;
  }

  #readRegister(): number {
    switch (this.#index) {
      case S.REG_ID:
        return this.#id;
      case S.REG_ENABLE:
        return this.#enable;
      case S.REG_WIDTH:
        return this.#width;
      case S.REG_HEIGHT:
        return this.#height;
      case S.REG_MAX_WIDTH:
        return DISPI_MAX_XRES;
      case S.REG_MAX_HEIGHT:
        return DISPI_MAX_YRES;
      case S.REG_DEPTH:
        return 24;
      case S.REG_BITS_PER_PIXEL:
      case S.REG_HOST_BITS_PER_PIXEL:
        return BITS;
      case S.REG_RED_MASK:
        return 0xff_0000;
      case S.REG_GREEN_MASK:
        return 0xff00;
      case S.REG_BLUE_MASK:
        return 0xff;
      case S.REG_BYTES_PER_LINE:
        return this.#pitch;
      case S.REG_FB_START:
        return this.#options.baseOf(1);
      case S.REG_VRAM_SIZE:
      case S.REG_FB_SIZE:
        return this.#options.sizeBytes;
      case S.REG_CAPABILITIES:
        return CAPABILITIES;
      case S.REG_MEM_START:
        return this.#options.baseOf(2);
      case S.REG_MEM_SIZE:
        return this.#words.length * 4;
      case S.REG_CONFIG_DONE:
        return this.#configDone;
      case S.REG_BUSY:
        this.run();
        return this.#words[S.FIFO_BUSY];
      case S.REG_GUEST_ID:
        return this.#guestId;
      case S.REG_MEM_REGS:
        return S.FIFO_REGS;
      case S.REG_NUM_DISPLAYS:
        return 1;
      case S.REG_PITCHLOCK:
        return this.#pitchLock;
      case S.REG_IRQMASK:
        return this.#irqMask;
      // Not there, or 0: pseudo-colour, the frame buffer's offset, scratch registers.
      default:
        return 0;
    }
  }

  #writeRegister(value: number): void {
    switch (this.#index) {
      case S.REG_ID:
        // The guest offers an interface; what is there answers with itself.
        if (value >= S.ID_0 && value <= S.ID_2) this.#id = value;
        break;
      case S.REG_ENABLE:
        this.#enable = value & (S.ENABLE_ENABLE | S.ENABLE_HIDE);
        this.#refresh();
        break;
      case S.REG_WIDTH:
        this.#width = Math.min(value, DISPI_MAX_XRES);
        this.#refresh();
        break;
      case S.REG_HEIGHT:
        this.#height = Math.min(value, DISPI_MAX_YRES);
        this.#refresh();
        break;
      case S.REG_PITCHLOCK:
        this.#pitchLock = Math.min(value, MAX_PITCH);
        this.#refresh();
        break;
      case S.REG_CONFIG_DONE:
        this.#configDone = value & 1;
        if (this.#configDone !== 0) this.#words[S.FIFO_CAPABILITIES] = FIFO_CAPABILITIES;
        break;
      case S.REG_SYNC:
        this.run();
        break;
      case S.REG_GUEST_ID:
        this.#guestId = value;
        break;
      case S.REG_IRQMASK:
        this.#irqMask = value & (S.IRQ_ANY_FENCE | S.IRQ_FIFO_PROGRESS | S.IRQ_FENCE_GOAL);
        this.#updateIrq();
        break;
      case S.REG_CURSOR_ON:
        this.#show((value & 1) !== 0);
        break;
    }
  }

  /** A mode without a size, or one that is hidden, is not one yet; without ENABLE it is the VGA's turn. */
  #refresh(): void {
    if ((this.#enable & S.ENABLE_ENABLE) === 0) this.#options.onScreen(undefined);
    else if ((this.#enable & S.ENABLE_HIDE) === 0 && this.#width > 0 && this.#height > 0) {
      this.#options.onScreen({
        widthPixels: this.#width,
        heightPixels: this.#height,
        bitsPerPixel: BITS,
        pitch: this.#pitch,
        startBytes: 0,
      });
    }
  }

  #copy(fromX: number, fromY: number, toX: number, toY: number, width: number, height: number): number {
    const pitch = this.#pitch;
    const isInside = (x: number, y: number) => x + width <= this.#width && y + height <= this.#height;
    if (!isInside(fromX, fromY) || !isInside(toX, toY) || pitch < this.#width * 4) return 0;
    const { vram, sizeBytes } = this.#options;
    if ((Math.max(fromY, toY) + height) * pitch > sizeBytes) return 0;
    for (let line = 0; line < height; line++) {
      // From below upwards where the rectangle moves down over itself.
      const y = toY > fromY ? height - 1 - line : line;
      const from = (fromY + y) * pitch + fromX * 4;
      vram.copyWithin((toY + y) * pitch + toX * 4, from, from + width * 4);
    }
    return width * height * 4;
  }

  #maskCursor({ hotX, hotY, width, height, andDepth, xorDepth, and, xor }: MaskCursor): void {
    const rgba = new Uint8Array(width * height * 4);
    const value = (mask: Uint32Array, depth: number, x: number, y: number) => {
      const row = y * (maskWords(width, 1, depth) || 0);
      if (depth === 32) return mask[row + x];
      if (depth !== 1) return 0;
      // Bytes in memory order, the leftmost pixel in the highest bit.
      const bit = mask[row + (x >> 5)] >>> ((x & 0x18) + (7 - (x & 7)));
      return (bit & 1) === 0 ? 0 : 0xff_ffff;
    };
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const isThrough = (value(and, andDepth, x, y) & 0xff_ffff) !== 0;
        const color = value(xor, xorDepth, x, y) & 0xff_ffff;
        // Where XOR would invert the screen, the pointer shows black.
        const rgb = isThrough ? 0 : color;
        const alpha = isThrough && color === 0 ? 0 : 0xff;
        rgba.set([(rgb >> 16) & 0xff, (rgb >> 8) & 0xff, rgb & 0xff, alpha], (y * width + x) * 4);
      }
    }
    this.#setShape(hotX, hotY, width, height, rgba);
  }

  #setShape(hotX: number, hotY: number, width: number, height: number, rgba: Uint8Array): void {
    this.#shape = {
      isVisible: true,
      widthPixels: width,
      heightPixels: height,
      hotX: Math.min(hotX, Math.max(0, width - 1)),
      hotY: Math.min(hotY, Math.max(0, height - 1)),
      rgba,
    };
    this.pointerRevision++;
  }

  #show(isVisible: boolean): void {
    if (this.#shape === undefined || this.#shape.isVisible === isVisible) return;
    this.#shape = { ...this.#shape, isVisible };
    this.pointerRevision++;
  }

  #passFence(value: number): void {
    this.#fence = value;
    this.#words[S.FIFO_FENCE] = value;
    this.#raise(S.IRQ_ANY_FENCE);
    // Fences count on and wrap around.
    if (((value - this.#words[S.FIFO_FENCE_GOAL]) | 0) >= 0) this.#raise(S.IRQ_FENCE_GOAL);
  }

  #raise(bits: number): void {
    this.#irqStatus |= bits & this.#irqMask;
    this.#updateIrq();
  }
  #updateIrq(): void {
    if ((this.#irqStatus & this.#irqMask) !== 0) this.#options.intx().raise();
    else this.#options.intx().lower();
  }

  save(): { readonly [key: string]: SavedValue } {
    let used = this.#words.length;
    while (used > 0 && this.#words[used - 1] === 0) used--;
    return {
      index: this.#index,
      id: this.#id,
      enable: this.#enable,
      width: this.#width,
      height: this.#height,
      pitchLock: this.#pitchLock,
      configDone: this.#configDone,
      guestId: this.#guestId,
      irqMask: this.#irqMask,
      irqStatus: this.#irqStatus,
      fence: this.#fence,
      fifoUsedBytes: used * 4,
      fifo: this.#options.fifo.bytes.slice(0, used * 4),
    };
  }

  load(state: StateReader): void {
    this.#index = state.integer("index", 0, 0xffff_ffff);
    this.#id = state.integer("id", S.ID_0, S.ID_2);
    this.#enable = state.integer("enable", 0, 3);
    this.#width = state.integer("width", 0, DISPI_MAX_XRES);
    this.#height = state.integer("height", 0, DISPI_MAX_YRES);
    this.#pitchLock = state.integer("pitchLock", 0, MAX_PITCH);
    this.#configDone = state.integer("configDone", 0, 1);
    this.#guestId = state.integer("guestId", 0, 0xffff_ffff);
    this.#irqMask = state.integer("irqMask", 0, 7);
    this.#irqStatus = state.integer("irqStatus", 0, 7);
    this.#fence = state.integer("fence", 0, 0xffff_ffff);
    const used = state.integer("fifoUsedBytes", 0, this.#words.length * 4);
    this.#options.fifo.bytes.set(state.bytes("fifo", used));
    this.#options.fifo.bytes.fill(0, used);
    state.end();
    if (this.#shape) this.pointerRevision++;
    this.#shape = undefined;
  }
}

/** Red, green, blue, alpha of a premultiplied ARGB pixel. */
function straight(pixel: number): number[] {
  const alpha = pixel >>> 24;
  const color = (shift: number) => {
    const value = (pixel >>> shift) & 0xff;
    return alpha === 0 ? 0 : Math.min(255, Math.round((value * 255) / alpha));
  };
  return [color(16), color(8), color(0), alpha];
}
