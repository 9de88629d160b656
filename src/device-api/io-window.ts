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

/** A part with byte-wide registers, as most ISA parts are. */
export interface ByteRegisters {
  readByte(offset: number): number;
  writeByte(offset: number, value: number): void;
}

/** The window of a byte-wide part: wider accesses become byte accesses in rising order, as the ISA bus makes them. */
export function byteWindow(part: ByteRegisters): IoWindow {
  return {
    read(offset, size) {
      let value = part.readByte(offset);
      if (size === 1) return value;
      value |= part.readByte(offset + 1) << 8;
      if (size === 2) return value;
      value |= part.readByte(offset + 2) << 16;
      return (value | (part.readByte(offset + 3) << 24)) >>> 0;
    },
    write(offset, size, value) {
      part.writeByte(offset, value & 0xff);
      for (let i = 1; i < size; i++) part.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
    },
  };
}
