/** IRQ12: collects bytes of the PS/2 mouse into packets in the EBDA (IBM PS/2 BIOS reference, pointing device interface). */
import type { VirtualCpu } from "../../device-api/virtual-cpu.ts";
import { ebda } from "../ebda.ts";
import { EBDA_BASE } from "../memory-map.ts";

const INDEX_MASK = 0x07;
const HANDLER_INSTALLED = 0x80;
const SYNC_BIT = 0x08;

/** Takes one byte. True: a packet is complete and the driver's handler shall be called. */
export function mouseByte(cpu: VirtualCpu, byte: number): boolean {
  const stateAt = EBDA_BASE + ebda.mouseState;
  const state = cpu.readLinear(stateAt, 1);
  const size = (cpu.readLinear(EBDA_BASE + ebda.mouseSize, 1) & INDEX_MASK) + 1;
  const packetBytes = Math.max(size, 3);
  const index = state & INDEX_MASK;
  // A first byte without its fixed bit: bytes were lost, wait for the next packet.
  if (index === 0 && (byte & SYNC_BIT) === 0) return false;
  cpu.writeLinear(EBDA_BASE + ebda.mousePacket + index, 1, byte);
  const isComplete = index + 1 >= packetBytes;
  if (isComplete && packetBytes === 3) cpu.writeLinear(EBDA_BASE + ebda.mousePacket + 3, 1, 0);
  const next = isComplete ? 0 : index + 1;
  cpu.writeLinear(stateAt, 1, (state & ~INDEX_MASK) | next);
  return isComplete && (state & HANDLER_INSTALLED) !== 0;
}
