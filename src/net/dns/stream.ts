/** DNS over TCP (RFC 1035, 4.2.2; RFC 7766), answered here: looks to TCP like a connection of the host's. */
import { get16, put16 } from "../bytes.ts";
import type { HostTcpEvents, HostTcpStream } from "../host-network.ts";
import type { DnsServer } from "./server.ts";

/** Answers that wait until the guest takes them; a guest that takes none is cut off. */
const MAX_WAITING_BYTES = 256 * 1024;
const LENGTH_BYTES = 2;

export class DnsStream implements HostTcpStream {
  readonly #server: DnsServer;
  readonly #events: HostTcpEvents;
  #input = new Uint8Array(0);
  readonly #output: Uint8Array[] = [];
  #outputBytes = 0;
  #isPaused = false;
  #isOver = false;
  #hasInputEnded = false;
  #pending = 0;

  constructor(server: DnsServer, events: HostTcpEvents, defer: (callback: () => void) => void) {
    this.#server = server;
    this.#events = events;
    defer(() => {
      if (!this.#isOver) events.connected();
    });
  }

  write(bytes: Uint8Array, done: () => void): void {
    if (this.#isOver) return;
    const joined = new Uint8Array(this.#input.length + bytes.length);
    joined.set(this.#input);
    joined.set(bytes, this.#input.length);
    done();
    let at = 0;
    while (joined.length - at >= LENGTH_BYTES) {
      const length = get16(joined, at);
      if (joined.length - at - LENGTH_BYTES < length) break;
      this.#ask(joined.slice(at + LENGTH_BYTES, at + LENGTH_BYTES + length));
      at += LENGTH_BYTES + length;
    }
    this.#input = joined.slice(at);
  }

  #ask(query: Uint8Array): void {
    this.#pending++;
    this.#server.answer(query, true, (reply) => {
      this.#pending--;
      if (this.#isOver) return;
      if (reply === undefined) {
        this.#fail();
        return;
      }
      const framed = new Uint8Array(LENGTH_BYTES + reply.length);
      put16(framed, 0, reply.length);
      framed.set(reply, LENGTH_BYTES);
      this.#output.push(framed);
      this.#outputBytes += framed.length;
      if (this.#outputBytes > MAX_WAITING_BYTES) this.#fail();
      else this.#flush();
    });
  }

  #fail(): void {
    this.#isOver = true;
    this.#output.length = 0;
    this.#events.closed(false);
  }

  #flush(): void {
    while (!this.#isPaused && this.#output.length > 0) {
      const [bytes] = this.#output.splice(0, 1);
      this.#outputBytes -= bytes.length;
      this.#isPaused = !this.#events.data(bytes);
    }
    if (!this.#hasInputEnded || this.#pending > 0 || this.#output.length > 0 || this.#isOver) return;
    this.#isOver = true;
    this.#events.ended();
    this.#events.closed(true);
  }

  end(): void {
    this.#hasInputEnded = true;
    this.#flush();
  }

  destroy(): void {
    this.#isOver = true;
    this.#output.length = 0;
  }

  resumeReading(): void {
    this.#isPaused = false;
    this.#flush();
  }
}
