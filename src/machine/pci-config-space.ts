/**
 * One PCI function's configuration space: type 0 header (PCI Local Bus 2.2, chapter 6), BARs and expansion ROM with
 * sizing and decoding, command register gating, INTx with the disable and status bits of 2.3. Modelled: everything that
 * operating systems program; not modelled: parity and system errors (their status bits stay 0), capabilities beyond what
 * a device puts into its own registers. Never throws on a guest's value.
 */
import type { AccessSize } from "../device-api/io-window.ts";
import type { IrqLine } from "../device-api/irq-line.ts";
import type { PciBarConfig, PciFunctionConfig, PciFunctionHandle } from "../device-api/pci-function.ts";
import type { MemoryBus, MovableRegion, RegionBacking } from "./memory-bus.ts";
import type { PortBus } from "./port-bus.ts";

const CONFIG_BYTES = 256;

/** Header offsets. */
const VENDOR_ID = 0x00;
const DEVICE_ID = 0x02;
const COMMAND = 0x04;
const STATUS = 0x06;
const REVISION = 0x08;
const CACHE_LINE_SIZE = 0x0c;
const HEADER_TYPE = 0x0e;
const BAR0 = 0x10;
const SUBSYSTEM_VENDOR_ID = 0x2c;
const SUBSYSTEM_ID = 0x2e;
const EXPANSION_ROM = 0x30;
const INTERRUPT_LINE = 0x3c;
const INTERRUPT_PIN = 0x3d;

const COMMAND_IO = 1;
const COMMAND_MEMORY = 2;
const COMMAND_MASTER = 4;
const COMMAND_INTX_DISABLE = 0x400;
/** I/O, memory, master, parity response, SERR enable, INTx disable. */
const COMMAND_WRITABLE = 0x0547;
const STATUS_INTERRUPT = 0x08;
/** Write-one-to-clear bits of the status register's high byte: errors and aborts. */
const STATUS_HIGH_CLEARABLE = 0xf9;
const ROM_ENABLE = 1;

interface Decoder {
  place(base: number): void;
  remove(): void;
}

interface Bar {
  readonly offset: number;
  readonly isIo: boolean;
  readonly sizeBytes: number;
  readonly decoder: Decoder;
}

/** Where a function's decoded ranges and interrupt go. */
export interface PciFunctionWiring {
  readonly ports: PortBus;
  readonly memory: MemoryBus;
  /** Byte offset in the machine's memory of the expansion ROM's copy (page aligned), if the function has one. */
  readonly romHostOffset?: number;
  /** The level of INTA–INTD (pin 1–4) as the bus sees it. */
  setIntx(level: boolean): void;
}

export class PciConfigSpace implements PciFunctionHandle {
  readonly config: PciFunctionConfig;
  readonly intx: IrqLine;
  readonly #space = new Uint8Array(CONFIG_BYTES);
  readonly #initial: Uint8Array;
  readonly #writable = new Uint8Array(CONFIG_BYTES);
  readonly #bars: Bar[] = [];
  readonly #wiring: PciFunctionWiring;
  #intxLevel = false;
  #intxSeen = false;

  constructor(config: PciFunctionConfig, wiring: PciFunctionWiring) {
    this.config = config;
    this.#wiring = wiring;
    const pin = config.interruptPin ?? 0;
    this.#put(VENDOR_ID, 2, config.vendorId);
    this.#put(DEVICE_ID, 2, config.deviceId);
    this.#put(REVISION, 4, ((config.classCode << 8) | config.revision) >>> 0);
    this.#put(HEADER_TYPE, 1, config.headerType ?? 0);
    this.#put(SUBSYSTEM_VENDOR_ID, 2, config.subsystemVendorId ?? 0);
    this.#put(SUBSYSTEM_ID, 2, config.subsystemId ?? 0);
    this.#put(INTERRUPT_PIN, 1, pin);
    this.#allow(COMMAND, 2, COMMAND_WRITABLE);
    this.#allow(CACHE_LINE_SIZE, 2, 0xffff);
    this.#allow(INTERRUPT_LINE, 1, 0xff);
    for (const bar of config.bars ?? []) this.#addBar(bar);
    if (config.expansionRom !== undefined) this.#addRom(config.expansionRom.length);
    for (const { offset, size, value } of config.initial ?? []) this.#put(offset, size, value);
    for (const { offset, size, mask } of config.writable ?? []) this.#allow(offset, size, mask);
    this.#initial = this.#space.slice();
    this.intx =
      pin === 0 ? { raise() {}, lower() {} } : { raise: () => this.#drive(true), lower: () => this.#drive(false) };
  }

  get busMasterEnabled(): boolean {
    return (this.#space[COMMAND] & COMMAND_MASTER) !== 0;
  }

  /** The device's own read, and the guest's. */
  readConfig(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.#space[(offset + i) & 0xff] ?? 0xff);
    return value;
  }

  /** The device's own write: no masks, no callback; decoding and the interrupt follow. */
  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.#put(offset, size, value);
    this.#follow(offset, size);
  }

  /** A guest's write: masks, write-one-to-clear status, decoding, then the device's callback. */
  guestWrite(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const at = (offset + i) & 0xff;
      const byte = (value >>> (8 * i)) & 0xff;
      if (at === STATUS + 1) this.#space[at] &= ~(byte & STATUS_HIGH_CLEARABLE);
      const mask = this.#writable[at];
      this.#space[at] = (this.#space[at] & ~mask) | (byte & mask);
    }
    this.#follow(offset, size);
    this.config.onConfigWrite?.(offset, size);
  }

  /** Power-on contents; nothing decoded that does not start decoded. */
  reset(): void {
    this.#space.set(this.#initial);
    this.#intxLevel = false;
    this.#decode();
    this.#updateIntx();
  }

  save(): { readonly space: Uint8Array; readonly intx: boolean } {
    return { space: this.#space.slice(), intx: this.#intxLevel };
  }

  /** Restores contents, decoding and the INTx level; the interrupt controllers restore theirs, so nothing is signalled. */
  load(space: Uint8Array, intx: boolean): void {
    this.#space.set(space);
    this.#intxLevel = intx;
    this.#intxSeen = intx && (this.readConfig(COMMAND, 2) & COMMAND_INTX_DISABLE) === 0;
    this.#decode();
  }

  /** The level that the bus sees (after the disable bit). */
  get intxSeen(): boolean {
    return this.#intxSeen;
  }

  #drive(level: boolean): void {
    if (this.#intxLevel === level) return;
    this.#intxLevel = level;
    this.#updateIntx();
  }

  #updateIntx(): void {
    if (this.#intxLevel) this.#space[STATUS] |= STATUS_INTERRUPT;
    else this.#space[STATUS] &= ~STATUS_INTERRUPT;
    const seen = this.#intxLevel && (this.readConfig(COMMAND, 2) & COMMAND_INTX_DISABLE) === 0;
    if (seen === this.#intxSeen) return;
    this.#intxSeen = seen;
    this.#wiring.setIntx(seen);
  }

  #follow(offset: number, size: AccessSize): void {
    const touches = (start: number, length: number) => offset < start + length && start < offset + size;
    if (touches(COMMAND, 2) || touches(BAR0, 24) || touches(EXPANSION_ROM, 4)) this.#decode();
    if (touches(COMMAND, 2)) this.#updateIntx();
  }

  #decode(): void {
    const command = this.#space[COMMAND];
    this.#wiring.memory.batch(() => {
      for (const bar of this.#bars) {
        const isRom = bar.offset === EXPANSION_ROM;
        const raw = this.readConfig(bar.offset, 4);
        const base = Math.floor(raw / bar.sizeBytes) * bar.sizeBytes;
        const isEnabled =
          (command & (bar.isIo ? COMMAND_IO : COMMAND_MEMORY)) !== 0 && (!isRom || (raw & ROM_ENABLE) !== 0);
        // Address 0 is "not assigned yet": nobody means to put a BAR over the DMA controller or RAM.
        if (isEnabled && base !== 0) bar.decoder.place(base);
        else bar.decoder.remove();
      }
    });
  }

  #addBar(bar: PciBarConfig): void {
    const offset = BAR0 + bar.index * 4;
    const isIo = bar.kind === "io";
    const flags = isIo ? 1 : bar.prefetchable ? 8 : 0;
    this.#put(offset, 4, ((bar.initialBase ?? 0) | flags) >>> 0);
    this.#allow(offset, 4, (isIo ? 0xfffffffc : 0xfffffff0) & ~(bar.sizeBytes - 1));
    const { window } = bar;
    const name = `${this.config.name} BAR${bar.index}`;
    let decoder: Decoder;
    if ("read" in window) {
      decoder = isIo
        ? this.#wiring.ports.addMovable(bar.sizeBytes, window)
        : this.#addMemory(name, bar.sizeBytes, { kind: "window", window });
    } else {
      decoder = this.#addMemory(name, bar.sizeBytes, { kind: "memory", hostOffset: window.memory.hostOffset });
    }
    this.#bars.push({ offset, isIo, sizeBytes: bar.sizeBytes, decoder });
  }

  #addRom(lengthBytes: number): void {
    const hostOffset = this.#wiring.romHostOffset;
    if (hostOffset === undefined) return;
    this.#allow(EXPANSION_ROM, 4, (0xfffff801 & ~(lengthBytes - 1)) | ROM_ENABLE);
    const region = this.#wiring.memory.addMovable(`${this.config.name} ROM`, lengthBytes, {
      kind: "memory",
      hostOffset,
    });
    const decoder: Decoder = { place: (base) => region.place(base, true, false), remove: () => region.remove() };
    this.#bars.push({ offset: EXPANSION_ROM, isIo: false, sizeBytes: lengthBytes, decoder });
  }

  #addMemory(name: string, lengthBytes: number, backing: RegionBacking): MovableRegion {
    return this.#wiring.memory.addMovable(name, lengthBytes, backing);
  }

  #put(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#space[offset + i] = (value >>> (8 * i)) & 0xff;
  }

  #allow(offset: number, size: AccessSize, mask: number): void {
    for (let i = 0; i < size; i++) this.#writable[offset + i] = (mask >>> (8 * i)) & 0xff;
  }
}
