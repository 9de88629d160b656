/**
 * The main thread's end of a network card: moves frames between the shared rings and whatever the cable leads to. Frames of
 * the guest are handed on in batches, between which sockets and timers have their turn.
 */

import type { Doorbell } from "../byte-ring.ts";
import { FrameRing } from "../frame-ring.ts";
import type { NicBuffers } from "../machine-protocol.ts";
import type { PcapTrace } from "./pcap-trace.ts";

/** Per direction: some hundred full frames. */
const RING_BYTES = 1 << 19;
const BATCH_FRAMES = 128;
/** More than any frame has. */
const FRAME_BYTES = 16384;

/** Takes a frame for the guest, valid during the call. False: no room; `NetPlug.resume` is called when there is some. */
export type FrameSink = (frame: Uint8Array) => boolean;

/** What a cable leads to. */
export interface NetPlug {
  /** One frame of the guest's, valid during the call. */
  send(frame: Uint8Array): void;
  /** The guest has room again after a frame found none. */
  resume?(): void;
  /** The machine stands still: no timer should run out meanwhile. */
  pause?(): void;
  wake?(): void;
  /** Lets go of everything. */
  close(): void;
}

/** Makes what the cable leads to; throws or rejects with one line if it cannot be. */
export type MakePlug = (toGuest: FrameSink) => NetPlug | Promise<NetPlug>;

export class NicHost {
  readonly buffers: NicBuffers;
  readonly #toHost = FrameRing.create(RING_BYTES);
  readonly #toGuest = FrameRing.create(RING_BYTES);
  readonly #onError: (text: string) => void;
  readonly #frame = new Uint8Array(FRAME_BYTES);
  #doorbell: Doorbell | undefined;
  #plug: NetPlug | undefined;
  #trace: PcapTrace | undefined;
  #isClosed = false;
  #awaitsRoom = false;

  /** `onError` is told, in one line, what went wrong with network or trace; the guest goes on. */
  constructor(onError: (text: string) => void) {
    this.#onError = onError;
    this.buffers = { toHost: this.#toHost.buffer, toGuest: this.#toGuest.buffer };
    void this.#pump();
  }

  connectDoorbell(doorbell: Doorbell): void {
    this.#doorbell = doorbell;
  }

  /** Plugs the cable into something else; what it was in before is closed. Throws with `make`; then it is in nothing. */
  async connect(make: MakePlug | undefined): Promise<void> {
    const old = this.#plug;
    this.#plug = undefined;
    old?.close();
    if (make === undefined || this.#isClosed) return;
    let plug: NetPlug | undefined;
    // A network that was left may still have a frame in its hands.
    const isCurrent = () => plug === undefined || this.#plug === plug;
    plug = await make((frame) => !isCurrent() || this.#deliver(frame));
    if (this.#isClosed) plug.close();
    else this.#plug = plug;
  }

  get plug(): NetPlug | undefined {
    return this.#plug;
  }

  /** Records every frame from now on (undefined: no longer). */
  trace(trace: PcapTrace | undefined): void {
    this.#trace?.close();
    this.#trace = trace;
  }

  pause(): void {
    this.#plug?.pause?.();
  }
  wake(): void {
    this.#plug?.wake?.();
  }

  close(): void {
    this.#isClosed = true;
    this.#plug?.close();
    this.#plug = undefined;
    this.trace(undefined);
    this.#toHost.wakeReader();
  }

  #deliver(frame: Uint8Array): boolean {
    let outcome = this.#toGuest.write(frame);
    if (outcome === "no room") {
      this.#toGuest.askForRoom();
      outcome = this.#toGuest.write(frame);
      if (outcome === "no room") {
        void this.#resumeWhenRoom();
        return false;
      }
    }
    this.#trace?.record(frame);
    if (outcome === "first") this.#doorbell?.ring();
    return true;
  }

  async #resumeWhenRoom(): Promise<void> {
    if (this.#awaitsRoom) return;
    this.#awaitsRoom = true;
    await this.#toGuest.whenRoom();
    this.#awaitsRoom = false;
    if (!this.#isClosed) this.#guarded(() => this.#plug?.resume?.());
  }

  async #pump(): Promise<void> {
    while (!this.#isClosed) {
      await this.#toHost.whenWritten();
      for (let i = 0; i < BATCH_FRAMES && !this.#isClosed; i++) {
        const length = this.#toHost.read(this.#frame);
        if (length === 0) break;
        const frame = this.#frame.subarray(0, length);
        this.#trace?.record(frame);
        this.#guarded(() => this.#plug?.send(frame));
      }
      // Only a card that met a full ring waits for room.
      if (this.#toHost.takeWaitingWriter()) this.#doorbell?.ring();
      if (!this.#toHost.isEmpty) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** A network that fails must not take the machine with it. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#onError(`network: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
}
