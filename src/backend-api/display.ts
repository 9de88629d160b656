/** What a graphics card offers to whoever looks at it (screenshots, RFB, the web console): pulled, never pushed. */

export interface TextCells {
  readonly columns: number;
  readonly rows: number;
  /** columns × rows, row by row: code page 437 character. */
  readonly characters: Uint8Array;
  /** columns × rows: attribute byte. */
  readonly attributes: Uint8Array;
  readonly cursor: { readonly column: number; readonly row: number; readonly visible: boolean };
}

export interface DisplaySource {
  /** Size in pixels of what `renderRgba` would give now; 0 × 0 while the screen is off. */
  readonly widthPixels: number;
  readonly heightPixels: number;
  /** Bits per pixel of the current mode as VirtualBox reports it (0 in text modes). */
  readonly bitsPerPixel: number;
  /** Renders the screen as RGBA bytes, width × height × 4. `target` is reused when it has the right length. */
  renderRgba(target?: Uint8Array): Uint8Array;
  /** The screen's cells in text modes, else undefined. */
  textCells(): TextCells | undefined;
}

/** Where input from people arrives: implemented by keyboard and pointer devices, called on the machine thread. */
export interface KeyboardSink {
  /** One byte of a set-1 scan code sequence, as a person's keyboard would send it (E0 prefixes included). */
  putScancode(byte: number): void;
}

export interface PointerSink {
  /**
   * Relative motion in counts (x to the right, y down), wheel clicks (towards the person), buttons held now: bit 0 left,
   * 1 right, 2 middle, 3 and 4 the side buttons.
   */
  putRelative(dx: number, dy: number, dz: number, buttons: number): void;
}
