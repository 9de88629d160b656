/**
 * PXE's services for programs that were booted from the network (PXE 2.1, chapters 3 and 4; opcodes and parameter blocks as
 * pxelinux and iPXE use them): cached packets, TFTP, UDP; and UNDI, the card itself, which is polled: it has no interrupt.
 * A parameter block is a status word and what the function wants; AX repeats success (0) or failure (1).
 */
import { FrameCaller } from "../caller.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import type { ServiceContext } from "../service-context.ts";
import { DATA_SEGMENT, PACKET_OFFSET, PACKET_ROOM, PACKET_TYPES } from "./pxe-memory.ts";
import { type Datagram, MOST_UDP_BYTES, read16, read32, write16, write32 } from "./stack.ts";
import { closeFile, LARGEST_BLOCK, openFile, readBlock, SMALLEST_BLOCK, tftpStatus } from "./tftp.ts";
import { undi } from "./undi.ts";
import { sendUdp } from "./waiting.ts";

export const pxeStatus = {
  success: 0x00,
  failure: 0x01,
  unsupported: 0x03,
  outOfResources: 0x06,
  arpTimeout: 0x11,
  udpClosed: 0x18,
  udpOpen: 0x19,
} as const;

/** Behind the frame of a directed service: the far return address, then the arguments. */
const ARGUMENTS_AT = 46;
const DEFAULT_PORT = 2069;
const NAME_BYTES = 128;
/** The longest parameter block, TFTP_READ_FILE's. */
export const PARAMETER_BYTES = 160;

/** The caller's parameter block: little-endian fields as on a PC, addresses of the network in its own order. */
export interface Parameters {
  readonly view: DataView;
  readonly bytes: Uint8Array;
}

/** `convention`: opcode and block on the stack (!PXE), or in BX and ES:DI (PXENV+). */
export function* pxe(
  context: ServiceContext,
  memory: ServiceMemory,
  frame: number,
  convention: "stack" | "registers",
): Directed {
  const caller = new FrameCaller(memory, frame);
  let opcode = caller.bx;
  let block = caller.esBase + caller.di;
  if (convention === "stack") {
    opcode = memory.read16(frame + ARGUMENTS_AT);
    block = memory.read16(frame + ARGUMENTS_AT + 4) * 16 + memory.read16(frame + ARGUMENTS_AT + 2);
  }
  const before = memory.readBytes(block, PARAMETER_BYTES);
  const bytes = before.slice();
  const view = new DataView(bytes.buffer);
  const status = yield* serve(context, memory, opcode, { view, bytes });
  view.setUint16(0, status, true);
  writeChanges(memory, block, before, bytes);
  caller.ax = status === pxeStatus.success ? 0 : 1;
  caller.carry = status !== pxeStatus.success;
  caller.commit();
}

/** Only what has changed: blocks are shorter than what was read. */
function writeChanges(memory: ServiceMemory, block: number, before: Uint8Array, after: Uint8Array): void {
  for (let start = 0; start < after.length; ) {
    if (start >= 2 && before[start] === after[start]) {
      start++;
      continue;
    }
    let end = start + 1;
    while (end < after.length && (end < 2 || before[end] !== after[end])) end++;
    memory.writeBytes(block + start, after.slice(start, end));
    start = end;
  }
}

function* serve(context: ServiceContext, memory: ServiceMemory, opcode: number, block: Parameters): Directed<number> {
  const { network } = context;
  const { bytes, view } = block;
  const act = (action: () => void): number => {
    memory.input(() => {
      action();
      return 0;
    });
    return pxeStatus.success;
  };
  switch (opcode) {
    case 0x15:
      // STOP_UNDI and GET_STATE share a number; the former is what programs mean.
      return act(() => {
        network.nic?.close();
        network.state.forget();
      });
    case 0x20:
      return yield* tftpOpen(context, memory, block);
    case 0x21:
      return act(() => closeFile(network));
    case 0x22:
      return yield* tftpRead(context, memory, block);
    case 0x23:
      return yield* tftpReadFile(context, memory, block);
    case 0x25:
      return yield* tftpFileSize(context, memory, block);
    case 0x30: {
      if (memory.input(() => network.state.get8("isUdpOpen")) === 1) return pxeStatus.udpOpen;
      const address = read32(bytes, 2);
      return act(() => {
        network.state.set8("isUdpOpen", 1);
        if (address !== 0) network.state.set32("ownAddress", address);
      });
    }
    case 0x31:
      if (memory.input(() => network.state.get8("isUdpOpen")) === 0) return pxeStatus.udpClosed;
      return act(() => network.state.set8("isUdpOpen", 0));
    case 0x32:
      return udpRead(context, memory, block);
    case 0x33:
      return yield* udpWrite(context, memory, block);
    case 0x70:
      return act(() => {
        closeFile(network);
        network.state.set8("isUdpOpen", 0);
      });
    case 0x71:
      return cachedInfo(context, memory, view);
    case 0x75:
    case 0x76:
      return pxeStatus.success;
    default:
      return undi(context, memory, opcode, block);
  }
}

/** A buffer of the caller's, given as offset and segment. */
function farPointer(view: DataView, at: number): number {
  return view.getUint16(at + 2, true) * 16 + view.getUint16(at, true);
}

/** GET_CACHED_INFO: a DHCP packet, copied to the caller's buffer or, without one, pointed to. */
function cachedInfo({ cpu, network }: ServiceContext, memory: ServiceMemory, view: DataView): number {
  const type = view.getUint16(2, true);
  if (type < 1 || type > PACKET_TYPES) return pxeStatus.failure;
  const length = memory.input(() => network.state.packetBytes(type));
  if (length === 0) return pxeStatus.failure;
  const room = view.getUint16(4, true);
  const target = farPointer(view, 6);
  if (room === 0) {
    view.setUint16(6, PACKET_OFFSET + (type - 1) * PACKET_ROOM, true);
    view.setUint16(8, DATA_SEGMENT, true);
    view.setUint16(4, length, true);
  } else {
    const copied = Math.min(room, length);
    memory.input(() => {
      cpu.writeLinearBytes(target, network.state.packet(type).subarray(0, copied));
      return 0;
    });
    view.setUint16(4, copied, true);
  }
  view.setUint16(10, PACKET_ROOM, true);
  return pxeStatus.success;
}

function fileName(bytes: Uint8Array, at: number): string {
  const name = bytes.subarray(at, at + NAME_BYTES);
  const end = name.indexOf(0);
  return String.fromCharCode(...(end < 0 ? name : name.subarray(0, end)));
}

function* tftpOpen({ network }: ServiceContext, memory: ServiceMemory, { bytes, view }: Parameters): Directed<number> {
  if (memory.input(() => network.state.get8("isUdpOpen")) === 1) return pxeStatus.udpOpen;
  const wanted = view.getUint16(140, true);
  const status = yield* openFile(memory, network, {
    server: read32(bytes, 2),
    gateway: read32(bytes, 6),
    file: fileName(bytes, 10),
    serverPort: read16(bytes, 138),
    blockBytes: Math.max(SMALLEST_BLOCK, Math.min(wanted, LARGEST_BLOCK)),
  });
  if (status === tftpStatus.success)
    view.setUint16(
      140,
      memory.input(() => network.state.get16("tftpBlockBytes")),
      true,
    );
  return status;
}

function* tftpRead({ cpu, network }: ServiceContext, memory: ServiceMemory, { view }: Parameters): Directed<number> {
  const number = memory.input(() => network.state.get16("tftpBlock"));
  const store = (linear: number, data: Uint8Array) => cpu.writeLinearBytes(linear, data);
  const block = yield* readBlock(memory, network, farPointer(view, 6), LARGEST_BLOCK, store);
  view.setUint16(2, number, true);
  view.setUint16(4, block.bytes, true);
  return block.status;
}

/** The whole file to a physical address, above 1 MiB too. */
function* tftpReadFile(
  { memory: ram, network }: ServiceContext,
  memory: ServiceMemory,
  { bytes, view }: Parameters,
): Directed<number> {
  if (memory.input(() => network.state.get8("isUdpOpen")) === 1) return pxeStatus.udpOpen;
  const room = view.getUint32(130, true);
  const target = view.getUint32(134, true);
  const opened = yield* openFile(memory, network, {
    server: read32(bytes, 138),
    gateway: read32(bytes, 142),
    file: fileName(bytes, 2),
    serverPort: read16(bytes, 152),
    blockBytes: LARGEST_BLOCK,
  });
  if (opened !== tftpStatus.success) return opened;
  let done = 0;
  for (let isLast = false; !isLast; ) {
    const store = (at: number, data: Uint8Array) => {
      if (at + data.length <= ram.ramBytes) ram.write(at, data);
    };
    const block = yield* readBlock(memory, network, target + done, Math.max(0, room - done), store);
    if (block.status !== tftpStatus.success) return block.status;
    done += block.bytes;
    isLast = block.isLast;
    if (done > room || target + done > ram.ramBytes) {
      memory.input(() => {
        closeFile(network);
        return 0;
      });
      return pxeStatus.outOfResources;
    }
  }
  view.setUint32(130, done, true);
  return pxeStatus.success;
}

function* tftpFileSize(
  { network }: ServiceContext,
  memory: ServiceMemory,
  { bytes, view }: Parameters,
): Directed<number> {
  const status = yield* openFile(memory, network, {
    server: read32(bytes, 2),
    gateway: read32(bytes, 6),
    file: fileName(bytes, 10),
    serverPort: 0,
    blockBytes: SMALLEST_BLOCK,
  });
  if (status !== tftpStatus.success) return status;
  const sizeBytes = memory.input(() => {
    closeFile(network);
    return network.state.get32("tftpFileBytes");
  });
  view.setUint32(138, sizeBytes, true);
  return sizeBytes === 0 ? tftpStatus.noFileSize : pxeStatus.success;
}

/** A datagram that is there already; programs ask again and again. */
function udpRead({ cpu, network }: ServiceContext, memory: ServiceMemory, { bytes, view }: Parameters): number {
  const { state } = network;
  if (memory.input(() => state.get8("isUdpOpen")) === 0) return pxeStatus.udpClosed;
  const address = read32(bytes, 6);
  const port = read16(bytes, 12);
  const room = view.getUint16(14, true);
  const target = farPointer(view, 16);
  const seen = memory.inputBytes(() => {
    let answer = new Uint8Array(0);
    network.poll((datagram) => {
      const { destination, destinationPort, payload, source, sourcePort } = datagram;
      if ((port !== 0 && destinationPort !== port) || (address !== 0 && destination !== address)) return false;
      const copied = payload.subarray(0, room);
      cpu.writeLinearBytes(target, copied);
      answer = new Uint8Array(14);
      write32(answer, 0, source);
      write32(answer, 4, destination);
      write16(answer, 8, sourcePort);
      write16(answer, 10, destinationPort);
      write16(answer, 12, copied.length);
      return true;
    });
    return answer;
  });
  if (seen.length === 0) return pxeStatus.failure;
  bytes.set(seen.subarray(0, 12), 2);
  view.setUint16(14, read16(seen, 12), true);
  return pxeStatus.success;
}

function* udpWrite({ cpu, network }: ServiceContext, memory: ServiceMemory, block: Parameters): Directed<number> {
  const { bytes, view } = block;
  if (memory.input(() => network.state.get8("isUdpOpen")) === 0) return pxeStatus.udpClosed;
  const lengthBytes = view.getUint16(14, true);
  if (lengthBytes > MOST_UDP_BYTES) return pxeStatus.outOfResources;
  const source = farPointer(view, 16);
  const datagram = (): Datagram => {
    const payload = new Uint8Array(lengthBytes);
    cpu.readLinearBytes(source, payload);
    return {
      source: network.ownAddress,
      destination: read32(bytes, 2),
      sourcePort: read16(bytes, 10) || DEFAULT_PORT,
      destinationPort: read16(bytes, 12),
      payload,
    };
  };
  return (yield* sendUdp(memory, network, datagram, read32(bytes, 6))) ? pxeStatus.success : pxeStatus.arpTimeout;
}
