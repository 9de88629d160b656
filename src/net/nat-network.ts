/**
 * A NAT network: the guest on one side as Ethernet frames, the host's sockets on the other. Router, name server and TFTP server
 * at .2, .3 and .4 as VirtualBox has them; TCP terminated and dialled again, UDP by flow, ICMP as far as sockets go.
 * IPv6 beside it where it is switched on (ipv6/router.ts), else its frames are counted and dropped. docs/network.md says what is modelled and what is not.
 *
 * One thread: `receiveFrame`, `resume` and the host's events come from the same event loop. What the guest sends is hostile.
 */

import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import {
  formatAddress,
  type IpAddress,
  isForeignUnicast,
  LIMITED_BROADCAST,
  LOOPBACK,
  type NatAddresses,
  natAddresses,
  sameAddress,
} from "./address.ts";
import { BufferPool } from "./buffer-pool.ts";
import { addToSum, foldSum, get16, put16, put32 } from "./bytes.ts";
import { natDhcpSettings } from "./dhcp/nat-settings.ts";
import { DhcpServer } from "./dhcp/server.ts";
import { DnsServer } from "./dns/server.ts";
import { ETHERNET_HEADER_BYTES, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "./ethernet.ts";
import { PortForwarding } from "./forwarding.ts";
import { Reassembler } from "./fragments.ts";
import type { FrameSink } from "./frame-output.ts";
import { GuestLink } from "./guest-link.ts";
import type { DialFailure, HostNetwork, HostTcpEvents, HostTcpStream } from "./host-network.ts";
import {
  ErrorRate,
  HOST_UNREACHABLE,
  Icmp,
  PORT_UNREACHABLE,
  PROHIBITED,
  PROTOCOL_UNREACHABLE,
  TIME_EXCEEDED,
  UNREACHABLE,
} from "./icmp.ts";
import { IPV4_HEADER_BYTES, Ipv4Header, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from "./ipv4.ts";
import { isForeignUnicast6, LOOPBACK6, type NatAddresses6, natAddresses6 } from "./ipv6/address.ts";
import { Ipv6Router } from "./ipv6/router.ts";
import { type ForwardingRule, type NatConfig, type NatLimits, natLimits } from "./nat-config.ts";
import type { TcpConnection } from "./tcp/connection.ts";
import { Tcp } from "./tcp/tcp.ts";
import { TftpServer } from "./tftp.ts";
import { Timers } from "./timers.ts";
import type { Transports, UdpOutcome } from "./transports.ts";
import { checkedUdpLength, UDP_HEADER_BYTES } from "./udp.ts";
import { UdpFlows } from "./udp-flows.ts";

const DEFAULT_MTU = 1500;
const MIN_MTU = 576;
const DEFAULT_WINDOW_KIB = 256;
const DHCP_SERVER_PORT = 67;
const DNS_PORT = 53;
/** VirtualBox's limits. */
const MIN_WINDOW_KIB = 8;
const MAX_WINDOW_KIB = 1024;

/** What went through and what was refused, since the start. */
export interface NatStatistics {
  framesIn: number;
  framesOut: number;
  /** Frames for the guest that it did not take. */
  framesLost: number;
  /** Frames that make no sense or are not for us. */
  dropped: number;
  /** Frames with IPv6, answered or not. */
  ipv6: number;
  connections: number;
  connectionsOpened: number;
  udpFlows: number;
  retransmissions: number;
  bufferBytes: number;
}

export class NatNetwork implements Transports {
  readonly addresses: NatAddresses;
  readonly #host: HostNetwork;
  readonly #config: NatConfig;
  readonly #timers: Timers;
  readonly #link: GuestLink;
  readonly #pool: BufferPool;
  readonly #tcp: Tcp;
  readonly #udp: UdpFlows;
  readonly #icmp: Icmp;
  readonly #router6: Ipv6Router | undefined;
  readonly #dhcp: DhcpServer;
  readonly #dns: DnsServer;
  readonly #tftp: TftpServer;
  readonly #forwarding: PortForwarding;
  readonly #reassembler = new Reassembler();
  readonly #header = new Ipv4Header();
  #framesIn = 0;
  #dropped = 0;
  #ipv6 = 0;
  #isClosed = false;

  /** `output` takes frames for the guest (see FrameSink). Throws if the settings name no network that NAT can work with. */
  constructor(config: NatConfig, host: HostNetwork, output: FrameSink, log: Logger, limits: NatLimits = natLimits) {
    const addresses = natAddresses(config.network, config.routerHost, config.loopbackHost);
    if (addresses === undefined)
      throw new AnneauError(`'${config.network}' is not a network for NAT (a.b.c.d/n, n from 8 to 27)`);
    this.addresses = addresses;
    this.#host = host;
    this.#config = config;
    const mtu = Math.min(DEFAULT_MTU, Math.max(MIN_MTU, config.mtu || DEFAULT_MTU));
    const windowBytes = (kib: number) =>
      Math.min(MAX_WINDOW_KIB, Math.max(MIN_WINDOW_KIB, kib || DEFAULT_WINDOW_KIB)) * 1024;
    this.#timers = new Timers(host);
    const nowMs = () => this.#timers.nowMs();
    this.#link = new GuestLink(addresses, mtu, output, nowMs, (mac) => addresses6For(config, mac));
    this.#pool = new BufferPool(limits.bufferBytes);
    this.#tcp = new Tcp(
      host,
      this.#link,
      this.#timers,
      this.#pool,
      {
        dial: (address, port, events) => this.#dial(address, port, events),
        unreachable: (connection) => this.#connectionUnreachable(connection),
      },
      {
        mtu,
        mtu6: this.#link.mtu6,
        sendBytes: windowBytes(config.tcpSendKiB),
        receiveBytes: windowBytes(config.tcpReceiveKiB),
        maxConnections: limits.connections,
        maxDialing: limits.dialing,
      },
    );
    this.#udp = new UdpFlows(host, this.#link, this.#timers, limits.udpFlows);
    const rate = new ErrorRate(nowMs);
    this.#icmp = new Icmp(this.#link, rate);
    const { addresses6 } = this.#link;
    if (addresses6 !== undefined && config.ipv6 !== undefined)
      this.#router6 = new Ipv6Router(this.#link, addresses6, config.ipv6.isDefaultRouter, rate, this.#timers, this);
    this.#dhcp = new DhcpServer(this.#link, natDhcpSettings(this.#link, config, host), nowMs, log);
    this.#dns = new DnsServer(this.#link, config, host, this.#timers);
    this.#tftp = new TftpServer(this.#link, host, this.#timers, log);
    this.#forwarding = new PortForwarding(host, this.#link, this.#tcp, log, () => this.#dhcp.guestAddress);
  }

  get dhcpServer(): DhcpServer {
    return this.#dhcp;
  }

  /** Ours, one for each of our addresses. */
  get macAddresses(): Uint8Array[] {
    return this.#link.macAddresses;
  }

  /** Listens on the ports that the settings forward. A port that cannot be had is said in the log; the rest works. */
  async start(log: Logger): Promise<void> {
    for (const rule of this.#config.forwarding) {
      try {
        await this.#forwarding.add(rule);
      } catch (error) {
        log.warn((error as Error).message);
      }
    }
  }

  /** The rules in force. */
  get forwarding(): readonly ForwardingRule[] {
    return this.#forwarding.rules;
  }

  /** Forwards one more port, at once. Rejects with one line if the host's port cannot be had or the rule clashes with another. */
  async addForwarding(rule: ForwardingRule): Promise<void> {
    await this.#forwarding.add(rule);
  }

  /** Ends a rule; connections that came through it go on. False: there is none of that name. */
  removeForwarding(name: string): boolean {
    return this.#forwarding.remove(name);
  }

  /** The guest's frame side has room again after it returned false. */
  resume(): void {
    this.#link.output.resume();
    if (!this.#link.output.isBlocked) this.#tcp.service();
  }

  /** The machine is paused: its silence means nothing, and no timer runs until `wake`. */
  pause(): void {
    this.#timers.stop();
  }

  wake(): void {
    this.#timers.start();
  }

  /** Lets go of every socket. Nothing is sent any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#forwarding.close();
    this.#tcp.close();
    this.#udp.close();
    this.#dns.close();
    this.#tftp.close();
    this.#router6?.close();
    this.#timers.stop();
  }

  get statistics(): NatStatistics {
    let retransmissions = 0;
    for (const { sender } of this.#tcp.connections()) retransmissions += sender.retransmissions;
    return {
      framesIn: this.#framesIn,
      framesOut: this.#link.output.sent,
      framesLost: this.#link.output.lost,
      dropped: this.#dropped + this.#tcp.badSegments,
      ipv6: this.#ipv6,
      connections: this.#tcp.connectionCount,
      connectionsOpened: this.#tcp.opened,
      udpFlows: this.#udp.size,
      retransmissions,
      bufferBytes: this.#pool.usedBytes,
    };
  }

  // --- frames of the guest ---

  /** One frame of the guest's, valid during the call. Never throws, whatever is in it. */
  receiveFrame(frame: Uint8Array): void {
    if (this.#isClosed) return;
    this.#framesIn++;
    if (frame.length < ETHERNET_HEADER_BYTES || !this.#link.isForUs(frame)) {
      this.#dropped++;
      return;
    }
    switch (get16(frame, 12)) {
      case TYPE_IPV4:
        this.#receiveIpv4(frame);
        return;
      case TYPE_ARP:
        this.#link.receiveArp(frame);
        return;
      case TYPE_IPV6:
        this.#ipv6++;
        if (this.#router6?.receive(frame) === false) this.#dropped++;
        return;
    }
    this.#dropped++;
  }

  #receiveIpv4(frame: Uint8Array): void {
    const at = ETHERNET_HEADER_BYTES;
    const header = this.#header;
    if (!header.parse(frame, at, frame.length - at)) {
      this.#dropped++;
      return;
    }
    const { source, headerBytes } = header;
    const isUnconfigured = source === 0 && header.protocol === PROTOCOL_UDP;
    if (!isUnconfigured) {
      if (!this.#link.isInNetwork(source) || this.#link.isOurs(source) || source === this.addresses.broadcast) {
        this.#dropped++;
        return;
      }
      this.#link.neighbours.learn(source, frame, 6);
    }
    const payloadAt = at + headerBytes;
    const length = header.totalBytes - headerBytes;
    if (!header.isFragment) {
      this.#receivePacket(frame, at, payloadAt, length);
      return;
    }
    const whole = this.#reassembler.take(header, frame, payloadAt, this.#timers.nowMs());
    if (whole === undefined) return;
    // Errors quote the header: it goes in front again.
    const packet = new Uint8Array(headerBytes + whole.bytes.length);
    packet.set(frame.subarray(at, at + headerBytes));
    packet.set(whole.bytes, headerBytes);
    this.#receivePacket(packet, 0, headerBytes, whole.bytes.length);
  }

  /** A whole packet: header at `at`, payload of `length` at `payloadAt`. */
  #receivePacket(packet: Uint8Array, at: number, payloadAt: number, length: number): void {
    const { protocol, source, destination, timeToLive } = this.#header;
    const isOurs = this.#link.isOurs(destination);
    if (!isOurs && timeToLive <= 1 && isForeignUnicast(destination)) {
      if (protocol !== PROTOCOL_ICMP || Icmp.mayAnswer(packet, payloadAt))
        this.#icmp.sendError(TIME_EXCEEDED, 0, packet, at, payloadAt - at, packet.length - at);
      return;
    }
    switch (protocol) {
      case PROTOCOL_TCP:
        if (this.#isSomewhere(destination)) this.receiveTcp(packet, payloadAt, length, source, destination);
        else this.#dropped++;
        return;
      case PROTOCOL_UDP:
        switch (this.receiveUdp(packet, payloadAt, length, source, destination)) {
          case "unreachable":
            this.#icmp.sendError(UNREACHABLE, PORT_UNREACHABLE, packet, at, payloadAt - at, packet.length - at);
            return;
          case "dropped":
            this.#dropped++;
        }
        return;
      case PROTOCOL_ICMP:
        if (isOurs) this.#icmp.receive(packet, payloadAt, length, source, destination);
        else if (this.#isSomewhere(destination) && Icmp.mayAnswer(packet, payloadAt)) {
          // Raw sockets need root and Node has no ping sockets: the guest is told instead of left waiting.
          this.#icmp.sendError(UNREACHABLE, PROHIBITED, packet, at, payloadAt - at, packet.length - at);
        }
        return;
    }
    if (this.#isSomewhere(destination))
      this.#icmp.sendError(UNREACHABLE, PROTOCOL_UNREACHABLE, packet, at, payloadAt - at, packet.length - at);
    else this.#dropped++;
  }

  /** An address that something may be sent to: ours, or a host's outside the guest's own network. */
  #isSomewhere(destination: number): boolean {
    if (this.#link.isInNetwork(destination)) return this.#link.isOurs(destination);
    return isForeignUnicast(destination);
  }

  /** The host's address behind one that the guest uses; undefined: there is nothing, or the guest may not. */
  #hostAddressOf(destination: IpAddress): IpAddress | undefined {
    if (typeof destination !== "number") {
      const loopback = this.#link.addresses6?.loopback;
      if (loopback?.equals(destination)) return LOOPBACK6;
      return this.#link.isInNetwork(destination) || !isForeignUnicast6(destination) ? undefined : destination;
    }
    if (destination === this.addresses.loopback) return this.#config.localhostReachable ? LOOPBACK : undefined;
    return this.#link.isInNetwork(destination) || !isForeignUnicast(destination) ? undefined : destination;
  }

  // --- of either family ---

  /** See Transports. */
  receiveTcp(packet: Uint8Array, at: number, length: number, source: IpAddress, destination: IpAddress): void {
    this.#tcp.receive(packet, at, length, source, destination);
  }

  /** See Transports. */
  receiveUdp(packet: Uint8Array, at: number, available: number, source: IpAddress, destination: IpAddress): UdpOutcome {
    const length = checkedUdpLength(packet, at, available, source, destination);
    if (length === undefined) return "dropped";
    const sourcePort = get16(packet, at);
    const port = get16(packet, at + 2);
    // Sockets keep what they are given, and the frame is not ours to keep.
    const data = packet.slice(at + UDP_HEADER_BYTES, at + length);
    const { gateway, tftp, broadcast } = this.addresses;
    const isBroadcast = destination === LIMITED_BROADCAST || destination === broadcast;
    if (typeof source === "number" && port === DHCP_SERVER_PORT && (isBroadcast || destination === gateway)) {
      if (this.#config.dhcp) this.#dhcp.receive(data, source);
      return "taken";
    }
    // Everything else is from somebody with an address, to one host, and the far end must be able to answer.
    if (source === 0 || isBroadcast || sourcePort === 0 || port === 0) return "dropped";
    if (port === DNS_PORT && this.#isNameServer(destination)) {
      this.#dns.receive(data, source, sourcePort, destination);
      return "taken";
    }
    if (typeof source === "number" && destination === tftp)
      if (this.#tftp.receive(data, source, sourcePort, port)) return "taken";
    if (this.#forwarding.receiveUdp(source, sourcePort, destination, port, data)) return "taken";
    const hostAddress = this.#hostAddressOf(destination);
    if (hostAddress === undefined) return this.#link.isOurs(destination) ? "unreachable" : "dropped";
    this.#udp.send(source, sourcePort, destination, port, hostAddress, data);
    return "taken";
  }

  #isNameServer(address: IpAddress): boolean {
    if (address === this.addresses.dns) return true;
    const { addresses6 } = this.#link;
    return addresses6 !== undefined && sameAddress(address, addresses6.dns);
  }

  // --- TCP's way out ---

  #dial(address: IpAddress, port: number, events: HostTcpEvents): HostTcpStream | DialFailure {
    if (port === DNS_PORT && this.#isNameServer(address)) return this.#dns.openStream(events);
    const hostAddress = this.#hostAddressOf(address);
    if (hostAddress === undefined || port === 0) return "refused";
    return this.#host.dialTcp(formatAddress(hostAddress), port, events);
  }

  /** ICMP's "host unreachable" about the SYN that is not answered; the SYN is gone, so its headers are made again. */
  #connectionUnreachable(connection: TcpConnection): void {
    const { guestAddress, remoteAddress } = connection;
    if (typeof guestAddress !== "number" || typeof remoteAddress !== "number") {
      this.#router6?.connectionUnreachable(connection);
      return;
    }
    const packet = new Uint8Array(IPV4_HEADER_BYTES + 8);
    packet[0] = 0x45;
    put16(packet, 2, IPV4_HEADER_BYTES + 20);
    packet[8] = 64;
    packet[9] = PROTOCOL_TCP;
    put32(packet, 12, guestAddress);
    put32(packet, 16, remoteAddress);
    put16(packet, 10, foldSum(addToSum(0, packet, 0, IPV4_HEADER_BYTES)));
    put16(packet, 20, connection.guestPort);
    put16(packet, 22, connection.remotePort);
    put32(packet, 24, (connection.receiver.nxt - 1) | 0);
    this.#icmp.sendError(UNREACHABLE, HOST_UNREACHABLE, packet, 0, IPV4_HEADER_BYTES, packet.length);
  }
}

/** Throws if the settings name no prefix that guests can have addresses in. */
function addresses6For({ ipv6, routerHost }: NatConfig, gatewayMac: Uint8Array): NatAddresses6 | undefined {
  if (ipv6 === undefined) return undefined;
  const addresses = natAddresses6(ipv6, routerHost, gatewayMac);
  if (addresses === undefined) throw new AnneauError(`'${ipv6.prefix}' is not a prefix for NAT (unicast, of 64 bits)`);
  return addresses;
}
