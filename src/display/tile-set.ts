/** Which tiles of a screen have changed: a byte for each square of 16 × 16 pixels. */
import type { Rect } from "./frame.ts";

export const TILE = 16;

export class TileSet {
  readonly widthPixels: number;
  readonly heightPixels: number;
  readonly columns: number;
  readonly rows: number;
  readonly #marks: Uint8Array;

  constructor(widthPixels: number, heightPixels: number) {
    this.widthPixels = widthPixels;
    this.heightPixels = heightPixels;
    this.columns = Math.ceil(widthPixels / TILE);
    this.rows = Math.ceil(heightPixels / TILE);
    this.#marks = new Uint8Array(this.columns * this.rows);
  }

  get isEmpty(): boolean {
    return !this.#marks.includes(1);
  }
  has(column: number, row: number): boolean {
    return this.#marks[row * this.columns + column] !== 0;
  }
  add(column: number, row: number): void {
    this.#marks[row * this.columns + column] = 1;
  }
  remove(column: number, row: number): void {
    this.#marks[row * this.columns + column] = 0;
  }
  addAll(): void {
    this.#marks.fill(1);
  }
  clear(): void {
    this.#marks.fill(0);
  }

  /** Every tile that `rect` touches; parts outside the screen do not count. */
  addRect(rect: Rect): void {
    const right = Math.min(rect.x + rect.width, this.widthPixels);
    const bottom = Math.min(rect.y + rect.height, this.heightPixels);
    const left = Math.max(0, rect.x);
    if (left >= right) return;
    for (let row = Math.max(0, rect.y) >> 4; row * TILE < bottom; row++) {
      const start = row * this.columns;
      this.#marks.fill(1, start + (left >> 4), start + ((right - 1) >> 4) + 1);
    }
  }

  /** The tiles of `other`, a set of the same screen, too. */
  addSet(other: TileSet): void {
    const { length } = this.#marks;
    for (let i = 0; i < length; i++) this.#marks[i] |= other.#marks[i];
  }

  /** The smallest rectangle around all of them, or undefined. */
  bounds(): Rect | undefined {
    let [left, top, right, bottom] = [this.columns, this.rows, -1, -1];
    for (let row = 0; row < this.rows; row++) {
      for (let column = 0; column < this.columns; column++) {
        if (!this.has(column, row)) continue;
        left = Math.min(left, column);
        right = Math.max(right, column);
        top = Math.min(top, row);
        bottom = row;
      }
    }
    return right < 0 ? undefined : this.#pixels(left, top, right + 1, bottom + 1);
  }

  /**
   * Rectangles that cover the tiles and nothing else: runs of a row, joined with equal runs of the rows below. More than
   * `limit` of them become the one around them all.
   */
  rects(limit: number): Rect[] {
    const done: Rect[] = [];
    let open: { left: number; right: number; top: number }[] = [];
    for (let row = 0; row <= this.rows; row++) {
      const next: typeof open = [];
      for (let column = 0; row < this.rows && column < this.columns; ) {
        if (!this.has(column, row)) {
          column++;
          continue;
        }
        const left = column;
        while (column < this.columns && this.has(column, row)) column++;
        const same = open.findIndex((run) => run.left === left && run.right === column);
        next.push(same < 0 ? { left, right: column, top: row } : open.splice(same, 1)[0]);
      }
      for (const { left, right, top } of open) done.push(this.#pixels(left, top, right, row));
      open = next;
    }
    const bounds = done.length > limit ? this.bounds() : undefined;
    return bounds ? [bounds] : done;
  }

  #pixels(left: number, top: number, right: number, bottom: number): Rect {
    const x = left * TILE;
    const y = top * TILE;
    return {
      x,
      y,
      width: Math.min(right * TILE, this.widthPixels) - x,
      height: Math.min(bottom * TILE, this.heightPixels) - y,
    };
  }
}
