/**
 * For tests: a host network in simulated time, with servers and peers written as callbacks, and a wire between guest and NAT
 * that can lose, delay and swap frames. Everything is decided by a seed.
 */
import type {
  DatagramListener,
  HostAccepted,
  HostFile,
  HostListener,
  HostNetwork,
  HostTcpEvents,
  HostTcpStream,
  HostTimer,
  HostUdpSocket,
} from "../host-network.ts";

/** A small generator (mulberry32): numbers from 0 to 2^32 - 1. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** Time as tests see it: simulated or real. */
export interface TestClock {
  nowMs(): number;
  after(delayMs: number, run: () => void): HostTimer;
}

/** The far end of a connection: what a program on the host's side of the network would hold. */
export class SimPeer {
  onData: (bytes: Uint8Array) => void = () => {};
  onEnd: () => void = () => {};
  /** The guest's side was reset or given up. */
  onReset: () => void = () => {};
  onResume: () => void = () => {};
  /** While true, what the guest sends stays unread: its writes are not done. */
  isSlow = false;
  isOver = false;
  /** Since the last `onResume`, `write` returned false. */
  isPaused = false;
  hasEnded = false;
  guestHasEnded = false;
  readonly #events: HostTcpEvents;
  readonly #waiting: { bytes: Uint8Array; done: () => void }[] = [];
  readonly stream: HostTcpStream;

  constructor(host: SimHost, events: HostTcpEvents) {
    this.#events = events;
    this.stream = {
      write: (bytes, done) => {
        if (this.isOver) return;
        this.#waiting.push({ bytes, done });
        host.after(0, () => this.drain());
      },
      end: () => {
        host.after(0, () => {
          this.guestHasEnded = true;
          this.drain();
        });
      },
      destroy: () => {
        if (this.isOver) return;
        this.isOver = true;
        host.after(0, () => this.onReset());
      },
      resumeReading: () => {
        this.isPaused = false;
        host.after(0, () => {
          if (!this.isOver) this.onResume();
        });
      },
    };
  }

  /** Reads what the guest has sent, unless slow. */
  drain(): void {
    while (!this.isSlow && !this.isOver && this.#waiting.length > 0) {
      const { bytes, done } = this.#waiting.shift()!;
      this.onData(bytes.slice());
      done();
    }
    if (this.guestHasEnded && this.#waiting.length === 0 && !this.isOver) {
      this.guestHasEnded = false;
      this.onEnd();
      if (this.hasEnded) this.#close(true);
      else this.hasSeenEnd = true;
    }
  }
  hasSeenEnd = false;
  /** For servers to remember by. */
  guestIsDone = false;

  /** Sends up to 64 KiB. False: wait for `onResume` (what was given is taken all the same). */
  write(bytes: Uint8Array): boolean {
    if (this.isOver) return false;
    this.isPaused = !this.#events.data(bytes);
    return !this.isPaused;
  }

  end(): void {
    if (this.isOver || this.hasEnded) return;
    this.hasEnded = true;
    this.#events.ended();
    if (this.hasSeenEnd) this.#close(true);
  }

  reset(): void {
    if (!this.isOver) this.#close(false);
  }

  #close(isClean: boolean): void {
    this.isOver = true;
    this.#events.closed(isClean);
  }
}

export type SimServer = (peer: SimPeer) => void;
export type SimUdpServer = (bytes: Uint8Array, reply: (bytes: Uint8Array) => void) => void;

/** What comes goes back, in its order; the end too. */
export function echo(peer: SimPeer): void {
  const waiting: Uint8Array[] = [];
  const send = () => {
    while (waiting.length > 0 && !peer.isPaused) peer.write(waiting.shift()!);
    if (waiting.length === 0 && peer.guestIsDone) peer.end();
  };
  peer.onResume = send;
  peer.onData = (bytes) => {
    waiting.push(bytes);
    send();
  };
  peer.onEnd = () => {
    peer.guestIsDone = true;
    send();
  };
}

export class SimHost implements HostNetwork {
  /** By `address:port`. */
  readonly tcpServers = new Map<string, SimServer>();
  /** Every socket for datagrams that was ever opened; `receive` has one come in. */
  readonly udpSockets: { readonly family: 4 | 6; readonly receive: DatagramListener }[] = [];
  readonly udpServers = new Map<string, SimUdpServer>();
  /** Addresses that nobody answers at. */
  readonly unreachable = new Set<string>();
  readonly listeners = new Map<string, (pending: HostAccepted) => void>();
  readonly boundUdp = new Map<string, DatagramListener>();
  readonly files = new Map<string, Uint8Array>();
  readonly names = new Map<string, readonly string[]>();
  servers: readonly string[] = ["192.0.2.53"];
  domain: string | undefined;
  dialled: string[] = [];
  openSockets = 0;
  #nowMs = 1000;
  #order = 0;
  readonly #events: Event[] = [];
  readonly #deferred: (() => void)[] = [];
  readonly #random: () => number;

  constructor(seed = 1) {
    this.#random = seededRandom(seed);
  }

  nowMs(): number {
    return this.#nowMs;
  }
  random32(): number {
    return this.#random();
  }
  defer(callback: () => void): void {
    this.#deferred.push(callback);
  }

  after(delayMs: number, run: () => void): HostTimer {
    const event: Event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    const heap = this.#events;
    let at = heap.push(event) - 1;
    while (at > 0 && isEarlier(event, heap[(at - 1) >> 1])) {
      heap[at] = heap[(at - 1) >> 1];
      at = (at - 1) >> 1;
    }
    heap[at] = event;
    return {
      cancel: () => {
        event.run = undefined;
      },
    };
  }

  startTimer(delayMs: number, callback: () => void): HostTimer {
    return this.after(delayMs, callback);
  }

  /** Runs until nothing is left to do, `isDone` says so, or `limitMs` have passed. Returns whether `isDone` said so. */
  run(limitMs: number, isDone: () => boolean = () => false): boolean {
    const endMs = this.#nowMs + limitMs;
    for (;;) {
      for (let i = 0; i < this.#deferred.length; i++) this.#deferred[i]();
      this.#deferred.length = 0;
      if (isDone()) return true;
      const first = this.#events[0];
      if (first === undefined || first.atMs > endMs) {
        this.#nowMs = endMs;
        return false;
      }
      this.#pop();
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.run?.();
    }
  }

  /** Runs, and lets promises settle in between. */
  async runAsync(limitMs: number, isDone: () => boolean = () => false): Promise<boolean> {
    const endMs = this.#nowMs + limitMs;
    while (this.#nowMs < endMs) {
      for (let i = 0; i < 20; i++) await Promise.resolve();
      if (this.run(Math.min(5, endMs - this.#nowMs), isDone)) return true;
    }
    return false;
  }

  #pop(): void {
    const heap = this.#events;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isEarlier(heap[below + 1], heap[below])) below++;
      if (!isEarlier(heap[below], last)) break;
      heap[at] = heap[below];
      at = below;
    }
    heap[at] = last;
  }

  dialTcp(address: string, port: number, events: HostTcpEvents): HostTcpStream {
    this.dialled.push(`${address}:${port}`);
    const peer = new SimPeer(this, events);
    const server = this.tcpServers.get(`${address}:${port}`);
    this.after(1, () => {
      if (peer.isOver) return;
      if (this.unreachable.has(address)) events.failed("unreachable");
      else if (server === undefined) events.failed("refused");
      else {
        events.connected();
        server(peer);
      }
    });
    return peer.stream;
  }

  async listenTcp(address: string, port: number, accept: (pending: HostAccepted) => void): Promise<HostListener> {
    const key = `${address}:${port}`;
    if (this.listeners.has(key)) throw new Error("EADDRINUSE");
    this.listeners.set(key, accept);
    return { close: () => this.listeners.delete(key) };
  }

  /** Somebody connects to a port that NAT listens on. `isRefused` of the result says how it went. */
  connect(listener: string, from: string, fromPort: number, prepare: SimServer): boolean {
    let isOpen = false;
    this.listeners.get(listener)?.({
      address: from,
      port: fromPort,
      open: (events) => {
        isOpen = true;
        const peer = new SimPeer(this, events);
        this.after(0, () => prepare(peer));
        return peer.stream;
      },
      refuse: () => {},
    });
    return isOpen;
  }

  openUdp(family: 4 | 6, receive: DatagramListener): HostUdpSocket {
    let isOpen = true;
    this.udpSockets.push({ family, receive });
    this.openSockets++;
    return {
      send: (bytes, address, port) => {
        const server = this.udpServers.get(`${address}:${port}`);
        this.after(1, () => server?.(bytes, (reply) => this.after(1, () => isOpen && receive(reply, address, port))));
      },
      close: () => {
        if (isOpen) this.openSockets--;
        isOpen = false;
      },
    };
  }

  /** Datagrams that left by a bound port: where to, and what. */
  readonly sentUdp: { from: string; to: string; bytes: Uint8Array }[] = [];

  async bindUdp(address: string, port: number, receive: DatagramListener): Promise<HostUdpSocket> {
    const key = `${address}:${port}`;
    if (this.boundUdp.has(key)) throw new Error("EADDRINUSE");
    this.boundUdp.set(key, receive);
    return {
      send: (bytes, to, toPort) => this.sentUdp.push({ from: key, to: `${to}:${toPort}`, bytes }),
      close: () => this.boundUdp.delete(key),
    };
  }

  nameServers(): readonly string[] {
    return this.servers;
  }
  searchDomain(): string | undefined {
    return this.domain;
  }
  async lookup(name: string, family: 4 | 6): Promise<readonly string[]> {
    return (this.names.get(name.toLowerCase()) ?? []).filter((one) => one.includes(":") === (family === 6));
  }
  async reverseLookup(address: string): Promise<readonly string[]> {
    return [...this.names].filter(([, addresses]) => addresses.includes(address)).map(([name]) => name);
  }
  async openTftpFile(path: readonly string[]): Promise<HostFile | undefined> {
    const bytes = this.files.get(path.join("/"));
    if (bytes === undefined) return undefined;
    return {
      sizeBytes: bytes.length,
      read: async (offset, target) => {
        const part = bytes.subarray(offset, offset + target.length);
        target.set(part);
        return part.length;
      },
      close: () => {},
    };
  }
}

function isEarlier(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** What happens to frames on their way. */
export interface WireFaults {
  /** Of 100. */
  readonly lossPercent: number;
  readonly reorderPercent: number;
  readonly delayMs: number;
}

export const perfectWire: WireFaults = { lossPercent: 0, reorderPercent: 0, delayMs: 0 };

/** One direction of a wire. */
export class Wire {
  readonly #clock: TestClock;
  readonly #faults: WireFaults;
  readonly #deliver: (frame: Uint8Array) => void;
  readonly #random: () => number;
  carried = 0;
  lost = 0;

  constructor(clock: TestClock, faults: WireFaults, seed: number, deliver: (frame: Uint8Array) => void) {
    this.#clock = clock;
    this.#faults = faults;
    this.#deliver = deliver;
    this.#random = seededRandom(seed);
  }

  send(frame: Uint8Array): void {
    const { lossPercent, reorderPercent, delayMs } = this.#faults;
    this.carried++;
    if (this.#random() % 100 < lossPercent) {
      this.lost++;
      return;
    }
    const copy = frame.slice();
    const isLate = this.#random() % 100 < reorderPercent;
    this.#clock.after(delayMs + (isLate ? 5 + (this.#random() % 20) : 0), () => this.#deliver(copy));
  }
}
