/** What the BIOS data area says of the screen, read once for each call, and the few places that calls write back. */
import { BDA_SEGMENT, bda } from "../bios-data-area.ts";
import { standardMode, type VideoMode } from "./modes.ts";
import { outIndexed, type Place, peek, poke, pokeWord, type VideoProgram } from "./program.ts";

const FIRST = bda.videoMode;
const FIRST_BYTES = bda.videoPalette + 1 - bda.videoMode;
const SECOND = bda.videoRows;
const SECOND_BYTES = bda.videoDisplayCode + 1 - bda.videoRows;
export const PAGES = 8;

export const bdaPlace = (offset: number): Place => ({ segment: BDA_SEGMENT, offset });

export interface Screen {
  /** Mode number with bit 7 as stored. */
  readonly modeNumber: number;
  /** Undefined in packed VBE modes, where the BIOS does not draw. */
  readonly mode: VideoMode | undefined;
  readonly columns: number;
  readonly rows: number;
  readonly pageBytes: number;
  readonly pageStart: number;
  readonly cursors: readonly number[];
  readonly cursorShape: number;
  readonly page: number;
  readonly crtcPort: number;
  readonly characterHeight: number;
  readonly control: number;
  readonly modeSet: number;
  readonly displayCode: number;
  readonly colorSelect: number;
}

export function* readScreen(): VideoProgram<Screen> {
  const first = yield* peek(bdaPlace(FIRST), FIRST_BYTES);
  const second = yield* peek(bdaPlace(SECOND), SECOND_BYTES);
  const byte = (offset: number) => (offset >= SECOND ? second[offset - SECOND] : first[offset - FIRST]);
  const word = (offset: number) => byte(offset) | (byte(offset + 1) << 8);
  const modeNumber = byte(bda.videoMode);
  return {
    modeNumber,
    mode: standardMode(modeNumber & 0x7f),
    columns: Math.max(1, word(bda.videoColumns)),
    rows: byte(bda.videoRows) + 1,
    pageBytes: word(bda.videoPageBytes),
    pageStart: word(bda.videoPageStart),
    cursors: Array.from({ length: PAGES }, (_, page) => word(bda.cursorPositions + page * 2)),
    cursorShape: word(bda.cursorShape),
    page: byte(bda.videoPage) & 7,
    crtcPort: word(bda.crtcPort),
    characterHeight: word(bda.fontHeight),
    control: byte(bda.videoControl),
    modeSet: byte(bda.videoModeSet),
    displayCode: byte(bda.videoDisplayCode),
    colorSelect: byte(bda.videoPalette),
  };
}

/** The cursor of a page in the data area, and the real one if the page is shown. */
export function* moveCursor(screen: Screen, page: number, row: number, column: number): VideoProgram {
  yield* pokeWord(bdaPlace(bda.cursorPositions + page * 2), (row << 8) | column);
  if (page === screen.page) yield* showCursor(screen, row, column);
}

export function* showCursor(screen: Screen, row: number, column: number): VideoProgram {
  const address = (screen.pageStart >> 1) + row * screen.columns + column;
  yield* outIndexed(screen.crtcPort, [
    [0x0e, address >> 8],
    [0x0f, address & 0xff],
  ]);
}

export function* setBdaByte(offset: number, value: number): VideoProgram {
  yield* poke(bdaPlace(offset), [value & 0xff]);
}
