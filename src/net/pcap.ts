/** Traces of frames in the file format of libpcap (tcpdump, Wireshark), little-endian, microseconds. */

const MAGIC = 0xa1b2c3d4;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
const SNAP_BYTES = 65_535;
const LINK_ETHERNET = 1;

/** What a trace begins with. */
export function pcapHeader(): Uint8Array {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, VERSION_MAJOR, true);
  view.setUint16(6, VERSION_MINOR, true);
  view.setUint32(16, SNAP_BYTES, true);
  view.setUint32(20, LINK_ETHERNET, true);
  return bytes;
}

/** One frame, whole; `timeMs` since 1970, fractions count. */
export function pcapRecord(timeMs: number, frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + frame.length);
  const view = new DataView(bytes.buffer);
  const seconds = Math.floor(timeMs / 1000);
  view.setUint32(0, seconds, true);
  view.setUint32(4, Math.floor((timeMs - seconds * 1000) * 1000), true);
  view.setUint32(8, frame.length, true);
  view.setUint32(12, frame.length, true);
  bytes.set(frame, 16);
  return bytes;
}
