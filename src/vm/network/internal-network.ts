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
import {
  greeting,
  internalFamily,
  isGreeting,
  kind,
  networkPath,
  outcome,
  serviceRequest,
} from "../../control/network-switch.ts";
import { prepareSocketFolder } from "../../control/socket-path.ts";
import { type OwnerLock, tryLock } from "../../disk/owner-lock.ts";
import { FrameReader, FrameWriter } from "./frame-stream.ts";
import { FrameSwitch, type SwitchPort } from "./frame-switch.ts";
import type { FrameSink, NetPlug } from "./nic-host.ts";

const RETRY_MS = 30;
const FIRST_PATIENCE_MS = 5000;
const MAX_CARDS = 256;
/** Nobody's: an uplink says itself which addresses are its own. */
const NO_MAC = new Uint8Array(6);
const SERVICE_MAC = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x35, 1);

/** Something beside the cards at a network's switch, in the process that serves. */
export interface SwitchService {
  /** Its Ethernet addresses: cards may know them from an earlier service. */
  readonly macAddresses: readonly Uint8Array[];
  receive(frame: Uint8Array): void;
  close(): void;
}
/** undefined: there is none at this switch. Rejects with one line where it cannot be had. */
export type MakeSwitchService = (send: (frame: Uint8Array) => void, log: Logger) => Promise<SwitchService | undefined>;

/** The way from a network's switch to a network of the host, in the process that serves. */
export interface SwitchUplink {
  send(frame: Uint8Array): void;
  close(): void;
}
export interface UplinkPort {
  send(frame: Uint8Array): void;
  /** No machine may take that address (six bytes). */
  own(macAddress: Uint8Array): void;
}
/** Rejects with one line where it cannot be had; not so after a take-over (`isTakeOver`): then it keeps trying by itself. */
export type MakeSwitchUplink = (port: UplinkPort, isTakeOver: boolean, log: Logger) => Promise<SwitchUplink>;

export interface InternalNetworkCard {
  readonly name: string;
  /** Networks of different families with the same name are different. */
  readonly family?: string;
  /** For the process that serves. */
  readonly service?: MakeSwitchService;
  /** Cards join also where the service cannot be had; the log says why. */
  readonly isServiceOptional?: boolean;
  /** For the process that serves; undefined: the network is the machines' own. */
  readonly uplink?: MakeSwitchUplink;
  /** Six bytes. */
  readonly macAddress: Uint8Array;
  readonly isPromiscuous: boolean;
  /** If promiscuous: hears what comes from the uplink for others too. */
  readonly hearsUplink?: boolean;
}

/** What a greeting says about it. */
const hears = { own: 0, machines: 1, all: 2 } as const;

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
  /** Was connected before. */
  #isTakeOver = false;

  private constructor(card: InternalNetworkCard, toGuest: FrameSink, log: Logger) {
    this.#card = card;
    this.#toGuest = toGuest;
    this.#log = log;
    this.#path = networkPath(card.family ?? internalFamily, card.name);
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
        const server = await SwitchServer.listen(this.#path, attempt.lock, this.#card, this.#isTakeOver, this.#log);
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
    const { isPromiscuous, hearsUplink } = this.#card;
    const hello = greeting(kind.card, !isPromiscuous ? hears.own : hearsUplink ? hears.all : hears.machines);
    hello.set(this.#card.macAddress, 6);
    this.#writer.write(hello);
    let isGreeted = false;
    return new Promise((resolve) => {
      socket.on("data", (bytes: Buffer) => {
        const isSense = this.#reader.push(bytes, (record) => {
          if (isGreeted) return !this.#isBlocked && this.#take(record, socket);
          isGreeted = true;
          this.#isTakeOver = true;
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
  readonly #makeService: MakeSwitchService | undefined;
  readonly #log: Logger;
  #service: { readonly service: SwitchService; readonly port: SwitchPort } | undefined;
  #uplink: SwitchUplink | undefined;

  private constructor(server: Server, lock: OwnerLock, makeService: MakeSwitchService | undefined, log: Logger) {
    this.#server = server;
    this.#lock = lock;
    this.#makeService = makeService;
    this.#log = log;
    server.maxConnections = MAX_CARDS;
    server.on("connection", (socket) => this.#serve(socket));
    server.unref();
  }

  /** The caller holds the lock: what is left of an earlier server is in nobody's use. */
  static async listen(
    path: string,
    lock: OwnerLock,
    { service, isServiceOptional, uplink }: InternalNetworkCard,
    isTakeOver: boolean,
    log: Logger,
  ): Promise<SwitchServer> {
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
    const network = new SwitchServer(server, lock, service, log);
    try {
      if (uplink !== undefined) await network.#startUplink(uplink, isTakeOver);
    } catch (error) {
      network.close();
      throw error;
    }
    try {
      await network.#startService();
    } catch (error) {
      if (isServiceOptional) log.error((error as Error).message);
      else {
        network.close();
        throw error;
      }
    }
    return network;
  }

  async #startUplink(make: MakeSwitchUplink, isTakeOver: boolean): Promise<void> {
    let uplink: SwitchUplink | undefined;
    const port = this.#switch.addPort({
      macAddress: NO_MAC,
      isPromiscuous: false,
      isUplink: true,
      deliver: (frame) => uplink?.send(frame),
    });
    uplink = await make(port, isTakeOver, this.#log);
    this.#uplink = uplink;
  }

  async #startService(): Promise<void> {
    if (this.#makeService === undefined) return;
    let service: SwitchService | undefined;
    const port = this.#switch.addPort({
      macAddress: SERVICE_MAC,
      isPromiscuous: false,
      deliver: (frame) => service?.receive(frame),
    });
    try {
      service = await this.#makeService((frame) => port.send(frame), this.#log);
    } catch (error) {
      port.close();
      throw error;
    }
    if (service === undefined) {
      port.close();
      return;
    }
    for (const address of service.macAddresses) port.own(address);
    this.#service = { service, port };
  }

  #stopService(): void {
    this.#service?.port.close();
    this.#service?.service.close();
    this.#service = undefined;
  }

  /** `natnetwork` and `dhcpserver`, `stop` and `start`: the answer goes back as the request came, with the outcome in it. */
  async #answerRequest(record: Uint8Array, writer: FrameWriter): Promise<void> {
    // A copy: slice() of a Buffer is not one.
    const answer = Uint8Array.from(record);
    answer[5] = outcome.done;
    this.#stopService();
    if (record[5] === serviceRequest.start) {
      try {
        await this.#startService();
      } catch (error) {
        this.#log.error((error as Error).message);
        answer[5] = outcome.failed;
      }
    }
    writer.write(answer);
  }

  close(): void {
    this.#stopService();
    this.#uplink?.close();
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#lock.release();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const writer = new FrameWriter(socket);
    const reader = new FrameReader();
    let port: SwitchPort | undefined;
    let isStranger = false;
    socket.on("data", (bytes: Buffer) => {
      const isSense = reader.push(bytes, (record) => {
        if (port !== undefined) port.send(record);
        else if (isRequest(record)) {
          void this.#answerRequest(Uint8Array.from(record), writer);
          return true;
        } else {
          port = this.#greet(record, writer);
          isStranger = port === undefined;
        }
        return !isStranger;
      });
      if (!isSense || isStranger) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      port?.close();
      this.#sockets.delete(socket);
    });
  }

  #greet(record: Uint8Array, writer: FrameWriter): SwitchPort | undefined {
    if (!isGreeting(record) || record[4] !== kind.card) return undefined;
    writer.write(record);
    return this.#switch.addPort({
      macAddress: record.slice(6),
      isPromiscuous: record[5] !== hears.own,
      hearsUplink: record[5] === hears.all,
      deliver: (frame) => writer.write(frame),
    });
  }
}

function isRequest(record: Uint8Array): boolean {
  return isGreeting(record) && record[4] === kind.serviceRequest && record[5] <= serviceRequest.start;
}
