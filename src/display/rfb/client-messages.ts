/**
 * What clients say after the handshake: each message is taken from the queue when all of it is there, bounded, and handed
 * to the handler of its kind (RFC 6143, section 7.5, and rfbproto's extensions).
 */
import type { Rect } from "../frame.ts";
import { ByteQueue } from "./bytes.ts";
import { PIXEL_FORMAT_BYTES, type PixelFormat, parsePixelFormat } from "./pixel-format.ts";
import * as R from "./protocol.ts";

export interface ClientMessageHandlers {
  setPixelFormat(format: PixelFormat): void;
  setEncodings(encodings: readonly number[]): void;
  updateRequest(isIncremental: boolean, rect: Rect): void;
  keysym(keysym: number, isDown: boolean): void;
  /** With QEMU's extension: the key as an XT scan code, bit 7 for E0; 0 if the client does not know it. */
  key(scancode: number, keysym: number, isDown: boolean): void;
  pointer(x: number, y: number, buttons: number): void;
  enableContinuousUpdates(isOn: boolean, rect: Rect): void;
  fence(flags: number, payload: Uint8Array): void;
  setDesktopSize(widthPixels: number, heightPixels: number): void;
}

/** Clients know some dozens. */
const MAX_ENCODINGS = 1024;
/** Text that is cut is not used; more than this is no text. */
const MAX_CUT_TEXT = 64 << 20;
export const MAX_MESSAGE_BYTES = 4 + 4 * MAX_ENCODINGS;
/** Larger chunks are taken in pieces of this size. */
const PIECE_BYTES = 8192;

export class ClientMessages {
  readonly #queue = new ByteQueue(MAX_MESSAGE_BYTES + PIECE_BYTES);
  readonly #handlers: ClientMessageHandlers;
  /** Bytes of a message that nobody wants. */
  #skipBytes = 0;

  constructor(handlers: ClientMessageHandlers) {
    this.#handlers = handlers;
  }

  /** Throws RfbError when the client breaks the protocol. */
  receive(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const skipped = Math.min(this.#skipBytes, bytes.length - at);
      this.#skipBytes -= skipped;
      at += skipped;
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      at += piece.length;
      this.#queue.push(piece);
      while (this.#queue.length > 0) {
        const skip = Math.min(this.#skipBytes, this.#queue.length);
        this.#queue.take(skip);
        this.#skipBytes -= skip;
        if (this.#queue.length === 0 || !this.#takeMessage()) break;
      }
    }
  }

  /** False: not all of it is there. */
  #takeMessage(): boolean {
    const q = this.#queue;
    const h = this.#handlers;
    const rectAt = (at: number): Rect => ({
      x: q.peek16(at),
      y: q.peek16(at + 2),
      width: q.peek16(at + 4),
      height: q.peek16(at + 6),
    });
    switch (q.peek8(0)) {
      case R.SET_PIXEL_FORMAT:
        if (q.length < 4 + PIXEL_FORMAT_BYTES) return false;
        h.setPixelFormat(parsePixelFormat(q.take(4 + PIXEL_FORMAT_BYTES).subarray(4)));
        return true;
      case R.SET_ENCODINGS: {
        if (q.length < 4) return false;
        const count = q.peek16(2);
        if (count > MAX_ENCODINGS) throw new R.RfbError(`${count} encodings`);
        if (q.length < 4 + 4 * count) return false;
        h.setEncodings(Array.from({ length: count }, (_, i) => q.peek32(4 + 4 * i) | 0));
        q.take(4 + 4 * count);
        return true;
      }
      case R.UPDATE_REQUEST:
        if (q.length < 10) return false;
        h.updateRequest(q.peek8(1) !== 0, rectAt(2));
        q.take(10);
        return true;
      case R.KEY_EVENT:
        if (q.length < 8) return false;
        h.keysym(q.peek32(4), q.peek8(1) !== 0);
        q.take(8);
        return true;
      case R.POINTER_EVENT:
        if (q.length < 6) return false;
        h.pointer(q.peek16(2), q.peek16(4), q.peek8(1));
        q.take(6);
        return true;
      case R.CLIENT_CUT_TEXT: {
        if (q.length < 8) return false;
        // A negative length is the extended clipboard's.
        const length = Math.abs(q.peek32(4) | 0);
        if (length > MAX_CUT_TEXT) throw new R.RfbError(`cut text of ${length} bytes`);
        q.take(8);
        this.#skipBytes = length;
        return true;
      }
      case R.ENABLE_CONTINUOUS_UPDATES:
        if (q.length < 10) return false;
        h.enableContinuousUpdates(q.peek8(1) !== 0, rectAt(2));
        q.take(10);
        return true;
      case R.CLIENT_FENCE: {
        if (q.length < 9) return false;
        const length = q.peek8(8);
        if (length > R.FENCE_MAX_PAYLOAD) throw new R.RfbError(`a fence of ${length} bytes`);
        if (q.length < 9 + length) return false;
        const flags = q.peek32(4);
        h.fence(flags, q.take(9 + length).slice(9));
        return true;
      }
      case R.SET_DESKTOP_SIZE: {
        if (q.length < 8) return false;
        const bytes = 8 + 16 * q.peek8(6);
        if (q.length < bytes) return false;
        h.setDesktopSize(q.peek16(2), q.peek16(4));
        q.take(bytes);
        return true;
      }
      case R.QEMU_MESSAGE:
        if (q.length < 2) return false;
        if (q.peek8(1) !== R.QEMU_KEY) throw new R.RfbError(`QEMU message ${q.peek8(1)}`);
        if (q.length < 12) return false;
        h.key(q.peek32(8), q.peek32(4), q.peek16(2) !== 0);
        q.take(12);
        return true;
      default:
        throw new R.RfbError(`message type ${q.peek8(0)}`);
    }
  }
}
