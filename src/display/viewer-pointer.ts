/**
 * One viewer's pointer. Viewers say where it is; a PS/2 mouse says how far it has moved, a tablet where it is. For the mouse,
 * positions become differences, and a pointer that is pushed against the screen's edge goes on pushing, so that the guest's
 * own pointer, wherever its acceleration has taken it, comes to the same edge.
 */

export interface PointerTarget {
  /** Buttons: bit 0 left, 1 right, 2 middle; dz clicks of the wheel towards the person. */
  relative(dx: number, dy: number, dz: number, buttons: number): void;
  /** The same with a place instead of a way, each from 0 to 32767; undefined: the guest has no such device in use. */
  absolute: ((x: number, y: number, dz: number, buttons: number) => void) | undefined;
}

export const ABSOLUTE_MAX = 0x7fff;
const LEFT = 1;
const MIDDLE = 2;
const RIGHT = 4;
const WHEEL_UP = 8;
const WHEEL_DOWN = 16;

export class ViewerPointer {
  readonly #target: PointerTarget;
  readonly #size: () => { readonly widthPixels: number; readonly heightPixels: number };
  #x = -1;
  #y = -1;
  /** As the viewer has them. */
  #buttons = 0;

  constructor(target: PointerTarget, size: () => { readonly widthPixels: number; readonly heightPixels: number }) {
    this.#target = target;
    this.#size = size;
  }

  /** Buttons as RFB has them: bit 0 left, 1 middle, 2 right, 3 and 4 wheel up and down. */
  move(x: number, y: number, buttons: number): void {
    const { widthPixels, heightPixels } = this.#size();
    const pressed = buttons & ~this.#buttons;
    const dz = ((pressed & WHEEL_DOWN) !== 0 ? 1 : 0) - ((pressed & WHEEL_UP) !== 0 ? 1 : 0);
    const held = pcButtons(buttons);
    const isSameButtons = dz === 0 && held === pcButtons(this.#buttons);
    const isFirst = this.#x < 0;
    const [lastX, lastY] = isFirst ? [x, y] : [this.#x, this.#y];
    this.#x = x;
    this.#y = y;
    this.#buttons = buttons;
    if (this.#target.absolute) {
      if (isSameButtons && x === lastX && y === lastY && !isFirst) return;
      this.#target.absolute(scale(x, widthPixels), scale(y, heightPixels), dz, held);
      return;
    }
    const dx = x - lastX + push(x, lastX, widthPixels);
    const dy = y - lastY + push(y, lastY, heightPixels);
    if (isSameButtons && dx === 0 && dy === 0) return;
    this.#target.relative(dx, dy, dz, held);
  }

  /** All buttons come up. */
  release(): void {
    if (pcButtons(this.#buttons) !== 0) this.move(this.#x, this.#y, 0);
  }
}

function pcButtons(buttons: number): number {
  return ((buttons & LEFT) !== 0 ? 1 : 0) | ((buttons & RIGHT) !== 0 ? 2 : 0) | ((buttons & MIDDLE) !== 0 ? 4 : 0);
}

function scale(at: number, size: number): number {
  return size <= 1 ? 0 : Math.round((Math.min(at, size - 1) * ABSOLUTE_MAX) / (size - 1));
}

/** Arrived at an edge: half a screen further. */
function push(at: number, last: number, size: number): number {
  if (at <= 0 && last > 0) return -(size >> 1);
  return at >= size - 1 && last < size - 1 ? size >> 1 : 0;
}
