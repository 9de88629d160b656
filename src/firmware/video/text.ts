/** INT 10h text output: cursor, pages, scrolling, characters; in text and in graphics modes. */
import { bda } from "../bios-data-area.ts";
import { drawGlyph, type GraphicsScreen, graphicsScreen, readGlyph, scrollGraphics } from "./graphics-text.ts";
import {
  copyWords,
  fillWords,
  outIndexed,
  type Place,
  peek,
  peekWord,
  poke,
  pokeWord,
  setRegister,
  type VideoProgram,
} from "./program.ts";
import { bdaPlace, moveCursor, readScreen, type Screen, setBdaByte, showCursor } from "./screen.ts";

const BELL = 0x07;
const BACKSPACE = 0x08;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const CURSOR_EMULATION_OFF = 0x01;

/** AH = 01h: CH first and CL last line; shapes for eight lines are scaled to the font's height. */
export function* setCursorShape(cx: number): VideoProgram {
  const screen = yield* readScreen();
  yield* pokeWord(bdaPlace(bda.cursorShape), cx);
  let start = (cx >> 8) & 0x3f;
  let end = cx & 0x1f;
  const height = screen.characterHeight;
  const isScaled = (screen.control & CURSOR_EMULATION_OFF) === 0 && height > 8 && end < 8 && start < 0x20;
  if (isScaled) {
    const scale = (line: number) => Math.floor(((line + 1) * height) / 8) - 1;
    start = end === start + 1 ? scale(end) - 1 : scale(start);
    end = scale(end);
  }
  yield* outIndexed(screen.crtcPort, [
    [0x0a, start],
    [0x0b, end],
  ]);
}

/** AH = 02h */
export function* setCursorPosition(page: number, dx: number): VideoProgram {
  if (page > 7) return;
  const screen = yield* readScreen();
  yield* moveCursor(screen, page, dx >> 8, dx & 0xff);
}

/** AH = 03h */
export function* getCursor(page: number): VideoProgram {
  const screen = yield* readScreen();
  yield* setRegister("cx", screen.cursorShape);
  yield* setRegister("dx", page > 7 ? 0 : screen.cursors[page]);
}

/** AH = 05h */
export function* setPage(page: number): VideoProgram {
  const screen = yield* readScreen();
  if (page > 7 || screen.mode === undefined || page >= screen.mode.pages) return;
  const start = (page * screen.pageBytes) & 0xffff;
  yield* pokeWord(bdaPlace(bda.videoPageStart), start);
  yield* setBdaByte(bda.videoPage, page);
  const address = screen.mode.model === "text" ? start >> 1 : start;
  yield* outIndexed(screen.crtcPort, [
    [0x0c, address >> 8],
    [0x0d, address & 0xff],
  ]);
  const cursor = screen.cursors[page];
  yield* showCursor({ ...screen, pageStart: start }, cursor >> 8, cursor & 0xff);
}

/** AH = 0Fh */
export function* getMode(bx: number): VideoProgram {
  const screen = yield* readScreen();
  const number = (screen.modeNumber & 0x7f) | (screen.control & 0x80);
  yield* setRegister("ax", ((screen.columns & 0xff) << 8) | number);
  yield* setRegister("bx", (bx & 0xff) | (screen.page << 8));
}

function textPlace(screen: Screen, page: number, row: number, column: number): Place {
  const offset = page * screen.pageBytes + (row * screen.columns + column) * 2;
  return { segment: screen.mode!.segment, offset: offset & 0xffff };
}

export interface ScrollWindow {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
  /** Lines to move; 0 clears the window. */
  readonly lines: number;
  readonly isDown: boolean;
  readonly attribute: number;
}

/** AH = 06h and 07h, on the page that is shown. */
export function* scroll(window: ScrollWindow): VideoProgram {
  const screen = yield* readScreen();
  yield* scrollOn(screen, window);
}

function* scrollOn(screen: Screen, asked: ScrollWindow): VideoProgram {
  const bottom = Math.min(asked.bottom, screen.rows - 1);
  const right = Math.min(asked.right, screen.columns - 1);
  const { top, left } = asked;
  if (top > bottom || left > right || screen.mode === undefined) return;
  const height = bottom - top + 1;
  const lines = asked.lines === 0 || asked.lines > height ? height : asked.lines;
  const window = { ...asked, bottom, right, lines };
  if (screen.mode.model === "text") yield* scrollText(screen, window);
  else yield* scrollGraphics(graphicsScreen(screen), window);
}

function* scrollText(
  screen: Screen,
  { top, left, bottom, right, lines, isDown, attribute }: ScrollWindow,
): VideoProgram {
  const width = right - left + 1;
  const moved = bottom - top + 1 - lines;
  const blank = (attribute << 8) | 0x20;
  const place = (row: number) => textPlace(screen, screen.page, row, left);
  if (width === screen.columns) {
    // Whole lines are one block.
    if (!isDown) yield* copyWords(place(top), place(top + lines), moved * width);
    else {
      const last = (row: number) => textPlace(screen, screen.page, row, screen.columns - 1);
      yield* copyWords(last(bottom), last(bottom - lines), moved * width, true);
    }
    yield* fillWords(place(isDown ? top : bottom - lines + 1), lines * width, blank);
    return;
  }
  for (let i = 0; i < moved; i++) {
    const target = isDown ? bottom - i : top + i;
    yield* copyWords(place(target), place(isDown ? target - lines : target + lines), width);
  }
  for (let i = 0; i < lines; i++) yield* fillWords(place(isDown ? top + i : bottom - i), width, blank);
}

/** AH = 08h */
export function* readCharacter(page: number): VideoProgram {
  const screen = yield* readScreen();
  if (page > 7 || screen.mode === undefined) return;
  const row = screen.cursors[page] >> 8;
  const column = screen.cursors[page] & 0xff;
  if (screen.mode.model === "text") yield* setRegister("ax", yield* peekWord(textPlace(screen, page, row, column)));
  else yield* setRegister("ax", yield* readGlyph(graphicsScreen(screen), row, column));
}

/** AH = 09h (with attribute) and 0Ah (without). */
export function* writeCharacters(
  character: number,
  page: number,
  attribute: number | undefined,
  color: number,
  count: number,
): VideoProgram {
  const screen = yield* readScreen();
  if (page > 7 || screen.mode === undefined || count === 0) return;
  const row = screen.cursors[page] >> 8;
  const column = screen.cursors[page] & 0xff;
  if (screen.mode.model !== "text") {
    const graphics = graphicsScreen(screen);
    const most = Math.min(count, screen.columns - column);
    for (let i = 0; i < most; i++) yield* drawGlyph(graphics, row, column + i, character, color);
    return;
  }
  const place = textPlace(screen, page, row, column);
  if (attribute !== undefined) yield* fillWords(place, Math.min(count, 0x4000), (attribute << 8) | character);
  else
    for (let i = 0; i < Math.min(count, 0x4000); i++)
      yield* poke({ ...place, offset: (place.offset + i * 2) & 0xffff }, [character]);
}

/** AH = 0Eh, on the page that is shown. */
export function* teletype(character: number, color: number): VideoProgram {
  const screen = yield* readScreen();
  yield* typeCharacter(screen, screen.page, character, undefined, color);
}

/** Types one character with the control characters' meaning; gives the screen with the cursor moved. */
function* typeCharacter(
  screen: Screen,
  page: number,
  character: number,
  attribute: number | undefined,
  color: number,
): VideoProgram<Screen> {
  let row = screen.cursors[page] >> 8;
  let column = screen.cursors[page] & 0xff;
  switch (character) {
    case BELL:
      return screen;
    case BACKSPACE:
      if (column > 0) column--;
      break;
    case LINE_FEED:
      row++;
      break;
    case CARRIAGE_RETURN:
      column = 0;
      break;
    default:
      yield* putCharacter(screen, page, row, column, character, attribute, color);
      column++;
  }
  if (column >= screen.columns) {
    column = 0;
    row++;
  }
  if (row >= screen.rows) {
    row = screen.rows - 1;
    yield* scrollForTyping(screen, page);
  }
  yield* moveCursor(screen, page, row, column);
  const cursors = [...screen.cursors];
  cursors[page] = (row << 8) | column;
  return { ...screen, cursors };
}

function* putCharacter(
  screen: Screen,
  page: number,
  row: number,
  column: number,
  character: number,
  attribute: number | undefined,
  color: number,
): VideoProgram {
  if (screen.mode === undefined) return;
  if (screen.mode.model !== "text") {
    yield* drawGlyph(graphicsScreen(screen), row, column, character, color);
    return;
  }
  const cell = attribute === undefined ? [character] : [character, attribute];
  yield* poke(textPlace(screen, page, row, column), cell);
}

/** The new line takes the attribute of the line that scrolls: of its first cell. */
function* scrollForTyping(screen: Screen, page: number): VideoProgram {
  if (screen.mode === undefined) return;
  let attribute = 0;
  if (screen.mode.model === "text") {
    const place = textPlace(screen, page, screen.rows - 1, 0);
    [attribute] = yield* peek({ ...place, offset: place.offset + 1 }, 1);
  }
  const window = { top: 0, left: 0, bottom: screen.rows - 1, right: screen.columns - 1, lines: 1, isDown: false };
  yield* scrollOn({ ...screen, page }, { ...window, attribute });
}

/** AH = 13h: AL bit 0 moves the cursor, bit 1 says that attributes are in the string at ES:BP. */
export function* writeString(
  flags: number,
  page: number,
  attribute: number,
  count: number,
  dx: number,
  string: Place,
): VideoProgram {
  if (page > 7) return;
  const hasAttributes = (flags & 2) !== 0;
  const unit = hasAttributes ? 2 : 1;
  let screen = yield* readScreen();
  const before = screen.cursors[page];
  yield* moveCursor(screen, page, dx >> 8, dx & 0xff);
  const cursors = [...screen.cursors];
  cursors[page] = dx;
  screen = { ...screen, cursors };
  for (let done = 0; done < count; done += 64) {
    const part = Math.min(64, count - done);
    const bytes = yield* peek({ ...string, offset: (string.offset + done * unit) & 0xffff }, part * unit);
    for (let i = 0; i < part; i++) {
      const character = bytes[i * unit];
      const color = hasAttributes ? bytes[i * unit + 1] : attribute;
      screen = yield* typeCharacter(screen, page, character, color, color);
    }
  }
  if ((flags & 1) === 0) yield* moveCursor(screen, page, before >> 8, before & 0xff);
}

export type { GraphicsScreen };
