/**
 * Puts fragments of the guest's datagrams together (RFC 791, RFC 8200), in bounded memory. Fragments that overlap are never sent by
 * honest stacks; a datagram with such fragments is thrown away whole (as RFC 5722 demands for IPv6).
 */

/** What a fragment's headers say. */
export interface FragmentHeader {
  /** The same for all fragments of a datagram, and for those only. */
  readonly fragmentKey: string;
  /** Length of this fragment's payload. */
  readonly fragmentBytes: number;
  /** Where it lies in the whole datagram. */
  readonly fragmentOffset: number;
  readonly hasMoreFragments: boolean;
  /** What the datagram is, by this fragment. */
  readonly fragmentProtocol: number;
}

export interface Reassembled {
  readonly bytes: Uint8Array;
  /** By the first of its fragments, which is the one that counts (RFC 8200, 4.5). */
  readonly protocol: number;
}

const MAX_DATAGRAMS = 16;
const MAX_PIECES = 256;
const MAX_BYTES = 65_535;
const LIFETIME_MS = 30_000;

interface Piece {
  readonly start: number;
  readonly end: number;
}

interface Datagram {
  readonly key: string;
  readonly bornMs: number;
  bytes: Uint8Array;
  /** Sorted by start. */
  pieces: Piece[];
  receivedBytes: number;
  /** Length of the whole payload, known with the last fragment. */
  totalBytes: number | undefined;
  protocol: number;
  isBad: boolean;
}

export class Reassembler {
  readonly #datagrams = new Map<string, Datagram>();

  /** Datagrams that are not complete. */
  get pending(): number {
    return this.#datagrams.size;
  }

  /** Takes a fragment whose payload lies at `at`; returns the whole payload when it is complete. */
  take(header: FragmentHeader, bytes: Uint8Array, at: number, nowMs: number): Reassembled | undefined {
    const length = header.fragmentBytes;
    const start = header.fragmentOffset;
    const end = start + length;
    if (length === 0 || end > MAX_BYTES || (header.hasMoreFragments && length % 8 !== 0)) return undefined;
    const datagram = this.#datagram(header, nowMs);
    if (datagram.isBad) return undefined;
    const { pieces } = datagram;
    let place = pieces.length;
    while (place > 0 && pieces[place - 1].start > start) place--;
    const before = pieces[place - 1];
    if (before !== undefined && before.start === start && before.end === end) return undefined;
    const overlaps = (before !== undefined && before.end > start) || (pieces[place]?.start ?? MAX_BYTES + 1) < end;
    const known = datagram.totalBytes;
    const isPastEnd = known !== undefined && (end > known || !header.hasMoreFragments);
    const isShortened = !header.hasMoreFragments && (pieces.at(-1)?.end ?? 0) > end;
    if (overlaps || isPastEnd || isShortened || pieces.length === MAX_PIECES) {
      // Kept as a mark until its time is over: later fragments of it are thrown away too.
      datagram.isBad = true;
      datagram.bytes = new Uint8Array(0);
      datagram.pieces = [];
      return undefined;
    }
    if (!header.hasMoreFragments) datagram.totalBytes = end;
    if (start === 0) datagram.protocol = header.fragmentProtocol;
    if (datagram.bytes.length < end) {
      const larger = new Uint8Array(Math.min(MAX_BYTES, Math.max(end, 2 * datagram.bytes.length)));
      larger.set(datagram.bytes);
      datagram.bytes = larger;
    }
    datagram.bytes.set(bytes.subarray(at, at + length), start);
    pieces.splice(place, 0, { start, end });
    datagram.receivedBytes += length;
    if (datagram.receivedBytes !== datagram.totalBytes) return undefined;
    this.#datagrams.delete(datagram.key);
    return { bytes: datagram.bytes.subarray(0, datagram.totalBytes), protocol: datagram.protocol };
  }

  #datagram(header: FragmentHeader, nowMs: number): Datagram {
    const key = header.fragmentKey;
    const present = this.#datagrams.get(key);
    if (present !== undefined && nowMs - present.bornMs < LIFETIME_MS) return present;
    this.#datagrams.delete(key);
    for (const [oldKey, { bornMs }] of this.#datagrams) {
      // In order of birth: the first is the oldest.
      if (this.#datagrams.size < MAX_DATAGRAMS && nowMs - bornMs < LIFETIME_MS) break;
      this.#datagrams.delete(oldKey);
    }
    const made: Datagram = {
      key,
      bornMs: nowMs,
      bytes: new Uint8Array(0),
      pieces: [],
      receivedBytes: 0,
      totalBytes: undefined,
      protocol: header.fragmentProtocol,
      isBad: false,
    };
    this.#datagrams.set(key, made);
    return made;
  }
}
