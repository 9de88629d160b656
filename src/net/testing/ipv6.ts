/** For tests: IPv6 as a guest has it, written apart from the engine's. Addresses are text. */

export const guestAddress6 = "fd17:625c:f037:2::15";
export const guestLinkLocal = "fe80::a00:27ff:fe12:3456";
export const allNodesMac = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

/** 16 bytes. */
export function bytes6(text: string): Uint8Array {
  const [head, tail] = text.split("::");
  const words = (part: string | undefined) => (part ? part.split(":").map((word) => Number.parseInt(word, 16)) : []);
  const [first, last] = [words(head), words(tail)];
  const all = [...first, ...new Array(8 - first.length - last.length).fill(0), ...last];
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 255]));
}

export function text6(bytes: Uint8Array, at = 0): string {
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[at + 2 * i] << 8) | bytes[at + 2 * i + 1]).toString(16));
  const whole = words.join(":");
  const runs = [...whole.matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)].sort((a, b) => b[0].length - a[0].length);
  if (runs.length === 0) return whole;
  const { index, 0: run } = runs[0];
  return `${whole.slice(0, Math.max(0, index - 1))}::${whole.slice(index + run.length + 1)}`;
}

/** Bytes that go into the sum before a transport's own. */
export function pseudo6(source: string, destination: string, next: number, length: number): Uint8Array {
  const header = new Uint8Array(40);
  header.set(bytes6(source));
  header.set(bytes6(destination), 16);
  new DataView(header.buffer).setUint32(32, length);
  header[39] = next;
  return header;
}

export interface Packet6 {
  readonly source: string;
  readonly destination: string;
  readonly next: number;
  readonly hopLimit?: number;
  readonly payload: Uint8Array;
}

export function packet6({ source, destination, next, hopLimit = 64, payload }: Packet6): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(40 + payload.length);
  packet[0] = 0x60;
  packet[4] = payload.length >> 8;
  packet[5] = payload.length & 255;
  packet[6] = next;
  packet[7] = hopLimit;
  packet.set(bytes6(source), 8);
  packet.set(bytes6(destination), 24);
  packet.set(payload, 40);
  return packet;
}

export function fragment6(next: number, offset: number, hasMore: boolean, id: number, part: Uint8Array): Uint8Array {
  const payload = new Uint8Array(8 + part.length);
  payload[0] = next;
  new DataView(payload.buffer).setUint16(2, offset | (hasMore ? 1 : 0));
  new DataView(payload.buffer).setUint32(4, id);
  payload.set(part, 8);
  return payload;
}

/** Options of a message of neighbour discovery, by kind: their bytes behind kind and length. */
export function options6(message: Uint8Array, from: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = from; at < message.length; at += 8 * message[at + 1])
    found.set(message[at], message.slice(at + 2, at + 8 * message[at + 1]));
  return found;
}
