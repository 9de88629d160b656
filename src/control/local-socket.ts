/**
 * Socket files: a process that was killed leaves its file behind, on which nobody answers. Such a file may be removed; one that
 * is answered on, or that is no socket, is somebody else's.
 */
import { lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";

const PATIENCE_MS = 2000;

/** Removes a socket file that nobody answers on. True when `path` is free afterwards. */
export async function removeDeadSocket(path: string): Promise<boolean> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return true;
  if (!stat.isSocket() || (await isAnswered(path))) return false;
  rmSync(path, { force: true });
  return true;
}

/** Whether a process listens there; a server that is too busy to accept counts as one. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answer: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => settle(true), PATIENCE_MS);
    socket.on("connect", () => settle(true));
    socket.on("error", ({ code }: NodeJS.ErrnoException) => settle(code !== "ECONNREFUSED" && code !== "ENOENT"));
  });
}
