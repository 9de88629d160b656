/**
 * The picture of the VGA modes: walks the CRTC's counters line by line as the hardware does (start address, offset, row
 * scan, preset row scan, line compare, byte/word/doubleword addressing), so that text, planar, CGA and 256-colour modes
 * and all mixtures come out of the same walk. Every dot of the monitor's line is a pixel: 720×400 in text modes, 640×400
 * in mode 13h, as VirtualBox shows them.
 *
 * Not modelled: the border (overscan), display skew, serializer loads every 2nd or 4th character (SR1 bits 2 and 4),
 * blinking in graphics modes, interlace.
 */
import type { TextCells } from "../../backend-api/display.ts";
import { BLACK, type Palette } from "./palette.ts";
import type { VgaRegisterFile } from "./register-file.ts";
import * as R from "./registers.ts";
import { displayedLines, lineCompare } from "./scan.ts";

/** Map 2 addresses of the eight character maps. */
const characterMaps = [0x0000, 0x4000, 0x8000, 0xc000, 0x2000, 0x6000, 0xa000, 0xe000] as const;

/** The phases of blinking at the moment of rendering. */
export interface BlinkPhase {
  readonly isCursorOn: boolean;
  readonly isTextOn: boolean;
}

/** Per scan line: memory address counter at its first character, row scan, and whether it lies below line compare. */
type LineVisitor = (
  line: number,
  memoryAddress: number,
  rowScan: number,
  isSplit: boolean,
  isRowStart: boolean,
) => void;

export class VgaPicture {
  readonly #r: VgaRegisterFile;
  readonly #words: Int32Array;
  readonly #palette: Palette;
  /** Dots of one line before the clock's halving, with room for a character scrolled out to the left. */
  readonly #dots = new Int32Array(260 * 9);

  constructor(registers: VgaRegisterFile, words: Int32Array, palette: Palette) {
    this.#r = registers;
    this.#words = words;
    this.#palette = palette;
  }

  get #columns(): number {
    return this.#r.cr[R.CR01_HORIZONTAL_DISPLAY_END] + 1;
  }
  /** Graphics modes have eight, whatever the clocking mode says. */
  get #dotsPerCharacter(): number {
    return this.#r.isGraphics || (this.#r.sr[R.SR1_CLOCKING_MODE] & R.SR1_EIGHT_DOTS) !== 0 ? 8 : 9;
  }
  get #dotWidth(): number {
    return (this.#r.sr[R.SR1_CLOCKING_MODE] & R.SR1_DOT_CLOCK_HALVED) !== 0 ? 2 : 1;
  }
  get #linesPerCount(): number {
    return (this.#r.cr[R.CR17_MODE] & R.CR17_LINES_BY_2) !== 0 ? 2 : 1;
  }
  /** The monitor gets a signal at all. */
  get isOn(): boolean {
    return (this.#r.cr[R.CR17_MODE] & R.CR17_SYNC_ENABLE) !== 0;
  }
  get widthPixels(): number {
    return this.isOn ? this.#columns * this.#dotsPerCharacter * this.#dotWidth : 0;
  }
  get heightPixels(): number {
    return this.isOn ? displayedLines(this.#r) * this.#linesPerCount : 0;
  }
  /** A signal with the picture in it, not only black. */
  get #isLit(): boolean {
    return (
      this.#r.isPaletteOnScreen &&
      (this.#r.sr[R.SR1_CLOCKING_MODE] & R.SR1_SCREEN_OFF) === 0 &&
      (this.#r.sr[R.SR0_RESET] & R.SR0_RUNNING) === R.SR0_RUNNING
    );
  }

  /** `blink` as far as it shows: bit 0 a cursor that is on, bit 1 blinking text that is on. */
  phase(blink: BlinkPhase): number {
    if (!this.isOn || this.#r.isGraphics || !this.#isLit) return 0;
    const { cr, ar } = this.#r;
    const hasCursor =
      (cr[R.CR0A_CURSOR_START] & R.CR0A_CURSOR_OFF) === 0 &&
      (cr[R.CR0A_CURSOR_START] & 0x1f) <= (cr[R.CR0B_CURSOR_END] & 0x1f);
    const hasBlink = (ar[R.AR10_MODE] & R.AR10_BLINK) !== 0;
    return (hasCursor && blink.isCursorOn ? 1 : 0) | (hasBlink && blink.isTextOn ? 2 : 0);
  }

  /** Draws into `pixels` (width × height); the palette is up to date. */
  render(pixels: Int32Array, blink: BlinkPhase): void {
    if (!this.#isLit) {
      pixels.fill(BLACK);
      return;
    }
    const width = this.widthPixels;
    const isGraphics = this.#r.isGraphics;
    this.#walk((line, memoryAddress, rowScan, isSplit) => {
      if (isGraphics) this.#drawGraphics(memoryAddress, rowScan);
      else this.#drawText(memoryAddress, rowScan, blink);
      this.#emit(pixels, line * width, width, this.#panning(isSplit));
    });
  }

  /** The characters on the screen, or undefined in graphics modes and without a signal. */
  textCells(): TextCells | undefined {
    if (!this.isOn || this.#r.isGraphics) return undefined;
    const columns = this.#columns;
    const rowAddresses: number[] = [];
    const height = this.heightPixels;
    const cellLines = this.#cellLines * this.#linesPerCount;
    this.#walk((line, memoryAddress, _rowScan, _isSplit, isRowStart) => {
      // A last row of which less than half is visible is not a row that a person would read.
      if (isRowStart && (height - line) * 2 >= cellLines) rowAddresses.push(memoryAddress);
    });
    const characters = new Uint8Array(columns * rowAddresses.length);
    const attributes = new Uint8Array(characters.length);
    const cursorAddress = this.#r.crWord(R.CR0E_CURSOR_HIGH);
    let cursorAt = -1;
    for (const [row, rowAddress] of rowAddresses.entries()) {
      for (let column = 0; column < columns; column++) {
        const counter = (rowAddress + this.#counted(column)) & 0xffff;
        const word = this.#words[this.#mapAddress(counter, 0)];
        const at = row * columns + column;
        characters[at] = word & 0xff;
        attributes[at] = (word >> 8) & 0xff;
        if (counter === cursorAddress && cursorAt < 0) cursorAt = at;
      }
    }
    const { cr } = this.#r;
    const isShown = (cr[R.CR0A_CURSOR_START] & 0x1f) <= (cr[R.CR0B_CURSOR_END] & 0x1f);
    const isVisible = cursorAt >= 0 && isShown && (cr[R.CR0A_CURSOR_START] & R.CR0A_CURSOR_OFF) === 0;
    return {
      columns,
      rows: rowAddresses.length,
      characters,
      attributes,
      cursor: {
        column: cursorAt < 0 ? 0 : cursorAt % columns,
        row: cursorAt < 0 ? 0 : Math.floor(cursorAt / columns),
        visible: isVisible,
      },
    };
  }

  /** Scan lines (in units of the vertical counter) of a character row. */
  get #cellLines(): number {
    const maximum = this.#r.cr[R.CR09_MAXIMUM_SCAN_LINE];
    return ((maximum & 0x1f) + 1) * ((maximum & R.CR09_DOUBLE_SCAN) !== 0 ? 2 : 1);
  }

  #walk(visit: LineVisitor): void {
    const { cr } = this.#r;
    const lines = displayedLines(this.#r);
    const repeat = this.#linesPerCount;
    const maximum = cr[R.CR09_MAXIMUM_SCAN_LINE] & 0x1f;
    const isDoubled = (cr[R.CR09_MAXIMUM_SCAN_LINE] & R.CR09_DOUBLE_SCAN) !== 0;
    const compare = lineCompare(this.#r);
    const offset = cr[R.CR13_OFFSET] * 2;
    let rowAddress = (this.#r.crWord(R.CR0C_START_HIGH) + ((cr[R.CR08_PRESET_ROW_SCAN] >> 5) & 3)) & 0xffff;
    let rowScan = cr[R.CR08_PRESET_ROW_SCAN] & 0x1f;
    let isSecond = false;
    let isSplit = false;
    let isRowStart = true;
    for (let line = 0; line < lines; line++) {
      for (let i = 0; i < repeat; i++) {
        visit(line * repeat + i, rowAddress, rowScan, isSplit, isRowStart);
        isRowStart = false;
      }
      if (line === compare) {
        rowAddress = 0;
        rowScan = 0;
        isSecond = false;
        isSplit = true;
        isRowStart = true;
      } else if (isDoubled && !isSecond) {
        isSecond = true;
      } else {
        isSecond = false;
        if (rowScan === maximum) {
          rowScan = 0;
          rowAddress = (rowAddress + offset) & 0xffff;
          isRowStart = true;
        } else {
          rowScan = (rowScan + 1) & 0x1f;
        }
      }
    }
  }

  /** How far the memory address counter has come after `column` character clocks. */
  #counted(column: number): number {
    if ((this.#r.cr[R.CR14_UNDERLINE] & R.CR14_COUNT_BY_4) !== 0) return column >> 2;
    return (this.#r.cr[R.CR17_MODE] & R.CR17_COUNT_BY_2) !== 0 ? column >> 1 : column;
  }

  /** The address that the CRTC puts on the maps for a counter value: byte, word or doubleword mode, row scan bits. */
  #mapAddress(counter: number, rowScan: number): number {
    const mode = this.#r.cr[R.CR17_MODE];
    let address = counter;
    if ((this.#r.cr[R.CR14_UNDERLINE] & R.CR14_DOUBLEWORD) !== 0) {
      address = (counter << 2) | ((counter >> 12) & 3);
    } else if ((mode & R.CR17_BYTE_MODE) === 0) {
      address = (counter << 1) | ((counter >> ((mode & R.CR17_WRAP_MA15) !== 0 ? 15 : 13)) & 1);
    }
    if ((mode & R.CR17_NO_ROW_SCAN_13) === 0) address = (address & ~0x2000) | ((rowScan & 1) << 13);
    if ((mode & R.CR17_NO_ROW_SCAN_14) === 0) address = (address & ~0x4000) | ((rowScan & 2) << 13);
    return address & 0xffff;
  }

  /** Dots by which the line is shifted to the left. */
  #panning(isSplit: boolean): number {
    if (isSplit && (this.#r.ar[R.AR10_MODE] & R.AR10_PANNING_COMPATIBLE) !== 0) return 0;
    const panning = this.#r.ar[R.AR13_PANNING];
    if (this.#dotsPerCharacter === 8) return panning & 7;
    return panning >= 8 ? 0 : panning + 1;
  }

  #emit(pixels: Int32Array, at: number, width: number, panning: number): void {
    const dots = this.#dots;
    if (this.#dotWidth === 1) {
      for (let x = 0; x < width; x++) pixels[at + x] = dots[panning + x];
    } else {
      for (let x = 0; x < width; x++) pixels[at + x] = dots[panning + (x >> 1)];
    }
  }

  /** One line of characters into `#dots`, one character more than the screen is wide. */
  #drawText(rowAddress: number, rowScan: number, blink: BlinkPhase): void {
    const { cr, sr, ar } = this.#r;
    const words = this.#words;
    const colors = this.#palette.colors16;
    const dots = this.#dots;
    const isNine = this.#dotsPerCharacter === 9;
    const hasLineGraphics = (ar[R.AR10_MODE] & R.AR10_LINE_GRAPHICS) !== 0;
    const hasBlink = (ar[R.AR10_MODE] & R.AR10_BLINK) !== 0;
    const isUnderline = rowScan === (cr[R.CR14_UNDERLINE] & 0x1f);
    const select = sr[R.SR3_CHARACTER_MAP];
    const mapB = characterMaps[(select & 3) | ((select >> 2) & 4)] + rowScan;
    const mapA = characterMaps[((select >> 2) & 3) | ((select >> 3) & 4)] + rowScan;
    const isCursorLine =
      blink.isCursorOn &&
      (cr[R.CR0A_CURSOR_START] & R.CR0A_CURSOR_OFF) === 0 &&
      rowScan >= (cr[R.CR0A_CURSOR_START] & 0x1f) &&
      rowScan <= (cr[R.CR0B_CURSOR_END] & 0x1f);
    const cursorAddress = isCursorLine ? this.#r.crWord(R.CR0E_CURSOR_HIGH) : -1;
    const cursorSkew = (cr[R.CR0B_CURSOR_END] >> 5) & 3;
    const columns = this.#columns;
    let out = 0;
    for (let column = 0; column <= columns; column++) {
      const word = words[this.#mapAddress((rowAddress + this.#counted(column)) & 0xffff, rowScan)];
      const character = word & 0xff;
      const attribute = (word >> 8) & 0xff;
      let background = colors[attribute >> 4];
      let foreground = colors[attribute & 15];
      if (hasBlink) {
        background = colors[(attribute >> 4) & 7];
        if ((attribute & 0x80) !== 0 && !blink.isTextOn) foreground = background;
      }
      let bits = (words[(((attribute & 8) !== 0 ? mapA : mapB) + character * 32) & 0xffff] >> 16) & 0xff;
      bits <<= 1;
      if (hasLineGraphics && character >= 0xc0 && character <= 0xdf) bits |= (bits >> 1) & 1;
      if (isUnderline && (attribute & 7) === 1) bits = 0x1ff;
      if (cursorAddress >= 0 && ((rowAddress + this.#counted(column - cursorSkew)) & 0xffff) === cursorAddress) {
        bits = 0x1ff;
      }
      for (let bit = 0x100; bit > 1; bit >>= 1) dots[out++] = (bits & bit) !== 0 ? foreground : background;
      if (isNine) dots[out++] = (bits & 1) !== 0 ? foreground : background;
    }
  }

  /** One line of a graphics mode into `#dots`: eight dots per character clock. */
  #drawGraphics(rowAddress: number, rowScan: number): void {
    const words = this.#words;
    const mode = this.#r.gr[R.GR5_MODE];
    const is256 = (this.#r.ar[R.AR10_MODE] & R.AR10_PEL_WIDTH_256) !== 0;
    const columns = this.#columns;
    let out = 0;
    for (let column = 0; column <= columns; column++) {
      const word = words[this.#mapAddress((rowAddress + this.#counted(column)) & 0xffff, rowScan)];
      if (is256 && (mode & R.GR5_SHIFT_256) !== 0) out = this.#put256(word, out);
      else out = this.#put16(word, mode, is256, out);
    }
  }

  /** Four bytes, one of each map, are four pixels two dots wide. */
  #put256(word: number, out: number): number {
    const colors = this.#palette.colors256;
    const dots = this.#dots;
    for (let shift = 0; shift < 32; shift += 8) {
      const color = colors[(word >>> shift) & 0xff];
      dots[out++] = color;
      dots[out++] = color;
    }
    return out;
  }

  /** Eight 4-bit values by the shift mode of GR5; with the 256-colour attribute mode, pairs of them are one pixel. */
  #put16(word: number, mode: number, is256: boolean, out: number): number {
    const colors = this.#palette.colors16;
    const dots = this.#dots;
    let high = 0;
    for (let dot = 0; dot < 8; dot++) {
      let value: number;
      if ((mode & R.GR5_SHIFT_256) !== 0) {
        value = (word >>> ((dot >> 1) * 8 + ((dot & 1) === 0 ? 4 : 0))) & 15;
      } else if ((mode & R.GR5_SHIFT_INTERLEAVED) !== 0) {
        const shift = (dot < 4 ? 0 : 8) + 6 - (dot & 3) * 2;
        value = ((word >>> shift) & 3) | (((word >>> (shift + 16)) & 3) << 2);
      } else {
        const planes = word >>> (7 - dot);
        value = (planes & 1) | ((planes >> 7) & 2) | ((planes >> 14) & 4) | ((planes >> 21) & 8);
      }
      if (!is256) {
        dots[out++] = colors[value];
      } else if ((dot & 1) === 0) {
        high = value << 4;
      } else {
        const color = this.#palette.colors256[high | value];
        dots[out++] = color;
        dots[out++] = color;
      }
    }
    return out;
  }
}
