/**
 * The machine's screen for viewers in the main thread. Whether there is anything new is found out here, by comparing video
 * memory with what it was at the last look: a comparison costs the machine nothing and the host a fraction of a
 * millisecond. Only when something is new does the machine thread draw, into shared memory. Pictures of blinking parts
 * are kept by phase, so that a blinking cursor is no news.
 */
import type { PointerShape } from "../backend-api/display.ts";
import type { Frame } from "../display/frame.ts";
import type { ScreenSource } from "../display/shared-screen.ts";
import type { ScreenState } from "./machine-protocol.ts";
import type { MachineThreadClient } from "./machine-thread-client.ts";

/** Compared and copied at a time. */
const BLOCK_BYTES = 65_536;
/** Pictures kept: two phases of a cursor, two of blinking text, and one to draw the next into. */
const MAX_PICTURES = 5;
const OFF: Frame = { widthPixels: 640, heightPixels: 400, pixels: new Int32Array(640 * 400) };

/** What GuestScreen needs of a machine. */
export type WatchedMachine = Pick<MachineThreadClient, "memory"> & {
  request(name: "screenState"): Promise<ScreenState>;
  request(name: "pointerShape"): Promise<PointerShape | undefined>;
  request(name: "render", params: { readonly target: SharedArrayBuffer }): Promise<boolean>;
};

interface Picture {
  readonly frame: Frame;
  readonly buffer: SharedArrayBuffer;
  /** Of which contents and phase; -1: of none. */
  contents: number;
  phase: number;
}

export class GuestScreen implements ScreenSource {
  readonly #machine: WatchedMachine;
  #shadow = Buffer.alloc(0);
  #state: ScreenState | undefined;
  /** Counts changes of what the picture is made from. */
  #contents = 0;
  #pictures: Picture[] = [];
  /** The last two that were handed out: viewers compare them. */
  #current: Frame = OFF;
  #previous: Frame = OFF;
  leds = 0;
  isPointerAbsolute = false;
  pointer: PointerShape | undefined;
  #pointerRevision = 0;
  /** Pictures drawn by the machine, for statistics. */
  renders = 0;

  constructor(machine: WatchedMachine) {
    this.#machine = machine;
  }

  async look(): Promise<Frame> {
    try {
      const state = await this.#machine.request("screenState");
      this.leds = state.leds;
      this.isPointerAbsolute = state.isPointerAbsolute;
      if (state.pointerRevision !== this.#pointerRevision) {
        this.#pointerRevision = state.pointerRevision;
        this.pointer = await this.#machine.request("pointerShape");
      }
      if (state.widthPixels * state.heightPixels === 0) return this.#show(this.#off());
      if (this.#isNew(state)) this.#contents++;
      const { phase } = state;
      const known = this.#pictures.find((one) => one.contents === this.#contents && one.phase === phase);
      if (known) return this.#show(known.frame);
      const picture = this.#spare(state.widthPixels, state.heightPixels);
      if (!(await this.#machine.request("render", { target: picture.buffer }))) {
        // The size has changed meanwhile: the next look finds out.
        this.#state = undefined;
        return this.#current;
      }
      this.renders++;
      picture.contents = this.#contents;
      picture.phase = phase;
      return this.#show(picture.frame);
    } catch {
      // The machine has gone; its last picture stays.
      return this.#current;
    }
  }

  #show(frame: Frame): Frame {
    if (frame !== this.#current) {
      this.#previous = this.#current;
      this.#current = frame;
    }
    return frame;
  }

  /** Black, in the size that viewers have. */
  #off(): Frame {
    this.#state = undefined;
    const { widthPixels, heightPixels, pixels } = this.#current;
    if (pixels.every((pixel) => pixel === 0)) return this.#current;
    return { widthPixels, heightPixels, pixels: new Int32Array(widthPixels * heightPixels) };
  }

  /** Compares with the last look and remembers this one. */
  #isNew(state: ScreenState): boolean {
    const last = this.#state;
    this.#state = state;
    const live = Buffer.from(this.#machine.memory, state.hostOffset, state.lengthBytes);
    const isSamePlace =
      last !== undefined && last.hostOffset === state.hostOffset && last.lengthBytes === state.lengthBytes;
    if (!isSamePlace) {
      if (this.#shadow.length !== live.length) this.#shadow = Buffer.alloc(live.length);
      live.copy(this.#shadow);
      return true;
    }
    let isNew =
      last.revision !== state.revision ||
      last.widthPixels !== state.widthPixels ||
      last.heightPixels !== state.heightPixels;
    for (let at = 0; at < live.length; at += BLOCK_BYTES) {
      const end = Math.min(at + BLOCK_BYTES, live.length);
      if (live.compare(this.#shadow, at, end, at, end) === 0) continue;
      isNew = true;
      // What the guest writes from here on differs from this copy, and so is found by the next look.
      live.copy(this.#shadow, at, at, end);
    }
    return isNew;
  }

  /** A picture to draw into: none that a viewer may still compare with. */
  #spare(widthPixels: number, heightPixels: number): Picture {
    const isFitting = ({ frame }: Picture) => frame.widthPixels === widthPixels && frame.heightPixels === heightPixels;
    this.#pictures = this.#pictures.filter(isFitting);
    const spare = this.#pictures.find(
      ({ frame, contents }) => contents !== this.#contents && frame !== this.#current && frame !== this.#previous,
    );
    if (spare) return spare;
    if (this.#pictures.length >= MAX_PICTURES) this.#pictures = [];
    const buffer = new SharedArrayBuffer(widthPixels * heightPixels * 4);
    const frame = { widthPixels, heightPixels, pixels: new Int32Array(buffer) };
    const picture = { frame, buffer, contents: -1, phase: 0 };
    this.#pictures.push(picture);
    return picture;
  }
}
