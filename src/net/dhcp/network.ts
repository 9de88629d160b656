/**
 * A DHCP server that stands on a network by itself, as VirtualBox's on internal networks: it answers DHCP and BOOTP, ARP and ping at
 * its address and nothing else. Requests in fragments are not put together: no client sends them so.
 */
import { AnneauError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { isForeignUnicast, LIMITED_BROADCAST, parseIpv4 } from "../address.ts";
import { get16 } from "../bytes.ts";
import { ETHERNET_HEADER_BYTES, TYPE_ARP, TYPE_IPV4 } from "../ethernet.ts";
import type { FrameSink } from "../frame-output.ts";
import { GuestLink } from "../guest-link.ts";
import { ErrorRate, Icmp } from "../icmp.ts";
import { Ipv4Header, PROTOCOL_ICMP, PROTOCOL_UDP } from "../ipv4.ts";
import { checkedUdpLength, UDP_HEADER_BYTES } from "../udp.ts";
import { type DhcpOption, numberValue, OPTION_MASK } from "./message.ts";
import { DhcpServer } from "./server.ts";

const MTU = 1500;
const SERVER_PORT = 67;
/** VirtualBox's. */
const DEFAULT_LEASE_SECONDS = 600;
/** Of a larger range the first so many are given out. */
const MAX_LEASES = 1024;
const SHORTEST_PREFIX = 8;
const LONGEST_PREFIX = 30;

/** What some client or everybody is told. */
export interface DhcpClientSettings {
  /** Undefined: as everybody, 600 where that says nothing. */
  readonly leaseSeconds?: number;
  readonly options: ReadonlyMap<number, Uint8Array>;
}

export interface DhcpRange {
  readonly server: string;
  readonly mask: string;
  readonly lower: string;
  readonly upper: string;
}

export interface DhcpNetworkSettings extends DhcpRange {
  readonly everybody: DhcpClientSettings;
  /** By Ethernet address, `08:00:27:01:02:03`. */
  readonly clients: ReadonlyMap<string, DhcpClientSettings & { readonly fixedAddress?: string }>;
}

interface Range {
  readonly server: number;
  readonly mask: number;
  readonly prefixLength: number;
  readonly lower: number;
  readonly upper: number;
}

/** What is wrong with a range, in one line; undefined: nothing. */
export function rangeProblem(range: DhcpRange): string | undefined {
  const checked = checkRange(range);
  return typeof checked === "string" ? checked : undefined;
}

function checkRange(texts: DhcpRange): Range | string {
  const [server, mask, lower, upper] = [texts.server, texts.mask, texts.lower, texts.upper].map(parseIpv4);
  if (server === undefined) return `'${texts.server}' is not an address`;
  if (mask === undefined) return `'${texts.mask}' is not a network mask`;
  if (lower === undefined) return `'${texts.lower}' is not an address`;
  if (upper === undefined) return `'${texts.upper}' is not an address`;
  const prefixLength = Math.clz32(~mask);
  if (mask !== -1 << (32 - prefixLength) || prefixLength < SHORTEST_PREFIX || prefixLength > LONGEST_PREFIX)
    return `'${texts.mask}' is not the mask of a network with room for guests`;
  const network = server & mask;
  if (!isForeignUnicast(network)) return `the server cannot have the address ${texts.server}`;
  const isHost = (address: number) =>
    (address & mask) === network && address !== network && address !== (network | ~mask);
  for (const address of [server, lower, upper])
    if ((address & mask) !== network) return `${texts.lower} to ${texts.upper} is not in the server's network`;
  if (!isHost(server)) return `the server cannot have the address ${texts.server}`;
  if (lower >>> 0 > upper >>> 0) return `the range ends at ${texts.upper}, before it begins`;
  return { server, mask, prefixLength, lower, upper };
}

export class DhcpNetwork {
  readonly server: DhcpServer;
  readonly #link: GuestLink;
  readonly #icmp: Icmp;
  readonly #header = new Ipv4Header();

  /** `nowMs` is the clock of leases. Throws one line if the settings make no network. */
  constructor(settings: DhcpNetworkSettings, output: FrameSink, nowMs: () => number, log: Logger) {
    const range = checkRange(settings);
    if (typeof range === "string") throw new AnneauError(range);
    const { server, mask, prefixLength, lower, upper } = range;
    const network = server & mask;
    const broadcast = network | ~mask;
    this.#link = new GuestLink(
      {
        network,
        mask,
        prefixLength,
        broadcast,
        gateway: server,
        loopback: server,
        dns: server,
        tftp: server,
        firstLease: lower,
      },
      MTU,
      output,
      nowMs,
    );
    this.#icmp = new Icmp(this.#link, new ErrorRate(nowMs));
    const mayGive = (address: number) =>
      (address & mask) === network && address !== network && address !== broadcast && address !== server;
    const pool: number[] = [];
    for (let address = lower; pool.length < MAX_LEASES && address >>> 0 <= upper >>> 0; address++)
      if (mayGive(address)) pool.push(address);
    const fixed = new Map<string, number>();
    for (const [mac, { fixedAddress }] of settings.clients) {
      if (fixedAddress === undefined) continue;
      const address = parseIpv4(fixedAddress);
      if (address === undefined || !mayGive(address) || [...fixed.values()].includes(address))
        log.warn(`DHCP: ${fixedAddress} cannot be the address of ${mac}`);
      else fixed.set(mac, address);
    }
    const answerFor = (mac: string) => {
      const own = settings.clients.get(mac);
      const options = new Map<number, Uint8Array>([
        [OPTION_MASK, numberValue(mask)],
        ...settings.everybody.options,
        ...(own?.options ?? []),
      ]);
      const leaseSeconds = own?.leaseSeconds ?? settings.everybody.leaseSeconds ?? DEFAULT_LEASE_SECONDS;
      const list: DhcpOption[] = [...options];
      return { nextServer: server, file: "", leaseSeconds, options: list };
    };
    this.server = new DhcpServer(this.#link, { pool, fixed, evicts: "expired", answerFor }, nowMs, log);
  }

  get macAddresses(): Uint8Array[] {
    return [this.#link.macAddresses[0]];
  }

  /** One frame from the network, valid during the call. Never throws, whatever is in it. */
  receiveFrame(frame: Uint8Array): void {
    if (frame.length < ETHERNET_HEADER_BYTES || !this.#link.isForUs(frame)) return;
    const type = get16(frame, 12);
    if (type === TYPE_ARP) this.#link.receiveArp(frame);
    else if (type === TYPE_IPV4) this.#receiveIpv4(frame);
  }

  #receiveIpv4(frame: Uint8Array): void {
    const at = ETHERNET_HEADER_BYTES;
    const header = this.#header;
    if (!header.parse(frame, at, frame.length - at) || header.isFragment) return;
    const { source, destination, protocol } = header;
    const { gateway, broadcast } = this.#link.addresses;
    if (source !== 0) {
      if (!this.#link.isInNetwork(source) || source === gateway || source === broadcast) return;
      this.#link.neighbours.learn(source, frame, 6);
    }
    const payloadAt = at + header.headerBytes;
    const length = header.totalBytes - header.headerBytes;
    if (protocol === PROTOCOL_ICMP && destination === gateway && source !== 0) {
      this.#icmp.receive(frame, payloadAt, length, source, destination);
      return;
    }
    const isForUs = destination === gateway || destination === broadcast || destination === LIMITED_BROADCAST;
    if (protocol !== PROTOCOL_UDP || !isForUs) return;
    const udpBytes = checkedUdpLength(frame, payloadAt, length, source, destination);
    if (udpBytes === undefined || get16(frame, payloadAt + 2) !== SERVER_PORT) return;
    this.server.receive(frame.slice(payloadAt + UDP_HEADER_BYTES, payloadAt + udpBytes), source);
  }
}
