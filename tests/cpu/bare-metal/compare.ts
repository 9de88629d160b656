/**
 * Compares our log of an image with a peer's, line by line. Lines that differ must be covered by the list in
 * differences.ts, which says for each group who is right and by which section of the manual; a group is pinned by its size
 * and by a digest of what we said, so neither a new difference nor a change of ours hides in it.
 */
import { createHash } from "node:crypto";

export type Peer = "QEMU" | "Bochs";

export interface Difference {
  readonly image: string;
  readonly peer: Peer;
  /** Matches our lines, name and result. */
  readonly ours: RegExp;
  /** Matches the peer's result (from the colon on), where it says more. */
  readonly peers?: RegExp;
  /** How many lines, and the first 8 digits of the SHA-256 of ours. */
  readonly lines: string;
  /** The manual (Intel SDM unless it says another) and who follows it. */
  readonly manual: string;
  readonly right: "Anneau" | "both";
  readonly because: string;
}

/** Bits of `fl=` fields that a peer gets wrong throughout: TCG does not set RF in the image of a fault (volume 3, 17.3.1.1). */
const ignoredFlags: { readonly [peer in Peer]: number } = { QEMU: 0x10000, Bochs: 0 };

function withoutIgnored(line: string, peer: Peer): string {
  return line.replace(/fl=([0-9A-F]{6})/g, (_, hex) => {
    const flags = Number.parseInt(hex, 16) & ~ignoredFlags[peer];
    return `fl=${flags.toString(16).toUpperCase().padStart(6, "0")}`;
  });
}

export function digest(lines: readonly string[]): string {
  return `${lines.length} ${createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 8)}`;
}

const result = (line: string): string => line.slice(Math.max(line.indexOf(":"), 0));

/** What is wrong, one text each; empty if the logs agree up to the listed differences. */
export function compareLogs(
  image: string,
  ours: string,
  peer: Peer,
  peers: string,
  differences: readonly Difference[],
): string[] {
  const problems: string[] = [];
  const here = ours.trimEnd().split("\n");
  const there = peers.trimEnd().split("\n");
  if (!/^DONE \d+ cases$/.test(here.at(-1) ?? "")) problems.push(`our log ends with "${here.at(-1)}"`);
  if (!/^DONE \d+ cases$/.test(there.at(-1) ?? "")) problems.push(`${peer}'s log ends with "${there.at(-1)}"`);
  if (here.length !== there.length) problems.push(`${here.length} lines here, ${there.length} from ${peer}`);
  const listed = differences.filter((entry) => entry.image === image && entry.peer === peer);
  const covered = listed.map((): string[] => []);
  for (let n = 0; n < Math.min(here.length, there.length) && problems.length < 40; n++) {
    if (withoutIgnored(here[n], peer) === withoutIgnored(there[n], peer)) continue;
    const index = listed.findIndex(
      (entry) => entry.ours.test(here[n]) && (entry.peers === undefined || entry.peers.test(result(there[n]))),
    );
    if (index < 0) problems.push(`line ${n + 1}: "${here[n]}", ${peer} "${there[n]}"`);
    else covered[index].push(here[n]);
  }
  if (problems.length > 0) return problems;
  listed.forEach((entry, index) => {
    const found = digest(covered[index]);
    if (found !== entry.lines)
      problems.push(`${entry.ours} (${entry.because}) covers "${found}", listed as "${entry.lines}"`);
  });
  return problems;
}
