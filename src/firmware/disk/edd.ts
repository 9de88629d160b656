/**
 * INT 13h AH = 48h: the drive parameter block (EDD 3.0). The caller's buffer size decides how much is written: 1Ah bytes,
 * 1Eh with the pointer to controller parameters (none), 42h with the device path.
 */
import type { BootMedium } from "../../device-api/boot-media.ts";
import type { FrameCaller } from "../caller.ts";
import type { ServiceMemory } from "../directed.ts";
import { INVALID } from "./disk-services.ts";
import type { Disk } from "./drive-table.ts";

const BASIC_BYTES = 0x1a;
const EDD2_BYTES = 0x1e;
const EDD3_BYTES = 0x42;
const PATH_OFFSET = 0x1e;
const PATH_BYTES = 0x24;
const CHS_VALID = 0x02;
/** Removable, with change notification and lock, CHS at its limits, medium present. */
const CD_FLAGS = 0x74;
const IDE_SLOT = 1;
const IDE_FUNCTION = 1;

export function diskParameters(memory: ServiceMemory, caller: FrameCaller, disk: Disk, medium: BootMedium): number {
  return store(memory, caller, (view) => {
    view.setUint16(2, CHS_VALID, true);
    view.setUint32(4, disk.physical.cylinders, true);
    view.setUint32(8, disk.physical.heads, true);
    view.setUint32(12, disk.physical.sectors, true);
    view.setUint32(16, disk.totalSectors % 0x1_0000_0000, true);
    view.setUint32(20, Math.floor(disk.totalSectors / 0x1_0000_0000), true);
    view.setUint16(24, 512, true);
    if (medium.attachment.bus === "ide") describePath(view, medium.attachment);
  });
}

export function cdParameters(memory: ServiceMemory, caller: FrameCaller): number {
  return store(memory, caller, (view) => {
    view.setUint16(2, CD_FLAGS, true);
    for (let offset = 4; offset < 24; offset += 4) view.setUint32(offset, 0xffffffff, true);
    view.setUint16(24, 2048, true);
  });
}

function store(memory: ServiceMemory, caller: FrameCaller, fill: (view: DataView) => void): number {
  const linear = caller.dsBase + caller.si;
  const room = memory.read16(linear);
  if (room < BASIC_BYTES) return INVALID;
  const block = new Uint8Array(EDD3_BYTES);
  const view = new DataView(block.buffer);
  view.setUint32(BASIC_BYTES, 0xffffffff, true);
  fill(view);
  const hasPath = view.getUint16(PATH_OFFSET, true) !== 0;
  const lengthBytes = room >= EDD3_BYTES && hasPath ? EDD3_BYTES : room >= EDD2_BYTES ? EDD2_BYTES : BASIC_BYTES;
  view.setUint16(0, lengthBytes, true);
  memory.writeBytes(linear, block.subarray(0, lengthBytes));
  return 0;
}

/** PCI bus, slot and function of the controller, channel, then the device on it; the path's byte sum is 0. */
function describePath(view: DataView, attachment: { readonly channel: number; readonly device: number }): void {
  view.setUint16(PATH_OFFSET, 0xbedd, true);
  view.setUint8(PATH_OFFSET + 2, PATH_BYTES);
  writeText(view, PATH_OFFSET + 6, "PCI ");
  writeText(view, PATH_OFFSET + 10, "ATA     ");
  view.setUint8(PATH_OFFSET + 18, 0);
  view.setUint8(PATH_OFFSET + 19, IDE_SLOT);
  view.setUint8(PATH_OFFSET + 20, IDE_FUNCTION);
  view.setUint8(PATH_OFFSET + 21, attachment.channel);
  view.setUint8(PATH_OFFSET + 26, attachment.device);
  let sum = 0;
  for (let i = PATH_OFFSET; i < PATH_OFFSET + PATH_BYTES; i++) sum += view.getUint8(i);
  view.setUint8(PATH_OFFSET + PATH_BYTES - 1, -sum & 0xff);
}

function writeText(view: DataView, offset: number, text: string): void {
  for (let i = 0; i < text.length; i++) view.setUint8(offset + i, text.charCodeAt(i));
}
