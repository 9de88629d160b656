/** SCAN EQUAL, LOW OR EQUAL, HIGH OR EQUAL: the comparison of a sector with the host's bytes. */
import type { CommandName } from "./commands.ts";
import { ST2_SH, ST2_SN } from "./registers.ts";

/**
 * The scan bits of ST2 after a sector: SH if equal, SN if the condition does not hold. The first difference decides; FFh on
 * either side matches everything.
 */
export function scanStatus(name: CommandName, disk: Uint8Array, host: Uint8Array, lengthBytes: number): number {
  for (let i = 0; i < lengthBytes; i++) {
    if (disk[i] === host[i] || disk[i] === 0xff || host[i] === 0xff) continue;
    const wanted = disk[i] < host[i] ? "scan low or equal" : "scan high or equal";
    return name === wanted ? 0 : ST2_SN;
  }
  return ST2_SH;
}
