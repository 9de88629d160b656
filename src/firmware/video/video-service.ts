/**
 * The video service behind the ROM's ports: up to eight INT 10h calls at a time, each with a port of its own, because a
 * call may be interrupted by another (a TSR) or by another virtual machine (DOS boxes). Per call: the 18 bytes of registers
 * come in, then instructions of the logic go out and replies come in (program.ts).
 *
 * The logic depends on nothing but what came in, so a call is saved as its input bytes and the number of bytes taken, and
 * restored by running the logic again. Any guest may write anything here at any time: every list is bounded.
 */
import { FormatError } from "../../base/errors.ts";
import type { AccessSize, IoWindow } from "../../device-api/io-window.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { FRAME_BYTES, op, VIDEO_KEY, VIDEO_SESSIONS, type VideoProgram } from "./program.ts";

/** The logic of one call: gets the frame's bytes. */
export type VideoLogic = (frame: Uint8Array) => VideoProgram;

/** More than any call sends: the largest are fonts and saved palettes. */
const MOST_BYTES = 0x40000;
/** More than any call takes: the longest is a string of 65535 characters that scrolls with each line. */
const MOST_TAKEN = 0x4000000;
const MOST_INSTRUCTIONS_A_BYTE = 1000;

/** One INT 10h call. */
class VideoCall {
  private readonly logic: VideoLogic;
  private readonly inputs: number[] = [];
  private program: VideoProgram | undefined;
  private queue: readonly number[] | Uint8Array = [];
  private position = 0;
  /** Bytes the ROM still sends for the current instruction. */
  private awaited = FRAME_BYTES;
  private reply: number[] = [];
  private taken = 0;
  private isDone = false;

  constructor(logic: VideoLogic) {
    this.logic = logic;
  }

  write(byte: number): void {
    if (this.awaited === 0 || this.isDone || this.position < this.queue.length) return;
    this.inputs.push(byte);
    this.reply.push(byte);
    if (--this.awaited > 0) return;
    const bytes = Uint8Array.from(this.reply);
    this.reply = [];
    if (this.program === undefined) {
      this.program = this.logic(bytes);
      this.advance(undefined);
    } else this.advance(bytes);
  }

  read(): number {
    // Limits hold between instructions only: the ROM must get the operands of one it has begun.
    if (this.position >= this.queue.length) {
      if (this.awaited > 0 || this.taken >= MOST_TAKEN) return op.end;
      if (!this.isDone) this.advance(undefined);
    }
    this.taken++;
    return this.position < this.queue.length ? this.queue[this.position++] : op.end;
  }

  get isOver(): boolean {
    return this.isDone && this.position >= this.queue.length;
  }

  /** Runs the logic to its next instruction. */
  private advance(reply: Uint8Array | undefined): void {
    this.position = 0;
    this.queue = [];
    let answer = reply;
    for (let i = 0; i < MOST_INSTRUCTIONS_A_BYTE; i++) {
      const next = answer === undefined ? this.program!.next(new Uint8Array(0)) : this.program!.next(answer);
      if (next.done) break;
      const { bytes, replyBytes } = next.value;
      if (this.inputs.length + replyBytes > MOST_BYTES) break;
      this.queue = bytes;
      this.awaited = replyBytes;
      // An instruction with a reply is read first, then answered.
      if (bytes.length > 0) return;
      answer = undefined;
    }
    this.isDone = true;
    this.queue = [op.end];
    this.awaited = 0;
  }

  save(): { readonly [key: string]: SavedValue } {
    return { taken: this.taken, inputBytes: this.inputs.length, inputs: Uint8Array.from(this.inputs) };
  }

  /** Runs the logic over the saved inputs, taking instruction bytes as the ROM did. */
  replay(inputs: Uint8Array, taken: number): void {
    for (const byte of inputs) {
      for (let guard = 0; this.needsRead && guard < MOST_TAKEN; guard++) this.read();
      if (this.awaited === 0 || this.isDone) throw new FormatError("saved state: a video call does not fit");
      this.write(byte);
    }
    while (this.taken < taken && !this.isOver) this.read();
    if (this.taken !== taken) throw new FormatError("saved state: a video call does not fit");
  }

  private get needsRead(): boolean {
    return this.position < this.queue.length || (this.awaited === 0 && !this.isDone);
  }
}

export class VideoService {
  private readonly logic: VideoLogic;
  private readonly calls: (VideoCall | undefined)[] = Array(VIDEO_SESSIONS).fill(undefined);
  /** When each call began, to forget the oldest. */
  private readonly serials: number[] = Array(VIDEO_SESSIONS).fill(0);
  private serial = 0;
  /** How much of the key has been written to the control port. */
  private keyBytes = 0;

  constructor(logic: VideoLogic) {
    this.logic = logic;
  }

  /** One port: the key, then a read that begins a call and gives its number. */
  readonly control: IoWindow = {
    read: (_offset: number, size: AccessSize) => {
      const isKeyed = this.keyBytes === VIDEO_KEY.length;
      this.keyBytes = 0;
      return size === 1 && isKeyed ? this.begin() : 2 ** (8 * size) - 1;
    },
    write: (_offset: number, _size: AccessSize, value: number) => {
      this.keyBytes = value === VIDEO_KEY[this.keyBytes] ? this.keyBytes + 1 : value === VIDEO_KEY[0] ? 1 : 0;
    },
  };

  /** Eight ports, one for each call. */
  readonly sessions: IoWindow = {
    read: (offset: number, size: AccessSize) => {
      const call = this.calls[offset];
      if (call === undefined || size !== 1) return 2 ** (8 * size) - 1;
      const byte = call.read();
      if (call.isOver) this.calls[offset] = undefined;
      return byte;
    },
    write: (offset: number, size: AccessSize, value: number) => {
      if (size === 1) this.calls[offset]?.write(value);
    },
  };

  private begin(): number {
    let index = this.calls.indexOf(undefined);
    if (index < 0) {
      index = 0;
      for (let i = 1; i < VIDEO_SESSIONS; i++) if (this.serials[i] < this.serials[index]) index = i;
    }
    this.calls[index] = new VideoCall(this.logic);
    this.serials[index] = ++this.serial;
    return index;
  }

  reset(): void {
    this.calls.fill(undefined);
    this.keyBytes = 0;
  }

  save(): { readonly [key: string]: SavedValue } {
    const idle = { taken: 0, inputBytes: 0, inputs: new Uint8Array(0) };
    return {
      keyBytes: this.keyBytes,
      isActive: this.calls.map((call) => call !== undefined),
      calls: this.calls.map((call) => call?.save() ?? idle),
    };
  }

  load(state: StateReader): void {
    this.reset();
    this.keyBytes = state.integer("keyBytes", 0, VIDEO_KEY.length);
    const isActive = state.booleans("isActive", VIDEO_SESSIONS);
    state.children("calls", VIDEO_SESSIONS).forEach((entry, index) => {
      const taken = entry.integer("taken", 0, MOST_TAKEN);
      const inputs = entry.bytes("inputs", entry.integer("inputBytes", 0, MOST_BYTES));
      entry.end();
      if (!isActive[index]) return;
      const call = new VideoCall(this.logic);
      call.replay(inputs, taken);
      this.calls[index] = call;
    });
    state.end();
  }
}
