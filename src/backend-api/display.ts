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

/**
 * What the picture is made from: while `revision`, `phase` and the bytes of that range of video memory are what they were,
 * `renderRgba` gives what it gave. Lets a viewer find out cheaply, on another thread, that there is nothing new.
 */
export interface Scanout {
  /** In the machine's shared memory, rising addresses; empty while the screen is off. */
  readonly hostOffset: number;
  readonly lengthBytes: number;
  /** Another number after everything but video memory that may have changed the picture: registers, palette, mode. */
  readonly revision: number;
  /** Phases of what blinks by itself: each number belongs to one picture. Constant if nothing blinks. */
  readonly phase: number;
}

/** The picture of a guest's pointer, for cards that leave drawing it to whoever looks. */
export interface PointerShape {
  readonly isVisible: boolean;
  /** At most 256 each. */
  readonly widthPixels: number;
  readonly heightPixels: number;
  /** The pixel that points. */
  readonly hotX: number;
  readonly hotY: number;
  /** width × height × 4, not premultiplied. */
  readonly rgba: Uint8Array;
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
  /** See Scanout; taken at this moment. */
  scanout(): Scanout;
  /** The guest's pointer, if the guest wants it drawn where the person's is; it is in no picture. */
  readonly pointerShape: PointerShape | undefined;
  /** Another number for another `pointerShape`. */
  readonly pointerRevision: number;
  /** A person wants the screen to have this size. False: the guest has not said that it wants to know. */
  setModeHint(widthPixels: number, heightPixels: number, bitsPerPixel: number): boolean;
}

/** Where input from people arrives: implemented by keyboard and pointer devices, called on the machine thread. */
export interface KeyboardSink {
  /** One byte of a set-1 scan code sequence, as a person's keyboard would send it (E0 prefixes included). */
  putScancode(byte: number): void;
  /** How many bytes it takes now; more would be lost. */
  readonly room: number;
  /** What the guest lights: bit 0 scroll lock, 1 num lock, 2 caps lock. */
  readonly leds: number;
}

export interface PointerSink {
  /**
   * Relative motion in counts (x to the right, y down), wheel clicks (towards the person), buttons held now: bit 0 left,
   * 1 right, 2 middle, 3 and 4 the side buttons.
   */
  putRelative(dx: number, dy: number, dz: number, buttons: number): void;
}

export interface TabletSink {
  /** The guest has set the device up and asks it for reports: places reach it. */
  readonly isInUse: boolean;
  /** A place on the screen, x and y from 0 to 32767; wheel and buttons as above. */
  putAbsolute(x: number, y: number, dz: number, buttons: number): void;
}
