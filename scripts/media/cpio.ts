/**
 * A writer of cpio archives in the "newc" form that Linux unpacks as its initramfs (kernel documentation,
 * driver-api/early-userspace/buffer-format). Files, folders, symbolic links and device nodes; everything belongs to
 * root and bears one fixed time, so equal input gives equal bytes.
 */

export type CpioEntry =
  | { readonly path: string; readonly kind: "folder"; readonly mode?: number }
  | { readonly path: string; readonly kind: "file"; readonly data: Uint8Array; readonly mode?: number }
  | { readonly path: string; readonly kind: "link"; readonly target: string }
  | { readonly path: string; readonly kind: "character-device"; readonly major: number; readonly minor: number };

const typeBits = { folder: 0o040000, file: 0o100000, link: 0o120000, "character-device": 0o020000 };

/** Archive with the entries in the given order (a folder comes before what is in it). Paths have no leading slash. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const push = (bytes: Uint8Array) => {
    chunks.push(bytes);
    length += bytes.length;
    const padding = -length & 3;
    if (padding > 0) {
      chunks.push(new Uint8Array(padding));
      length += padding;
    }
  };
  const member = (path: string, inode: number, mode: number, data: Uint8Array, major: number, minor: number) => {
    const name = Buffer.from(path + "\0", "utf8");
    const links = mode === 0 || (mode & 0o170000) === typeBits.folder ? 2 : 1;
    const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, major, minor, name.length, 0];
    const header = "070701" + fields.map((value) => value.toString(16).padStart(8, "0")).join("");
    push(Buffer.concat([Buffer.from(header, "latin1"), name]));
    push(data);
  };
  const nothing = new Uint8Array(0);
  entries.forEach((entry, index) => {
    const type = typeBits[entry.kind];
    if (entry.kind === "folder") member(entry.path, index + 1, type | (entry.mode ?? 0o755), nothing, 0, 0);
    else if (entry.kind === "file") member(entry.path, index + 1, type | (entry.mode ?? 0o644), entry.data, 0, 0);
    else if (entry.kind === "link") member(entry.path, index + 1, type | 0o777, Buffer.from(entry.target), 0, 0);
    else member(entry.path, index + 1, type | 0o600, nothing, entry.major, entry.minor);
  });
  member("TRAILER!!!", 0, 0, nothing, 0, 0);
  return Buffer.concat(chunks);
}
