/** DHCP messages (RFC 2131, options RFC 2132): what the server needs to read and write. */
import { get32, put16, put32 } from "../bytes.ts";

export const DISCOVER = 1;
export const OFFER = 2;
export const REQUEST = 3;
export const DECLINE = 4;
export const ACK = 5;
export const NAK = 6;
export const RELEASE = 7;
export const INFORM = 8;

export const OPTION_MASK = 1;
export const OPTION_ROUTER = 3;
export const OPTION_NAME_SERVERS = 6;
export const OPTION_DOMAIN = 15;
export const OPTION_MTU = 26;
export const OPTION_BROADCAST = 28;
export const OPTION_REQUESTED_ADDRESS = 50;
export const OPTION_LEASE_TIME = 51;
export const OPTION_MESSAGE_TYPE = 53;
export const OPTION_SERVER = 54;
export const OPTION_RENEWAL_TIME = 58;
export const OPTION_REBINDING_TIME = 59;
export const OPTION_TFTP_NAME = 66;
export const OPTION_BOOT_FILE = 67;
const OPTION_PAD = 0;
const OPTION_END = 255;

const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const COOKIE = 0x63825363;
const COOKIE_AT = 236;
const OPTIONS_AT = 240;
const FILE_AT = 108;
const FILE_BYTES = 128;
const BROADCAST_FLAG = 0x80;
/** Every client takes messages of this length; shorter ones than 300 bytes some BOOTP clients do not. */
const LONGEST_BYTES = 548;
const SHORTEST_BYTES = 300;

export interface DhcpRequest {
  /** 0: plain BOOTP. */
  readonly type: number;
  readonly transaction: number;
  readonly flags: number;
  /** The client's address, if it has one that it answers at. */
  readonly clientAddress: number;
  /** The relay's address (0: none). */
  readonly relayAddress: number;
  readonly mac: Uint8Array;
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** Reads a request; undefined if it is none that makes sense. */
export function parseRequest(bytes: Uint8Array): DhcpRequest | undefined {
  if (bytes.length < OPTIONS_AT || bytes[0] !== BOOT_REQUEST || bytes[1] !== 1 || bytes[2] !== 6) return undefined;
  const options = get32(bytes, COOKIE_AT) === COOKIE ? parseOptions(bytes) : new Map<number, Uint8Array>();
  const type = options.get(OPTION_MESSAGE_TYPE);
  if (type !== undefined && type.length !== 1) return undefined;
  return {
    type: type?.[0] ?? 0,
    transaction: get32(bytes, 4),
    flags: bytes[10],
    clientAddress: get32(bytes, 12),
    relayAddress: get32(bytes, 24),
    mac: bytes.slice(28, 34),
    options,
  };
}

function parseOptions(bytes: Uint8Array): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  let at = OPTIONS_AT;
  while (at < bytes.length && bytes[at] !== OPTION_END) {
    if (bytes[at] === OPTION_PAD) {
      at++;
      continue;
    }
    const length = at + 1 < bytes.length ? bytes[at + 1] : 256;
    if (at + 2 + length > bytes.length) break;
    options.set(bytes[at], bytes.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return options;
}

/** An address in an option, undefined if the option is not there or not an address. */
export function addressOption(request: DhcpRequest, option: number): number | undefined {
  const bytes = request.options.get(option);
  return bytes?.length === 4 ? get32(bytes, 0) : undefined;
}

/** Whether the client cannot receive at the address that it is being given. */
export function wantsBroadcast(request: DhcpRequest): boolean {
  return (request.flags & BROADCAST_FLAG) !== 0;
}

export type DhcpOption = readonly [code: number, value: Uint8Array];

export interface DhcpReply {
  readonly yourAddress: number;
  readonly nextServer: number;
  readonly file: string;
  /** In the order in which they are written; what does not fit is left out. */
  readonly options: readonly DhcpOption[];
}

export function buildReply(request: DhcpRequest, reply: DhcpReply): Uint8Array {
  const bytes = new Uint8Array(LONGEST_BYTES);
  bytes[0] = BOOT_REPLY;
  bytes[1] = 1;
  bytes[2] = 6;
  put32(bytes, 4, request.transaction);
  bytes[10] = request.flags;
  put32(bytes, 12, request.type === REQUEST || request.type === INFORM ? request.clientAddress : 0);
  put32(bytes, 16, reply.yourAddress);
  put32(bytes, 20, reply.nextServer);
  put32(bytes, 24, request.relayAddress);
  bytes.set(request.mac, 28);
  bytes.set(new TextEncoder().encode(reply.file).subarray(0, FILE_BYTES - 1), FILE_AT);
  put32(bytes, COOKIE_AT, COOKIE);
  let at = OPTIONS_AT;
  for (const [code, value] of reply.options) {
    if (value.length === 0 || value.length > 255 || at + 2 + value.length >= LONGEST_BYTES) continue;
    bytes[at] = code;
    bytes[at + 1] = value.length;
    bytes.set(value, at + 2);
    at += 2 + value.length;
  }
  bytes[at++] = OPTION_END;
  return bytes.subarray(0, Math.max(at, SHORTEST_BYTES));
}

/** Option values. */
export function addressValue(...addresses: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * addresses.length);
  addresses.forEach((address, i) => {
    put32(bytes, 4 * i, address);
  });
  return bytes;
}
export function numberValue(value: number): Uint8Array {
  return addressValue(value | 0);
}
export function shortValue(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  put16(bytes, 0, value);
  return bytes;
}
export function textValue(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
