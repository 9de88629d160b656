/** DHCP as a client on a wire sees it: whole frames, made and read apart from the engine. */
import { checksum, everybody, ip } from "./guest.ts";

export const DHCP = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7, inform: 8 } as const;
export const OPTION = { requested: 50, server: 54, lease: 51 } as const;

export interface DhcpFrameOptions {
  readonly options?: Readonly<Record<number, readonly number[]>>;
  readonly source?: string;
  readonly destination?: string;
  readonly clientAddress?: string;
  readonly transaction?: number;
}

export const quad = (text: string): number[] => text.split(".").map(Number);
export const dotted = (bytes: Uint8Array): string => Array.from(bytes).join(".");

/** A client's message as an Ethernet frame for everybody. */
export function dhcpFrame(mac: Uint8Array, type: number, asked: DhcpFrameOptions = {}): Uint8Array {
  const { options = {}, source = "0.0.0.0", destination = "255.255.255.255", transaction = 0x1234_5678 } = asked;
  const frame = new Uint8Array(14 + 20 + 8 + 300);
  const view = new DataView(frame.buffer);
  frame.set(everybody);
  frame.set(mac, 6);
  view.setUint16(12, 0x0800);
  frame[14] = 0x45;
  view.setUint16(16, 328);
  frame[22] = 64;
  frame[23] = 17;
  view.setInt32(26, ip(source));
  view.setInt32(30, ip(destination));
  view.setUint16(24, checksum(frame.subarray(14, 34)));
  view.setUint16(34, 68);
  view.setUint16(36, 67);
  view.setUint16(38, 308);
  frame.set([1, 1, 6], 42);
  view.setUint32(46, transaction);
  frame[52] = 0x80;
  view.setInt32(54, ip(asked.clientAddress ?? "0.0.0.0"));
  frame.set(mac, 70);
  const body = [0x63, 0x82, 0x53, 0x63, 53, 1, type];
  for (const [code, value] of Object.entries(options)) body.push(Number(code), value.length, ...value);
  frame.set([...body, 255], 278);
  return frame;
}

export interface DhcpAnswerFrame {
  readonly type: number;
  readonly yours: string;
  /** The client's Ethernet address in the message. */
  readonly mac: string;
  readonly server: string;
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** What a server says in that frame; undefined: the frame is something else. */
export function parseDhcpFrame(frame: Uint8Array): DhcpAnswerFrame | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < 290 || view.getUint16(12) !== 0x0800 || frame[23] !== 17 || view.getUint16(34) !== 67)
    return undefined;
  if (checksum(frame.subarray(14, 34)) !== 0 || frame[42] !== 2) throw new Error("not a sound answer");
  const options = new Map<number, Uint8Array>();
  for (let at = 282; at < frame.length && frame[at] !== 255; at += 2 + frame[at + 1])
    options.set(frame[at], frame.slice(at + 2, at + 2 + frame[at + 1]));
  return {
    type: options.get(53)?.[0] ?? 0,
    yours: dotted(frame.subarray(58, 62)),
    mac: Array.from(frame.subarray(70, 76), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    server: dotted(frame.subarray(26, 30)),
    options,
  };
}
