/**
 * One screen for several viewers: looks at the machine's picture as often as somebody waits for news and it is worth it,
 * finds out what has changed and tells everybody. Nobody waits: nothing is looked at. Nothing changes: looks become rare.
 * Somebody types: looks become frequent for a moment, as an echo is due.
 */
import type { PointerShape } from "../backend-api/display.ts";
import type { Frame, Move } from "./frame.ts";
import { findMove, markDifferences, withoutMove } from "./frame-diff.ts";
import { TileSet } from "./tile-set.ts";

/** Where pictures come from. */
export interface ScreenSource {
  /**
   * The picture now: the same object as last time if nothing has changed. The one of the call before stays as it was until
   * the next call. Never fails; a screen that is off is black.
   */
  look(): Promise<Frame>;
  /** The keyboard's lights as of the last look: bit 0 scroll lock, 1 num lock, 2 caps lock. */
  readonly leds: number;
  /** The guest's pointer as of the last look: another object after a change, undefined if it is in the picture. */
  readonly pointer: PointerShape | undefined;
}

/** Time and timers of the host. */
export interface HostTimer {
  nowMs(): number;
  /** Calls `fire` once after `delayMs`; the result forgets about it. */
  after(delayMs: number, fire: () => void): () => void;
}

export interface ScreenViewer {
  /** Wants to be told at once when something changes. */
  readonly isWaiting: boolean;
  /** `move`, if there is one, and `rest` make the same picture as `changed`. */
  screenChanged(changed: TileSet, move?: Move, rest?: TileSet): void;
  screenResized(): void;
  ledsChanged(): void;
  pointerChanged(): void;
}

const FASTEST_MS = 16;
const SLOWEST_MS = 100;
/** A change of at most so much, out of the blue, is a cursor that blinks or a clock: no reason to look more often. */
const BLINK_PIXELS = 64 * 32;
/** After a key or a click. */
const EAGER_MS = 6;
const EAGER_FOR_MS = 200;

export class SharedScreen {
  readonly #source: ScreenSource;
  readonly #timer: HostTimer;
  readonly #viewers = new Set<ScreenViewer>();
  #frame: Frame = { widthPixels: 640, heightPixels: 480, pixels: new Int32Array(640 * 480) };
  #leds = 0;
  #pointer: PointerShape | undefined;
  #intervalMs = FASTEST_MS;
  #lastLookMs = Number.NEGATIVE_INFINITY;
  #eagerUntilMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  /** Looks since the beginning, for tests and statistics. */
  looks = 0;

  constructor(source: ScreenSource, timer: HostTimer) {
    this.#source = source;
    this.#timer = timer;
  }

  /** The newest picture that viewers know of. */
  get frame(): Frame {
    return this.#frame;
  }
  get leds(): number {
    return this.#leds;
  }
  /** As ScreenSource has it. */
  get pointer(): PointerShape | undefined {
    return this.#pointer;
  }
  get viewers(): number {
    return this.#viewers.size;
  }

  /** Somebody wants to see; ends with the function returned. The first picture is taken before it settles. */
  async attach(viewer: ScreenViewer): Promise<() => void> {
    if (this.#viewers.size === 0) await this.#look();
    this.#viewers.add(viewer);
    return () => {
      this.#viewers.delete(viewer);
      if (this.#viewers.size === 0) this.#stop();
    };
  }

  /** The picture is as new as viewers can expect. */
  get isFresh(): boolean {
    return this.#timer.nowMs() - this.#lastLookMs < FASTEST_MS;
  }

  /** Looks now, or waits for the look that is under way; viewers are told what has changed. */
  refresh(): Promise<void> {
    return this.#look();
  }

  /** A viewer waits for news. */
  expect(): void {
    if (this.#looking !== undefined) return;
    const interval = this.#isEager ? EAGER_MS : this.#intervalMs;
    const delayMs = Math.max(0, this.#lastLookMs + interval - this.#timer.nowMs());
    this.#stop();
    this.#cancel = this.#timer.after(delayMs, () => {
      this.#cancel = undefined;
      void this.#look();
    });
  }

  /** A person did something: the screen will answer soon. */
  wake(): void {
    this.#eagerUntilMs = this.#timer.nowMs() + EAGER_FOR_MS;
    this.#intervalMs = FASTEST_MS;
    if (this.#isWanted) this.expect();
  }

  /** Nobody is told anything any more. */
  close(): void {
    this.#viewers.clear();
    this.#stop();
  }

  get #isEager(): boolean {
    return this.#timer.nowMs() < this.#eagerUntilMs;
  }
  get #isWanted(): boolean {
    for (const viewer of this.#viewers) if (viewer.isWaiting) return true;
    return false;
  }

  #stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce();
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const before = this.#frame;
    try {
      this.looks++;
      this.#frame = await this.#source.look();
    } finally {
      this.#looking = undefined;
      this.#lastLookMs = this.#timer.nowMs();
    }
    if (this.#source.leds !== this.#leds) {
      this.#leds = this.#source.leds;
      for (const viewer of this.#viewers) viewer.ledsChanged();
    }
    if (this.#source.pointer !== this.#pointer) {
      this.#pointer = this.#source.pointer;
      for (const viewer of this.#viewers) viewer.pointerChanged();
    }
    const isLively = this.#frame !== before && this.#tell(before, this.#frame);
    this.#intervalMs = isLively ? FASTEST_MS : Math.min(SLOWEST_MS, this.#intervalMs * 1.25);
    if (this.#isWanted) this.expect();
  }

  /** True: enough has changed for more to be expected. */
  #tell(before: Frame, after: Frame): boolean {
    if (before.widthPixels !== after.widthPixels || before.heightPixels !== after.heightPixels) {
      for (const viewer of this.#viewers) viewer.screenResized();
      return true;
    }
    const changed = new TileSet(after.widthPixels, after.heightPixels);
    markDifferences(before, after, changed);
    if (changed.isEmpty) return false;
    const move = this.#viewers.size > 0 ? findMove(before, after, changed) : undefined;
    const rest = move && withoutMove(changed, move);
    for (const viewer of this.#viewers) viewer.screenChanged(changed, move, rest);
    const bounds = changed.bounds();
    return bounds !== undefined && bounds.width * bounds.height > BLINK_PIXELS;
  }
}
