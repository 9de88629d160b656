/**
 * The main thread's end of a serial port, or of a parallel port's printer: moves bytes between the shared rings and whatever the user plugged in. An output
 * is told about bytes and says when it can take more; while it cannot, the ring fills and the guest's UART waits.
 */
import { ByteRing, type Doorbell } from "./byte-ring.ts";
import type { UartBuffers } from "./machine-protocol.ts";
import { FLAG_BLOCKED, FLAG_CONNECTED } from "./ring-char-backend.ts";

const RING_BYTES = 1 << 16;
/** Input that the guest does not take is kept up to this much, then its source is asked to wait. */
const MAX_WAITING_BYTES = 1 << 20;
const WAIT_MS = 2;
/** At the end, what is plugged in gets this long to take the rest: a peer that does not read must not keep the machine. */
const DRAIN_MS = 1000;

/** What is plugged in. */
export interface UartPlug {
  /** Takes guest output; may return a promise that settles when more can come. Failing, it is not asked again. */
  write(bytes: Uint8Array): void | Promise<void>;
  /** Called once at the end; settles when everything is out. */
  close?(): void | Promise<void>;
}

export class UartHost {
  readonly buffers: UartBuffers;
  readonly #toHost = ByteRing.create(RING_BYTES);
  readonly #toGuest = ByteRing.create(RING_BYTES);
  readonly #flags = new Int32Array(new SharedArrayBuffer(8));
  #doorbell: Doorbell | undefined;
  #plug: UartPlug | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isMoving = false;
  #isClosed = false;
  #onRoom: (() => void) | undefined;
  readonly #onError: (text: string) => void;
  readonly #kind: string;

  /** `onError` is told, in one line, when what is plugged in failed and the guest's output goes nowhere from then on. */
  constructor(onError: (text: string) => void = () => {}, kind = "serial port") {
    this.#onError = onError;
    this.#kind = kind;
    this.buffers = {
      toHost: this.#toHost.buffer,
      toGuest: this.#toGuest.buffer,
      flags: this.#flags.buffer as SharedArrayBuffer,
    };
    void this.#pumpOutput();
  }

  connectDoorbell(doorbell: Doorbell): void {
    this.#doorbell = doorbell;
  }

  /** Plugs something in (the guest sees the modem lines rise) or pulls it out (undefined). */
  plug(plug: UartPlug | undefined): void {
    this.#plug = plug;
    Atomics.store(this.#flags, FLAG_CONNECTED, plug === undefined ? 0 : 1);
    this.#doorbell?.ring();
  }

  /** Bytes for the guest. False: the source should pause until `onRoom` is called. */
  send(bytes: Uint8Array, onRoom?: () => void): boolean {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    void this.#moveInput();
    if (this.#waitingBytes <= MAX_WAITING_BYTES) return true;
    this.#onRoom = onRoom;
    return false;
  }

  /** After the machine has ended: lets the rest of the output go out. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const plug = this.#plug;
    const rest = this.#toHost.read();
    if (rest.length > 0) await atMost(DRAIN_MS, this.#put(rest));
    this.plug(undefined);
    try {
      await atMost(DRAIN_MS, plug?.close?.());
    } catch (error) {
      this.#onError(`${this.#kind}: ${(error as Error).message}`);
    }
  }

  /** A full disk or a broken line stops neither the machine nor its end: the guest keeps its port, its output is lost. */
  async #put(bytes: Uint8Array): Promise<void> {
    const plug = this.#plug;
    try {
      await plug?.write(bytes);
    } catch (error) {
      this.#onError(`${this.#kind}: ${(error as Error).message}: its output is lost from here on`);
      if (this.#plug === plug && plug !== undefined) this.#plug = { write: () => {}, close: plug.close?.bind(plug) };
    }
  }

  async #pumpOutput(): Promise<void> {
    while (!this.#isClosed) {
      await this.#toHost.whenWritten();
      if (this.#isClosed) return;
      const bytes = this.#toHost.read();
      // Only a guest that met a full ring waits for room.
      if (Atomics.exchange(this.#flags, FLAG_BLOCKED, 0) !== 0) this.#doorbell?.ring();
      if (bytes.length > 0) await this.#put(bytes);
    }
  }

  async #moveInput(): Promise<void> {
    if (this.#isMoving) return;
    this.#isMoving = true;
    while (this.#waiting.length > 0 && !this.#isClosed) {
      const next = this.#waiting[0];
      const part = next.subarray(0, this.#toGuest.freeBytes);
      if (part.length > 0) {
        this.#toGuest.write(part);
        this.#waitingBytes -= part.length;
        if (part.length === next.length) this.#waiting.shift();
        else this.#waiting[0] = next.subarray(part.length);
        this.#doorbell?.ring();
      } else {
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
      }
      if (this.#waitingBytes < MAX_WAITING_BYTES / 2) {
        const onRoom = this.#onRoom;
        this.#onRoom = undefined;
        onRoom?.();
      }
    }
    this.#isMoving = false;
  }
}

function atMost(limitMs: number, promise: void | Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  return Promise.race([Promise.resolve(promise), limit]).finally(() => clearTimeout(timer));
}
