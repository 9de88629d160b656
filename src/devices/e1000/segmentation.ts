/**
 * What an 8254x does to a packet on its way out (manual, 3.4 to 3.6): checksums at the places that a context names, and TCP
 * segmentation. Places and lengths are the guest's: whatever does not fit into the frame is left alone.
 */

import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { addWords, checksumOf, fold } from "../../device-parts/internet-checksum.ts";
import { get16, put16 } from "../../device-parts/tcp-segmentation.ts";

/** A context descriptor's contents. Ends are inclusive, 0: the end of the packet. */
export interface OffloadContext {
  ipStart: number;
  ipOffset: number;
  ipEnd: number;
  transportStart: number;
  transportOffset: number;
  transportEnd: number;
  /** TCP payload of the whole packet. */
  payloadBytes: number;
  headerBytes: number;
  segmentBytes: number;
  isTcp: boolean;
  isIpv4: boolean;
}

export function emptyContext(): OffloadContext {
  return {
    ipStart: 0,
    ipOffset: 0,
    ipEnd: 0,
    transportStart: 0,
    transportOffset: 0,
    transportEnd: 0,
    payloadBytes: 0,
    headerBytes: 0,
    segmentBytes: 0,
    isTcp: false,
    isIpv4: false,
  };
}

/** Sums from `start` to `end` (inclusive, 0: the end of the packet) and puts the checksum at `offset`. */
export function insertChecksum(frame: Uint8Array, length: number, start: number, offset: number, end: number): void {
  const stop = end === 0 || end >= length ? length : end + 1;
  if (start >= stop || offset + 2 > length) return;
  put16(frame, offset, checksumOf(addWords(frame, start, stop)));
}

/** The driver's pseudo-header sum lacks the length, which differs from segment to segment: it is added in place. */
export function addPseudoLength(frame: Uint8Array, length: number, context: OffloadContext): void {
  const { transportOffset, transportStart } = context;
  if (transportOffset + 2 > length) return;
  put16(frame, transportOffset, fold(get16(frame, transportOffset) + length - transportStart));
}

export function saveContext(context: OffloadContext): { readonly [key: string]: SavedValue } {
  return { ...context };
}
export function loadContext(state: StateReader): OffloadContext {
  const byte = (key: string) => state.byte(key);
  const word = (key: string) => state.integer(key, 0, 0xffff);
  const context = {
    ipStart: byte("ipStart"),
    ipOffset: byte("ipOffset"),
    ipEnd: word("ipEnd"),
    transportStart: byte("transportStart"),
    transportOffset: byte("transportOffset"),
    transportEnd: word("transportEnd"),
    payloadBytes: state.integer("payloadBytes", 0, 0xfffff),
    headerBytes: byte("headerBytes"),
    segmentBytes: word("segmentBytes"),
    isTcp: state.boolean("isTcp"),
    isIpv4: state.boolean("isIpv4"),
  };
  state.end();
  return context;
}
