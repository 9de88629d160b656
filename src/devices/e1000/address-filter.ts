/** Which frames an 8254x takes (manual, 13.4.22 and 13.5): exact addresses, multicast hash, broadcast, promiscuous modes, VLANs. */
import { isBroadcast } from "../../device-parts/ethernet.ts";
import type { E1000Registers } from "./register-file.ts";
import * as R from "./registers.ts";

const EXACT_ADDRESSES = 16;
const MO_SHIFT = 12;
const RAH_AS = 0x0003_0000;

/** "exact" or "hash": it is for this card, and how that was found. */
export function matchAddress(registers: E1000Registers, frame: Uint8Array): "exact" | "hash" | "no" {
  const rctl = registers.get(R.RCTL);
  const isGroup = (frame[0] & 1) !== 0;
  if ((rctl & R.RCTL_UPE) !== 0 && !isGroup) return "exact";
  if ((rctl & R.RCTL_MPE) !== 0 && isGroup) return "exact";
  if ((rctl & R.RCTL_BAM) !== 0 && isBroadcast(frame)) return "exact";
  const low = (frame[0] | (frame[1] << 8) | (frame[2] << 16) | (frame[3] << 24)) >>> 0;
  const high = frame[4] | (frame[5] << 8);
  for (let i = 0; i < EXACT_ADDRESSES; i++) {
    const rah = registers.get(R.RA + 8 * i + 4);
    if ((rah & R.RAH_AV) === 0 || (rah & RAH_AS) !== 0) continue;
    if ((rah & 0xffff) === high && registers.get(R.RA + 8 * i) === low) return "exact";
  }
  if (!isGroup) return "no";
  // Twelve bits of the last two bytes, from one of four places.
  const shift = [4, 3, 2, 0][(rctl >>> MO_SHIFT) & 3];
  const hash = (high >>> shift) & 0xfff;
  return (registers.get(R.MTA + 4 * (hash >>> 5)) >>> (hash & 31)) & 1 ? "hash" : "no";
}

/** Tagged frames must be for a VLAN of the table, where that is asked for. */
export function matchVlan(registers: E1000Registers, vlan: number): boolean {
  if ((registers.get(R.RCTL) & R.RCTL_VFE) === 0) return true;
  return ((registers.get(R.VFTA + 4 * ((vlan >>> 5) & 0x7f)) >>> (vlan & 31)) & 1) !== 0;
}
