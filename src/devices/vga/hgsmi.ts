/**
 * The adapter's host interface (HGSMI), which VirtualBox's VBoxSVGA and VBoxVGA have and Linux's vboxvideo driver speaks: the
 * guest puts a message into video memory and writes its offset to port 3D0h; the answer is in the same place when the write
 * returns. Numbers and layouts as in Linux's drivers/gpu/drm/vboxvideo (hgsmi_defs.h, vboxvideo.h).
 *
 * Modelled: the mode of the first screen with pitch and place, blanking, the pointer's shape, mode hints with their interrupt.
 * One screen. Not modelled: dirty rectangles (VBVA is accepted and its rings stay unused, as whoever looks compares video memory),
 * messages in several pieces, the host's own command queue, video acceleration (VHWA), WDDM's command buffers.
 */
import type { PointerShape } from "../../backend-api/display.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as H from "./hgsmi-registers.ts";

/** The picture as VBVA_INFO_SCREEN describes it. */
export interface HgsmiScreen {
  readonly widthPixels: number;
  readonly heightPixels: number;
  readonly bitsPerPixel: number;
  readonly pitch: number;
  /** Where it begins in video memory. */
  readonly startBytes: number;
}

export interface HgsmiOptions {
  readonly vram: Uint8Array;
  /** What of it the guest knows. */
  readonly sizeBytes: number;
  readonly intx: () => IrqLine;
  /** The guest sets the first screen's mode. False: it cannot be. */
  onScreen(screen: HgsmiScreen): boolean;
  /** The guest blanks the screen, or does so no more. */
  onBlank(isBlank: boolean): void;
}

interface ModeHint {
  readonly widthPixels: number;
  readonly heightPixels: number;
  readonly bitsPerPixel: number;
}

export class Hgsmi {
  readonly #options: HgsmiOptions;
  readonly #view: DataView;
  /** Where the guest wants its flags; -1 before it has said so. */
  #flagsAt = -1;
  #viewOffset = 0;
  #caps = 0;
  #isIrqRaised = false;
  #hint: ModeHint | undefined;
  /** undefined: the guest has none of its own. */
  pointer: PointerShape | undefined;
  /** Another number for another pointer. */
  pointerRevision = 0;

  constructor(options: HgsmiOptions) {
    this.#options = options;
    const { vram, sizeBytes } = options;
    this.#view = new DataView(vram.buffer, vram.byteOffset, sizeBytes);
  }

  reset(): void {
    this.#flagsAt = -1;
    this.#viewOffset = 0;
    this.#caps = 0;
    this.#setPointer(undefined);
    this.#setIrq(false);
  }

  /** The guest writes an offset to 3D0h. Messages that are damaged or reach beyond video memory are ignored. */
  submit(offset: number): void {
    const view = this.#view;
    if (offset > view.byteLength - H.HEADER_BYTES - H.TAIL_BYTES) return;
    const sizeBytes = view.getUint32(offset, true);
    const body = offset + H.HEADER_BYTES;
    if (sizeBytes > view.byteLength - body - H.TAIL_BYTES) return;
    if ((view.getUint8(offset + 4) & H.SEQUENCE_MASK) !== H.SEQUENCE_SINGLE) return;
    if (view.getUint32(body + sizeBytes + 4, true) !== this.#checksum(offset, body + sizeBytes)) return;
    const channel = view.getUint8(offset + 5);
    const command = view.getUint16(offset + 6, true);
    if (channel === H.CHANNEL_HGSMI) {
      if (command === H.HOST_FLAGS_LOCATION && sizeBytes >= 8) this.#placeFlags(view.getUint32(body, true));
    } else if (channel === H.CHANNEL_VBVA && sizeBytes >= (H.VBVA_BYTES.get(command) ?? Number.POSITIVE_INFINITY))
      this.#vbva(command, body, sizeBytes);
  }

  /** The guest writes 3B0h: it has seen the interrupt. */
  acknowledge(): void {
    this.#setFlags(0, H.FLAG_IRQ | H.FLAG_HOTPLUG);
    this.#setIrq(false);
  }

  /** A person wants the screen to have this size. False: the guest does not ask for hints. */
  setModeHint(widthPixels: number, heightPixels: number, bitsPerPixel: number): boolean {
    this.#hint = { widthPixels, heightPixels, bitsPerPixel };
    const wanted = H.CAPS_VIDEO_MODE_HINTS | H.CAPS_IRQ;
    if ((this.#caps & wanted) !== wanted || this.#flagsAt < 0) return false;
    this.#setFlags(H.FLAG_IRQ | H.FLAG_HOTPLUG, 0);
    this.#setIrq(true);
    return true;
  }

  #vbva(command: number, body: number, sizeBytes: number): void {
    const view = this.#view;
    switch (command) {
      case H.QUERY_CONF32: {
        const value = H.CONFIGURATION.get(view.getUint32(body, true));
        if (value !== undefined) view.setUint32(body + 4, value, true);
        break;
      }
      case H.INFO_VIEW:
        if (view.getUint32(body, true) === 0) this.#viewOffset = view.getUint32(body + 4, true);
        break;
      case H.INFO_SCREEN:
        if (view.getUint32(body, true) === 0) this.#infoScreen(body);
        break;
      case H.ENABLE:
        view.setInt32(body + 8, H.SUCCESS, true);
        break;
      case H.MOUSE_POINTER_SHAPE:
        view.setInt32(body, this.#pointerShape(body, sizeBytes), true);
        break;
      case H.INFO_CAPS:
        this.#caps = view.getUint32(body + 4, true);
        view.setInt32(body, H.SUCCESS, true);
        break;
      case H.QUERY_MODE_HINTS:
        this.#modeHints(body, sizeBytes);
        break;
    }
  }

  #infoScreen(body: number): void {
    const view = this.#view;
    const flags = view.getUint16(body + 30, true);
    const bitsPerPixel = view.getUint16(body + 28, true);
    this.#options.onBlank((flags & (H.SCREEN_BLANK | H.SCREEN_BLANK2 | H.SCREEN_DISABLED)) !== 0);
    // Without a depth it is only about blanking.
    if ((flags & H.SCREEN_ACTIVE) === 0 || bitsPerPixel === 0 || (flags & H.SCREEN_BLANK2) !== 0) return;
    this.#options.onScreen({
      widthPixels: view.getUint32(body + 20, true),
      heightPixels: view.getUint32(body + 24, true),
      bitsPerPixel,
      pitch: view.getUint32(body + 16, true),
      startBytes: this.#viewOffset + view.getUint32(body + 12, true),
    });
  }

  #pointerShape(body: number, sizeBytes: number): number {
    const view = this.#view;
    const flags = view.getUint32(body + 4, true);
    if ((flags & H.POINTER_SHAPE) === 0) {
      // The same shape, shown or hidden.
      const isVisible = (flags & H.POINTER_VISIBLE) !== 0;
      if (this.pointer !== undefined || !isVisible) this.#setPointer({ ...(this.pointer ?? noShape), isVisible });
      return H.SUCCESS;
    }
    const [hotX, hotY, width, height] = [8, 12, 16, 20].map((at) => view.getUint32(body + at, true));
    if (width > H.POINTER_MAX_PIXELS || height > H.POINTER_MAX_PIXELS) return H.INVALID_PARAMETER;
    const maskStride = (width + 7) >> 3;
    const colors = body + H.POINTER_HEADER_BYTES + ((maskStride * height + 3) & ~3);
    if (colors + width * height * 4 > body + sizeBytes) return H.INVALID_PARAMETER;
    const hasAlpha = (flags & H.POINTER_ALPHA) !== 0;
    const rgba = new Uint8Array(width * height * 4);
    for (let i = 0; i < width * height; i++) {
      const pixel = view.getUint32(colors + i * 4, true);
      const mask = body + H.POINTER_HEADER_BYTES + Math.floor(i / width) * maskStride + ((i % width) >> 3);
      const isMasked = (view.getUint8(mask) & (0x80 >> ((i % width) & 7))) !== 0;
      // Where the mask lets the screen through, a colour would invert it: shown as the colour itself.
      const alpha = hasAlpha ? pixel >>> 24 : isMasked && (pixel & 0xff_ffff) === 0 ? 0 : 0xff;
      rgba.set([(pixel >> 16) & 0xff, (pixel >> 8) & 0xff, pixel & 0xff, alpha], i * 4);
    }
    this.#setPointer({
      isVisible: (flags & H.POINTER_VISIBLE) !== 0,
      widthPixels: width,
      heightPixels: height,
      hotX: Math.min(hotX, Math.max(0, width - 1)),
      hotY: Math.min(hotY, Math.max(0, height - 1)),
      rgba,
    });
    return H.SUCCESS;
  }

  /** Structures of the size that the guest knows; what it knows beyond ours, and screens that are not there, are all ones. */
  #modeHints(body: number, sizeBytes: number): void {
    const view = this.#view;
    const screens = view.getUint16(body, true);
    const structureBytes = view.getUint16(body + 2, true);
    const hints = body + 8;
    if (structureBytes < H.MODE_HINT_BYTES || 8 + screens * structureBytes > sizeBytes) {
      view.setInt32(body + 4, H.INVALID_PARAMETER, true);
      return;
    }
    for (let at = hints; at < hints + screens * structureBytes; at++) view.setUint8(at, 0xff);
    const hint = this.#hint;
    if (hint && screens > 0) {
      const { widthPixels, heightPixels, bitsPerPixel } = hint;
      const values = [H.MODE_HINT_MAGIC, widthPixels, heightPixels, bitsPerPixel, 0, 0, 0, 1];
      for (const [i, value] of values.entries()) view.setUint32(hints + i * 4, value, true);
    }
    view.setInt32(body + 4, H.SUCCESS, true);
  }

  #placeFlags(offset: number): void {
    this.#flagsAt = offset <= this.#view.byteLength - H.FLAGS_BYTES ? offset : -1;
  }

  #setFlags(set: number, clear: number): void {
    if (this.#flagsAt < 0) return;
    this.#view.setUint32(this.#flagsAt, (this.#view.getUint32(this.#flagsAt, true) & ~clear) | set, true);
  }

  #setIrq(isRaised: boolean): void {
    if (isRaised === this.#isIrqRaised) return;
    this.#isIrqRaised = isRaised;
    if (isRaised) this.#options.intx().raise();
    else this.#options.intx().lower();
  }

  #setPointer(pointer: PointerShape | undefined): void {
    if (pointer === undefined && this.pointer === undefined) return;
    this.pointer = pointer;
    this.pointerRevision++;
  }

  /** Jenkins' one-at-a-time hash of offset, header and the tail's first word. */
  #checksum(offset: number, tail: number): number {
    let hash = 0;
    const add = (byte: number) => {
      hash = (hash + byte) | 0;
      hash = (hash + (hash << 10)) | 0;
      hash ^= hash >>> 6;
    };
    for (let i = 0; i < 4; i++) add((offset >>> (8 * i)) & 0xff);
    for (let i = 0; i < H.HEADER_BYTES; i++) add(this.#view.getUint8(offset + i));
    for (let i = 0; i < 4; i++) add(this.#view.getUint8(tail + i));
    hash = (hash + (hash << 3)) | 0;
    hash ^= hash >>> 11;
    return (hash + (hash << 15)) >>> 0;
  }

  /** The pointer's shape is the viewers' and comes anew when the guest next changes it. */
  save(): { readonly [key: string]: SavedValue } {
    return {
      flagsAt: this.#flagsAt,
      viewOffset: this.#viewOffset,
      caps: this.#caps,
      isIrqRaised: this.#isIrqRaised,
    };
  }

  load(state: StateReader): void {
    this.#flagsAt = state.integer("flagsAt", -1, this.#view.byteLength - H.FLAGS_BYTES);
    this.#viewOffset = state.integer("viewOffset", 0, 0xffff_ffff);
    this.#caps = state.integer("caps", 0, 0xffff_ffff);
    this.#isIrqRaised = state.boolean("isIrqRaised");
    state.end();
    this.#setPointer(undefined);
  }
}

const noShape = { widthPixels: 0, heightPixels: 0, hotX: 0, hotY: 0, rgba: new Uint8Array(0) };
