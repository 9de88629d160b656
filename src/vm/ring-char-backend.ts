/** The machine thread's end of a serial port whose host side lives on the main thread. */
import type { CharBackend } from "../backend-api/char.ts";
import { ByteRing } from "./byte-ring.ts";
import type { UartBuffers } from "./machine-protocol.ts";

export const FLAG_CONNECTED = 0;
export const FLAG_BLOCKED = 1;

export class RingCharBackend implements CharBackend {
  readonly #toHost: ByteRing;
  readonly #toGuest: ByteRing;
  readonly #flags: Int32Array;
  readonly #listeners: (() => void)[] = [];
  #wasConnected = false;

  constructor(buffers: UartBuffers) {
    this.#toHost = new ByteRing(buffers.toHost);
    this.#toGuest = new ByteRing(buffers.toGuest);
    this.#flags = new Int32Array(buffers.flags);
    this.#wasConnected = this.connected;
  }

  write(byte: number): boolean {
    // With nobody at the other end a cable's bytes are lost, they do not queue up.
    if (!this.connected) return true;
    if (this.#toHost.writeByte(byte)) return true;
    Atomics.store(this.#flags, FLAG_BLOCKED, 1);
    return this.#toHost.writeByte(byte);
  }
  read(): number {
    return this.#toGuest.readByte();
  }
  get readable(): boolean {
    return this.#toGuest.availableBytes > 0;
  }
  get connected(): boolean {
    return Atomics.load(this.#flags, FLAG_CONNECTED) !== 0;
  }
  onEvent(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** After the doorbell rang: tells the device if bytes wait, the way out is free again or the cable changed. */
  poll(): void {
    const isConnected = this.connected;
    const hasChanged = isConnected !== this.#wasConnected;
    this.#wasConnected = isConnected;
    if (hasChanged || this.readable || this.#toHost.freeBytes > 0) for (const listener of this.#listeners) listener();
  }
}
