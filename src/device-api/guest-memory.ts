/**
 * Guest-physical memory as devices use it for DMA. Addresses are guest-physical byte addresses (numbers below 2^52).
 * Ranges outside RAM read as all ones and swallow writes; nothing here throws on a guest's value. Each write also
 * invalidates code decoded or translated from the range. Only the machine thread may call it.
 */
export interface GuestMemory {
  /** RAM size in bytes (contiguous from 0, the legacy hole at A0000h–FFFFFh excluded from DMA). */
  readonly ramBytes: number;
  read8(gpa: number): number;
  read16(gpa: number): number;
  read32(gpa: number): number;
  write8(gpa: number, value: number): void;
  write16(gpa: number, value: number): void;
  write32(gpa: number, value: number): void;
  /** Copies guest memory at `gpa` into `target` (its whole length). */
  read(gpa: number, target: Uint8Array): void;
  /** Copies `source` to guest memory at `gpa`. */
  write(gpa: number, source: Uint8Array): void;
  /**
   * A view of RAM without a copy, or undefined if the range is not entirely RAM. After a back end has written through
   * it, the machine thread calls `invalidate` for the same range before it raises the interrupt.
   */
  view(gpa: number, lengthBytes: number): Uint8Array | undefined;
  /** Drops code decoded or translated from the range. */
  invalidate(gpa: number, lengthBytes: number): void;
}
