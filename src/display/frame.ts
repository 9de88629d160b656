/** A picture of the screen, and rectangles of it. */

export interface Frame {
  readonly widthPixels: number;
  readonly heightPixels: number;
  /** One pixel a word, row by row: red in the lowest byte, then green, blue, and a byte without meaning. */
  readonly pixels: Int32Array;
}

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A block that came from elsewhere in the previous picture, straight down or up. */
export interface Move extends Rect {
  /** Where its top row was. */
  readonly fromY: number;
}
