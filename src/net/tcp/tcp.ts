/**
 * TCP of the guest's network: finds the connection of a segment, answers those that belong to none, builds segments, and lets
 * connections that have something to do take turns. Memory and number of connections are bounded.
 */

import { type IpAddress, ipHeaderBytes, sameAddress } from "../address.ts";
import type { BufferPool } from "../buffer-pool.ts";
import { addToSum, foldSum, pseudoHeaderSum, put16, put32 } from "../bytes.ts";
import { ETHERNET_HEADER_BYTES } from "../ethernet.ts";
import type { GuestLink } from "../guest-link.ts";
import type { DialFailure, HostNetwork, HostTcpEvents, HostTcpStream } from "../host-network.ts";
import { PROTOCOL_TCP } from "../ipv4.ts";
import type { Timers } from "../timers.ts";
import { TcpConnection } from "./connection.ts";
import {
  ACK,
  MAX_SACK_BLOCKS,
  OPTION_MSS,
  OPTION_NOP,
  OPTION_SACK,
  OPTION_SACK_PERMITTED,
  OPTION_WINDOW_SCALE,
  RST,
  SYN,
  TCP_HEADER_BYTES,
  TcpSegment,
} from "./segment.ts";

const BUCKETS = 4096;
const EPHEMERAL_FIRST = 49_152;

export interface TcpSettings {
  /** Largest IPv4 and IPv6 packet on this network. */
  readonly mtu: number;
  readonly mtu6: number;
  /** Kept per connection towards the guest; a power of two is best. */
  readonly sendBytes: number;
  /** Largest window announced to the guest. */
  readonly receiveBytes: number;
  readonly maxConnections: number;
  /** Of those, how many may wait for an answer of the host's peer. */
  readonly maxDialing: number;
}

/** Who a segment is from and for. */
interface SegmentEnds {
  readonly guestAddress: IpAddress;
  readonly guestPort: number;
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
}

/** Where a connection of the guest's leads. */
export interface TcpDialer {
  /** A stream that tells `events`, or why there is none. */
  dial(remoteAddress: IpAddress, remotePort: number, events: HostTcpEvents): HostTcpStream | DialFailure;
  /** The host cannot be reached: the guest's kernel is told by ICMP. */
  unreachable(connection: TcpConnection): void;
}

export class Tcp {
  readonly settings: TcpSettings;
  readonly pool: BufferPool;
  readonly timers: Timers;
  /** Connections that were ever open; refused ones; SYNs passed over because there were too many connections. */
  opened = 0;
  refused = 0;
  overflows = 0;
  badSegments = 0;
  connectionCount = 0;
  /** Of those, the ones that wait for an answer of the host's peer. */
  dialing = 0;
  readonly #host: HostNetwork;
  readonly #link: GuestLink;
  readonly #dialer: TcpDialer;
  readonly #segment = new TcpSegment();
  readonly #sack = new Int32Array(2 * MAX_SACK_BLOCKS);
  readonly #buckets: (TcpConnection | undefined)[] = new Array(BUCKETS).fill(undefined);
  readonly #timeWaits = new Set<TcpConnection>();
  #ready: TcpConnection[] = [];
  #serving: TcpConnection[] = [];
  #isServiceDue = false;
  #isClosed = false;

  constructor(
    host: HostNetwork,
    link: GuestLink,
    timers: Timers,
    pool: BufferPool,
    dialer: TcpDialer,
    settings: TcpSettings,
  ) {
    this.#host = host;
    this.#link = link;
    this.timers = timers;
    this.pool = pool;
    this.#dialer = dialer;
    this.settings = settings;
  }

  nowMs(): number {
    return this.timers.nowMs();
  }
  initialSequence(): number {
    return this.#host.random32() | 0;
  }
  get isBlocked(): boolean {
    return this.#link.output.isBlocked;
  }

  // --- from the guest ---

  /** A TCP segment of the guest's: `length` bytes at `at` of `packet`. */
  receive(packet: Uint8Array, at: number, length: number, source: IpAddress, destination: IpAddress): void {
    const sum = addToSum(pseudoHeaderSum(source, destination, PROTOCOL_TCP, length), packet, at, length);
    const segment = this.#segment;
    if (foldSum(sum) !== 0 || !segment.parse(packet, at, length)) {
      this.badSegments++;
      return;
    }
    const { sourcePort, destinationPort } = segment;
    const hash = hashOf(source, sourcePort, destination, destinationPort);
    let connection = this.#find(hash, source, sourcePort, destination, destinationPort);
    const isNew = (segment.flags & (SYN | ACK | RST)) === SYN;
    if (connection !== undefined && isNew && connection.canBeReplaced(segment)) {
      connection.abort();
      connection = undefined;
    }
    if (connection !== undefined) connection.receive(segment, packet, this.timers.nowMs());
    else if (isNew) this.#open(segment, hash, source, destination);
    else if ((segment.flags & RST) === 0)
      this.#resetSegment(segment, {
        guestAddress: source,
        guestPort: sourcePort,
        remoteAddress: destination,
        remotePort: destinationPort,
      });
  }

  #open(segment: TcpSegment, hash: number, source: IpAddress, destination: IpAddress): void {
    if (!this.#makeRoom()) return;
    const { sourcePort, destinationPort } = segment;
    const connection = new TcpConnection(this, "dialing", hash, source, sourcePort, destination, destinationPort);
    connection.takeSyn(segment);
    const stream = this.#dialer.dial(destination, destinationPort, connection);
    if (typeof stream === "string") {
      this.dialFailed(connection, stream);
      return;
    }
    this.#insert(connection);
    this.dialing++;
    connection.stream = stream;
    this.ready(connection);
  }

  /** Room for one more connection; the oldest of those that only wait for late segments goes first. */
  #makeRoom(): boolean {
    const { maxConnections, maxDialing } = this.settings;
    if (this.connectionCount >= maxConnections) {
      const [oldest] = this.#timeWaits;
      oldest?.abort();
    }
    if (this.connectionCount < maxConnections && this.dialing < maxDialing) return true;
    this.overflows++;
    return false;
  }

  /** Opens a connection to the guest; undefined if there are too many. */
  connect(
    guestAddress: IpAddress,
    guestPort: number,
    remoteAddress: IpAddress,
    wantedRemotePort: number,
  ): TcpConnection | undefined {
    if (this.#isClosed || !this.#makeRoom()) return undefined;
    let remotePort = wantedRemotePort;
    for (let tries = 0; tries < 64; tries++) {
      const hash = hashOf(guestAddress, guestPort, remoteAddress, remotePort);
      if (this.#find(hash, guestAddress, guestPort, remoteAddress, remotePort) === undefined) {
        const connection = new TcpConnection(this, "synSent", hash, guestAddress, guestPort, remoteAddress, remotePort);
        this.#insert(connection);
        this.ready(connection);
        return connection;
      }
      remotePort = EPHEMERAL_FIRST + ((this.#host.random32() >>> 0) % (65_536 - EPHEMERAL_FIRST));
    }
    return undefined;
  }

  // --- the table ---

  #find(hash: number, guest: IpAddress, guestPort: number, remote: IpAddress, remotePort: number) {
    let connection = this.#buckets[hash];
    while (
      connection !== undefined &&
      (connection.guestPort !== guestPort ||
        connection.remotePort !== remotePort ||
        !sameAddress(connection.remoteAddress, remote) ||
        !sameAddress(connection.guestAddress, guest))
    )
      connection = connection.nextInBucket;
    return connection;
  }

  #insert(connection: TcpConnection): void {
    connection.nextInBucket = this.#buckets[connection.hash];
    this.#buckets[connection.hash] = connection;
    this.connectionCount++;
  }

  /** Called by a connection that is over. */
  forget(connection: TcpConnection): void {
    this.timers.cancel(connection);
    this.#timeWaits.delete(connection);
    let before: TcpConnection | undefined;
    let at = this.#buckets[connection.hash];
    while (at !== undefined && at !== connection) {
      before = at;
      at = at.nextInBucket;
    }
    if (at === undefined) return;
    if (before === undefined) this.#buckets[connection.hash] = connection.nextInBucket;
    else before.nextInBucket = connection.nextInBucket;
    this.connectionCount--;
  }

  enteredTimeWait(connection: TcpConnection): void {
    this.#timeWaits.add(connection);
  }

  /** All connections, for tests and for the end. */
  *connections(): Generator<TcpConnection> {
    for (const first of this.#buckets)
      for (let connection = first; connection !== undefined; ) {
        const { nextInBucket }: TcpConnection = connection;
        yield connection;
        connection = nextInBucket;
      }
  }

  /** Ends everything; nothing is sent to the guest. */
  close(): void {
    this.#isClosed = true;
    for (const connection of [...this.connections()]) connection.abort();
  }

  // --- taking turns ---

  /** The connection has something to send or to hand over: it gets a turn when the current batch of work is over. */
  ready(connection: TcpConnection): void {
    if (connection.isReady || connection.phase === "closed") return;
    connection.isReady = true;
    this.#ready.push(connection);
    if (this.#isServiceDue || this.isBlocked) return;
    this.#isServiceDue = true;
    this.#host.defer(() => this.service());
  }

  /** Serves all that are ready, in order, until the guest's side has no room. */
  service(): void {
    this.#isServiceDue = false;
    if (this.isBlocked) return;
    const nowMs = this.timers.nowMs();
    const batch = this.#ready;
    this.#ready = this.#serving;
    this.#serving = batch;
    for (let i = 0; i < batch.length; i++) {
      const connection = batch[i];
      connection.isReady = false;
      if (connection.service(nowMs)) continue;
      // No room: this one and those behind it wait, before any that has become ready meanwhile.
      const waiting = batch.slice(i);
      connection.isReady = true;
      for (const later of this.#ready) if (later !== connection) waiting.push(later);
      this.#ready = waiting;
      batch.length = 0;
      return;
    }
    batch.length = 0;
  }

  // --- towards the guest ---

  /** Largest segment that a packet to that address has room for. */
  mssTo(guest: IpAddress): number {
    const { mtu, mtu6 } = this.settings;
    return (typeof guest === "number" ? mtu : mtu6) - ipHeaderBytes(guest) - TCP_HEADER_BYTES;
  }

  /** Sends a SYN or SYN|ACK with our options. False: no room. */
  sendSyn(connection: TcpConnection, flags: number, seq: number, withScale: boolean, withSack: boolean): boolean {
    const { bytes } = this.#link.output;
    const tcpAt = tcpAtFor(connection.guestAddress);
    let at = tcpAt + TCP_HEADER_BYTES;
    bytes[at] = OPTION_MSS;
    bytes[at + 1] = 4;
    put16(bytes, at + 2, this.mssTo(connection.guestAddress));
    at += 4;
    if (withSack) {
      bytes[at] = bytes[at + 1] = OPTION_NOP;
      bytes[at + 2] = OPTION_SACK_PERMITTED;
      bytes[at + 3] = 2;
      at += 4;
    }
    const { receiver } = connection;
    if (withScale) {
      // The guest's answer decides whether it counts: until then the shift is that of the largest window.
      if (connection.phase === "synSent") receiver.setScaling(true);
      bytes[at] = OPTION_NOP;
      bytes[at + 1] = OPTION_WINDOW_SCALE;
      bytes[at + 2] = 3;
      bytes[at + 3] = receiver.windowShift;
      at += 4;
    }
    const window = connection.phase === "synSent" ? this.settings.receiveBytes : receiver.announce();
    const ack = (flags & ACK) !== 0 ? receiver.nxt : 0;
    return this.#finish(connection, flags, seq, ack, Math.min(window, 0xffff), at - tcpAt, 0);
  }

  /** Sends `length` bytes that lie at `distance` in the connection's send buffer. False: no room. */
  sendSegment(
    connection: TcpConnection,
    flags: number,
    seq: number,
    window: number,
    distance: number,
    length: number,
    sackLimit: number,
  ): boolean {
    if (this.isBlocked) return false;
    const { bytes } = this.#link.output;
    const tcpAt = tcpAtFor(connection.guestAddress);
    let at = tcpAt + TCP_HEADER_BYTES;
    if (sackLimit > 0) {
      const blocks = connection.receiver.sackBlocks(this.#sack, sackLimit);
      bytes[at] = bytes[at + 1] = OPTION_NOP;
      bytes[at + 2] = OPTION_SACK;
      bytes[at + 3] = 2 + 8 * blocks;
      at += 4;
      for (let i = 0; i < 2 * blocks; i++, at += 4) put32(bytes, at, this.#sack[i]);
    }
    if (length > 0) connection.sender.ring.read(distance, bytes, at, length);
    return this.#finish(connection, flags, seq, connection.receiver.nxt, window, at - tcpAt, length);
  }

  #finish(
    connection: TcpConnection,
    flags: number,
    seq: number,
    ack: number,
    window: number,
    headerBytes: number,
    length: number,
  ): boolean {
    connection.neighbour ??= this.#link.neighbours.find(connection.guestAddress);
    if (connection.neighbour === undefined || !connection.neighbour.isKnown) {
      // Asked for; the segment is lost and comes again by time-out.
      connection.neighbour = this.#link.resolve(connection.guestAddress);
      return true;
    }
    const { mac } = connection.neighbour;
    return this.#link.output.send(this.#write(connection, mac, flags, seq, ack, window, headerBytes, length));
  }

  /** Completes the frame whose options and data are in place; its length. */
  #write(
    ends: SegmentEnds,
    mac: Uint8Array,
    flags: number,
    seq: number,
    ack: number,
    window: number,
    headerBytes: number,
    length: number,
  ): number {
    const { bytes } = this.#link.output;
    const { guestAddress, remoteAddress } = ends;
    const tcpAt = tcpAtFor(guestAddress);
    put16(bytes, tcpAt, ends.remotePort);
    put16(bytes, tcpAt + 2, ends.guestPort);
    put32(bytes, tcpAt + 4, seq);
    put32(bytes, tcpAt + 8, ack);
    bytes[tcpAt + 12] = (headerBytes / 4) << 4;
    bytes[tcpAt + 13] = flags;
    put16(bytes, tcpAt + 14, window);
    put32(bytes, tcpAt + 16, 0);
    const tcpBytes = headerBytes + length;
    const pseudo = pseudoHeaderSum(remoteAddress, guestAddress, PROTOCOL_TCP, tcpBytes);
    put16(bytes, tcpAt + 16, foldSum(addToSum(pseudo, bytes, tcpAt, tcpBytes)));
    this.#link.writeHeaders(mac, remoteAddress, guestAddress, PROTOCOL_TCP, tcpBytes);
    return tcpAt + tcpBytes;
  }

  /** A segment without data that waits for room if it has to; lost if nobody knows where the guest is. */
  #sendBare(ends: SegmentEnds, flags: number, seq: number, ack: number): void {
    const neighbour = this.#link.neighbours.find(ends.guestAddress);
    if (neighbour === undefined || !neighbour.isKnown) return;
    this.#link.output.sendOrQueue(this.#write(ends, neighbour.mac, flags, seq, ack, 0, TCP_HEADER_BYTES, 0));
  }

  /** RST for a connection that ends on our side. */
  sendReset(connection: TcpConnection): void {
    if (this.#isClosed) return;
    const { sender, receiver } = connection;
    if (connection.phase === "synSent") this.#sendBare(connection, RST, sender.nxt, 0);
    else this.#sendBare(connection, RST | ACK, sender.nxt, receiver.nxt);
  }

  /** Answers a segment that does not fit its half-open connection. */
  resetFor(segment: TcpSegment, connection: TcpConnection): void {
    this.#resetSegment(segment, connection);
  }

  /** The answer to a segment that belongs to no connection (RFC 9293, 3.5.2). */
  #resetSegment(segment: TcpSegment, ends: SegmentEnds): void {
    if ((segment.flags & ACK) !== 0) this.#sendBare(ends, RST, segment.ack, 0);
    else this.#sendBare(ends, RST | ACK, 0, (segment.seq + segment.seqLength) | 0);
  }

  /** The dialled peer cannot be had: the guest sees what we saw. */
  dialFailed(connection: TcpConnection, reason: DialFailure): void {
    this.refused++;
    if (reason === "unreachable" || reason === "timeout") this.#dialer.unreachable(connection);
    else if (reason === "refused") this.#sendBare(connection, RST | ACK, 0, connection.receiver.nxt);
  }
}

/** Where the TCP header is in frames to that address. */
function tcpAtFor(guest: IpAddress): number {
  return ETHERNET_HEADER_BYTES + ipHeaderBytes(guest);
}

function bitsOf(address: IpAddress): number {
  return typeof address === "number" ? address : address.hash;
}

function hashOf(guest: IpAddress, guestPort: number, remote: IpAddress, remotePort: number): number {
  let hash = Math.imul(bitsOf(guest) ^ (guestPort << 16) ^ remotePort, 0x9e3779b1) ^ bitsOf(remote);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) & (BUCKETS - 1);
}
