/**
 * What viewers do, on its way to the machine thread: in order, and never more under way than a machine takes. Motion that
 * comes while the machine has not taken the last one is added up; clicks are not.
 */
import type { RfbInput } from "../display/rfb/connection.ts";
import { ViewerKeyboard } from "../display/viewer-keyboard.ts";
import { ViewerPointer } from "../display/viewer-pointer.ts";
import type { GuestScreen } from "./guest-screen.ts";
import { KeyQueue } from "./key-queue.ts";
import type { MachineThreadClient } from "./machine-thread-client.ts";

/** Events of pointers that a machine which does not answer may leave behind; the rest is lost. */
const MAX_WAITING = 256;

type PointerEvent =
  | { readonly kind: "pointer"; dx: number; dy: number; dz: number; readonly buttons: number }
  | { readonly kind: "tablet"; x: number; y: number; dz: number; readonly buttons: number };

export class GuestInput {
  readonly #machine: Pick<MachineThreadClient, "request">;
  readonly #screen: GuestScreen;
  readonly #keys: KeyQueue;
  readonly #waiting: PointerEvent[] = [];
  #isPointing = false;

  constructor(machine: Pick<MachineThreadClient, "request">, screen: GuestScreen) {
    this.#machine = machine;
    this.#keys = new KeyQueue(machine);
    this.#screen = screen;
  }

  /** Keyboard and pointer of one viewer. */
  viewer(size: () => { readonly widthPixels: number; readonly heightPixels: number }): RfbInput {
    const keyboard = new ViewerKeyboard(
      (codes) => this.#keys.put(codes),
      () => this.#screen.leds,
    );
    const absolute = (x: number, y: number, dz: number, buttons: number) =>
      this.#point({ kind: "tablet", x, y, dz, buttons });
    const screen = this.#screen;
    const pointer = new ViewerPointer(
      {
        relative: (dx, dy, dz, buttons) => this.relative(dx, dy, dz, buttons),
        get absolute() {
          return screen.isPointerAbsolute ? absolute : undefined;
        },
      },
      size,
    );
    return {
      key: (code, isDown) => keyboard.key(code, isDown),
      keysym: (keysym, isDown) => keyboard.keysym(keysym, isDown),
      pointer: (x, y, buttons) => pointer.move(x, y, buttons),
      release: () => {
        keyboard.release();
        pointer.release();
      },
    };
  }

  /** A mouse that says how far it has moved (pointer lock). */
  relative(dx: number, dy: number, dz: number, buttons: number): void {
    this.#point({ kind: "pointer", dx, dy, dz, buttons });
  }

  #point(event: PointerEvent): void {
    const last = this.#waiting.at(-1);
    if (last?.kind === event.kind && last.buttons === event.buttons) {
      last.dz += event.dz;
      if (last.kind === "pointer" && event.kind === "pointer") {
        last.dx += event.dx;
        last.dy += event.dy;
      } else if (last.kind === "tablet" && event.kind === "tablet") {
        last.x = event.x;
        last.y = event.y;
      }
    } else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(event);
    void this.#deliver();
  }

  async #deliver(): Promise<void> {
    if (this.#isPointing) return;
    this.#isPointing = true;
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      const { kind, ...params } = event;
      const sent =
        kind === "pointer"
          ? this.#machine.request(kind, params as never)
          : this.#machine.request(kind, params as never);
      await sent.catch(() => {});
    }
    this.#isPointing = false;
  }
}
