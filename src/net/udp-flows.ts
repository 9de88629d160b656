/**
 * UDP between the guest and the world: one socket of the host per address and port of the guest, whatever the destination, so
 * that programs that learn their outside address keep it. What comes back is let through from hosts that the guest has sent
 * to. Flows end when nothing was said for a while; there is a largest number of them.
 */
import { formatAddress, type IpAddress, sameAddress } from "./address.ts";
import type { GuestLink } from "./guest-link.ts";
import type { HostNetwork, HostUdpSocket } from "./host-network.ts";
import type { Timed, Timers } from "./timers.ts";

const IDLE_MS = 120_000;
/** One question, one answer. */
const DNS_IDLE_MS = 20_000;
const DNS_PORT = 53;
const SWEEP_MS = 5000;
const MAX_PEERS = 256;

interface Flow {
  readonly key: number | string;
  readonly socket: HostUdpSocket;
  /** By the host's word for the address: the address that the guest knows. */
  readonly peers: Map<string, IpAddress>;
  lastPeer: IpAddress;
  lastPeerText: string;
  lastMs: number;
  idleMs: number;
}

export class UdpFlows implements Timed {
  heapIndex = -1;
  dueMs = 0;
  /** Flows that had to give way to newer ones. */
  evicted = 0;
  readonly #host: HostNetwork;
  readonly #link: GuestLink;
  readonly #timers: Timers;
  readonly #limit: number;
  readonly #flows = new Map<number | string, Flow>();

  constructor(host: HostNetwork, link: GuestLink, timers: Timers, limit: number) {
    this.#host = host;
    this.#link = link;
    this.#timers = timers;
    this.#limit = limit;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Sends the guest's datagram; `hostAddress` is where `destination` is for the host. */
  send(
    source: IpAddress,
    sourcePort: number,
    destination: IpAddress,
    destinationPort: number,
    hostAddress: IpAddress,
    data: Uint8Array,
  ): void {
    const key = typeof source === "number" ? (source >>> 0) * 65_536 + sourcePort : `${source.text} ${sourcePort}`;
    const flow = this.#flows.get(key) ?? this.#open(key, source, sourcePort, destinationPort);
    flow.lastMs = this.#timers.nowMs();
    if (destinationPort !== DNS_PORT) flow.idleMs = IDLE_MS;
    if (!sameAddress(flow.lastPeer, hostAddress) || flow.lastPeerText === "") {
      flow.lastPeer = hostAddress;
      flow.lastPeerText = formatAddress(hostAddress);
    }
    const known = flow.peers.get(flow.lastPeerText);
    if (known === undefined || !sameAddress(known, destination)) {
      if (flow.peers.size >= MAX_PEERS) flow.peers.delete(flow.peers.keys().next().value!);
      flow.peers.set(flow.lastPeerText, destination);
    }
    flow.socket.send(data, flow.lastPeerText, destinationPort);
  }

  #open(key: number | string, guest: IpAddress, guestPort: number, destinationPort: number): Flow {
    if (this.#flows.size >= this.#limit) this.#evict();
    const flow: Flow = {
      key,
      socket: this.#host.openUdp(typeof guest === "number" ? 4 : 6, (bytes, address, port) => {
        const known = flow.peers.get(address);
        if (known === undefined || !this.#flows.has(key)) return;
        flow.lastMs = this.#timers.nowMs();
        this.#link.sendUdp(known, port, guest, guestPort, bytes);
      }),
      peers: new Map(),
      lastPeer: 0,
      lastPeerText: "",
      lastMs: this.#timers.nowMs(),
      idleMs: destinationPort === DNS_PORT ? DNS_IDLE_MS : IDLE_MS,
    };
    this.#flows.set(key, flow);
    this.#timers.schedule(this, flow.lastMs + SWEEP_MS);
    return flow;
  }

  #evict(): void {
    let oldest: Flow | undefined;
    for (const flow of this.#flows.values()) if (oldest === undefined || flow.lastMs < oldest.lastMs) oldest = flow;
    if (oldest === undefined) return;
    this.evicted++;
    this.#close(oldest);
  }

  #close(flow: Flow): void {
    this.#flows.delete(flow.key);
    flow.socket.close();
  }

  onTimer(nowMs: number): void {
    for (const flow of this.#flows.values()) if (nowMs - flow.lastMs >= flow.idleMs) this.#close(flow);
    if (this.#flows.size > 0) this.#timers.schedule(this, nowMs + SWEEP_MS);
  }

  close(): void {
    this.#timers.cancel(this);
    for (const flow of this.#flows.values()) this.#close(flow);
  }
}
