/**
 * DHCP as a PXE client speaks it (RFC 2131, 2132; PXE 2.1, section 2.2): discover and request with the client's architecture and
 * UUID, an offer that names a boot file preferred. The packets stay in PXE's memory for the programs that come. Not there: proxy
 * DHCP and boot server discovery (port 4011, option 43).
 */
import type { Directed, ServiceMemory } from "../directed.ts";
import type { PxeMemory } from "./pxe-memory.ts";
import { BROADCAST, type Datagram, type NetworkStack, read32, write16, write32 } from "./stack.ts";
import { waitFor } from "./waiting.ts";

const SERVER_PORT = 67;
const CLIENT_PORT = 68;
/** How long answers are waited for, per try, and how long a better offer once there is one. */
const PATIENCE_MS = [1000, 2000, 4000, 8000];
const BETTER_OFFER_MS = 300;

const MAGIC = 0x63825363;
const OPTIONS_AT = 240;
const FILE_AT = 108;
const FILE_ROOM = 128;
const PACKET_BYTES = 548;
const DISCOVER = 1;
const OFFER = 2;
const REQUEST = 3;
const ACK = 5;
const NAK = 6;

const option = {
  mask: 1,
  router: 3,
  overload: 52,
  requestedAddress: 50,
  messageType: 53,
  server: 54,
  parameters: 55,
  largestMessage: 57,
  vendorClass: 60,
  tftpServer: 66,
  bootFile: 67,
  architecture: 93,
  undi: 94,
  uuid: 97,
} as const;
/** Mask, router, name servers, host name, domain, root path, vendor options, server, vendor class, TFTP server, boot file. */
const wanted = [1, 3, 6, 12, 15, 17, 43, 54, 60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135];

export interface BootOffer {
  readonly server: number;
  /** Empty: none was named. */
  readonly file: string;
}

/** Gets an address into the stack's state. False: nobody answered. */
export function* configure(memory: ServiceMemory, stack: NetworkStack, uuid: Uint8Array): Directed<boolean> {
  const { state } = stack;
  for (const patienceMs of PATIENCE_MS) {
    memory.input(() => {
      state.set32("ownAddress", 0);
      state.set32("mask", 0);
      state.set32("gateway", 0);
      state.keepPacket(2, new Uint8Array(0));
      send(stack, DISCOVER, uuid);
      return 0;
    });
    const isOffer = () => (stack.poll((datagram) => takeOffer(stack, datagram)) ? 1 : 0);
    if ((yield* waitFor(memory, patienceMs, isOffer)) === 0) continue;
    yield* waitFor(memory, BETTER_OFFER_MS, () => {
      isOffer();
      return bootOffer(state).file !== "" ? 1 : 0;
    });
    memory.input(() => {
      send(stack, REQUEST, uuid);
      return 0;
    });
    const answer = yield* waitFor(memory, patienceMs, () => {
      let type = 0;
      stack.poll((datagram) => (type = takeAnswer(stack, datagram)) !== 0);
      return type;
    });
    if (answer === ACK) return true;
  }
  return false;
}

/** What the acknowledgement (or the offer, before it) says about booting. */
export function bootOffer(state: PxeMemory): BootOffer {
  const packet = state.packet(2);
  const name = find(packet, option.bootFile);
  const isOverloaded = ((find(packet, option.overload)?.[0] ?? 0) & 1) !== 0;
  const field = isOverloaded ? new Uint8Array(0) : packet.subarray(FILE_AT, FILE_AT + FILE_ROOM);
  const server = parseAddress(text(find(packet, option.tftpServer) ?? new Uint8Array(0)));
  const next = packet.length >= OPTIONS_AT ? read32(packet, 20) : 0;
  return {
    server: next || server || state.get32("dhcpServer"),
    file: text(field) || text(name ?? new Uint8Array(0)),
  };
}

function send(stack: NetworkStack, type: number, uuid: Uint8Array): void {
  const { nic, state } = stack;
  if (nic === undefined) return;
  const packet = new Uint8Array(PACKET_BYTES);
  packet.set([1, 1, 6, 0]);
  packet.set(transactionId(nic.macAddress), 4);
  // Answers go to everybody: this address is not ours yet.
  write16(packet, 10, 0x8000);
  packet.set(nic.macAddress, 28);
  write32(packet, 236, MAGIC);
  const options: [number, readonly number[]][] = [
    [option.messageType, [type]],
    [option.largestMessage, [0x04, 0xec]],
    [option.architecture, [0, 0]],
    [option.undi, [1, 2, 1]],
    [option.vendorClass, [...new TextEncoder().encode("PXEClient:Arch:00000:UNDI:002001")]],
    [option.uuid, [0, ...uuid]],
    [option.parameters, wanted],
  ];
  if (type === REQUEST) {
    const offer = state.packet(2);
    options.push([option.requestedAddress, [...offer.subarray(16, 20)]]);
    const server = new Uint8Array(4);
    write32(server, 0, state.get32("dhcpServer"));
    options.push([option.server, [...server]]);
  }
  let at = OPTIONS_AT;
  for (const [code, value] of options) {
    packet.set([code, value.length, ...value], at);
    at += 2 + value.length;
  }
  packet[at] = 255;
  state.keepPacket(1, packet);
  stack.sendUdp({
    source: 0,
    destination: BROADCAST,
    sourcePort: CLIENT_PORT,
    destinationPort: SERVER_PORT,
    payload: packet,
  });
}

/** Made of the card's address: there is no chance in a firmware that must repeat itself. */
function transactionId(mac: Uint8Array): Uint8Array {
  return Uint8Array.of(mac[2] ^ 0x41, mac[3] ^ 0x6e, mac[4], mac[5]);
}

function isAnswer(stack: NetworkStack, { destinationPort, payload, sourcePort }: Datagram): boolean {
  const mac = stack.nic?.macAddress;
  if (mac === undefined || sourcePort !== SERVER_PORT || destinationPort !== CLIENT_PORT) return false;
  if (payload.length < OPTIONS_AT || payload[0] !== 2 || read32(payload, 236) !== MAGIC) return false;
  const id = transactionId(mac);
  return id.every((byte, i) => payload[4 + i] === byte) && mac.every((byte, i) => payload[28 + i] === byte);
}

/** The first offer is kept, and a later one if it names a boot file and the first does not. */
function takeOffer(stack: NetworkStack, datagram: Datagram): boolean {
  const { payload } = datagram;
  const { state } = stack;
  const server = find(payload, option.server);
  if (!isAnswer(stack, datagram) || find(payload, option.messageType)?.[0] !== OFFER || server?.length !== 4)
    return false;
  if (read32(payload, 16) === 0) return false;
  const hasOffer = state.packetBytes(2) > 0;
  if (hasOffer && (bootOffer(state).file !== "" || !namesFile(payload))) return false;
  state.keepPacket(2, payload);
  state.set32("dhcpServer", read32(server, 0));
  return true;
}

function namesFile(packet: Uint8Array): boolean {
  return packet[FILE_AT] !== 0 || find(packet, option.bootFile) !== undefined;
}

/** The type of the answer to our request, or 0. An acknowledgement configures the stack. */
function takeAnswer(stack: NetworkStack, datagram: Datagram): number {
  const { payload } = datagram;
  const { state } = stack;
  const type = find(payload, option.messageType)?.[0];
  if (!isAnswer(stack, datagram) || (type !== ACK && type !== NAK)) return 0;
  if (type === NAK) return NAK;
  const address = (code: number) => {
    const value = find(payload, code);
    return value !== undefined && value.length >= 4 ? read32(value, 0) : 0;
  };
  state.keepPacket(2, payload);
  state.keepPacket(3, payload);
  state.set32("ownAddress", read32(payload, 16));
  state.set32("mask", address(option.mask) || 0xffffff00);
  state.set32("gateway", address(option.router));
  state.set32("server", bootOffer(state).server);
  return ACK;
}

/** The value of an option, the first of its kind; overloaded name fields are not looked into. */
function find(packet: Uint8Array, wantedCode: number): Uint8Array | undefined {
  for (let at = OPTIONS_AT; at < packet.length; ) {
    const code = packet[at];
    if (code === 255) return undefined;
    if (code === 0) {
      at++;
      continue;
    }
    const length = packet[at + 1];
    if (length === undefined || at + 2 + length > packet.length) return undefined;
    if (code === wantedCode) return packet.subarray(at + 2, at + 2 + length);
    at += 2 + length;
  }
  return undefined;
}

/** Up to the first NUL; other characters than printable ones make it no text. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const letters = String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end)));
  return /^[ -~]*$/.test(letters) ? letters : "";
}

function parseAddress(dotted: string): number {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(dotted)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return 0;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}
