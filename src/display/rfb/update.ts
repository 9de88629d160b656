/**
 * A framebuffer update under construction. Encoders take everything they need from the screen at once; what zlib has to
 * compress is kept as pieces and compressed when the update is finished, so that the screen may change meanwhile.
 */
import type { Rect } from "../frame.ts";
import { ByteWriter } from "./bytes.ts";
import { FRAMEBUFFER_UPDATE } from "./protocol.ts";

/** A zlib stream (RFC 1950) that lives as long as its connection. */
export interface DeflateStream {
  /** Everything that `bytes` add to the stream, flushed so that they can be read (Z_SYNC_FLUSH). One call at a time. */
  compress(bytes: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

/** Streams of a connection: 0–3 are Tight's, 4 is ZRLE's. */
export const STREAMS = 5;
export const ZRLE_STREAM = 4;

type LengthForm = "u32" | "compact";

interface Compressible {
  readonly stream: number;
  readonly bytes: Uint8Array;
  readonly lengthForm: LengthForm;
}

export class UpdateWriter {
  /** Where encoders put what is not compressed. */
  readonly out = new ByteWriter();
  readonly #pieces: (Uint8Array | Compressible)[] = [];
  #rects = 0;

  get rects(): number {
    return this.#rects;
  }

  /** Begins a rectangle of the update. */
  rect({ x, y, width, height }: Rect, encoding: number): void {
    this.#rects++;
    for (const value of [x, y, width, height]) this.out.u16(value);
    this.out.i32(encoding);
  }

  /** `bytes` go through zlib, with their compressed length before them. */
  compressed(stream: number, bytes: Uint8Array, lengthForm: LengthForm): void {
    this.#pieces.push(this.out.take(), { stream, bytes, lengthForm });
  }

  /** The whole message. */
  async finish(streams: (index: number) => DeflateStream): Promise<Uint8Array[]> {
    const head = new ByteWriter();
    head.u8(FRAMEBUFFER_UPDATE);
    head.u8(0);
    head.u16(this.#rects);
    this.#pieces.push(this.out.take());
    for (const piece of this.#pieces) {
      if (piece instanceof Uint8Array) {
        head.put(piece);
        continue;
      }
      const bytes = await streams(piece.stream).compress(piece.bytes);
      if (piece.lengthForm === "u32") head.u32(bytes.length);
      else putCompactLength(head, bytes.length);
      head.put(bytes);
    }
    return [head.bytes];
  }
}

/** Tight's lengths: seven bits a byte, lowest first; up to 22 bits. */
function putCompactLength(out: ByteWriter, length: number): void {
  if (length < 0x80) {
    out.u8(length);
    return;
  }
  out.u8((length & 0x7f) | 0x80);
  if (length < 0x4000) {
    out.u8(length >> 7);
    return;
  }
  out.u8(((length >> 7) & 0x7f) | 0x80);
  out.u8(length >> 14);
}
