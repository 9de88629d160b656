/**
 * Ethernet facts that several cards need (IEEE 802.3): lengths, address kinds, the frame check sequence. Frames here are as
 * in backend-api/net.ts, without FCS unless a function says otherwise.
 */

/** Destination, source and type. */
export const HEADER_BYTES = 14;
/** What the shortest frame on a wire has before its FCS. */
export const MIN_FRAME_BYTES = 60;
export const FCS_BYTES = 4;
export const ADDRESS_BYTES = 6;

const POLYNOMIAL = 0xedb88320;
const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  return crc;
});

/** CRC-32 register after `length` bytes, preset to ones, not inverted: its top bits are the hash of address filters. */
export function crcRegister(bytes: Uint8Array, length: number): number {
  let crc = -1;
  for (let i = 0; i < length; i++) crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return crc >>> 0;
}

/** Puts the FCS of the first `length` bytes behind them. */
export function appendFcs(frame: Uint8Array, length: number): void {
  const fcs = ~crcRegister(frame, length);
  for (let i = 0; i < FCS_BYTES; i++) frame[length + i] = fcs >>> (8 * i);
}

/** Whether the last four of `length` bytes are the FCS of those before. */
export function hasGoodFcs(frame: Uint8Array, length: number): boolean {
  return crcRegister(frame, length) === 0xdebb20e3;
}

export function isBroadcast(frame: Uint8Array): boolean {
  for (let i = 0; i < ADDRESS_BYTES; i++) if (frame[i] !== 0xff) return false;
  return true;
}

/** Group addresses, broadcast included. */
export function isMulticast(frame: Uint8Array): boolean {
  return (frame[0] & 1) !== 0;
}

/** Frames from programs may be shorter than a wire allows: zeros up to the minimum. The length after. */
export function padFrame(frame: Uint8Array, length: number): number {
  if (length >= MIN_FRAME_BYTES) return length;
  frame.fill(0, length, MIN_FRAME_BYTES);
  return MIN_FRAME_BYTES;
}
