/**
 * Plug of the graphics adapter: VirtualBox's VBoxVGA (and, with its host interface, VBoxSVGA), PCI 00:02.0 80ee:beef revision 0 (a higher revision promises memory
 * mapped registers), VRAM in BAR0, the VGA's ports and window, DISPI at 1CEh/1CFh. The chip is in the other files of the
 * folder: `ports.ts`, `aperture.ts`, `dispi.ts`, `scan.ts` and the pictures.
 */
import type { DisplaySource, PointerShape, Scanout, TextCells } from "../../backend-api/display.ts";
import { FormatError, InternalError } from "../../base/errors.ts";
import type { Device, DeviceContext, ResetKind } from "../../device-api/device.ts";
import { byteWindow, type IoWindow } from "../../device-api/io-window.ts";
import { openLine } from "../../device-api/irq-line.ts";
import type { DeviceMemory, PciFunctionHandle } from "../../device-api/pci-function.ts";
import type { SavedLeaf } from "../../device-api/saved-state.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { VgaAperture } from "./aperture.ts";
import { DirectWindow, SHADOW_BYTES } from "./direct-window.ts";
import { Dispi } from "./dispi.ts";
import { renderDispi } from "./dispi-picture.ts";
import { Hgsmi } from "./hgsmi.ts";
import { GUEST_PORT, HOST_PORT } from "./hgsmi-registers.ts";
import { BLACK, Palette } from "./palette.ts";
import { VgaPorts } from "./ports.ts";
import { VgaRegisterFile } from "./register-file.ts";
import * as R from "./registers.ts";
import { Scan } from "./scan.ts";
import { Svga } from "./svga.ts";
import { PORTS as SVGA_PORTS } from "./svga-registers.ts";
import { type BlinkPhase, VgaPicture } from "./vga-picture.ts";

const kind = "vga";
const minimumBytes = 256 * 1024;

export interface VgaConfig {
  /** Video memory: a power of two of at least 256 KiB (BAR0's size), starting on a 4-byte border. */
  readonly vram: DeviceMemory;
  /**
   * 64 KiB just before `vram` in the machine's memory, for the window at A0000h at the speed of RAM; without it all of
   * the guest's accesses there come to the device.
   */
  readonly shadow?: DeviceMemory;
  /** What the guest is told it has (`--vram`), a multiple of 64 KiB; all of `vram` if not given. */
  readonly vramBytes?: number;
  /** The video BIOS for the PCI expansion ROM; the copy at C0000h is the machine's. */
  readonly expansionRom?: Uint8Array;
  /** The guest may talk to the host through HGSMI: pointer, mode hints (VBoxSVGA). Not if not given. */
  readonly hasHostInterface?: boolean;
  /** Memory of the command queue: the card is VMware's SVGA II (VMSVGA), with the VGA in it. */
  readonly svgaFifo?: DeviceMemory;
  /** BAR0 at reset; 0 (the default) leaves it to the firmware. */
  readonly frameBufferBase?: number;
}

export interface VgaDevice extends Device, DisplaySource {}

/** The VBoxVGA adapter at 00:02.0. */
export function createVga(config: VgaConfig): VgaDevice {
  return new Vga(config);
}

class Vga implements VgaDevice {
  readonly id = kind;
  readonly #config: VgaConfig;
  readonly #vram: Uint8Array;
  readonly #words: Int32Array;
  readonly #sizeBytes: number;
  readonly #registers = new VgaRegisterFile();
  readonly #palette = new Palette();
  readonly #direct: DirectWindow;
  readonly #aperture: VgaAperture;
  readonly #dispi: Dispi;
  readonly #ports: VgaPorts;
  readonly #picture: VgaPicture;
  readonly #hgsmi: Hgsmi | undefined;
  readonly #svga: Svga | undefined;
  #scan: Scan | undefined;
  #pci: PciFunctionHandle | undefined;
  /** Counts what may have changed the picture, video memory apart. */
  #revision = 0;

  constructor(config: VgaConfig) {
    this.#config = config;
    this.#vram = config.vram.bytes;
    const { length } = this.#vram;
    this.#sizeBytes = config.vramBytes ?? length;
    if (length < minimumBytes || (length & (length - 1)) !== 0 || (this.#vram.byteOffset & 3) !== 0) {
      throw new InternalError(`vga: video memory of ${length} bytes at ${this.#vram.byteOffset}`);
    }
    if (this.#sizeBytes < minimumBytes || this.#sizeBytes > length || this.#sizeBytes % 0x10000 !== 0) {
      throw new InternalError(`vga: ${this.#sizeBytes} bytes of a video memory of ${length}`);
    }
    this.#words = new Int32Array(this.#vram.buffer, this.#vram.byteOffset, length >> 2);
    const { shadow } = config;
    if (shadow && shadow.hostOffset + SHADOW_BYTES !== config.vram.hostOffset)
      throw new InternalError(`vga: the shadow at ${shadow.hostOffset} does not end where video memory begins`);
    this.#direct = new DirectWindow(config.vram, this.#words, shadow);
    this.#aperture = new VgaAperture(this.#registers, this.#direct, this.#vram, this.#sizeBytes, () =>
      this.#dispi.settle(),
    );
    this.#dispi = new Dispi({
      vram: this.#vram,
      sizeBytes: this.#sizeBytes,
      onChange: () => this.#refresh(),
      onClear: () => this.#direct.leave(),
      hasHostInterface: config.hasHostInterface ?? false,
      frameBufferBase: () => this.#baseOf(config.svgaFifo ? 1 : 0),
    });
    this.#ports = new VgaPorts(this.#registers, {
      addressing: () => this.#aperture.refresh(),
      timing: () => this.#scan?.refresh(),
      modeSet: () => this.#dispi.settle(),
      status: () => this.#scan?.status() ?? 0,
      isDac8Bit: () => this.#dispi.isDac8Bit,
    });
    this.#picture = new VgaPicture(this.#registers, this.#words, this.#palette);
    if (config.svgaFifo) {
      this.#svga = new Svga({
        vram: this.#vram,
        sizeBytes: this.#sizeBytes,
        fifo: config.svgaFifo,
        intx: () => this.#pci?.intx ?? openLine,
        baseOf: (bar) => this.#baseOf(bar),
        onScreen: (screen) => {
          this.#direct.leave();
          if (screen) this.#dispi.setScreen(screen);
          else this.#dispi.settle();
        },
      });
    }
    if (!config.hasHostInterface) return;
    this.#hgsmi = new Hgsmi({
      vram: this.#vram,
      sizeBytes: this.#sizeBytes,
      intx: () => this.#pci?.intx ?? openLine,
      onScreen: (screen) => {
        this.#direct.leave();
        return this.#dispi.setScreen(screen);
      },
      onBlank: (isBlank) => this.#dispi.setBlank(isBlank),
    });
  }

  attach(context: DeviceContext): void {
    this.#scan = new Scan(this.#registers, this.#dispi, context.clock);
    context.claimPorts(R.MONO_BASE, R.MONO_LENGTH, this.#registerWindow(R.MONO_BASE));
    context.claimPorts(R.COLOR_BASE, R.COLOR_LENGTH, this.#registerWindow(R.COLOR_BASE));
    context.claimPorts(R.DISPI_BASE, R.DISPI_LENGTH, this.#counted(this.#dispi));
    this.#direct.attach(context.claimMemory(0xa0000, 0x20000, this.#aperture));
    const svga = this.#svga;
    const { svgaFifo } = this.#config;
    const videoMemory = {
      index: svga ? 1 : 0,
      kind: "memory",
      sizeBytes: this.#vram.length,
      prefetchable: true,
      window: { kind: "ram", memory: this.#config.vram },
      initialBase: this.#config.frameBufferBase ?? 0,
    } as const;
    this.#pci = context.addPciFunction(2, 0, {
      name: svga ? "VMSVGA" : "VGA",
      vendorId: svga ? 0x15ad : 0x80ee,
      deviceId: svga ? 0x0405 : 0xbeef,
      revision: 0,
      classCode: 0x030000,
      subsystemVendorId: svga ? 0x15ad : undefined,
      subsystemId: svga ? 0x0405 : undefined,
      interruptPin: 1,
      bars:
        svga && svgaFifo
          ? [
              { index: 0, kind: "io", sizeBytes: SVGA_PORTS, window: this.#counted(svga) },
              videoMemory,
              {
                index: 2,
                kind: "memory",
                sizeBytes: svgaFifo.bytes.length,
                prefetchable: true,
                window: { kind: "ram", memory: svgaFifo },
              },
            ]
          : [videoMemory],
      expansionRom: this.#config.expansionRom,
    });
  }

  #baseOf(bar: number): number {
    return ((this.#pci?.readConfig(0x10 + bar * 4, 4) ?? 0) & ~0xf) >>> 0;
  }

  reset(resetKind: ResetKind): void {
    this.#direct.leave();
    if (resetKind === "power-on") this.#vram.fill(0);
    this.#registers.reset();
    this.#dispi.reset();
    this.#hgsmi?.reset();
    this.#svga?.reset();
    this.#refresh();
  }

  /** Byte-wide registers; a 32-bit access to one of two of them is the host interface's. */
  #registerWindow(base: number): IoWindow {
    const registers = this.#counted(byteWindow(this.#ports.range(base)));
    const hgsmi = this.#hgsmi;
    if (hgsmi === undefined) return registers;
    return {
      // No command of the host's waits, none of the guest's is under way.
      read: (offset, size) =>
        size === 4 && isHostInterface(base + offset) ? 0xffff_ffff : registers.read(offset, size),
      write: (offset, size, value) => {
        if (size !== 4 || !isHostInterface(base + offset)) registers.write(offset, size, value);
        else if (base + offset === GUEST_PORT) hgsmi.submit(value >>> 0);
        else hgsmi.acknowledge();
      },
    };
  }

  get pointerShape(): PointerShape | undefined {
    return this.#hgsmi?.pointer ?? this.#svga?.pointer;
  }
  get pointerRevision(): number {
    return this.#hgsmi?.pointerRevision ?? this.#svga?.pointerRevision ?? 0;
  }
  setModeHint(widthPixels: number, heightPixels: number, bitsPerPixel: number): boolean {
    return this.#hgsmi?.setModeHint(widthPixels, heightPixels, bitsPerPixel) ?? false;
  }

  /** Every register write makes a new revision. */
  #counted(window: IoWindow): IoWindow {
    return {
      read: (offset, size) => window.read(offset, size),
      write: (offset, size, value) => {
        this.#revision++;
        window.write(offset, size, value);
      },
    };
  }

  /** Brings what is derived from the registers up to date. */
  #refresh(): void {
    this.#revision++;
    const dispi = this.#dispi;
    if (dispi.isActive && dispi.bitsPerPixel !== 4) this.#aperture.setPacked(dispi.bank);
    else this.#aperture.setPlanar(dispi.isActive ? dispi.bank : 0, dispi.isActive);
    this.#aperture.refresh();
    this.#scan?.refresh();
  }

  get widthPixels(): number {
    return this.#dispi.isActive ? this.#dispi.widthPixels : this.#picture.widthPixels;
  }
  get heightPixels(): number {
    return this.#dispi.isActive ? this.#dispi.heightPixels : this.#picture.heightPixels;
  }
  /** 0 in all modes that were set by VGA registers, as VirtualBox says. */
  get bitsPerPixel(): number {
    return this.#dispi.bitsPerPixel;
  }

  renderRgba(target?: Uint8Array): Uint8Array {
    const length = this.widthPixels * this.heightPixels * 4;
    const fits = target !== undefined && target.length === length && (target.byteOffset & 3) === 0;
    const rgba = fits ? target : new Uint8Array(length);
    const pixels = new Int32Array(rgba.buffer, rgba.byteOffset, length >> 2);
    this.#palette.update(this.#registers, this.#dispi.isDac8Bit);
    this.#direct.flush();
    this.#svga?.run();
    if (this.#dispi.isActive && this.#dispi.isBlank) pixels.fill(BLACK);
    else if (this.#dispi.isActive) {
      renderDispi(this.#dispi, this.#vram, this.#words, this.#sizeBytes, this.#palette, pixels);
    } else {
      this.#picture.render(pixels, this.#blink());
    }
    return rgba;
  }

  #blink(): BlinkPhase {
    const frame = this.#scan?.frame() ?? 0;
    return { isCursorOn: (frame & 8) === 0, isTextOn: (frame & 16) === 0 };
  }

  scanout(): Scanout {
    // A guest that waits for nothing leaves its last commands in the queue.
    this.#svga?.run();
    const dispi = this.#dispi;
    const revision = this.#revision;
    const { hostOffset } = this.#config.vram;
    if (!dispi.isActive) {
      // The CRTC reaches all of the first 64 KiB of each map, text modes their fonts too.
      const shadowBytes = this.#direct.isShadowed ? SHADOW_BYTES : 0;
      const lengthBytes = this.#picture.isOn ? Math.min(minimumBytes, this.#sizeBytes) + shadowBytes : 0;
      return { hostOffset: hostOffset - shadowBytes, lengthBytes, revision, phase: this.#picture.phase(this.#blink()) };
    }
    if (dispi.isBlank) return { hostOffset, lengthBytes: 0, revision, phase: 0 };
    const isPlanar = dispi.bitsPerPixel === 4;
    const start = isPlanar ? dispi.yOffset * dispi.pitch : dispi.startBytes;
    const bytes = start + dispi.heightPixels * dispi.pitch + (isPlanar ? dispi.xOffset : 0);
    const scale = isPlanar ? 4 : 1;
    const from = Math.min(start * scale, this.#sizeBytes) & ~3;
    return {
      hostOffset: hostOffset + from,
      lengthBytes: Math.min(bytes * scale, this.#sizeBytes) - from,
      revision,
      phase: 0,
    };
  }

  textCells(): TextCells | undefined {
    if (this.#dispi.isActive) return undefined;
    this.#direct.flush();
    return this.#picture.textCells();
  }

  save(): SavedLeaf {
    this.#direct.flush();
    // Video memory is mostly untouched: keep it up to its last word in use.
    let used = this.#words.length;
    while (used > 0 && this.#words[used - 1] === 0) used--;
    used *= 4;
    return {
      kind,
      version: 2,
      data: {
        registers: this.#registers.save(),
        dispi: this.#dispi.save(),
        ...(this.#hgsmi ? { hgsmi: this.#hgsmi.save() } : {}),
        ...(this.#svga ? { svga: this.#svga.save() } : {}),
        vramBytes: this.#vram.length,
        vramUsedBytes: used,
        vram: this.#vram.slice(0, used),
      },
    };
  }

  load(leaf: SavedLeaf): void {
    const state = StateReader.open(leaf, kind, 2);
    this.#direct.discard();
    this.#registers.load(state.child("registers"));
    this.#dispi.load(state.child("dispi"));
    this.#hgsmi?.load(state.child("hgsmi"));
    this.#svga?.load(state.child("svga"));
    const size = state.integer("vramBytes", 0, 2 ** 32);
    if (size !== this.#vram.length) {
      throw new FormatError(
        `saved state: ${kind} has ${size} bytes of video memory, this machine ${this.#vram.length}`,
      );
    }
    const used = state.integer("vramUsedBytes", 0, size);
    this.#vram.set(state.bytes("vram", used));
    this.#vram.fill(0, used);
    state.end();
    this.#refresh();
  }
}

function isHostInterface(port: number): boolean {
  return port === HOST_PORT || port === GUEST_PORT;
}
