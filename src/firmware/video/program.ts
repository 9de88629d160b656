/**
 * The language between the video BIOS ROM and the logic behind its ports. The ROM sends the caller's registers through a
 * session port and then asks the same port, byte by byte, for instructions: port writes, memory writes, copies, reads whose
 * results go back through the port. So everything the guest can observe is done by its own instructions, and the logic
 * works wherever only port I/O reaches the machine (x86 emulators inside guests, V86).
 *
 * The logic is a generator of these instructions: `yield*` one, get what it read.
 */

/** Where the ROM lies. */
export const VIDEO_ROM_SEGMENT = 0xc000;
/** Writing the two key bytes here and then reading gives a session number 0–7. */
export const VIDEO_CONTROL_PORT = 0x1d4;
export const VIDEO_KEY = [0x41, 0x56] as const;
/** Eight session ports from here on. */
export const VIDEO_SESSION_PORT = 0x1d8;
export const VIDEO_SESSIONS = 8;

/** Instruction codes: the ROM doubles them to index its table. */
export const op = {
  end: 0,
  /** port, value */
  out: 1,
  /** port → byte */
  in: 2,
  /** segment, offset, count (byte), bytes */
  poke: 3,
  /** segment, offset, count (word), word */
  fillWords: 4,
  /** segment, offset, count (word), byte: single byte writes, for planes */
  fillBytes: 5,
  /** target segment, offset, source segment, offset, count (word), 0 up or 1 down */
  copyWords: 6,
  copyBytes: 7,
  /** segment, offset, count (word) → bytes */
  peek: 8,
  /** offset in the frame, word */
  setRegister: 9,
  /** port, count (byte), then pairs index, value to port and port + 1 */
  outIndexed: 10,
  /** port, count (word), bytes all to the same port */
  outMany: 11,
  /** port, count (word) → bytes all from the same port */
  inMany: 12,
  /** segment, offset, stride (word), count (byte), bytes: one byte on each line */
  pokeLines: 13,
  /** As pokeLines, each byte read before it is written (latches) */
  changeLines: 14,
  /** segment, offset, stride (word), count (byte) → one byte of each line */
  peekLines: 15,
  /** source segment, offset, target segment, offset, glyph height (byte), count (word): targets 32 bytes apart */
  loadFont: 16,
} as const;

/** One instruction, and how many bytes the ROM sends back for it. */
export interface VideoInstruction {
  readonly bytes: readonly number[] | Uint8Array;
  readonly replyBytes: number;
}

export type VideoProgram<Result = void> = Generator<VideoInstruction, Result, Uint8Array>;

const word = (value: number) => [value & 0xff, (value >> 8) & 0xff] as const;
const none = new Uint8Array(0);

function* run(bytes: readonly number[] | Uint8Array, replyBytes = 0): VideoProgram<Uint8Array> {
  return (yield { bytes, replyBytes }) ?? none;
}

export function* out(port: number, value: number): VideoProgram {
  yield* run([op.out, ...word(port), value & 0xff]);
}

export function* input(port: number): VideoProgram<number> {
  return (yield* run([op.in, ...word(port)], 1))[0];
}

/** A place in the guest's memory as real-mode code names it. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
}

const at = ({ segment, offset }: Place) => [...word(segment), ...word(offset)] as const;

export function* poke(place: Place, bytes: ArrayLike<number>): VideoProgram {
  for (let from = 0; from < bytes.length; from += 255) {
    const part = Array.prototype.slice.call(bytes, from, from + 255) as number[];
    yield* run([op.poke, ...at({ ...place, offset: place.offset + from }), part.length, ...part]);
  }
}

export function* pokeWord(place: Place, value: number): VideoProgram {
  yield* poke(place, word(value));
}

export function* fillWords(place: Place, count: number, value: number): VideoProgram {
  if (count > 0) yield* run([op.fillWords, ...at(place), ...word(count), ...word(value)]);
}

export function* fillBytes(place: Place, count: number, value: number): VideoProgram {
  if (count > 0) yield* run([op.fillBytes, ...at(place), ...word(count), value & 0xff]);
}

export function* copyWords(target: Place, source: Place, count: number, isDown = false): VideoProgram {
  if (count > 0) yield* run([op.copyWords, ...at(target), ...at(source), ...word(count), isDown ? 1 : 0]);
}

export function* copyBytes(target: Place, source: Place, count: number, isDown = false): VideoProgram {
  if (count > 0) yield* run([op.copyBytes, ...at(target), ...at(source), ...word(count), isDown ? 1 : 0]);
}

export function* peek(place: Place, count: number): VideoProgram<Uint8Array> {
  return count === 0 ? none : yield* run([op.peek, ...at(place), ...word(count)], count);
}

export function* peekWord(place: Place): VideoProgram<number> {
  const bytes = yield* peek(place, 2);
  return bytes[0] | (bytes[1] << 8);
}

/** Index and value pairs to an index register and the data register behind it. */
export function* outIndexed(port: number, pairs: readonly (readonly [index: number, value: number])[]): VideoProgram {
  if (pairs.length > 0) yield* run([op.outIndexed, ...word(port), pairs.length, ...pairs.flat().map((v) => v & 0xff)]);
}

export function* outMany(port: number, bytes: ArrayLike<number>): VideoProgram {
  if (bytes.length > 0) yield* run([op.outMany, ...word(port), ...word(bytes.length), ...Array.from(bytes)]);
}

export function* inputMany(port: number, count: number): VideoProgram<Uint8Array> {
  return count === 0 ? none : yield* run([op.inMany, ...word(port), ...word(count)], count);
}

export function* inputIndexed(port: number, index: number): VideoProgram<number> {
  yield* out(port, index);
  return yield* input(port + 1);
}

export function* pokeLines(place: Place, stride: number, bytes: ArrayLike<number>): VideoProgram {
  yield* run([op.pokeLines, ...at(place), ...word(stride), bytes.length, ...Array.from(bytes)]);
}

export function* changeLines(place: Place, stride: number, bytes: ArrayLike<number>): VideoProgram {
  yield* run([op.changeLines, ...at(place), ...word(stride), bytes.length, ...Array.from(bytes)]);
}

export function* peekLines(place: Place, stride: number, count: number): VideoProgram<Uint8Array> {
  return yield* run([op.peekLines, ...at(place), ...word(stride), count], count);
}

export function* loadFont(target: Place, source: Place, height: number, count: number): VideoProgram {
  if (count > 0 && height > 0) yield* run([op.loadFont, ...at(source), ...at(target), height, ...word(count)]);
}

/** Offsets in the ROM's frame, in the order in which the registers are sent. */
export const frame = { ax: 0, bx: 2, cx: 4, dx: 6, si: 8, di: 10, bp: 12, ds: 14, es: 16 } as const;
export const FRAME_BYTES = 18;
export type FrameRegister = keyof typeof frame;

export function* setRegister(name: FrameRegister, value: number): VideoProgram {
  yield* run([op.setRegister, frame[name], ...word(value)]);
}
