/**
 * The token of a VM's web console and the port it was last at, in a file that only the owner can read, in the folder of control
 * sockets. Kept from run to run, so that a page in a browser finds its machine again.
 */
import { randomBytes } from "node:crypto";
import { lstatSync, readFileSync, rmSync, writeFileSync } from "node:fs";

export interface ConsoleToken {
  readonly token: string;
  /** 0: none yet. */
  readonly port: number;
}

const TOKEN = /^([A-Za-z0-9_-]{43}) ([0-9]{1,5})\n$/;

/** The file's token; a new one if there is none, or if somebody else could have read it. */
export function loadToken(path: string): ConsoleToken {
  try {
    const { mode, uid } = lstatSync(path);
    const match = TOKEN.exec(readFileSync(path, "latin1"));
    const isOwn = lstatSync(path).isFile() && uid === process.getuid?.() && (mode & 0o077) === 0;
    if (match !== null && isOwn) return { token: match[1], port: Number(match[2]) };
  } catch {
    // There is none.
  }
  return { token: randomBytes(32).toString("base64url"), port: 0 };
}

/** Keeps the token for the next run. */
export function storeToken(path: string, { token, port }: ConsoleToken): void {
  rmSync(path, { force: true });
  writeFileSync(path, `${token} ${port}\n`, { mode: 0o600, flag: "wx" });
}
