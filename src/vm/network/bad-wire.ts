/** A wire that loses, delays and swaps frames, both ways, decided by a seed: `anneau run --nic=…,wire=…`, to see what a guest makes of it. */
import type { WireFaults } from "../../config/wire-faults.ts";
import type { FrameSink, MakePlug, NetPlug } from "./nic-host.ts";

/** A frame that is overtaken comes later by up to so much. */
const LATE_MS = 25;
/** Frames that wait for the guest to take them; beyond that the sender has to wait. */
const MAX_WAITING = 1024;

/** Puts the wire between a card and what it is plugged into. */
export function overBadWire(make: MakePlug, faults: WireFaults): MakePlug {
  return async (toGuest) => {
    const wire = new BadWire(toGuest, faults);
    wire.plug = await make((frame) => wire.toGuest(frame));
    return wire;
  };
}

class BadWire implements NetPlug {
  plug: NetPlug | undefined;
  readonly #sink: FrameSink;
  readonly #faults: WireFaults;
  readonly #waiting: Uint8Array[] = [];
  #onTheWay = 0;
  #random: number;
  #isClosed = false;
  #senderWaits = false;

  constructor(sink: FrameSink, faults: WireFaults) {
    this.#sink = sink;
    this.#faults = faults;
    this.#random = faults.seed | 0;
  }

  send(frame: Uint8Array): void {
    this.#carry(frame, (copy) => this.plug?.send(copy));
  }

  toGuest(frame: Uint8Array): boolean {
    if (this.#onTheWay + this.#waiting.length >= MAX_WAITING) {
      this.#senderWaits = true;
      return false;
    }
    const isCarried = this.#carry(frame, (copy) => {
      this.#onTheWay--;
      this.#waiting.push(copy);
      this.#drain();
    });
    if (isCarried) this.#onTheWay++;
    return true;
  }

  resume(): void {
    this.#drain();
  }

  #drain(): void {
    let done = 0;
    while (done < this.#waiting.length && this.#sink(this.#waiting[done])) done++;
    this.#waiting.splice(0, done);
    if (!this.#senderWaits || this.#onTheWay + this.#waiting.length >= MAX_WAITING / 2) return;
    this.#senderWaits = false;
    this.plug?.resume?.();
  }

  #carry(frame: Uint8Array, deliver: (copy: Uint8Array) => void): boolean {
    const { lossPercent, reorderPercent, delayMs } = this.#faults;
    if (this.#percent() < lossPercent) return false;
    const copy = frame.slice();
    const lateMs = this.#percent() < reorderPercent ? 1 + (this.#percent() * LATE_MS) / 100 : 0;
    setTimeout(() => {
      if (!this.#isClosed) deliver(copy);
    }, delayMs + lateMs).unref();
    return true;
  }

  /** 0 to 99 (mulberry32). */
  #percent(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % 100;
  }

  pause(): void {
    this.plug?.pause?.();
  }
  wake(): void {
    this.plug?.wake?.();
  }
  close(): void {
    this.#isClosed = true;
    this.plug?.close();
  }
}
