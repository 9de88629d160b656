/**
 * The name server at .3. It asks the host's name servers, or, with the host resolver switched on, answers addresses and names
 * (A, AAAA, PTR) from the host's own resolver, hosts file and all, and only asks the name servers for other types. By UDP and
 * TCP. A query in flight has a time-out and moves on to the next server; there is a largest number of queries.
 */
import { formatIpv4, type IpAddress, parseIpv4 } from "../address.ts";
import { get16, put16, put32 } from "../bytes.ts";
import type { GuestLink } from "../guest-link.ts";
import type { HostNetwork, HostTcpEvents, HostTcpStream, HostUdpSocket } from "../host-network.ts";
import { parseIpv6 } from "../ipv6/address.ts";
import type { NatConfig } from "../nat-config.ts";
import type { Timed, Timers } from "../timers.ts";
import {
  type Answer,
  addressOfReverseName,
  buildAnswer,
  buildFailure,
  DNS_HEADER_BYTES,
  encodeName,
  isAnswerTo,
  MAX_UDP_BYTES,
  NO_ERROR,
  NO_SUCH_NAME,
  parseQuery,
  type Question,
  SERVER_FAILURE,
  TYPE_A,
  TYPE_AAAA,
  TYPE_PTR,
} from "./message.ts";
import { DnsStream } from "./stream.ts";

const MAX_QUERIES = 256;
const TRY_MS = 3000;
const ROUNDS = 2;
const DNS_PORT = 53;
const MAX_ANSWERS = 32;

/** Given the answer once; undefined: none will come. */
export type DnsDone = (reply: Uint8Array | undefined) => void;

/** A query on its way to the host's name servers. */
class Query implements Timed {
  heapIndex = -1;
  dueMs = 0;
  readonly #server: DnsServer;
  readonly bytes: Uint8Array;
  readonly id: number;
  readonly done: DnsDone;
  attempt = 0;
  socket: HostUdpSocket | undefined;

  constructor(server: DnsServer, bytes: Uint8Array, id: number, done: DnsDone) {
    this.#server = server;
    this.bytes = bytes;
    this.id = id;
    this.done = done;
  }

  onTimer(): void {
    this.#server.tryNext(this);
  }
}

export class DnsServer {
  readonly #link: GuestLink;
  readonly #config: NatConfig;
  readonly #host: HostNetwork;
  readonly #timers: Timers;
  readonly #queries = new Set<Query>();
  #lookups = 0;
  #isClosed = false;

  constructor(link: GuestLink, config: NatConfig, host: HostNetwork, timers: Timers) {
    this.#link = link;
    this.#config = config;
    this.#host = host;
    this.#timers = timers;
  }

  /** Queries that wait for an answer. */
  get pending(): number {
    return this.#queries.size + this.#lookups;
  }

  /** A datagram to port 53 of `self`, one of our addresses. */
  receive(query: Uint8Array, source: IpAddress, sourcePort: number, self: IpAddress): void {
    this.answer(query, false, (reply) => {
      if (reply !== undefined && !this.#isClosed) this.#link.sendUdp(self, DNS_PORT, source, sourcePort, reply);
    });
  }

  /** A TCP connection to port 53 of .3. */
  openStream(events: HostTcpEvents): HostTcpStream {
    if (!this.#config.dnsHostResolver) {
      const [server] = this.#host.nameServers();
      if (server !== undefined) {
        const { address, port } = splitServer(server);
        return this.#host.dialTcp(address, port, events);
      }
    }
    return new DnsStream(this, events, (callback) => this.#host.defer(callback));
  }

  /** Answers a query of the guest's. */
  answer(query: Uint8Array, isTcp: boolean, done: DnsDone): void {
    if (query.length < DNS_HEADER_BYTES || this.pending >= MAX_QUERIES) {
      done(undefined);
      return;
    }
    const question = parseQuery(query);
    if (this.#config.dnsHostResolver && question !== undefined) {
      const found = this.#resolve(question);
      if (found !== undefined) {
        this.#lookups++;
        const limitBytes = isTcp ? 65_535 : MAX_UDP_BYTES;
        found
          .then(
            (answers) =>
              answers === undefined
                ? buildAnswer(query, question, NO_SUCH_NAME, [], limitBytes)
                : buildAnswer(query, question, NO_ERROR, answers, limitBytes),
            () => buildAnswer(query, question, SERVER_FAILURE, [], limitBytes),
          )
          .then((reply) => {
            this.#lookups--;
            done(reply);
          });
        return;
      }
    }
    this.#forward(query, done);
  }

  // --- the host's resolver ---

  /** The answers to a question that the host's resolver can take (undefined inside: no such name), or undefined. */
  #resolve({ name, type }: Question): Promise<Answer[] | undefined> | undefined {
    if (name === "" || !/^[\x21-\x7e]+$/.test(name)) return undefined;
    if (type === TYPE_A || type === TYPE_AAAA) return this.#addresses(name, type);
    if (type !== TYPE_PTR) return undefined;
    const address = addressOfReverseName(name);
    if (address === undefined) return undefined;
    return this.#host.reverseLookup(address).then((names) => {
      const answers: Answer[] = [];
      for (const one of names.slice(0, MAX_ANSWERS)) {
        const data = encodeName(one);
        if (data !== undefined) answers.push({ type, data });
      }
      return answers.length > 0 ? answers : undefined;
    });
  }

  async #addresses(name: string, type: number): Promise<Answer[] | undefined> {
    const texts = await this.#host.lookup(name, type === TYPE_A ? 4 : 6);
    const answers: Answer[] = [];
    for (const text of texts.slice(0, MAX_ANSWERS)) {
      const data = type === TYPE_A ? ipv4Data(text) : parseIpv6(text);
      if (data !== undefined) answers.push({ type, data });
    }
    if (answers.length > 0) return answers;
    // A name with addresses of the other kind only does exist.
    const others = await this.#host.lookup(name, type === TYPE_A ? 6 : 4);
    return others.length > 0 ? [] : undefined;
  }

  // --- the host's name servers ---

  #forward(query: Uint8Array, done: DnsDone): void {
    // A number of our own: a guess of the guest's number by somebody outside is worth nothing.
    const id = this.#host.random32() & 0xffff;
    const bytes = query.slice();
    put16(bytes, 0, id);
    const guestId = get16(query, 0);
    const entry = new Query(this, bytes, id, (reply) => {
      if (reply === undefined) {
        done(buildFailure(query, SERVER_FAILURE));
        return;
      }
      const answer = reply.slice();
      put16(answer, 0, guestId);
      done(answer);
    });
    this.#queries.add(entry);
    this.tryNext(entry);
  }

  /** Asks the next name server, or gives up. Called by the query's timer. */
  tryNext(query: Query): void {
    query.socket?.close();
    query.socket = undefined;
    const servers = this.#host.nameServers();
    if (query.attempt >= servers.length * ROUNDS || this.#isClosed) {
      this.#finish(query, undefined);
      return;
    }
    const { address, port } = splitServer(servers[query.attempt % servers.length]);
    query.attempt++;
    const family = address.includes(":") ? 6 : 4;
    query.socket = this.#host.openUdp(family, (bytes, from, fromPort) => {
      if (!this.#queries.has(query) || fromPort !== port || !isSameAddress(from, address)) return;
      if (isAnswerTo(bytes, query.bytes, query.id)) this.#finish(query, bytes);
    });
    query.socket.send(query.bytes.slice(), address, port);
    this.#timers.schedule(query, this.#timers.nowMs() + TRY_MS);
  }

  #finish(query: Query, reply: Uint8Array | undefined): void {
    this.#queries.delete(query);
    this.#timers.cancel(query);
    query.socket?.close();
    query.socket = undefined;
    query.done(reply);
  }

  close(): void {
    this.#isClosed = true;
    for (const query of this.#queries) {
      this.#timers.cancel(query);
      query.socket?.close();
    }
    this.#queries.clear();
  }
}

/** `address`, `address:port` (IPv4) or `[address]:port`. */
export function splitServer(text: string): { address: string; port: number } {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(text);
  if (bracketed !== null) return { address: bracketed[1], port: Number(bracketed[2] ?? DNS_PORT) };
  const withPort = /^([\d.]+):(\d+)$/.exec(text);
  if (withPort !== null) return { address: withPort[1], port: Number(withPort[2]) };
  return { address: text, port: DNS_PORT };
}

/** The same address in different spellings of IPv6 counts; an unreadable one must be equal letter for letter. */
function isSameAddress(a: string, b: string): boolean {
  if (a === b) return true;
  const [left, right] = [a, b].map((text) => parseIpv6(text.split("%")[0]));
  return left !== undefined && right !== undefined && left.every((byte, i) => byte === right[i]);
}

function ipv4Data(text: string): Uint8Array | undefined {
  const address = parseIpv4(text);
  if (address === undefined || formatIpv4(address) !== text) return undefined;
  const data = new Uint8Array(4);
  put32(data, 0, address);
  return data;
}
