/**
 * A window: a claimed range of ports, of memory-mapped registers or a BAR. Offsets are relative to the window's start,
 * so a device never learns where it is mapped.
 */

export type AccessSize = 1 | 2 | 4;

export interface IoWindow {
  /**
   * Reads `size` bytes at `offset`, result as an unsigned number. An access that the part does not decode answers all
   * ones. Accesses never straddle the window's end: the bus splits them.
   */
  read(offset: number, size: AccessSize): number;
  /** Writes the low `size` bytes of `value` (unsigned). Never throws, whatever the guest says; loops are bounded. */
  write(offset: number, size: AccessSize, value: number): void;
  /**
   * REP INS: fills `target` with successive elements of `size` bytes read at `offset`. Returns the number of bytes
   * delivered, a multiple of `size`; less than asked means the rest goes the slow way. Optional.
   */
  readBulk?(offset: number, size: AccessSize, target: Uint8Array): number;
  /** REP OUTS, the mirror image. */
  writeBulk?(offset: number, size: AccessSize, source: Uint8Array): number;
}

/** What an unclaimed or undecoded read of `size` bytes answers. */
export function allOnes(size: AccessSize): number {
  return size === 1 ? 0xff : size === 2 ? 0xffff : 0xffffffff;
}
