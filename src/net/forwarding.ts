/**
 * Port forwarding: ports of the host that lead to the guest. The guest sees the peer's own address, and the gateway's where the
 * peer is the host itself. Rules come and go while the guest runs; connections that came through a rule outlive it.
 */
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { formatIpv4, parseIpv4 } from "./address.ts";
import type { GuestLink } from "./guest-link.ts";
import type { HostAccepted, HostListener, HostNetwork, HostUdpSocket } from "./host-network.ts";
import type { ForwardingRule } from "./nat-config.ts";
import type { Tcp } from "./tcp/tcp.ts";
import { guestViewOf } from "./udp-flows.ts";

/** Peers of one UDP rule that can be answered; the one that was silent longest gives way. */
const MAX_UDP_PEERS = 1024;

interface ActiveRule {
  readonly rule: ForwardingRule;
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
    if (this.#rules.has(rule.name)) throw new AnneauError("A NAT rule of this name already exists");
    for (const { rule: other } of this.#rules.values())
      if (other.protocol === rule.protocol && other.hostPort === rule.hostPort && other.hostIp === rule.hostIp)
        throw new AnneauError("A NAT rule for this host port and this host IP already exists");
    const active: ActiveRule = {
      rule,
      listener: undefined,
      socket: undefined,
      peers: new Map(),
    };
    this.#rules.set(rule.name, active);
    try {
      if (rule.protocol === "tcp")
        active.listener = await this.#host.listenTcp(rule.hostIp, rule.hostPort, (pending) =>
          this.#accept(active, pending),
        );
      else
        active.socket = await this.#host.bindUdp(rule.hostIp, rule.hostPort, (bytes, address, port) =>
          this.#receiveFromHost(active, bytes, address, port),
        );
    } catch (error) {
      if (this.#rules.get(rule.name) === active) this.#rules.delete(rule.name);
      const { name, protocol, hostIp, hostPort } = rule;
      const place = `${protocol} port ${hostPort}${hostIp === "" ? "" : ` of ${hostIp}`}`;
      throw new AnneauError(`NAT rule '${name}': ${place} of the host cannot be had: ${(error as Error).message}`, {
        cause: error,
      });
    }
    // Taken away again while the port was being opened.
    if (this.#isClosed || this.#rules.get(rule.name) !== active) this.#end(active);
  }

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

  #guestOf({ guestIp }: ForwardingRule): number {
    return parseIpv4(guestIp) ?? this.#leased();
  }

  #accept(active: ActiveRule, pending: HostAccepted): void {
    const { rule } = active;
    const peer = guestViewOf(pending.address, this.#link.addresses.gateway);
    const guest = this.#guestOf(rule);
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
    const peer = guestViewOf(address, this.#link.addresses.gateway);
    const guest = this.#guestOf(rule);
    if (peer === undefined || !this.#link.isInNetwork(guest)) return;
    const key = `${peer}:${port}`;
    const known = peers.get(key);
    // Behind the others again: the first in the map is the one that was silent longest.
    if (known !== undefined) peers.delete(key);
    else if (peers.size >= MAX_UDP_PEERS) peers.delete(peers.keys().next().value!);
    peers.set(key, known ?? { address, port });
    this.#link.sendUdp(peer, port, guest, rule.guestPort, bytes);
  }

  /** The guest's answer to a peer of a rule leaves by the rule's port. False: it is none. */
  receiveUdp(source: number, sourcePort: number, destination: number, port: number, data: Uint8Array): boolean {
    for (const { rule, socket, peers } of this.#rules.values()) {
      if (socket === undefined || rule.guestPort !== sourcePort || this.#guestOf(rule) !== source) continue;
      const peer = peers.get(`${destination}:${port}`);
      if (peer === undefined) continue;
      socket.send(data, peer.address, peer.port);
      return true;
    }
    return false;
  }

  /** The rules that are in force, for a person. */
  describe(): string[] {
    return [...this.#rules.values()].map(({ rule }) => {
      const { name, protocol, hostIp, hostPort, guestPort } = rule;
      return `${name}: ${protocol} ${hostIp || "*"}:${hostPort} to ${formatIpv4(this.#guestOf(rule))}:${guestPort}`;
    });
  }
}
