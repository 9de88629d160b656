/** CD sectors for El Torito and INT 13h: ATAPI drives by guest instructions, others through their boot medium. */
import type { Directed, ServiceMemory } from "../directed.ts";
import { ataStatus, cdRead, cdReady } from "./ata.ts";
import type { DriveTable } from "./drive-table.ts";

export const CD_SECTOR_BYTES = 2048;

export function* cdIsReady(drives: DriveTable, memory: ServiceMemory, mediaIndex: number): Directed<number> {
  const { attachment } = drives.medium(mediaIndex);
  if (attachment.bus === "ide") return yield* cdReady(memory, attachment);
  return memory.input(() => (drives.medium(mediaIndex).sizeBytes > 0 ? ataStatus.ok : ataStatus.notReady));
}

/** `lengthBytes` from `skipBytes` on, counted from sector `lba`, to `linear`. Gives an INT 13h status. */
export function* readCd(
  drives: DriveTable,
  memory: ServiceMemory,
  mediaIndex: number,
  lba: number,
  skipBytes: number,
  lengthBytes: number,
  linear: number,
): Directed<number> {
  const medium = drives.medium(mediaIndex);
  const { attachment } = medium;
  if (attachment.bus === "ide") return yield* cdRead(memory, attachment, lba, skipBytes, lengthBytes, linear);
  const sectors = Math.ceil((skipBytes + lengthBytes) / CD_SECTOR_BYTES);
  const data = new Uint8Array(sectors * CD_SECTOR_BYTES);
  const isRead = memory.input(() => (medium.readSectors?.(lba, data) ? 1 : 0)) === 1;
  if (!isRead) return ataStatus.notFound;
  memory.writeBytes(linear, data.subarray(skipBytes, skipBytes + lengthBytes));
  return ataStatus.ok;
}
