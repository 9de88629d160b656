/**
 * The answering side of the control protocol. Lines that are no request are answered with an error or, when they are too
 * long, by closing the connection; whatever a client sends, the VM goes on.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { AnneauError } from "../base/errors.ts";
import { ControlError } from "./client.ts";
import { LineSplitter } from "./line-splitter.ts";
import { removeDeadSocket } from "./local-socket.ts";
import { type ControlRequestName, type ControlRequests, MAX_REQUEST_BYTES, type ReplyLine } from "./messages.ts";
import { prepareSocketFolder } from "./socket-path.ts";

/** Connections at a time; one more is closed at once. */
const MAX_CLIENTS = 64;

/** What answers. Parameters come from outside: each handler checks its own. */
export type ControlHandlers = {
  readonly [Name in ControlRequestName]: (
    params: unknown,
  ) => ControlRequests[Name]["result"] | Promise<ControlRequests[Name]["result"]>;
};

export class ControlServer {
  readonly #server: Server;
  readonly #path: string;
  readonly #clients = new Set<Socket>();

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  /** Listens at `path`, replacing a socket that a dead process left; AnneauError if a living one listens there. */
  static async listen(path: string, handlers: ControlHandlers): Promise<ControlServer> {
    prepareSocketFolder();
    await removeDeadSocket(path);
    const server = createServer();
    const control = new ControlServer(server, path);
    server.on("connection", (socket) => control.#serve(socket, handlers));
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) =>
        reject(new AnneauError(`cannot listen on '${path}' (${error.code})`, { cause: error })),
      );
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return control;
  }

  /** Answers under way are sent, then every connection ends and the socket disappears. */
  async close(): Promise<void> {
    for (const socket of this.#clients) socket.end();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      setTimeout(() => {
        for (const socket of this.#clients) socket.destroy();
        resolve();
      }, 500).unref();
    });
    rmSync(this.#path, { force: true });
  }

  #serve(socket: Socket, handlers: ControlHandlers): void {
    if (this.#clients.size >= MAX_CLIENTS) {
      socket.destroy();
      return;
    }
    this.#clients.add(socket);
    const lines = new LineSplitter(MAX_REQUEST_BYTES);
    const reply = (line: ReplyLine) => {
      if (socket.writable) socket.write(`${JSON.stringify(line)}\n`);
    };
    socket.on("error", () => {});
    socket.on("close", () => this.#clients.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const line of lines.push(chunk)) void answer(line, handlers).then(reply);
      } catch {
        socket.destroy();
      }
    });
  }
}

async function answer(line: string, handlers: ControlHandlers): Promise<ReplyLine> {
  let id = 0;
  try {
    const request: unknown = JSON.parse(line);
    if (typeof request !== "object" || request === null) throw new ControlError("a request is an object");
    const { id: given, name, params } = request as { id?: unknown; name?: unknown; params?: unknown };
    if (!Number.isSafeInteger(given)) throw new ControlError("a request has a number");
    id = given as number;
    if (typeof name !== "string" || !Object.hasOwn(handlers, name)) throw new ControlError(`unknown request '${name}'`);
    return { id, result: await handlers[name as ControlRequestName](params) };
  } catch (error) {
    const { message, code } = error as { message?: string; code?: unknown };
    return { id, error: { message: message ?? String(error), code: typeof code === "string" ? code : undefined } };
  }
}
