/** The asking side of the control protocol: command line, tests, consoles. */
import { connect, type Socket } from "node:net";
import { AnneauError } from "../base/errors.ts";
import { LineSplitter } from "./line-splitter.ts";
import { type ControlRequestName, type ControlRequests, MAX_REPLY_BYTES, type ReplyLine } from "./messages.ts";

/** The VM process refused, or went away. `code` is one of VirtualBox's result names where there is one. */
export class ControlError extends AnneauError {
  override name = "ControlError";
  readonly code: string | undefined;

  constructor(message: string, code?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface ControlClient {
  /** Asks and waits for the answer. Rejects with ControlError; `timeoutMs` 0 waits for ever. */
  request<Name extends ControlRequestName>(
    name: Name,
    params: ControlRequests[Name]["params"],
    timeoutMs?: number,
  ): Promise<ControlRequests[Name]["result"]>;
  close(): void;
}

/**
 * Connects to a VM process; ControlError if none listens there or it takes longer than `patienceMs`. Requests that do not say
 * otherwise wait `requestMs` for their answer.
 */
export async function connectToMachine(
  socketPath: string,
  patienceMs = 5000,
  requestMs = patienceMs,
): Promise<ControlClient> {
  const socket = connect(socketPath);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new ControlError(`no answer on '${socketPath}'`));
    }, patienceMs);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", reject);
      resolve();
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(new ControlError(`no VM process answers on '${socketPath}' (${error.code})`, undefined, { cause: error }));
    });
  });
  return new SocketClient(socket, requestMs);
}

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: ControlError) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

class SocketClient implements ControlClient {
  readonly #socket: Socket;
  readonly #patienceMs: number;
  readonly #pending = new Map<number, Pending>();
  readonly #lines = new LineSplitter(MAX_REPLY_BYTES);
  #nextId = 1;
  #isClosed = false;

  constructor(socket: Socket, patienceMs: number) {
    this.#socket = socket;
    this.#patienceMs = patienceMs;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => {});
    socket.on("close", () => this.#fail(new ControlError("the VM process has gone")));
  }

  request<Name extends ControlRequestName>(
    name: Name,
    params: ControlRequests[Name]["params"],
    timeoutMs = this.#patienceMs,
  ): Promise<ControlRequests[Name]["result"]> {
    if (this.#isClosed) return Promise.reject(new ControlError("the VM process has gone"));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#pending.delete(id);
        reject(new ControlError(`the VM process does not answer '${name}'`));
      };
      const timer = timeoutMs > 0 ? setTimeout(giveUp, timeoutMs) : undefined;
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.write(`${JSON.stringify({ id, name, params })}\n`);
    });
  }

  close(): void {
    this.#socket.end();
    // A process that is stopped never closes its end.
    this.#socket.unref();
    this.#fail(new ControlError("the connection was closed"));
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const line of this.#lines.push(chunk)) {
        const { id, result, error } = JSON.parse(line) as ReplyLine;
        const pending = this.#pending.get(id);
        this.#pending.delete(id);
        clearTimeout(pending?.timer);
        if (error !== undefined) pending?.reject(new ControlError(error.message, error.code));
        else pending?.resolve(result as never);
      }
    } catch (error) {
      this.#socket.destroy();
      this.#fail(new ControlError("the VM process talks nonsense", undefined, { cause: error }));
    }
  }

  #fail(error: ControlError): void {
    this.#isClosed = true;
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
  }
}
