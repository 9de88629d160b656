/**
 * The sockets of networks that VM processes share, and what is said first on them: records of a 16-bit length (most significant byte
 * first) and as many bytes. A card greets with its address and goes on with frames; the command line asks for the service at
 * the switch to be stopped or started and gets the record back with the outcome in it.
 */
import { createConnection } from "node:net";
import { AnneauError } from "../base/errors.ts";
import { socketPathNamed } from "./socket-path.ts";

/** Families of networks: the same name in another one is another network. */
export const internalFamily = "intnet";
export const natNetworkFamily = "natnetwork";
/** Networks that are named after a device of the host. */
export const tapFamily = (mode: "hostonly" | "bridged"): string => mode;

/** Magic, what it is (a card or a request about the service), promiscuous or which request, address. */
export const GREETING_BYTES = 12;
const MAGIC = "ANIN";
export const kind = { card: 1, serviceRequest: 2 } as const;
export const serviceRequest = { stop: 0, start: 1 } as const;
export const outcome = { done: 0, failed: 1 } as const;
const LENGTH_BYTES = 2;
const PATIENCE_MS = 5000;

export function networkPath(family: string, name: string): string {
  return socketPathNamed(`${family}\0${name}`);
}

export function greeting(what: number, detail: number): Buffer {
  const record = Buffer.alloc(GREETING_BYTES);
  record.write(MAGIC, 0, "latin1");
  record[4] = what;
  record[5] = detail;
  return record;
}

export function isGreeting(record: Uint8Array): boolean {
  return record.length === GREETING_BYTES && Buffer.from(record.subarray(0, 4)).toString("latin1") === MAGIC;
}

/** Stops or (re)starts the service at a network's switch. "nobody": no VM is on that network. */
export function requestService(
  family: string,
  name: string,
  request: keyof typeof serviceRequest,
): Promise<"done" | "failed" | "nobody"> {
  const path = networkPath(family, name);
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let got = Buffer.alloc(0);
    const settle = (answer: "done" | "failed" | "nobody") => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => settle("failed"), PATIENCE_MS);
    socket.on("connect", () => {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt16BE(GREETING_BYTES);
      socket.write(Buffer.concat([length, greeting(kind.serviceRequest, serviceRequest[request])]));
    });
    socket.on("data", (bytes: Buffer) => {
      got = Buffer.concat([got, bytes]);
      if (got.length < LENGTH_BYTES + GREETING_BYTES) return;
      settle(got[LENGTH_BYTES + 5] === outcome.done ? "done" : "failed");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") settle("nobody");
      else {
        clearTimeout(timer);
        reject(new AnneauError(`cannot reach '${path}' (${error.code})`, { cause: error }));
      }
    });
    socket.on("close", () => settle("failed"));
  });
}
