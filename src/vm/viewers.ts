/**
 * Everybody who looks at one machine's screen, over whatever transport: RFB connections share the screen and each has its own
 * keyboard and pointer. Nothing here costs anything while nobody is connected.
 */
import { RfbConnection, type RfbOptions } from "../display/rfb/connection.ts";
import { type HostTimer, SharedScreen } from "../display/shared-screen.ts";
import { GuestInput } from "./guest-input.ts";
import { GuestScreen } from "./guest-screen.ts";
import type { MachineThreadClient } from "./machine-thread-client.ts";
import { ZlibStream } from "./zlib-stream.ts";

const hostTimer: HostTimer = {
  nowMs: () => performance.now(),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    // A viewer does not keep the process of a machine that has ended.
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Sizes that a guest is asked for, in pixels. */
export const MIN_HINT = 64;
export const MAX_HINT = 4608;

/** What is each transport's own. */
export type ViewerOptions = Pick<RfbOptions, "security" | "transport" | "onReady" | "onClosed">;

export class Viewers {
  readonly #name: string;
  readonly #machine: MachineThreadClient;
  readonly #guest: GuestScreen;
  readonly #screen: SharedScreen;
  readonly input: GuestInput;
  readonly #connections = new Set<RfbConnection>();

  constructor(name: string, machine: MachineThreadClient) {
    this.#name = name;
    this.#machine = machine;
    this.#guest = new GuestScreen(machine);
    this.#screen = new SharedScreen(this.#guest, hostTimer);
    this.input = new GuestInput(machine, this.#guest);
  }

  /** Viewers that see the screen. */
  get count(): number {
    return this.#screen.viewers;
  }

  /** As of the last look. */
  get isPointerAbsolute(): boolean {
    return this.#guest.isPointerAbsolute;
  }

  /** Looks at the screen and pictures drawn since the start, for statistics. */
  get work(): { readonly looks: number; readonly renders: number } {
    return { looks: this.#screen.looks, renders: this.#guest.renders };
  }

  /** Somebody did something that the screen will show. */
  wake(): void {
    this.#screen.wake();
  }

  /** A new viewer; the transport gives it bytes by `receive`. */
  connect(options: ViewerOptions): RfbConnection {
    const connection: RfbConnection = new RfbConnection({
      ...options,
      name: this.#name,
      screen: this.#screen,
      input: this.input.viewer(() => this.#screen.frame),
      createDeflate: (level) => new ZlibStream(level),
      onSizeWish: (widthPixels, heightPixels) => this.#wishSize(widthPixels, heightPixels),
      onClosed: (reason) => {
        this.#connections.delete(connection);
        options.onClosed?.(reason);
      },
    });
    this.#connections.add(connection);
    return connection;
  }

  /** A viewer's window has another size: the guest may follow, later; until it does, the size stays. */
  #wishSize(widthPixels: number, heightPixels: number): boolean {
    const isPossible = [widthPixels, heightPixels].every((size) => size >= MIN_HINT && size <= MAX_HINT);
    if (isPossible) this.#machine.request("modeHint", { widthPixels, heightPixels, bitsPerPixel: 32 }).catch(() => {});
    return false;
  }

  /** Ends all connections. */
  close(): void {
    for (const connection of [...this.#connections]) connection.close();
    this.#screen.close();
  }
}
