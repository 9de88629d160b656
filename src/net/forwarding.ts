/**
 * Port forwarding: ports of the host that lead to the guest. The guest sees the peer's own address, and the gateway's where the
 * peer is the host itself. Rules come and go while the guest runs; connections that came through a rule outlive it.
 */
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { addressKey, formatAddress, type IpAddress, parseIpv4, sameAddress } from "./address.ts";
import type { GuestLink } from "./guest-link.ts";
import type { HostAccepted, HostListener, HostNetwork, HostUdpSocket } from "./host-network.ts";
import { Ipv6Address, isForeignUnicast6 } from "./ipv6/address.ts";
import type { ForwardingRule } from "./nat-config.ts";
import type { Tcp } from "./tcp/tcp.ts";

/** Peers of one UDP rule that can be answered; the one that was silent longest gives way. */
const MAX_UDP_PEERS = 1024;

const ALL_INTERFACES6 = "::";

interface ActiveRule {
  readonly rule: ForwardingRule;
  /** Where it leads if that is IPv6. */
  readonly guest6: Ipv6Address | undefined;
  listener: HostListener | undefined;
  socket: HostUdpSocket | undefined;
  /** By what the guest sees, the peer: UDP only. */
  readonly peers: Map<string, { readonly address: string; readonly port: number }>;
}

export class PortForwarding {
  readonly #host: HostNetwork;
  readonly #link: GuestLink;
  readonly #tcp: Tcp;
  readonly #log: Logger;
  readonly #leased: () => number;
  readonly #rules = new Map<string, ActiveRule>();
  #isClosed = false;

  /** `leased` is the guest that rules without an address mean. */
  constructor(host: HostNetwork, link: GuestLink, tcp: Tcp, log: Logger, leased: () => number) {
    this.#host = host;
    this.#link = link;
    this.#tcp = tcp;
    this.#log = log;
    this.#leased = leased;
  }

  async add(rule: ForwardingRule): Promise<void> {
    const key = keyOf(rule);
    if (this.#rules.has(key)) throw new AnneauError("A NAT rule of this name already exists");
    const guest6 = isIpv6(rule) ? Ipv6Address.parse(rule.guestIp) : undefined;
    const hostIp = rule.hostIp === "" && isIpv6(rule) ? ALL_INTERFACES6 : rule.hostIp;
    for (const { rule: other } of this.#rules.values())
      if (
        other.protocol === rule.protocol &&
        other.hostPort === rule.hostPort &&
        other.hostIp === rule.hostIp &&
        isIpv6(other) === isIpv6(rule)
      )
        throw new AnneauError("A NAT rule for this host port and this host IP already exists");
    const active: ActiveRule = {
      rule,
      guest6,
      listener: undefined,
      socket: undefined,
      peers: new Map(),
    };
    this.#rules.set(key, active);
    try {
      if (rule.protocol === "tcp")
        active.listener = await this.#host.listenTcp(hostIp, rule.hostPort, (pending) => this.#accept(active, pending));
      else
        active.socket = await this.#host.bindUdp(hostIp, rule.hostPort, (bytes, address, port) =>
          this.#receiveFromHost(active, bytes, address, port),
        );
    } catch (error) {
      if (this.#rules.get(key) === active) this.#rules.delete(key);
      const { name, protocol, hostPort } = rule;
      const place = `${protocol} port ${hostPort}${rule.hostIp === "" ? "" : ` of ${rule.hostIp}`}`;
      throw new AnneauError(`NAT rule '${name}': ${place} of the host cannot be had: ${(error as Error).message}`, {
        cause: error,
      });
    }
    // Taken away again while the port was being opened.
    if (this.#isClosed || this.#rules.get(key) !== active) this.#end(active);
  }

  /** Those that hold their port, or are about to. */
  get rules(): readonly ForwardingRule[] {
    return Array.from(this.#rules.values(), ({ rule }) => rule);
  }

  /** Ends the IPv4 rule of that name. False: there is none. */
  remove(name: string): boolean {
    const active = this.#rules.get(name);
    if (active === undefined) return false;
    this.#rules.delete(name);
    this.#end(active);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    for (const active of this.#rules.values()) this.#end(active);
    this.#rules.clear();
  }

  #end(active: ActiveRule): void {
    active.listener?.close();
    active.socket?.close();
    active.listener = undefined;
    active.socket = undefined;
  }

  #guestOf({ rule, guest6 }: ActiveRule): IpAddress {
    return guest6 ?? parseIpv4(rule.guestIp) ?? this.#leased();
  }

  /** A peer as the guest is to see it: the host itself, and who has no address that an answer could be sent to, is the gateway. */
  #guestViewOf(address: string): IpAddress | undefined {
    const { addresses, addresses6 } = this.#link;
    if (!address.includes(":")) {
      const peer = parseIpv4(address);
      return peer !== undefined && peer >>> 24 === 127 ? addresses.gateway : peer;
    }
    const peer = Ipv6Address.parse(address.split("%", 1)[0]);
    if (peer === undefined || addresses6 === undefined) return undefined;
    return isForeignUnicast6(peer) && !this.#link.isInNetwork(peer) ? peer : addresses6.gateway;
  }

  #accept(active: ActiveRule, pending: HostAccepted): void {
    const { rule } = active;
    const peer = this.#guestViewOf(pending.address);
    const guest = this.#guestOf(active);
    const connection =
      peer === undefined || this.#isClosed || !this.#link.isInNetwork(guest)
        ? undefined
        : this.#tcp.connect(guest, rule.guestPort, peer, pending.port);
    if (connection === undefined) {
      this.#log.warn(`NAT rule '${rule.name}': a connection from ${pending.address} was refused`);
      pending.refuse();
      return;
    }
    connection.stream = pending.open(connection);
  }

  #receiveFromHost(active: ActiveRule, bytes: Uint8Array, address: string, port: number): void {
    const { rule, peers } = active;
    const peer = this.#guestViewOf(address);
    const guest = this.#guestOf(active);
    if (peer === undefined || !this.#link.isInNetwork(guest)) return;
    const key = `${addressKey(peer)}:${port}`;
    const known = peers.get(key);
    // Behind the others again: the first in the map is the one that was silent longest.
    if (known !== undefined) peers.delete(key);
    else if (peers.size >= MAX_UDP_PEERS) peers.delete(peers.keys().next().value!);
    peers.set(key, known ?? { address, port });
    this.#link.sendUdp(peer, port, guest, rule.guestPort, bytes);
  }

  /** The guest's answer to a peer of a rule leaves by the rule's port. False: it is none. */
  receiveUdp(source: IpAddress, sourcePort: number, destination: IpAddress, port: number, data: Uint8Array): boolean {
    for (const active of this.#rules.values()) {
      const { rule, socket, peers } = active;
      if (socket === undefined || rule.guestPort !== sourcePort) continue;
      if (!sameAddress(this.#guestOf(active), source)) continue;
      const peer = peers.get(`${addressKey(destination)}:${port}`);
      if (peer === undefined) continue;
      socket.send(data, peer.address, peer.port);
      return true;
    }
    return false;
  }

  /** The rules that are in force, for a person. */
  describe(): string[] {
    return [...this.#rules.values()].map((active) => {
      const { name, protocol, hostIp, hostPort, guestPort } = active.rule;
      return `${name}: ${protocol} ${hostIp || "*"}:${hostPort} to ${formatAddress(this.#guestOf(active))}:${guestPort}`;
    });
  }
}

function isIpv6({ guestIp }: ForwardingRule): boolean {
  return guestIp.includes(":");
}

/** The families have names of their own, on NAT networks, where a name has no colon. */
function keyOf(rule: ForwardingRule): string {
  return isIpv6(rule) ? `6:${rule.name}` : rule.name;
}
