/**
 * Internal networks: cards of the user's VMs on this host, joined by a switch in one of their VM processes. Every card is a
 * client of a Unix socket in the owner's runtime folder; the first process that finds nobody there serves. Serving is
 * a lock file held while the socket listens. When that process goes, the others find out and one of them serves:
 * frames of that moment are lost, as on a cable that is moved.
 */
import { unlinkSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { AnneauError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { prepareSocketFolder, socketPathNamed } from "../../control/socket-path.ts";
import { type OwnerLock, tryLock } from "../../disk/owner-lock.ts";
import { FrameReader, FrameWriter } from "./frame-stream.ts";
import { FrameSwitch, type SwitchPort } from "./frame-switch.ts";
import type { FrameSink, NetPlug } from "./nic-host.ts";

const RETRY_MS = 30;
const FIRST_PATIENCE_MS = 5000;
const MAX_CARDS = 256;
/** Magic, version, promiscuous, address. */
const GREETING_BYTES = 12;
const MAGIC = "ANIN";

export interface InternalNetworkCard {
  readonly name: string;
  /** Six bytes. */
  readonly macAddress: Uint8Array;
  readonly isPromiscuous: boolean;
}

/** Servers of this process, with the number of its own cards on each. */
const servers = new Map<string, { readonly server: SwitchServer; cards: number }>();

export class InternalNetwork implements NetPlug {
  readonly #card: InternalNetworkCard;
  readonly #path: string;
  readonly #toGuest: FrameSink;
  readonly #log: Logger;
  #socket: Socket | undefined;
  #writer: FrameWriter | undefined;
  #reader = new FrameReader();
  #isClosed = false;
  #isBlocked = false;
  /** Among the cards of a server of this process. */
  #isCounted = false;

  private constructor(card: InternalNetworkCard, toGuest: FrameSink, log: Logger) {
    this.#card = card;
    this.#toGuest = toGuest;
    this.#log = log;
    this.#path = socketPathNamed(`intnet\0${card.name}`);
  }

  /** Joins the network, making it if need be. Rejects with one line if neither can be done. */
  static async join(card: InternalNetworkCard, toGuest: FrameSink, log: Logger): Promise<InternalNetwork> {
    prepareSocketFolder();
    const network = new InternalNetwork(card, toGuest, log);
    await network.#connect(FIRST_PATIENCE_MS);
    return network;
  }

  send(frame: Uint8Array): void {
    this.#writer?.write(frame);
  }

  resume(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#reader.resume((frame) => this.#take(frame, socket));
    if (!this.#isBlocked) socket.resume();
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#writer = undefined;
    const own = servers.get(this.#path);
    if (this.#isCounted && own !== undefined && --own.cards === 0) {
      servers.delete(this.#path);
      own.server.close();
    }
  }

  #take(frame: Uint8Array, socket: Socket): boolean {
    this.#isBlocked = !this.#toGuest(frame);
    if (this.#isBlocked) socket.pause();
    return !this.#isBlocked;
  }

  /** Finds or makes the server; `patienceMs` bounds the wait. */
  async #connect(patienceMs: number): Promise<void> {
    const endMs = performance.now() + patienceMs;
    while (!this.#isClosed) {
      const socket = await dial(this.#path);
      if (socket !== undefined) {
        if (this.#isClosed) socket.destroy();
        else if (!(await this.#use(socket))) continue;
        return;
      }
      const attempt = tryLock(`${this.#path}.lock`);
      if ("lock" in attempt) {
        const server = await SwitchServer.listen(this.#path, attempt.lock);
        if (this.#isClosed) server.close();
        else servers.set(this.#path, { server, cards: 0 });
        continue;
      }
      if (performance.now() > endMs)
        throw new AnneauError(`the internal network '${this.#card.name}' does not answer on '${this.#path}'`);
      await sleep(RETRY_MS * (1 + Math.random()), undefined, { ref: false });
    }
  }

  /** Greets; settles with true when the server has answered, with false if it is gone. */
  #use(socket: Socket): Promise<boolean> {
    const own = servers.get(this.#path);
    if (own !== undefined && !this.#isCounted) own.cards++;
    this.#isCounted = own !== undefined;
    this.#socket = socket;
    this.#writer = new FrameWriter(socket);
    this.#reader = new FrameReader();
    this.#isBlocked = false;
    const greeting = Buffer.alloc(GREETING_BYTES);
    greeting.write(MAGIC, 0, "latin1");
    greeting[4] = 1;
    greeting[5] = this.#card.isPromiscuous ? 1 : 0;
    greeting.set(this.#card.macAddress, 6);
    this.#writer.write(greeting);
    let isGreeted = false;
    return new Promise((resolve) => {
      socket.on("data", (bytes: Buffer) => {
        const isSense = this.#reader.push(bytes, (record) => {
          if (isGreeted) return !this.#isBlocked && this.#take(record, socket);
          isGreeted = true;
          resolve(true);
          return true;
        });
        if (!isSense) socket.destroy();
      });
      socket.on("error", () => {});
      socket.on("close", () => {
        resolve(false);
        if (this.#socket !== socket) return;
        this.#socket = undefined;
        this.#writer = undefined;
        if (isGreeted && !this.#isClosed)
          this.#connect(Number.POSITIVE_INFINITY).catch((error: Error) => this.#log.error(error.message));
      });
    });
  }
}

/** The connection, undefined if nobody listens there. */
function dial(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
      else reject(new AnneauError(`cannot reach '${path}' (${error.code})`, { cause: error }));
    });
  });
}

class SwitchServer {
  readonly #server: Server;
  readonly #lock: OwnerLock;
  readonly #switch = new FrameSwitch();
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, lock: OwnerLock) {
    this.#server = server;
    this.#lock = lock;
    server.maxConnections = MAX_CARDS;
    server.on("connection", (socket) => this.#serve(socket));
    server.unref();
  }

  /** The caller holds the lock: what is left of an earlier server is in nobody's use. */
  static async listen(path: string, lock: OwnerLock): Promise<SwitchServer> {
    try {
      unlinkSync(path);
    } catch {
      // There was none.
    }
    const server = createServer();
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(path, resolve);
      });
    } catch (error) {
      lock.release();
      throw new AnneauError(`cannot listen on '${path}' (${(error as NodeJS.ErrnoException).code})`, { cause: error });
    }
    return new SwitchServer(server, lock);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#lock.release();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const writer = new FrameWriter(socket);
    const reader = new FrameReader();
    let port: SwitchPort | undefined;
    socket.on("data", (bytes: Buffer) => {
      const isSense = reader.push(bytes, (record) => {
        if (port !== undefined) port.send(record);
        else port = this.#greet(record, writer);
        return port !== undefined;
      });
      if (!isSense || (port === undefined && bytes.length >= GREETING_BYTES + 2)) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      port?.close();
      this.#sockets.delete(socket);
    });
  }

  #greet(record: Uint8Array, writer: FrameWriter): SwitchPort | undefined {
    const isGreeting =
      record.length === GREETING_BYTES &&
      Buffer.from(record.subarray(0, 4)).toString("latin1") === MAGIC &&
      record[4] === 1;
    if (!isGreeting) return undefined;
    writer.write(record);
    return this.#switch.addPort({
      macAddress: record.slice(6),
      isPromiscuous: record[5] !== 0,
      deliver: (frame) => writer.write(frame),
    });
  }
}
