/**
 * Where a VM process listens: a Unix socket with a short name (socket paths end near 107 bytes) in a folder that only its
 * owner can enter: `$XDG_RUNTIME_DIR/anneau`, else one under the temporary folder. Entering the folder is the permission; there
 * is no other token.
 */
import { createHash } from "node:crypto";
import { lstatSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AnneauError } from "../base/errors.ts";
import { makeFolder } from "../disk/make-folder.ts";

const MAX_PATH_BYTES = 100;

/** The socket of the VM with that UUID in the caller's registry. Makes nothing. */
export function socketPathOf(uuid: string): string {
  // VMs of different registries may share a UUID (copies): the registry is part of the name.
  return socketPathNamed(`${uuid}\0${process.env.VBOX_USER_HOME ?? ""}`);
}

/** A socket for whatever `key` says, of any length. Makes nothing. */
export function socketPathNamed(key: string): string {
  const name = createHash("sha256").update(key).digest("hex").slice(0, 24);
  const path = join(socketFolder(), `${name}.sock`);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES)
    throw new AnneauError(`the folder for control sockets has too long a name: '${path}'`);
  return path;
}

/** Where a VM's web console keeps its token. */
export function consoleTokenPath(uuid: string): string {
  return socketPathOf(uuid).replace(/sock$/, "token");
}

/** A page that leads a browser to the web console, for programs whose arguments everybody can see. */
export function consolePagePath(uuid: string): string {
  return socketPathOf(uuid).replace(/sock$/, "html");
}

/** Makes the socket's folder if need be; one line if somebody else could enter it. */
export function prepareSocketFolder(): void {
  if (process.platform === "win32") throw new AnneauError("running VMs are not supported on Windows yet");
  const folder = socketFolder();
  makeFolder(folder, 0o700);
  const { uid, mode } = lstatSync(folder);
  const isOwn = uid === process.getuid?.() && lstatSync(folder).isDirectory();
  if (!isOwn || (mode & 0o077) !== 0)
    throw new AnneauError(`'${folder}' has to be a folder of yours that nobody else can enter (mode 0700)`);
}

function socketFolder(): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  if (runtime?.startsWith("/") && isOwnFolder(runtime)) {
    const folder = join(runtime, "anneau");
    if (Buffer.byteLength(folder) <= MAX_PATH_BYTES - 30) return folder;
  }
  const own = `anneau-${process.getuid?.() ?? "user"}`;
  const folder = join(tmpdir(), own);
  return Buffer.byteLength(folder) <= MAX_PATH_BYTES - 30 ? folder : join("/tmp", own);
}

function isOwnFolder(path: string): boolean {
  try {
    const stat = statSync(path);
    return stat.isDirectory() && stat.uid === process.getuid?.();
  } catch {
    return false;
  }
}
