/**
 * The remote display (`--vrde`): VNC, that is RFB 3.8, on a TCP port. Listens only with a password; a wrong one gets
 * nothing, is answered later and later, and never costs a look at the screen.
 */
import { createCipheriv, randomBytes } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { AnneauError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { RemoteDisplaySettings } from "../config/vrde-settings.ts";
import type { RfbConnection } from "../display/rfb/connection.ts";
import { turnAway } from "../display/rfb/handshake.ts";
import { RfbError } from "../display/rfb/protocol.ts";
import { CHALLENGE_BYTES } from "../display/rfb/vnc-authentication.ts";
import type { Viewers } from "./viewers.ts";

/** Connections at a time, and those among them that have not proved who they are. */
const MAX_CONNECTIONS = 32;
const MAX_STRANGERS = 8;
const HANDSHAKE_MS = 15_000;
/** What is not read within a moment is not read at all. */
const LAST_WORDS_MS = 2000;
/** How many at a time are told why they are not let in; the others are not told. */
const MAX_TURNED_AWAY = 8;
/** After so many wrong passwords an address waits: one second, then twice as long each time. */
const FREE_FAILURES = 3;
const MAX_BAN_MS = 60_000;
const MAX_ADDRESSES = 1024;
const OCCUPIED = "Another viewer is connected";

export function desEncrypt(key: Uint8Array, data: Uint8Array): Uint8Array {
  // Triple DES with the same key three times is DES, which the crypto library no longer offers under its own name.
  const cipher = createCipheriv("des-ede3-ecb", Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

interface Failures {
  count: number;
  untilMs: number;
}

export class RemoteDisplay {
  readonly #server: Server;
  readonly #settings: RemoteDisplaySettings;
  readonly #viewers: Viewers;
  readonly #log: Logger;
  readonly #connections = new Map<Socket, RfbConnection>();
  readonly #failures = new Map<string, Failures>();
  readonly #turnedAway = new Set<Socket>();
  port = 0;

  private constructor(server: Server, settings: RemoteDisplaySettings, viewers: Viewers, log: Logger) {
    this.#server = server;
    this.#settings = settings;
    this.#viewers = viewers;
    this.#log = log;
  }

  /** Listens on the first free one of the ports. Throws an AnneauError that says why if it cannot. */
  static async listen(settings: RemoteDisplaySettings, viewers: Viewers, log: Logger): Promise<RemoteDisplay> {
    const { address, ports, password } = settings;
    if (password === "") throw new AnneauError("it needs a password (modifyvm --vrde-property VNCPassword=TEXT)");
    if (ports.length === 0) throw new AnneauError("what its ports are set to is no list of ports");
    let problem = "";
    for (const port of ports) {
      const server = createServer({ noDelay: true });
      const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
        server.once("error", resolve);
        server.listen(port, address, () => resolve(undefined));
      });
      if (error === undefined) {
        const display = new RemoteDisplay(server, settings, viewers, log);
        display.#serve();
        return display;
      }
      problem = `it cannot listen on ${address} port ${port} (${error.code})`;
      if (error.code !== "EADDRINUSE") break;
    }
    throw new AnneauError(problem);
  }

  get clients(): number {
    let count = 0;
    for (const connection of this.#connections.values()) if (connection.isReady) count++;
    return count;
  }

  async close(): Promise<void> {
    for (const connection of [...this.#connections.values()]) connection.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      // A client that does not hang up.
      setTimeout(() => {
        for (const socket of [...this.#connections.keys(), ...this.#turnedAway]) socket.destroy();
        resolve();
      }, 300).unref();
    });
  }

  #serve(): void {
    const address = this.#server.address();
    if (typeof address === "object" && address !== null) this.port = address.port;
    this.#log.info(`remote display: VNC on ${this.#settings.address} port ${this.port}`);
    this.#server.on("error", (error) => this.#log.error(`remote display: ${error.message}`));
    this.#server.on("connection", (socket) => this.#accept(socket));
  }

  #accept(socket: Socket): void {
    const from = socket.remoteAddress ?? "";
    const strangers = this.#connections.size - this.clients;
    const isBanned = (this.#failures.get(from)?.untilMs ?? 0) > performance.now();
    socket.on("error", () => {});
    if (isBanned) {
      this.#turnAway(socket, "Too many wrong passwords: try again later");
      return;
    }
    if (this.#connections.size >= MAX_CONNECTIONS || strangers >= MAX_STRANGERS) {
      this.#turnAway(socket, "Too many connections");
      return;
    }
    const timer = setTimeout(() => connection.close("no handshake"), HANDSHAKE_MS);
    const { password } = this.#settings;
    let wasReady = false;
    const connection: RfbConnection = this.#viewers.connect({
      security: {
        kind: "vnc",
        password,
        challenge: randomBytes(CHALLENGE_BYTES),
        encrypt: desEncrypt,
        refusal: () => (this.clients > 0 && !this.#mayJoin ? OCCUPIED : undefined),
      },
      transport: {
        send: (bytes) => void socket.write(bytes),
        get unsentBytes() {
          return socket.writableLength;
        },
        close: () => {
          socket.end();
          setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref();
        },
      },
      onReady: () => {
        clearTimeout(timer);
        wasReady = true;
        this.#failures.delete(from);
        this.#admit(connection);
        this.#log.info(`remote display: ${from} is connected`);
      },
      onClosed: (reason) => {
        clearTimeout(timer);
        if (connection.hasFailedAuthentication) this.#countFailure(from);
        // Strangers who come and go would fill the log.
        if (wasReady || connection.hasFailedAuthentication)
          this.#log.info(`remote display: ${from} has gone${reason === undefined ? "" : ` (${reason})`}`);
      },
    });
    this.#connections.set(socket, connection);
    socket.on("data", (bytes: Buffer) => connection.receive(bytes));
    socket.on("drain", () => connection.drained());
    socket.on("close", () => {
      this.#connections.delete(socket);
      connection.close();
    });
  }

  /** Tells why, and hangs up. */
  #turnAway(socket: Socket, reason: string): void {
    if (this.#turnedAway.size >= MAX_TURNED_AWAY) {
      socket.destroy();
      return;
    }
    this.#turnedAway.add(socket);
    socket.on("close", () => this.#turnedAway.delete(socket));
    // A socket that is closed with unread bytes takes back what it has sent.
    socket.resume();
    socket.end(turnAway(reason));
    setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref();
  }

  get #mayJoin(): boolean {
    return this.#settings.allowsSeveral || this.#settings.replacesOld;
  }

  /** One viewer at a time unless there may be several: the new one is refused, or takes the place of the old one. */
  #admit(newcomer: RfbConnection): void {
    const others = [...this.#connections.values()].filter((one) => one !== newcomer && one.isReady);
    if (others.length === 0 || this.#settings.allowsSeveral) return;
    // Two that gave the password at the same moment.
    if (!this.#mayJoin) throw new RfbError(OCCUPIED);
    for (const other of others) other.close("another viewer took over");
  }

  #countFailure(from: string): void {
    const known = this.#failures.get(from) ?? { count: 0, untilMs: 0 };
    known.count++;
    if (known.count > FREE_FAILURES)
      known.untilMs = performance.now() + Math.min(MAX_BAN_MS, 1000 * 2 ** (known.count - FREE_FAILURES - 1));
    this.#failures.set(from, known);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_ADDRESSES) this.#failures.delete(oldest);
  }
}
