/** The initialisation block (Am79C973 data sheet, "Initialization Block"): mode, addresses and rings, read from memory by INIT. */
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { PcnetRegisters } from "./register-file.ts";
import * as R from "./registers.ts";

export interface RingPlace {
  readonly base: number;
  readonly length: number;
}

/** Puts mode and addresses into their CSRs; where the rings are. */
export function readInitBlock(
  memory: GuestMemory,
  registers: PcnetRegisters,
): { readonly receive: RingPlace; readonly transmit: RingPlace } {
  const { csr } = registers;
  const low = csr[R.CSR_IADR_LOW];
  if (registers.hasWideStructures) {
    const block = csr[R.CSR_IADR_HIGH] * 0x10000 + (low & ~3);
    const first = memory.read32(block);
    csr[R.CSR_MODE] = first;
    for (let i = 0; i < 3; i++) csr[R.CSR_PADR + i] = memory.read16(block + 4 + 2 * i);
    for (let i = 0; i < 4; i++) csr[R.CSR_LADRF + i] = memory.read16(block + 12 + 2 * i);
    const rlen = (first >>> 20) & 15;
    const tlen = first >>> 28;
    csr[6] = (tlen << 12) | (rlen << 8);
    return {
      receive: { base: (memory.read32(block + 20) & ~15) >>> 0, length: 1 << Math.min(rlen, 9) },
      transmit: { base: (memory.read32(block + 24) & ~15) >>> 0, length: 1 << Math.min(tlen, 9) },
    };
  }
  const block = csr[R.CSR_IADR_HIGH] * 0x10000 + (low & ~1);
  csr[R.CSR_MODE] = memory.read16(block);
  for (let i = 0; i < 3; i++) csr[R.CSR_PADR + i] = memory.read16(block + 2 + 2 * i);
  for (let i = 0; i < 4; i++) csr[R.CSR_LADRF + i] = memory.read16(block + 8 + 2 * i);
  const ring = (at: number): RingPlace => {
    const high = memory.read16(block + at + 2);
    const base = registers.addressHigh + ((high & 0xff) << 16) + (memory.read16(block + at) & ~7);
    return { base, length: 1 << (high >>> 13) };
  };
  csr[6] = ((memory.read16(block + 22) >>> 13) << 12) | ((memory.read16(block + 18) >>> 13) << 8);
  return { receive: ring(16), transmit: ring(20) };
}
