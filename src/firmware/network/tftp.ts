/**
 * A TFTP client (RFC 1350, 2347, 2348): one transfer at a time, binary, block size negotiated. A server that ignores options sends
 * its first block at once: it is kept until somebody reads. Its state is in PXE's memory.
 */
import type { Directed, ServiceMemory } from "../directed.ts";
import { FRAME_OFFSET } from "./pxe-memory.ts";
import { type Datagram, type NetworkStack, read16, write16 } from "./stack.ts";
import { sendUdp, waitFor } from "./waiting.ts";

const PORT = 69;
const PATIENCE_MS = [1000, 2000, 4000, 8000];
const READ_REQUEST = 1;
const DATA = 3;
const ACKNOWLEDGE = 4;
const FAILURE = 5;
const OPTIONS = 6;
const HEADER_BYTES = 4;
export const SMALLEST_BLOCK = 512;
export const LARGEST_BLOCK = 1456;
const FILE_NOT_FOUND = 1;
const ACCESS_VIOLATION = 2;

/** PXE's status codes (PXE 2.1, appendix A). */
export const tftpStatus = {
  success: 0x00,
  closed: 0x1a,
  alreadyOpen: 0x1b,
  noArp: 0x30,
  openTimeout: 0x32,
  unknownOpcode: 0x33,
  readTimeout: 0x35,
  error: 0x36,
  fileNotFound: 0x3b,
  accessViolation: 0x3c,
  noFileSize: 0x3e,
} as const;

export interface TftpRequest {
  readonly server: number;
  /** 0: DHCP's router. */
  readonly gateway: number;
  readonly serverPort: number;
  readonly file: string;
  readonly blockBytes: number;
}

/** What a look at the cable gave: nothing, what was waited for, or (FAILED + PXE status) the end of the transfer. */
const NOTHING = 0;
const ARRIVED = 1;
const FAILED = 0x100;

/** Asks for the file. The status; block size and size of the file (0: unknown) are in the state then. */
export function* openFile(memory: ServiceMemory, stack: NetworkStack, request: TftpRequest): Directed<number> {
  const { state } = stack;
  memory.input(() => {
    state.set8("tftpIsOpen", 0);
    state.set8("tftpIsLast", 0);
    state.set16("tftpReceived", 0);
    state.set32("tftpFileBytes", 0);
    state.set16("tftpBlock", 1);
    state.set16("tftpBlockBytes", SMALLEST_BLOCK);
    state.set32("tftpServer", request.server);
    state.set32("tftpGateway", request.gateway);
    state.set16("tftpServerPort", 0);
    state.set16("tftpOwnPort", stack.newPort());
    return 0;
  });
  const payload = readRequest(request);
  for (const patienceMs of PATIENCE_MS) {
    const datagram = () => toServer(stack, payload, request.serverPort || PORT);
    if (!(yield* sendUdp(memory, stack, datagram, request.gateway))) return tftpStatus.noArp;
    const outcome = yield* waitFor(memory, patienceMs, () => look(stack, (answer) => opened(stack, request, answer)));
    if (outcome === ARRIVED) return tftpStatus.success;
    if (outcome !== NOTHING) return outcome - FAILED;
  }
  return tftpStatus.openTimeout;
}

export interface TftpBlock {
  readonly status: number;
  readonly bytes: number;
  readonly isLast: boolean;
}

/** The next block, put to `target` (linear; as much as `roomBytes` takes), and acknowledges it. */
export function* readBlock(
  memory: ServiceMemory,
  stack: NetworkStack,
  target: number,
  roomBytes: number,
  store: (linear: number, bytes: Uint8Array) => void,
): Directed<TftpBlock> {
  const { state } = stack;
  const fail = (status: number): TftpBlock => ({ status, bytes: 0, isLast: false });
  if (memory.input(() => state.get8("tftpIsOpen")) === 0) return fail(tftpStatus.closed);
  if (memory.input(() => state.get8("tftpIsLast")) === 1) {
    memory.input(() => {
      state.set8("tftpIsOpen", 0);
      return 0;
    });
    return fail(tftpStatus.closed);
  }
  const put = (bytes: Uint8Array) => store(target, bytes.subarray(0, roomBytes));
  const early = () => {
    const bytes = state.get16("tftpReceived");
    if (bytes === 0) return NOTHING;
    const kept = state.read(FRAME_OFFSET, Math.min(bytes, SMALLEST_BLOCK));
    accept(stack, put, kept);
    return ARRIVED;
  };
  let outcome = memory.input(early);
  for (let attempt = 0; outcome === NOTHING && attempt < PATIENCE_MS.length; attempt++) {
    // The acknowledgement of the block before asks for this one; it may have got lost.
    if (attempt > 0) memory.input(() => acknowledge(stack, state.get16("tftpBlock") - 1));
    outcome = yield* waitFor(memory, PATIENCE_MS[attempt], () => look(stack, (answer) => received(stack, put, answer)));
  }
  if (outcome === NOTHING) return fail(tftpStatus.readTimeout);
  if (outcome !== ARRIVED) return fail(outcome - FAILED);
  const bytes = memory.input(() => state.get16("tftpReceived"));
  memory.input(() => {
    state.set16("tftpReceived", 0);
    return 0;
  });
  return { status: tftpStatus.success, bytes, isLast: memory.input(() => state.get8("tftpIsLast")) === 1 };
}

/** Tells the server that no more is wanted. */
export function closeFile(stack: NetworkStack): void {
  const { state } = stack;
  const isUnderWay = state.get8("tftpIsOpen") === 1 && state.get8("tftpIsLast") === 0;
  state.set8("tftpIsOpen", 0);
  // Error 0 with a text: option negotiation's and other early ends look alike.
  if (isUnderWay && state.get16("tftpServerPort") !== 0) send(stack, Uint8Array.of(0, FAILURE, 0, 0, 0));
}

function readRequest({ blockBytes, file }: TftpRequest): Uint8Array {
  const words = [file, "octet", "tsize", "0", "blksize", String(blockBytes)];
  const text = new TextEncoder().encode(`${words.join("\0")}\0`);
  const payload = new Uint8Array(2 + text.length);
  write16(payload, 0, READ_REQUEST);
  payload.set(text, 2);
  return payload;
}

/** Runs `take` over what has come for this transfer until it gives an outcome. */
function look(stack: NetworkStack, take: (answer: Datagram) => number): number {
  let outcome = NOTHING;
  stack.poll((answer) => (isFromServer(stack, answer) ? (outcome = take(answer)) !== NOTHING : false));
  return outcome;
}

function isFromServer({ state }: NetworkStack, { destinationPort, payload, source, sourcePort }: Datagram): boolean {
  const port = state.get16("tftpServerPort");
  return (
    payload.length >= HEADER_BYTES &&
    source === state.get32("tftpServer") &&
    destinationPort === state.get16("tftpOwnPort") &&
    (port === 0 || sourcePort === port)
  );
}

/** The answer to the request: options, an error, or the first block of a server that knows no options. */
function opened(stack: NetworkStack, request: TftpRequest, { payload, sourcePort }: Datagram): number {
  const { state } = stack;
  switch (read16(payload, 0)) {
    case OPTIONS: {
      const words = new TextDecoder("latin1").decode(payload.subarray(2)).split("\0");
      for (let i = 0; i + 1 < words.length; i += 2) {
        const value = /^\d{1,9}$/.test(words[i + 1]) ? Number(words[i + 1]) : -1;
        if (words[i].toLowerCase() === "tsize" && value >= 0) state.set32("tftpFileBytes", value);
        if (words[i].toLowerCase() === "blksize" && value >= 8 && value <= request.blockBytes)
          state.set16("tftpBlockBytes", value);
      }
      state.set16("tftpServerPort", sourcePort);
      state.set8("tftpIsOpen", 1);
      acknowledge(stack, 0);
      return ARRIVED;
    }
    case DATA: {
      const data = payload.subarray(HEADER_BYTES);
      if (read16(payload, 2) !== 1 || data.length > SMALLEST_BLOCK) return NOTHING;
      state.set16("tftpServerPort", sourcePort);
      state.set8("tftpIsOpen", 1);
      // An empty file has nothing to keep.
      if (data.length === 0) state.set8("tftpIsLast", 1);
      state.write(FRAME_OFFSET, data);
      state.set16("tftpReceived", data.length);
      return ARRIVED;
    }
    case FAILURE:
      return FAILED + failure(payload);
    default:
      return NOTHING;
  }
}

function failure(payload: Uint8Array): number {
  const code = read16(payload, 2);
  if (code === FILE_NOT_FOUND) return tftpStatus.fileNotFound;
  return code === ACCESS_VIOLATION ? tftpStatus.accessViolation : tftpStatus.error;
}

function received(stack: NetworkStack, put: (bytes: Uint8Array) => void, { payload }: Datagram): number {
  const { state } = stack;
  switch (read16(payload, 0)) {
    case DATA: {
      const block = read16(payload, 2);
      const expected = state.get16("tftpBlock");
      const data = payload.subarray(HEADER_BYTES);
      if (data.length > state.get16("tftpBlockBytes")) return NOTHING;
      if (block !== expected) {
        if (block === ((expected - 1) & 0xffff)) acknowledge(stack, block);
        return NOTHING;
      }
      accept(stack, put, data);
      return ARRIVED;
    }
    case FAILURE:
      state.set8("tftpIsOpen", 0);
      return FAILED + failure(payload);
    default:
      return NOTHING;
  }
}

/** Block `tftpBlock` is here. */
function accept(stack: NetworkStack, put: (bytes: Uint8Array) => void, data: Uint8Array): void {
  const { state } = stack;
  put(data);
  const block = state.get16("tftpBlock");
  if (data.length < state.get16("tftpBlockBytes")) state.set8("tftpIsLast", 1);
  state.set16("tftpReceived", data.length);
  state.set16("tftpBlock", block + 1);
  acknowledge(stack, block);
}

function acknowledge(stack: NetworkStack, block: number): number {
  const payload = new Uint8Array(HEADER_BYTES);
  write16(payload, 0, ACKNOWLEDGE);
  write16(payload, 2, block & 0xffff);
  send(stack, payload);
  return 0;
}

/** To the transfer's port at the server. An address that has been forgotten is asked for; the repetition finds it. */
function send(stack: NetworkStack, payload: Uint8Array): void {
  const { state } = stack;
  stack.sendUdp(toServer(stack, payload, state.get16("tftpServerPort")), state.get32("tftpGateway"));
}

function toServer(stack: NetworkStack, payload: Uint8Array, destinationPort: number): Datagram {
  const { state } = stack;
  return {
    source: stack.ownAddress,
    destination: state.get32("tftpServer"),
    sourcePort: state.get16("tftpOwnPort"),
    destinationPort,
    payload,
  };
}
