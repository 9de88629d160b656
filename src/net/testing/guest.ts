/**
 * For tests: a guest at the end of the wire, with an Ethernet, IPv4 and IPv6 stack of its own that checks every frame it gets: lengths,
 * addresses and every checksum. `problems` must stay empty. An address is a number if it is IPv4, text if it is IPv6.
 */

import { silentLogger } from "../../base/logger.ts";
import type { HostNetwork } from "../host-network.ts";
import { defaultNatConfig, type NatConfig, type NatLimits, natLimits } from "../nat-config.ts";
import { NatNetwork } from "../nat-network.ts";
import { ACK, GuestTcp, type GuestTcpOptions, SYN } from "./guest-tcp.ts";
import { fragment6, guestAddress6, guestLinkLocal, packet6, pseudo6, text6 } from "./ipv6.ts";
import { perfectWire, SimHost, type TestClock, Wire, type WireFaults } from "./simulation.ts";

export const guestMac = Uint8Array.of(0x08, 0x00, 0x27, 0x12, 0x34, 0x56);
export const gatewayMac = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x35, 0x02);
export const everybody = new Uint8Array(6).fill(255);

export function ip(text: string): number {
  return text.split(".").reduce((address, part) => (address << 8) | Number(part), 0);
}

/** One's complement sum, written differently from the engine's. */
export function checksum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i++) {
    sum += i % 2 === 0 ? bytes[i] * 256 : bytes[i];
    if (sum > 0xffff) sum -= 0xffff;
  }
  return 0xffff - sum;
}

export type TestAddress = number | string;

function pseudo(source: TestAddress, destination: TestAddress, protocol: number, length: number): number {
  if (typeof source === "string" || typeof destination === "string")
    return 0xffff - checksum(pseudo6(String(source), String(destination), protocol, length));
  const header = new Uint8Array(12);
  const view = new DataView(header.buffer);
  view.setInt32(0, source);
  view.setInt32(4, destination);
  view.setUint16(8, protocol);
  view.setUint16(10, length);
  return 0xffff - checksum(header);
}

export interface Datagram {
  readonly source: TestAddress;
  readonly sourcePort: number;
  readonly destination: TestAddress;
  readonly port: number;
  readonly data: Uint8Array;
}

export interface IcmpMessage {
  readonly source: number;
  readonly type: number;
  readonly code: number;
  readonly body: Uint8Array;
}

export interface Icmp6Message extends Omit<IcmpMessage, "source"> {
  readonly source: string;
  readonly destination: string;
  readonly hopLimit: number;
}

export interface TestGuestOptions {
  readonly config?: Partial<NatConfig>;
  readonly faults?: WireFaults;
  readonly seed?: number;
  readonly limits?: Partial<NatLimits>;
  /** Called for every frame on NAT's side of the wire: for a trace. */
  readonly onFrame?: (frame: Uint8Array) => void;
  /** A real host instead of the simulated one. */
  readonly real?: { readonly network: HostNetwork; readonly clock: TestClock };
}

export class TestGuest {
  /** The simulated host; of no use when the host is real. */
  readonly host: SimHost;
  readonly clock: TestClock;
  readonly nat: NatNetwork;
  address = ip("10.0.2.15");
  address6 = guestAddress6;
  /** Who else the guest listens as: ports that accept connections. */
  readonly accepts = new Map<number, (connection: GuestTcp) => void>();
  readonly problems: string[] = [];
  readonly datagrams: Datagram[] = [];
  readonly icmp: IcmpMessage[] = [];
  readonly icmp6: Icmp6Message[] = [];
  readonly arpReplies: { address: number; mac: Uint8Array }[] = [];
  frames = 0;
  longestFrame = 0;
  /** Where new connections' sequence numbers start; near the place where they go round. */
  nextSequence = 0x7fff_f000;
  /** While true, frames vanish both ways. */
  isUnplugged = false;
  /** While true, the guest takes no frames. */
  isDeaf = false;
  readonly toNat: Wire;
  readonly fromNat: Wire;
  readonly #connections = new Map<string, GuestTcp>();
  readonly #fragments = new Map<number, { parts: Map<number, Uint8Array>; total: number | undefined }>();
  #identification = 100;

  constructor(options: TestGuestOptions = {}) {
    const { seed = 1, faults = perfectWire, onFrame = () => {} } = options;
    this.host = new SimHost(seed);
    this.clock = options.real?.clock ?? this.host;
    this.toNat = new Wire(this.clock, faults, seed * 2 + 1, (frame) => {
      if (this.isUnplugged) return;
      onFrame(frame);
      this.nat.receiveFrame(frame);
    });
    this.fromNat = new Wire(this.clock, faults, seed * 2 + 2, (frame) => this.#receive(frame));
    const output = (frame: Uint8Array): boolean => {
      if (this.isDeaf) return false;
      onFrame(frame);
      this.fromNat.send(frame);
      return true;
    };
    const config = { ...defaultNatConfig, ...options.config };
    this.nat = new NatNetwork(config, options.real?.network ?? this.host, output, silentLogger, {
      ...natLimits,
      ...options.limits,
    });
  }

  // --- sending ---

  sendFrame(to: Uint8Array, type: number, payload: Uint8Array): void {
    const frame = new Uint8Array(14 + payload.length);
    frame.set(to);
    frame.set(guestMac, 6);
    frame[12] = type >> 8;
    frame[13] = type & 255;
    frame.set(payload, 14);
    this.toNat.send(frame);
  }

  sendIp(
    destination: number,
    protocol: number,
    payload: Uint8Array,
    { source = this.address, to = gatewayMac, flags = 0, id = ++this.#identification, ttl = 64 } = {},
  ): void {
    const packet = new Uint8Array(20 + payload.length);
    const view = new DataView(packet.buffer);
    packet[0] = 0x45;
    view.setUint16(2, packet.length);
    view.setUint16(4, id);
    view.setUint16(6, flags);
    packet[8] = ttl;
    packet[9] = protocol;
    view.setInt32(12, source);
    view.setInt32(16, destination);
    view.setUint16(10, checksum(packet.subarray(0, 20)));
    packet.set(payload, 20);
    this.sendFrame(to, 0x0800, packet);
  }

  udpPacket(
    sourcePort: number,
    destination: TestAddress,
    port: number,
    data: Uint8Array,
    source = this.sourceFor(destination),
  ): Uint8Array {
    const packet = new Uint8Array(8 + data.length);
    const view = new DataView(packet.buffer);
    view.setUint16(0, sourcePort);
    view.setUint16(2, port);
    view.setUint16(4, packet.length);
    packet.set(data, 8);
    view.setUint16(6, checksum(packet, pseudo(source, destination, 17, packet.length)) || 0xffff);
    return packet;
  }

  sourceFor(destination: TestAddress): TestAddress {
    return typeof destination === "number" ? this.address : this.address6;
  }

  sendUdp(
    sourcePort: number,
    destination: TestAddress,
    port: number,
    data: Uint8Array,
    source = this.sourceFor(destination),
  ): void {
    const packet = this.udpPacket(sourcePort, destination, port, data, source);
    if (typeof source === "string" || typeof destination === "string") {
      this.sendIp6(String(destination), 17, packet, { source: String(source) });
      return;
    }
    const to = destination === -1 ? everybody : gatewayMac;
    if (packet.length <= 1480) {
      this.sendIp(destination, 17, packet, { source, to });
      return;
    }
    const id = ++this.#identification;
    for (let at = 0; at < packet.length; at += 1480) {
      const more = at + 1480 < packet.length ? 0x2000 : 0;
      this.sendIp(destination, 17, packet.subarray(at, at + 1480), { source, to, id, flags: more | (at >> 3) });
    }
  }

  sendTcp(
    sourcePort: number,
    destination: TestAddress,
    port: number,
    flags: number,
    seq: number,
    ack: number,
    window: number,
    options: Uint8Array,
    data: Uint8Array,
  ): void {
    const headerBytes = 20 + Math.ceil(options.length / 4) * 4;
    const packet = new Uint8Array(headerBytes + data.length);
    const view = new DataView(packet.buffer);
    view.setUint16(0, sourcePort);
    view.setUint16(2, port);
    view.setInt32(4, seq);
    view.setInt32(8, (flags & ACK) !== 0 ? ack : 0);
    packet[12] = (headerBytes / 4) << 4;
    packet[13] = flags;
    view.setUint16(14, window);
    packet.set(options, 20);
    packet.set(data, headerBytes);
    view.setUint16(16, checksum(packet, pseudo(this.sourceFor(destination), destination, 6, packet.length)));
    if (typeof destination === "string") this.sendIp6(destination, 6, packet);
    else this.sendIp(destination, 6, packet);
  }

  /** `payload` as the extension headers and what follows; larger than a frame: in fragments. */
  sendIp6(
    destination: string,
    next: number,
    payload: Uint8Array,
    { source = this.address6, to = gatewayMac, hopLimit = 64 } = {},
  ): void {
    const send = (kind: number, part: Uint8Array) =>
      this.sendFrame(to, 0x86dd, packet6({ source, destination, next: kind, hopLimit, payload: part }));
    if (payload.length <= 1460) {
      send(next, payload);
      return;
    }
    const id = ++this.#identification;
    for (let at = 0; at < payload.length; at += 1448) {
      const hasMore = at + 1448 < payload.length;
      send(44, fragment6(next, at, hasMore, id, payload.subarray(at, at + 1448)));
    }
  }

  /** `message` without its checksum. */
  sendIcmp6(
    destination: string,
    message: Uint8Array,
    { source = this.address6, to = gatewayMac, hopLimit = 64 } = {},
  ): void {
    const sealed = message.slice();
    sealed.set([0, 0], 2);
    const sum = checksum(sealed, pseudo(source, destination, 58, sealed.length));
    sealed.set([sum >> 8, sum & 255], 2);
    this.sendIp6(destination, 58, sealed, { source, to, hopLimit });
  }

  ping6(
    destination: string,
    length = 56,
    options: { source?: string; to?: Uint8Array<ArrayBuffer>; hopLimit?: number } = {},
  ): void {
    this.sendIcmp6(
      destination,
      new Uint8Array(8 + length).map((_, i) => (i === 0 ? 128 : i < 8 ? 0 : i & 255)),
      options,
    );
  }

  ping(destination: number, length = 56, ttl = 64): void {
    const packet = new Uint8Array(8 + length).map((_, i) => (i < 8 ? 0 : i & 255));
    packet[0] = 8;
    packet[5] = 7;
    new DataView(packet.buffer).setUint16(2, checksum(packet));
    const id = ++this.#identification;
    for (let at = 0; at < packet.length; at += 1480) {
      const more = at + 1480 < packet.length ? 0x2000 : 0;
      this.sendIp(destination, 1, packet.subarray(at, at + 1480), { id, ttl, flags: more | (at >> 3) });
    }
  }

  askFor(address: number): void {
    this.sendFrame(everybody, 0x0806, this.#arp(1, guestMac, this.address, new Uint8Array(6), address));
  }

  #arp(operation: number, mac: Uint8Array, source: number, targetMac: Uint8Array, target: number): Uint8Array {
    const packet = new Uint8Array(28);
    const view = new DataView(packet.buffer);
    view.setUint32(0, 0x00010800);
    view.setUint32(4, 0x06040000 | operation);
    packet.set(mac, 8);
    view.setInt32(14, source);
    packet.set(targetMac, 18);
    view.setInt32(24, target);
    return packet;
  }

  connect(destination: string, port: number, sourcePort: number, options: GuestTcpOptions = {}): GuestTcp {
    const remote = destination.includes(":") ? destination : ip(destination);
    const connection = new GuestTcp(this, sourcePort, remote, port, options);
    this.#connections.set(`${sourcePort},${remote},${port}`, connection);
    connection.open();
    return connection;
  }

  /** Runs until `isDone`; fails with what went wrong. */
  run(limitMs: number, isDone: () => boolean): void {
    const isOver = this.host.run(limitMs, isDone);
    if (this.problems.length > 0) throw new Error(this.problems.slice(0, 5).join("\n"));
    if (!isOver) throw new Error(`not done after ${limitMs} ms of simulated time`);
  }

  // --- receiving ---

  #receive(frame: Uint8Array): void {
    if (this.isUnplugged) return;
    this.frames++;
    this.longestFrame = Math.max(this.longestFrame, frame.length);
    if (frame.length < 60 || frame.length > 1514) this.problems.push(`a frame of ${frame.length} bytes`);
    const isForMe =
      guestMac.every((byte, i) => frame[i] === byte) ||
      frame.subarray(0, 6).every((byte) => byte === 255) ||
      (frame[0] === 0x33 && frame[1] === 0x33);
    if (!isForMe) {
      this.problems.push("a frame for somebody else");
      return;
    }
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    const type = view.getUint16(12);
    if (type === 0x0806) this.#receiveArp(frame.subarray(14), view);
    else if (type === 0x0800) this.#receiveIp(frame.subarray(14));
    else if (type === 0x86dd) this.#receiveIp6(frame.subarray(14));
    else this.problems.push(`a frame of type ${type.toString(16)}`);
  }

  #receiveArp(packet: Uint8Array, view: DataView): void {
    const operation = view.getUint16(20);
    const target = view.getInt32(38);
    if (operation === 2) this.arpReplies.push({ address: view.getInt32(28), mac: packet.slice(8, 14) });
    else if (target === this.address)
      this.sendFrame(
        packet.slice(8, 14),
        0x0806,
        this.#arp(2, guestMac, this.address, packet.slice(8, 14), view.getInt32(28)),
      );
  }

  #receiveIp(all: Uint8Array): void {
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    const total = view.getUint16(2);
    if (all[0] !== 0x45 || total > all.length || checksum(all.subarray(0, 20)) !== 0) {
      this.problems.push("a bad IPv4 header");
      return;
    }
    const destination = view.getInt32(16);
    if (destination !== this.address && destination !== -1 && destination !== 0) {
      this.problems.push("a packet for another address");
      return;
    }
    const fragment = view.getUint16(6);
    let payload = all.slice(20, total);
    if ((fragment & 0x3fff) !== 0) {
      const whole = this.#reassemble(view.getUint16(4), fragment, payload);
      if (whole === undefined) return;
      payload = whole;
    }
    this.#dispatch(all[9], view.getInt32(12), destination, payload);
  }

  #receiveIp6(all: Uint8Array): void {
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    const end = 40 + view.getUint16(4);
    if (all.length < 40 || all[0] !== 0x60 || all[7] === 0 || end > all.length) {
      this.problems.push("a bad IPv6 header");
      return;
    }
    const [source, destination] = [text6(all, 8), text6(all, 24)];
    if (![this.address6, guestLinkLocal].includes(destination) && !destination.startsWith("ff02::")) {
      this.problems.push("a packet for another address");
      return;
    }
    let [next, payload] = [all[6], all.slice(40, end)];
    if (next === 44) {
      const fragment = view.getUint16(42);
      // In IPv4's form: offset in units of 8, the flag above.
      const asIpv4 = (fragment >> 3) | ((fragment & 1) << 13);
      const whole = this.#reassemble(view.getUint32(44) + 0x10000, asIpv4, payload.slice(8));
      next = payload[0];
      if (whole === undefined) return;
      payload = whole;
    }
    if (next !== 58) {
      this.#dispatch(next, source, destination, payload);
      return;
    }
    if (checksum(payload, pseudo(source, destination, 58, payload.length)) !== 0)
      this.problems.push("a bad ICMPv6 checksum");
    const [type, code] = payload;
    this.icmp6.push({ source, destination, type, code, hopLimit: all[7], body: payload.slice(4) });
  }

  #reassemble(id: number, fragment: number, payload: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
    const entry = this.#fragments.get(id) ?? { parts: new Map(), total: undefined };
    this.#fragments.set(id, entry);
    const offset = (fragment & 0x1fff) * 8;
    entry.parts.set(offset, payload);
    if ((fragment & 0x2000) === 0) entry.total = offset + payload.length;
    let have = 0;
    for (const part of entry.parts.values()) have += part.length;
    if (have !== entry.total) return undefined;
    this.#fragments.delete(id);
    const whole = new Uint8Array(have);
    for (const [at, part] of entry.parts) whole.set(part, at);
    return whole;
  }

  #dispatch(protocol: number, source: TestAddress, destination: TestAddress, payload: Uint8Array<ArrayBuffer>): void {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    if (protocol === 1 && typeof source === "number") {
      if (checksum(payload) !== 0) this.problems.push("a bad ICMP checksum");
      this.icmp.push({ source, type: payload[0], code: payload[1], body: payload.slice(4) });
      return;
    }
    if (checksum(payload, pseudo(source, destination, protocol, payload.length)) !== 0) {
      this.problems.push(`a bad checksum in protocol ${protocol}`);
      return;
    }
    if (protocol === 17) {
      const data = payload.slice(8);
      this.datagrams.push({ source, sourcePort: view.getUint16(0), destination, port: view.getUint16(2), data });
      return;
    }
    const sourcePort = view.getUint16(0);
    const port = view.getUint16(2);
    const headerBytes = (payload[12] >> 4) * 4;
    const flags = payload[13];
    const key = `${port},${source},${sourcePort}`;
    let connection = this.#connections.get(key);
    const accept = this.accepts.get(port);
    if (connection === undefined && (flags & (SYN | ACK)) === SYN && accept !== undefined) {
      connection = new GuestTcp(this, port, source, sourcePort);
      this.#connections.set(key, connection);
      connection.accept(view.getInt32(4), payload.subarray(20, headerBytes), view.getUint16(14));
      accept(connection);
      return;
    }
    if (connection === undefined) {
      if ((flags & SYN) !== 0)
        this.sendTcp(
          port,
          source,
          sourcePort,
          4 | ACK,
          0,
          (view.getInt32(4) + 1) | 0,
          0,
          new Uint8Array(0),
          new Uint8Array(0),
        );
      return;
    }
    connection.receive(
      flags,
      view.getInt32(4),
      view.getInt32(8),
      view.getUint16(14),
      payload.subarray(20, headerBytes),
      payload.slice(headerBytes),
    );
  }
}

export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Bytes that say where they belong. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
