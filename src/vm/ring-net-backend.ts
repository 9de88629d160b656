/** The machine thread's end of a network card whose network lives on the main thread. */
import type { NetBackend } from "../backend-api/net.ts";
import type { CounterTree } from "../device-api/counters.ts";
import { FrameRing } from "./frame-ring.ts";
import type { NicBuffers } from "./machine-protocol.ts";

export class RingNetBackend implements NetBackend {
  readonly #toHost: FrameRing;
  readonly #toGuest: FrameRing;
  readonly #listeners: (() => void)[] = [];
  #isBlocked = false;
  #sentBytes = 0;
  #receivedBytes = 0;

  constructor(buffers: NicBuffers) {
    this.#toHost = new FrameRing(buffers.toHost);
    this.#toGuest = new FrameRing(buffers.toGuest);
  }

  send(frame: Uint8Array): boolean {
    let outcome = this.#toHost.write(frame);
    if (outcome === "no room") {
      this.#toHost.askForRoom();
      outcome = this.#toHost.write(frame);
    }
    this.#isBlocked = outcome === "no room";
    if (outcome === "first") this.#toHost.wakeReader();
    if (!this.#isBlocked) this.#sentBytes += frame.length;
    return !this.#isBlocked;
  }

  get readableBytes(): number {
    return this.#toGuest.nextBytes;
  }

  receive(target: Uint8Array): number {
    const length = this.#toGuest.read(target);
    if (this.#toGuest.takeWaitingWriter()) this.#toGuest.wakeWriter();
    this.#receivedBytes += length;
    return length;
  }

  /** What the guest's card moved. */
  statistics(): CounterTree {
    return { sentBytes: this.#sentBytes, receivedBytes: this.#receivedBytes };
  }

  onEvent(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** After the doorbell rang: tells the card if frames wait or may go again. */
  poll(): void {
    if (this.#isBlocked || !this.#toGuest.isEmpty) for (const listener of this.#listeners) listener();
  }
}
