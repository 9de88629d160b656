/**
 * The NAT network's DHCP server: .15 to the first client, .16 and on to others behind the same wire. Answers BOOTP too. Offers
 * the boot file and the TFTP server to everybody, as VirtualBox does; who does not boot from the network ignores them.
 */
import type { Logger } from "../../base/logger.ts";
import { formatIpv4, isLoopback, LIMITED_BROADCAST, parseIpv4 } from "../address.ts";
import { broadcastMac, formatMac } from "../ethernet.ts";
import type { GuestLink } from "../guest-link.ts";
import type { HostNetwork } from "../host-network.ts";
import type { NatConfig } from "../nat-config.ts";
import {
  ACK,
  addressOption,
  addressValue,
  buildReply,
  DECLINE,
  type DhcpReply,
  type DhcpRequest,
  DISCOVER,
  INFORM,
  NAK,
  numberValue,
  OFFER,
  OPTION_BOOT_FILE,
  OPTION_BROADCAST,
  OPTION_DOMAIN,
  OPTION_LEASE_TIME,
  OPTION_MASK,
  OPTION_MESSAGE_TYPE,
  OPTION_MTU,
  OPTION_NAME_SERVERS,
  OPTION_REBINDING_TIME,
  OPTION_RENEWAL_TIME,
  OPTION_REQUESTED_ADDRESS,
  OPTION_ROUTER,
  OPTION_SERVER,
  OPTION_TFTP_NAME,
  parseRequest,
  RELEASE,
  REQUEST,
  shortValue,
  textValue,
  wantsBroadcast,
} from "./message.ts";

const LEASE_SECONDS = 86_400;
const LEASES = 16;
const SERVER_PORT = 67;
const CLIENT_PORT = 68;
const DEFAULT_MTU = 1500;
const MAX_NAME_SERVERS = 4;
/** An address that a client found in use is not offered again for so long. */
const DECLINED_MS = 600_000;

interface Lease {
  readonly address: number;
  mac: string;
  /** Last time that the client was heard of; the lease that is silent longest goes to a newcomer. */
  lastMs: number;
  declinedUntilMs: number;
}

export class DhcpServer {
  readonly #link: GuestLink;
  readonly #config: NatConfig;
  readonly #host: HostNetwork;
  readonly #nowMs: () => number;
  readonly #log: Logger;
  readonly #leases: Lease[];
  #latest: number;

  constructor(link: GuestLink, config: NatConfig, host: HostNetwork, nowMs: () => number, log: Logger) {
    this.#link = link;
    this.#config = config;
    this.#host = host;
    this.#nowMs = nowMs;
    this.#log = log;
    const { firstLease } = link.addresses;
    this.#leases = Array.from({ length: LEASES }, (_, i) => ({
      address: firstLease + i,
      mac: "",
      lastMs: Number.NEGATIVE_INFINITY,
      declinedUntilMs: Number.NEGATIVE_INFINITY,
    }));
    this.#latest = firstLease;
  }

  /** The guest: who got a lease last, else who will get the first. */
  get guestAddress(): number {
    return this.#latest;
  }

  /** A datagram to the server's port. */
  receive(data: Uint8Array, source: number): void {
    const request = parseRequest(data);
    if (request === undefined || request.relayAddress !== 0) return;
    const mac = formatMac(request.mac);
    const { gateway } = this.#link.addresses;
    const server = addressOption(request, OPTION_SERVER);
    switch (request.type) {
      case 0:
      case DISCOVER: {
        const { address } = this.#leaseFor(mac);
        this.#reply(request, request.type === 0 ? 0 : OFFER, address);
        if (request.type === 0) this.#bound(address, mac);
        return;
      }
      case REQUEST: {
        // Chosen somebody else's offer.
        if (server !== undefined && server !== gateway) return;
        const wanted = addressOption(request, OPTION_REQUESTED_ADDRESS) ?? request.clientAddress;
        const lease = this.#leaseFor(mac, wanted);
        if (lease.address !== wanted) {
          this.#reply(request, NAK, 0);
          return;
        }
        this.#bound(wanted, mac);
        this.#reply(request, ACK, wanted);
        return;
      }
      case INFORM:
        if (request.clientAddress === source && this.#link.isInNetwork(source)) this.#reply(request, ACK, 0);
        return;
      case DECLINE: {
        const lease = this.#leases.find((one) => one.mac === mac);
        if (lease === undefined) return;
        lease.mac = "";
        lease.declinedUntilMs = this.#nowMs() + DECLINED_MS;
        return;
      }
      case RELEASE: {
        const lease = this.#leases.find((one) => one.mac === mac);
        // Kept for the same client, but first to go.
        if (lease !== undefined) lease.lastMs = Number.NEGATIVE_INFINITY;
        return;
      }
    }
  }

  /** The client's lease: its own, the one that it asks for (it had it before a restart of ours), a free one, the stalest. */
  #leaseFor(mac: string, wanted?: number): Lease {
    const nowMs = this.#nowMs();
    const own = this.#leases.find((lease) => lease.mac === mac);
    const free = (lease: Lease) => lease.mac === "" && lease.declinedUntilMs <= nowMs;
    const lease =
      own ??
      this.#leases.find((one) => one.address === wanted && free(one)) ??
      this.#leases.find(free) ??
      this.#leases.reduce((a, b) => (b.lastMs < a.lastMs ? b : a));
    lease.mac = mac;
    lease.lastMs = nowMs;
    return lease;
  }

  #bound(address: number, mac: string): void {
    if (this.#latest !== address || this.#link.neighbours.find(address) === undefined)
      this.#log.info(`NAT: ${formatIpv4(address)} leased to ${mac}`);
    this.#latest = address;
  }

  #reply(request: DhcpRequest, type: number, address: number): void {
    const { gateway } = this.#link.addresses;
    const isNak = type === NAK;
    const { tftpServer, bootFile } = this.#config;
    const nextServer = parseIpv4(tftpServer) ?? this.#link.addresses.tftp;
    const reply: DhcpReply = {
      yourAddress: address,
      nextServer: isNak ? 0 : nextServer,
      file: isNak ? "" : bootFile,
      options: isNak
        ? [
            [OPTION_MESSAGE_TYPE, Uint8Array.of(NAK)],
            [OPTION_SERVER, addressValue(gateway)],
          ]
        : this.#options(type, nextServer),
    };
    const bytes = buildReply(request, reply);
    const answersAt = request.clientAddress;
    if (answersAt !== 0 && !isNak && this.#link.isInNetwork(answersAt)) {
      this.#link.sendUdp(gateway, SERVER_PORT, answersAt, CLIENT_PORT, bytes, request.mac);
      return;
    }
    const isBroadcast = isNak || wantsBroadcast(request) || address === 0;
    const destination = isBroadcast ? LIMITED_BROADCAST : address;
    this.#link.sendUdp(gateway, SERVER_PORT, destination, CLIENT_PORT, bytes, isBroadcast ? broadcastMac : request.mac);
  }

  #options(type: number, nextServer: number): [number, Uint8Array][] {
    const { gateway, mask, broadcast } = this.#link.addresses;
    const { tftpServer, bootFile, passDomain } = this.#config;
    const options: [number, Uint8Array][] = [];
    if (type !== 0) options.push([OPTION_MESSAGE_TYPE, Uint8Array.of(type)], [OPTION_SERVER, addressValue(gateway)]);
    options.push(
      [OPTION_MASK, numberValue(mask)],
      [OPTION_ROUTER, addressValue(gateway)],
      [OPTION_NAME_SERVERS, addressValue(...this.#nameServers())],
      [OPTION_BROADCAST, addressValue(broadcast)],
    );
    if (type !== 0)
      options.push(
        [OPTION_LEASE_TIME, numberValue(LEASE_SECONDS)],
        [OPTION_RENEWAL_TIME, numberValue(LEASE_SECONDS / 2)],
        [OPTION_REBINDING_TIME, numberValue((LEASE_SECONDS * 7) / 8)],
      );
    const domain = passDomain ? this.#host.searchDomain() : undefined;
    if (domain !== undefined) options.push([OPTION_DOMAIN, textValue(domain)]);
    if (this.#link.mtu !== DEFAULT_MTU) options.push([OPTION_MTU, shortValue(this.#link.mtu)]);
    if (bootFile !== "") {
      const server = tftpServer === "" ? formatIpv4(nextServer) : tftpServer;
      options.push([OPTION_TFTP_NAME, textValue(server)], [OPTION_BOOT_FILE, textValue(bootFile)]);
    }
    return options;
  }

  /** The host's own name servers where the guest can reach them, else ours, which can reach them all. */
  #nameServers(): number[] {
    const { dns } = this.#link.addresses;
    if (this.#config.dnsProxy || this.#config.dnsHostResolver) return [dns];
    const usable: number[] = [];
    for (const text of this.#host.nameServers()) {
      const address = parseIpv4(text);
      // One on another port, on IPv6 or on the host's loopback can only be had through us; so can its order.
      if (address === undefined || isLoopback(address) || this.#link.isInNetwork(address)) return [dns];
      usable.push(address);
    }
    return usable.length > 0 ? usable.slice(0, MAX_NAME_SERVERS) : [dns];
  }
}
