/**
 * A master boot record with up to four primary partitions. Start and end also stand in the entries as CHS, in the
 * logical geometry that firmware derives from the size (16, 32, 64, 128 or 255 heads, 63 sectors), because firmware in
 * turn guesses the geometry from them.
 */
import { AnneauError } from "../../src/base/errors.ts";

export interface Partition {
  readonly type: number;
  readonly isActive: boolean;
  readonly firstLba: number;
  readonly sectors: number;
}

export const sectorsPerTrack = 63;

/** Heads of the logical geometry of a disk of that size. */
export function logicalHeads(diskSectors: number): number {
  return [16, 32, 64, 128].find((heads) => diskSectors / (heads * sectorsPerTrack) <= 1024) ?? 255;
}

/** The first sector of a disk; `code` is at most 440 bytes. */
export function masterBootRecord(
  code: Uint8Array,
  diskSectors: number,
  diskSignature: number,
  partitions: readonly Partition[],
): Uint8Array {
  if (code.length > 440) throw new AnneauError(`the boot code has ${code.length} bytes: at most 440 fit`);
  const heads = logicalHeads(diskSectors);
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  bytes.set(code);
  view.setUint32(440, diskSignature, true);
  const chs = (lba: number): number[] => {
    const cylinder = Math.floor(lba / (heads * sectorsPerTrack));
    if (cylinder > 1023) return [heads - 1, (3 << 6) | sectorsPerTrack, 0xff];
    const head = Math.floor(lba / sectorsPerTrack) % heads;
    return [head, ((cylinder >> 8) << 6) | ((lba % sectorsPerTrack) + 1), cylinder & 0xff];
  };
  partitions.forEach((partition, index) => {
    const at = 446 + index * 16;
    bytes[at] = partition.isActive ? 0x80 : 0;
    bytes.set(chs(partition.firstLba), at + 1);
    bytes[at + 4] = partition.type;
    bytes.set(chs(partition.firstLba + partition.sectors - 1), at + 5);
    view.setUint32(at + 8, partition.firstLba, true);
    view.setUint32(at + 12, partition.sectors, true);
  });
  view.setUint16(510, 0xaa55, true);
  return bytes;
}
