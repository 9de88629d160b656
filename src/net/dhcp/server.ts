/**
 * A DHCP server (RFC 2131): NAT's, and that of internal networks. What it gives out comes from its settings; who has what is kept here.
 * Answers BOOTP too. Relays are not served.
 */
import type { Logger } from "../../base/logger.ts";
import { formatIpv4, LIMITED_BROADCAST } from "../address.ts";
import { broadcastMac, formatMac } from "../ethernet.ts";
import type { GuestLink } from "../guest-link.ts";
import {
  ACK,
  addressOption,
  addressValue,
  buildReply,
  DECLINE,
  type DhcpOption,
  type DhcpRequest,
  DISCOVER,
  INFORM,
  NAK,
  numberValue,
  OFFER,
  OPTION_LEASE_TIME,
  OPTION_MESSAGE_TYPE,
  OPTION_REBINDING_TIME,
  OPTION_RENEWAL_TIME,
  OPTION_REQUESTED_ADDRESS,
  OPTION_SERVER,
  parseRequest,
  RELEASE,
  REQUEST,
  wantsBroadcast,
} from "./message.ts";

const SERVER_PORT = 67;
const CLIENT_PORT = 68;
/** An address that a client found in use is not offered again for so long. */
const DECLINED_MS = 600_000;
/** An offer that nobody takes is forgotten after so long. */
const OFFERED_MS = 60_000;

/** What a client is told beside its address. */
export interface DhcpAnswer {
  readonly nextServer: number;
  /** File to boot; empty: none. */
  readonly file: string;
  readonly leaseSeconds: number;
  /** Beside message type, server and lease times. */
  readonly options: readonly DhcpOption[];
}

export interface DhcpSettings {
  /** Addresses to give out, in this order. */
  readonly pool: readonly number[];
  /** Addresses that belong to one client, by its Ethernet address as `formatMac` writes it. They may lie in the pool. */
  readonly fixed: ReadonlyMap<string, number>;
  /**
   * What happens to a newcomer when all addresses are taken: it gets the one whose client was silent longest, or only one
   * whose lease has expired, else no answer.
   */
  readonly evicts: "stalest" | "expired";
  answerFor(mac: string): DhcpAnswer;
}

/** A lease as it is kept from one server to the next. Times are of the server's clock. */
export interface DhcpLease {
  readonly mac: string;
  readonly address: number;
  readonly issuedMs: number;
  readonly seconds: number;
}

interface Lease {
  readonly address: number;
  /** The only client that may have it; empty: anybody. */
  readonly owner: string;
  mac: string;
  /** Acknowledged, not only offered. */
  isBound: boolean;
  /** Last time that the client was heard of. */
  lastMs: number;
  seconds: number;
  declinedUntilMs: number;
}

function newLease(address: number, owner: string): Lease {
  const never = Number.NEGATIVE_INFINITY;
  return { address, owner, mac: "", isBound: false, lastMs: never, seconds: 0, declinedUntilMs: never };
}

export class DhcpServer {
  readonly #link: GuestLink;
  readonly #settings: DhcpSettings;
  readonly #nowMs: () => number;
  readonly #log: Logger;
  readonly #leases: readonly Lease[];
  #latest: number;
  /** Told when a lease was given or given back. */
  onChange: () => void = () => {};

  constructor(link: GuestLink, settings: DhcpSettings, nowMs: () => number, log: Logger) {
    this.#link = link;
    this.#settings = settings;
    this.#nowMs = nowMs;
    this.#log = log;
    const owned = new Set(settings.fixed.values());
    this.#leases = [
      ...Array.from(settings.fixed, ([mac, address]) => newLease(address, mac)),
      ...settings.pool.filter((address) => !owned.has(address)).map((address) => newLease(address, "")),
    ];
    this.#latest = settings.pool[0] ?? link.addresses.firstLease;
  }

  /** The guest: who got a lease last, else who will get the first. */
  get guestAddress(): number {
    return this.#latest;
  }

  /** Leases that clients have. */
  get leases(): DhcpLease[] {
    return this.#leases
      .filter(({ isBound, mac }) => isBound && mac !== "")
      .map(({ mac, address, lastMs, seconds }) => ({ mac, address, issuedMs: lastMs, seconds }));
  }

  /** Takes over what an earlier server gave out, as far as it fits. */
  restore(leases: readonly DhcpLease[]): void {
    for (const { mac, address, issuedMs, seconds } of leases) {
      const lease = this.#leases.find((one) => one.address === address);
      if (lease === undefined || lease.mac !== "" || !this.#mayHave(lease, mac)) continue;
      if (this.#leases.some((one) => one.mac === mac)) continue;
      // A clock that was set back must not keep an address for ever.
      Object.assign(lease, { mac, isBound: true, lastMs: Math.min(issuedMs, this.#nowMs()), seconds });
    }
  }

  /** A datagram to the server's port. */
  receive(data: Uint8Array, source: number): void {
    const request = parseRequest(data);
    if (request === undefined || request.relayAddress !== 0) return;
    const mac = formatMac(request.mac);
    const { gateway } = this.#link.addresses;
    const server = addressOption(request, OPTION_SERVER);
    const asked = addressOption(request, OPTION_REQUESTED_ADDRESS);
    switch (request.type) {
      case 0:
      case DISCOVER: {
        const lease = this.#leaseFor(mac, asked);
        if (lease === undefined) return;
        if (request.type === 0) this.#bind(lease, mac);
        this.#reply(request, mac, request.type === 0 ? 0 : OFFER, lease.address);
        return;
      }
      case REQUEST: {
        // Chosen somebody else's offer.
        if (server !== undefined && server !== gateway) return;
        const wanted = asked ?? request.clientAddress;
        const lease = this.#leaseFor(mac, wanted);
        if (lease?.address !== wanted) {
          this.#reply(request, mac, NAK, 0);
          return;
        }
        this.#bind(lease, mac);
        this.#reply(request, mac, ACK, wanted);
        return;
      }
      case INFORM:
        if (request.clientAddress === source && this.#link.isInNetwork(source)) this.#reply(request, mac, ACK, 0);
        return;
      case DECLINE: {
        const lease = this.#leases.find((one) => one.mac === mac);
        if (lease === undefined) return;
        lease.mac = "";
        lease.isBound = false;
        lease.declinedUntilMs = this.#nowMs() + DECLINED_MS;
        this.onChange();
        return;
      }
      case RELEASE: {
        const lease = this.#leases.find((one) => one.mac === mac);
        if (lease === undefined) return;
        // Kept for the same client, but first to go.
        lease.lastMs = Number.NEGATIVE_INFINITY;
        lease.isBound = false;
        this.onChange();
        return;
      }
    }
  }

  #mayHave(lease: Lease, mac: string): boolean {
    return lease.owner === mac || (lease.owner === "" && !this.#settings.fixed.has(mac));
  }

  /** The client's lease: its own, the one that it asks for (it had it before a restart of ours), a free one, one that gives way. */
  #leaseFor(mac: string, wanted?: number): Lease | undefined {
    const nowMs = this.#nowMs();
    const lease = this.#find(mac, wanted, nowMs);
    if (lease === undefined) return undefined;
    if (lease.mac !== mac) lease.isBound = false;
    lease.mac = mac;
    lease.lastMs = nowMs;
    return lease;
  }

  #find(mac: string, wanted: number | undefined, nowMs: number): Lease | undefined {
    const own = this.#leases.find((lease) => lease.mac === mac);
    if (own !== undefined) return own;
    const allowed = this.#leases.filter((lease) => this.#mayHave(lease, mac));
    const open = allowed.filter((lease) => lease.declinedUntilMs <= nowMs);
    const unused = open.filter((lease) => lease.mac === "");
    const first = unused.find((lease) => lease.address === wanted) ?? unused[0];
    if (first !== undefined) return first;
    if (this.#settings.evicts === "stalest")
      return allowed.reduce<Lease | undefined>((a, b) => (a === undefined || b.lastMs < a.lastMs ? b : a), undefined);
    const endMs = ({ isBound, seconds, lastMs }: Lease) => lastMs + (isBound ? seconds * 1000 : OFFERED_MS);
    const expired = open.filter((lease) => endMs(lease) <= nowMs);
    return expired.find((lease) => lease.address === wanted) ?? expired[0];
  }

  #bind(lease: Lease, mac: string): void {
    const { address } = lease;
    if (this.#latest !== address || this.#link.neighbours.find(address) === undefined)
      this.#log.info(`DHCP: ${formatIpv4(address)} leased to ${mac}`);
    this.#latest = address;
    lease.isBound = true;
    lease.seconds = this.#settings.answerFor(mac).leaseSeconds;
    this.onChange();
  }

  #reply(request: DhcpRequest, mac: string, type: number, address: number): void {
    const { gateway } = this.#link.addresses;
    const isNak = type === NAK;
    const { nextServer, file, leaseSeconds, options } = this.#settings.answerFor(mac);
    const own: DhcpOption[] =
      type === 0
        ? []
        : [
            [OPTION_MESSAGE_TYPE, Uint8Array.of(type)],
            [OPTION_SERVER, addressValue(gateway)],
          ];
    const times: DhcpOption[] =
      type === 0
        ? []
        : [
            [OPTION_LEASE_TIME, numberValue(leaseSeconds)],
            [OPTION_RENEWAL_TIME, numberValue(leaseSeconds / 2)],
            [OPTION_REBINDING_TIME, numberValue((leaseSeconds * 7) / 8)],
          ];
    const bytes = buildReply(request, {
      yourAddress: address,
      nextServer: isNak ? 0 : nextServer,
      file: isNak ? "" : file,
      options: isNak ? own : [...own, ...times, ...options],
    });
    const answersAt = request.clientAddress;
    if (answersAt !== 0 && !isNak && this.#link.isInNetwork(answersAt)) {
      this.#link.sendUdp(gateway, SERVER_PORT, answersAt, CLIENT_PORT, bytes, request.mac);
      return;
    }
    const isBroadcast = isNak || wantsBroadcast(request) || address === 0;
    const destination = isBroadcast ? LIMITED_BROADCAST : address;
    this.#link.sendUdp(gateway, SERVER_PORT, destination, CLIENT_PORT, bytes, isBroadcast ? broadcastMac : request.mac);
  }
}
