/**
 * The I/O port space: 65,536 ports, each owned by at most one window. The hot path is one table lookup: a port gives the
 * number of its owner, the owner its window and base. Built-in claims never overlap (an assembly error); ranges that a
 * guest places (BARs) lie under the built-in ones, among themselves in the order of their making, so that nothing a guest
 * programs can throw or hide the platform. Accesses that straddle windows are split into halves as the ISA bus does.
 *
 * Configuration mechanism #1 has its address register at CF8h for 32-bit accesses only (other accesses there belong to
 * whoever claims the byte, such as the reset control register at CF9h), hence `claimDword`.
 */
import { AnneauError, InternalError } from "../base/errors.ts";
import { silentTrace, type TraceChannel } from "../base/logger.ts";
import type { MovablePorts } from "../device-api/device.ts";
import { type AccessSize, allOnes, type IoWindow } from "../device-api/io-window.ts";
import type { DemandLog } from "./demand-log.ts";

const PORTS = 0x10000;
const NOBODY = 0;

export class PortBus {
  readonly #owner = new Uint16Array(PORTS);
  readonly #fixedOwner = new Uint16Array(PORTS);
  readonly #windows: IoWindow[];
  readonly #bases: number[] = [0];
  readonly #movable: { readonly id: number; readonly length: number; base: number }[] = [];
  readonly #demand: DemandLog;
  readonly #trace: TraceChannel;
  #dwordPort = -1;
  #dwordWindow: IoWindow;
  /** Accesses since power-on, for statistics. */
  accesses = 0;

  constructor(demand: DemandLog, trace: TraceChannel = silentTrace) {
    this.#demand = demand;
    this.#trace = trace;
    const unclaimed: IoWindow = {
      read: (port, size) => {
        this.#demand.note("unclaimed port read", port, describeRead);
        return allOnes(size);
      },
      write: (port) => this.#demand.note("unclaimed port write", port, describeWrite),
    };
    this.#windows = [unclaimed];
    this.#dwordWindow = unclaimed;
  }

  /** A built-in claim. Throws AnneauError on an overlap with another one: some parts stand where the settings put them. */
  claim(base: number, length: number, window: IoWindow, deviceId = "a device"): void {
    if (!(length > 0) || base < 0 || base + length > PORTS)
      throw new InternalError(`ports ${hex(base)}+${length} do not exist`);
    for (let port = base; port < base + length; port++) {
      if (this.#fixedOwner[port] === NOBODY) continue;
      throw new AnneauError(
        `${deviceId}: I/O port ${hex(port)} is another device's: choose other ports for one of them`,
      );
    }
    const id = this.#addWindow(base, window);
    this.#fixedOwner.fill(id, base, base + length);
    this.#repaint(base, length);
  }

  /** Claims 32-bit accesses at exactly `port`; narrower ones keep going to the byte's owner. */
  claimDword(port: number, window: IoWindow): void {
    if (this.#dwordPort >= 0) throw new InternalError("a second 32-bit-only port");
    this.#dwordPort = port;
    this.#dwordWindow = window;
  }

  /** A range that is nowhere until it is placed. Earlier ones win over later ones where guests make them overlap. */
  addMovable(length: number, window: IoWindow): MovablePorts {
    const range = { id: this.#addWindow(0, window), length, base: -1 };
    this.#movable.push(range);
    const move = (base: number): void => {
      const old = range.base;
      if (old === base) return;
      range.base = base;
      this.#bases[range.id] = base;
      if (old >= 0) this.#repaint(old, length);
      if (base >= 0) this.#repaint(base, length);
    };
    return {
      place: (base) => move(base >= 0 && base + length <= PORTS ? base : -1),
      remove: () => move(-1),
    };
  }

  readPort(port: number, size: AccessSize): number {
    this.accesses++;
    const value = this.#read(port, size);
    if (this.#trace.enabled) this.#trace.line(`in ${hex(port)} size ${size} = ${hex(value)}`);
    return value;
  }

  writePort(port: number, size: AccessSize, value: number): void {
    this.accesses++;
    if (this.#trace.enabled) this.#trace.line(`out ${hex(port)} size ${size} = ${hex(value)}`);
    this.#write(port, size, value);
  }

  readPortBulk(port: number, size: AccessSize, target: Uint8Array): number {
    const id = this.#owner[port];
    const window = this.#windows[id];
    if (window.readBulk === undefined || this.#trace.enabled || !this.#isWhole(port, size, id)) return 0;
    this.accesses++;
    return window.readBulk(port - this.#bases[id], size, target);
  }

  writePortBulk(port: number, size: AccessSize, source: Uint8Array): number {
    const id = this.#owner[port];
    const window = this.#windows[id];
    if (window.writeBulk === undefined || this.#trace.enabled || !this.#isWhole(port, size, id)) return 0;
    this.accesses++;
    return window.writeBulk(port - this.#bases[id], size, source);
  }

  /** Whether a built-in or placed window answers at the port. */
  isClaimed(port: number): boolean {
    return this.#owner[port] !== NOBODY;
  }

  #read(port: number, size: AccessSize): number {
    const id = this.#owner[port];
    if (size === 1) return this.#windows[id].read(port - this.#bases[id], 1);
    if (size === 4 && port === this.#dwordPort) return this.#dwordWindow.read(0, 4);
    if (this.#isWhole(port, size, id)) return this.#windows[id].read(port - this.#bases[id], size);
    if (size === 2) return this.#read(port, 1) + this.#read((port + 1) & 0xffff, 1) * 0x100;
    return this.#read(port, 2) + this.#read((port + 2) & 0xffff, 2) * 0x10000;
  }

  #write(port: number, size: AccessSize, value: number): void {
    const id = this.#owner[port];
    if (size === 1) {
      this.#windows[id].write(port - this.#bases[id], 1, value);
    } else if (size === 4 && port === this.#dwordPort) {
      this.#dwordWindow.write(0, 4, value);
    } else if (this.#isWhole(port, size, id)) {
      this.#windows[id].write(port - this.#bases[id], size, value);
    } else if (size === 2) {
      this.#write(port, 1, value & 0xff);
      this.#write((port + 1) & 0xffff, 1, (value >>> 8) & 0xff);
    } else {
      this.#write(port, 2, value & 0xffff);
      this.#write((port + 2) & 0xffff, 2, value >>> 16);
    }
  }

  /** Whether all bytes of the access belong to `id`. Past FFFFh nothing does: the table answers undefined there. */
  #isWhole(port: number, size: AccessSize, id: number): boolean {
    const owner = this.#owner;
    if (size === 1) return true;
    if (size === 2) return owner[port + 1] === id;
    return owner[port + 3] === id && owner[port + 1] === id && owner[port + 2] === id;
  }

  #addWindow(base: number, window: IoWindow): number {
    this.#windows.push(window);
    this.#bases.push(base);
    return this.#windows.length - 1;
  }

  /** Recomputes the owners of a range: built-in claims, then movable ranges, the earliest on top. */
  #repaint(base: number, length: number): void {
    const end = base + length;
    this.#owner.set(this.#fixedOwner.subarray(base, end), base);
    for (const range of this.#movable) {
      if (range.base < 0) continue;
      const stop = Math.min(end, range.base + range.length);
      for (let port = Math.max(base, range.base); port < stop; port++) {
        if (this.#owner[port] === NOBODY) this.#owner[port] = range.id;
      }
    }
  }
}

const hex = (value: number) => value.toString(16).toUpperCase() + "h";
const describeRead = (port: number | string) => `unclaimed port ${hex(port as number)} read`;
const describeWrite = (port: number | string) => `unclaimed port ${hex(port as number)} written`;
