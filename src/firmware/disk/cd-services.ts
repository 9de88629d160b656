/**
 * INT 13h on the CD that the system was booted from (El Torito 1.0): without emulation a drive with extensions and
 * 2048-byte sectors; with emulation a write-protected floppy or disk in the image on the CD.
 */

import { BDA_BASE, bda } from "../bios-data-area.ts";
import type { FrameCaller } from "../caller.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import { ROM_SEGMENT } from "../rom/system-rom.ts";
import type { ServiceContext } from "../service-context.ts";
import { CD_SECTOR_BYTES, cdIsReady, readCd } from "./cd-access.ts";
import { INVALID } from "./disk-services.ts";
import type { CdBoot } from "./drive-table.ts";
import { cdParameters } from "./edd.ts";

const WRITE_PROTECTED = 0x03;
const OUT_OF_RANGE = 0x04;
const LOCK_FAILED = 0xb4;
const SPECIFICATION_BYTES = 0x13;
const MOST_PACKET_SECTORS = 127;
const SECTOR_BYTES = 512;

export function* cdDrive(
  context: ServiceContext,
  memory: ServiceMemory,
  caller: FrameCaller,
  cd: CdBoot,
): Directed<number | undefined> {
  if (caller.ah === 0x4b) return bootSpecification(context, memory, caller, cd);
  return cd.mediaType === 0
    ? yield* plainCd(context, memory, caller, cd)
    : yield* emulatedDrive(context, memory, caller, cd);
}

function* plainCd(
  context: ServiceContext,
  memory: ServiceMemory,
  caller: FrameCaller,
  cd: CdBoot,
): Directed<number | undefined> {
  switch (caller.ah) {
    case 0x00:
    case 0x09:
    case 0x0c:
    case 0x0d:
    case 0x11:
    case 0x14:
    case 0x47:
      return 0;
    case 0x10:
      return yield* cdIsReady(context.drives, memory, cd.mediaIndex);
    case 0x03:
    case 0x05:
    case 0x43:
      return WRITE_PROTECTED;
    case 0x41:
      if (caller.bx !== 0x55aa) return INVALID;
      caller.bx = 0xaa55;
      caller.ah = 0x30;
      caller.cx = 0x0007;
      caller.carry = false;
      return undefined;
    case 0x42:
    case 0x44:
      return yield* readPacketSectors(context, memory, caller, cd, caller.ah === 0x42, CD_SECTOR_BYTES);
    case 0x45:
      if (caller.al > 2) return INVALID;
      if (caller.al === 2) caller.al = 0;
      return 0;
    case 0x46:
      return LOCK_FAILED;
    case 0x48:
      return cdParameters(memory, caller);
    case 0x49:
      return 0;
    case 0x4e:
      return [0x01, 0x03, 0x04, 0x06].includes(caller.al) ? 0 : INVALID;
    default:
      return INVALID;
  }
}

function* emulatedDrive(
  context: ServiceContext,
  memory: ServiceMemory,
  caller: FrameCaller,
  cd: CdBoot,
): Directed<number | undefined> {
  const { cylinders, heads, sectors } = cd.geometry;
  const isFloppy = cd.drive === 0;
  switch (caller.ah) {
    case 0x00:
    case 0x09:
    case 0x0c:
    case 0x0d:
    case 0x10:
    case 0x11:
    case 0x14:
    case 0x47:
      return 0;
    case 0x02:
    case 0x04: {
      const cylinder = caller.ch | ((caller.cl & 0xc0) << 2);
      const sector = caller.cl & 0x3f;
      const count = caller.al;
      if (count === 0 || cylinder >= cylinders || caller.dh >= heads || sector === 0 || sector > sectors) {
        caller.al = 0;
        return INVALID;
      }
      const lba = (cylinder * heads + caller.dh) * sectors + sector - 1;
      const status = yield* readImage(context, memory, cd, lba, count, caller.esBase + caller.bx, caller.ah === 0x02);
      if (status !== 0) caller.al = 0;
      return status;
    }
    case 0x03:
    case 0x05:
    case 0x43:
      return WRITE_PROTECTED;
    case 0x08: {
      const last = cylinders - 1;
      caller.al = 0;
      caller.ch = last & 0xff;
      caller.cl = ((last >> 2) & 0xc0) | sectors;
      caller.dh = heads - 1;
      if (isFloppy) {
        caller.bx = [0, 2, 4, 5][cd.mediaType] ?? 4;
        caller.es = ROM_SEGMENT;
        caller.di = context.rom.labels.disketteParameters;
        caller.dl = 1 + (context.spec.floppy?.drives.length ?? 0);
      } else caller.dl = context.drives.diskCount;
      return 0;
    }
    case 0x15:
      if (isFloppy) caller.ah = 0x01;
      else {
        caller.ah = 0x03;
        caller.cx = cd.imageSectors >>> 16;
        caller.dx = cd.imageSectors & 0xffff;
      }
      caller.carry = false;
      return undefined;
    case 0x41:
      if (caller.bx !== 0x55aa || isFloppy) return INVALID;
      caller.bx = 0xaa55;
      caller.ah = 0x30;
      caller.cx = 0x0001;
      caller.carry = false;
      return undefined;
    case 0x42:
    case 0x44:
      if (isFloppy) return INVALID;
      return yield* readPacketSectors(context, memory, caller, cd, caller.ah === 0x42, SECTOR_BYTES);
    default:
      return INVALID;
  }
}

/** 512-byte sectors of the emulated image. */
function* readImage(
  context: ServiceContext,
  memory: ServiceMemory,
  cd: CdBoot,
  lba: number,
  sectors: number,
  linear: number,
  isRead: boolean,
): Directed<number> {
  if (lba + sectors > cd.imageSectors) return OUT_OF_RANGE;
  if (!isRead) return 0;
  const skipBytes = (lba % 4) * SECTOR_BYTES;
  const first = cd.imageLba + Math.floor(lba / 4);
  return yield* readCd(context.drives, memory, cd.mediaIndex, first, skipBytes, sectors * SECTOR_BYTES, linear);
}

/** Functions 42h and 44h with the packet at DS:SI. */
function* readPacketSectors(
  context: ServiceContext,
  memory: ServiceMemory,
  caller: FrameCaller,
  cd: CdBoot,
  isRead: boolean,
  sectorBytes: number,
): Directed<number> {
  const packet = caller.dsBase + caller.si;
  if (memory.read8(packet) < 0x10) return INVALID;
  const sectors = memory.read16(packet + 2);
  const linear = memory.read16(packet + 6) * 16 + memory.read16(packet + 4);
  const lba = memory.read32(packet + 8);
  if (sectors > MOST_PACKET_SECTORS || memory.read32(packet + 12) !== 0) return INVALID;
  if (sectors === 0) return 0;
  let status: number;
  if (sectorBytes === SECTOR_BYTES) status = yield* readImage(context, memory, cd, lba, sectors, linear, isRead);
  else {
    const total = memory.input(() => Math.floor(context.drives.medium(cd.mediaIndex).sizeBytes / CD_SECTOR_BYTES));
    if (lba + sectors > total) status = OUT_OF_RANGE;
    else if (!isRead) status = 0;
    else status = yield* readCd(context.drives, memory, cd.mediaIndex, lba, 0, sectors * CD_SECTOR_BYTES, linear);
  }
  if (status !== 0) memory.write16(packet + 2, 0);
  return status;
}

/** 4B00h ends the emulation, 4B01h tells about it; both store the specification packet at DS:SI. */
function bootSpecification(context: ServiceContext, memory: ServiceMemory, caller: FrameCaller, cd: CdBoot): number {
  if (caller.al > 1) return INVALID;
  const medium = context.drives.medium(cd.mediaIndex);
  const packet = new Uint8Array(SPECIFICATION_BYTES);
  const view = new DataView(packet.buffer);
  packet[0] = SPECIFICATION_BYTES;
  packet[1] = cd.mediaType;
  packet[2] = cd.drive;
  packet[3] = medium.attachment.bus === "ide" ? medium.attachment.channel : 0;
  view.setUint32(4, cd.imageLba, true);
  view.setUint16(8, medium.attachment.bus === "ide" ? medium.attachment.device : 0, true);
  view.setUint16(10, 0, true);
  view.setUint16(12, cd.loadSegment, true);
  view.setUint16(14, cd.loadSectors, true);
  const last = cd.geometry.cylinders - 1;
  if (cd.mediaType !== 0) {
    packet[16] = last & 0xff;
    packet[17] = ((last >> 2) & 0xc0) | cd.geometry.sectors;
    packet[18] = cd.geometry.heads - 1;
  }
  memory.writeBytes(caller.dsBase + caller.si, packet);
  if (caller.al === 0 && cd.mediaType !== 0) {
    memory.effect(() => {
      cd.isActive = false;
    });
    if (cd.drive === 0x80) memory.write8(BDA_BASE + bda.diskCount, context.drives.disks.length);
  }
  return 0;
}
