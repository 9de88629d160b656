/** Debian's i386 programs for the application kernels, with their libraries, and the data that they work on. */
import { copyFileSync, lstatSync, mkdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { PrivateApt, unpackDeb } from "../scripts/media/apt.ts";
import { cachedProduct } from "../scripts/media/cache.ts";

const packages = ["libc6", "dash", "gzip", "xz-utils", "liblzma5", "openssl", "libssl3", "busybox-static"];
/** From the packages: where a file is there, and where the guest has it. */
const files: readonly (readonly [from: string, to: string])[] = [
  ["bin/dash", "bin/sh"],
  ["bin/gzip", "bin/gzip"],
  ["usr/bin/xz", "bin/xz"],
  ["usr/bin/openssl", "bin/openssl"],
  ["bin/busybox", "bin/busybox"],
  ["lib/i386-linux-gnu/ld-linux.so.2", "lib/ld-linux.so.2"],
  ["lib/i386-linux-gnu/libc.so.6", "lib/libc.so.6"],
  ["lib/i386-linux-gnu/liblzma.so.5", "lib/liblzma.so.5"],
  ["usr/lib/i386-linux-gnu/libssl.so.3", "lib/libssl.so.3"],
  ["usr/lib/i386-linux-gnu/libcrypto.so.3", "lib/libcrypto.so.3"],
];
/** What the scripts call by name and busybox does. */
export const busyboxLinks = ["head", "cat", "md5sum", "sed", "tr", "sort", "uniq", "awk"];

/** 2^521 − 1, a prime. */
const prime = "1" + "F".repeat(130);
const TEXT_BYTES = 2 << 20;

/** Makes (or finds) the folder with the files at the guest's paths. */
export function applications(): Promise<string> {
  const recipe = JSON.stringify({ packages, files, prime, TEXT_BYTES, text: text(2000) });
  return cachedProduct("bench-applications-i386", recipe, (scratch) => {
    const found = new PrivateApt("i386").download(packages);
    const unpacked = join(scratch, "unpacked");
    for (const one of found) unpackDeb(one, unpacked);
    for (const [from, to] of files) {
      mkdirSync(dirname(join(scratch, to)), { recursive: true });
      copyFileSync(follow(unpacked, from), join(scratch, to));
    }
    rmSync(unpacked, { recursive: true });
    mkdirSync(join(scratch, "data"));
    writeFileSync(join(scratch, "data/text"), text(TEXT_BYTES));
    writeFileSync(join(scratch, "data/prime"), prime);
    return Object.fromEntries(found.map(({ name, version }) => [name, version]));
  });
}

/** The guest's paths of all files in the folder. */
export const applicationFiles: readonly string[] = [...files.map(([, to]) => to), "data/text", "data/prime"];

/** The file behind a library's symbolic links, which point beside themselves. */
function follow(root: string, path: string): string {
  let at = join(root, path);
  for (let n = 0; n < 8 && lstatSync(at).isSymbolicLink(); n++) at = join(dirname(at), basename(readlinkSync(at)));
  return at;
}

/** Lines of made-up words, some more frequent than others, as in texts. */
function text(bytes: number): string {
  let state = 0x2545f491;
  const random = (limit: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  const syllables = ["ra", "ne", "to", "li", "sum", "ker", "pa", "do", "vi", "gen", "ast", "mo", "qu", "e", "ir", "on"];
  const words = Array.from({ length: 4000 }, () =>
    Array.from({ length: 1 + random(4) }, () => syllables[random(syllables.length)]).join(""),
  );
  const parts: string[] = [];
  for (let length = 0; length < bytes; ) {
    const line = Array.from({ length: 3 + random(9) }, () => words[random(1 + random(words.length))]).join(" ") + "\n";
    parts.push(line);
    length += line.length;
  }
  return parts.join("").slice(0, bytes);
}
