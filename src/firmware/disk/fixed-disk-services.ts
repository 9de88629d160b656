/**
 * INT 13h on fixed disks, drive numbers from 80h: CHS functions and the extensions (Enhanced Disk Drive 3.0, T13/1386D).
 */
import type { BootMedium } from "../../device-api/boot-media.ts";
import type { FrameCaller } from "../caller.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import type { ServiceContext } from "../service-context.ts";
import { ataStatus, ataTransfer } from "./ata.ts";
import { INVALID } from "./disk-services.ts";
import type { Disk } from "./drive-table.ts";
import { diskParameters } from "./edd.ts";

const WRITE_PROTECTED = 0x03;
const OUT_OF_RANGE = 0x04;
const NOT_REMOVABLE = 0xb2;
const MOST_CHS_SECTORS = 128;
const MOST_PACKET_SECTORS = 127;
const PACKET_BYTES = 0x10;
const SECTOR_BYTES = 512;

type Access = "read" | "write" | "verify";

export function* fixedDisk(
  context: ServiceContext,
  memory: ServiceMemory,
  caller: FrameCaller,
): Directed<number | undefined> {
  const disk = context.drives.disk(caller.dl);
  if (disk === undefined) return INVALID;
  switch (caller.ah) {
    case 0x00:
    case 0x09:
    case 0x0c:
    case 0x0d:
    case 0x10:
    case 0x11:
    case 0x14:
      return caller.ah === 0x0c ? checkSeek(disk, caller) : 0;
    case 0x02:
      return yield* accessChs(context, memory, caller, disk, "read");
    case 0x03:
      return yield* accessChs(context, memory, caller, disk, "write");
    case 0x04:
      return yield* accessChs(context, memory, caller, disk, "verify");
    case 0x08: {
      const { cylinders, heads, sectors } = disk.logical;
      const last = cylinders - 1;
      caller.al = 0;
      caller.ch = last & 0xff;
      caller.cl = ((last >> 2) & 0xc0) | sectors;
      caller.dh = heads - 1;
      caller.dl = context.drives.diskCount;
      return 0;
    }
    case 0x15: {
      caller.ah = 0x03;
      const count = Math.min(disk.totalSectors, 0xffffffff);
      caller.cx = Math.floor(count / 0x10000);
      caller.dx = count & 0xffff;
      caller.carry = false;
      return undefined;
    }
    case 0x41:
      if (caller.bx !== 0x55aa) return INVALID;
      caller.bx = 0xaa55;
      // Fixed disk access and the eject/lock group.
      caller.cx = 0x0003;
      caller.ah = 0x30;
      caller.carry = false;
      return undefined;
    case 0x42:
      return yield* accessPacket(context, memory, caller, disk, "read");
    case 0x43:
      if (caller.al > 2) return INVALID;
      return yield* accessPacket(context, memory, caller, disk, "write");
    case 0x44:
      return yield* accessPacket(context, memory, caller, disk, "verify");
    case 0x45:
    case 0x49:
      return 0;
    case 0x46:
      return NOT_REMOVABLE;
    case 0x47: {
      const packet = readPacket(memory, caller);
      return packet === undefined ? INVALID : packet.lba < disk.totalSectors ? 0 : OUT_OF_RANGE;
    }
    case 0x48:
      return diskParameters(memory, caller, disk, context.drives.medium(disk.mediaIndex));
    case 0x4e:
      return [0x01, 0x03, 0x04, 0x06].includes(caller.al) ? 0 : INVALID;
    default:
      return INVALID;
  }
}

/** The LBA of CX and DH, or undefined beyond the logical geometry. */
function chsAddress(disk: Disk, caller: FrameCaller): number | undefined {
  const { cylinders, heads, sectors } = disk.logical;
  const cylinder = caller.ch | ((caller.cl & 0xc0) << 2);
  const sector = caller.cl & 0x3f;
  if (cylinder >= cylinders || caller.dh >= heads || sector === 0 || sector > sectors) return undefined;
  return (cylinder * heads + caller.dh) * sectors + sector - 1;
}

function checkSeek(disk: Disk, caller: FrameCaller): number {
  const cylinder = caller.ch | ((caller.cl & 0xc0) << 2);
  return cylinder < disk.logical.cylinders ? 0 : INVALID;
}

function* accessChs(
  context: ServiceContext,
  memory: ServiceMemory,
  caller: FrameCaller,
  disk: Disk,
  kind: Access,
): Directed<number> {
  const sectors = caller.al;
  const lba = chsAddress(disk, caller);
  if (sectors === 0 || sectors > MOST_CHS_SECTORS || lba === undefined) {
    caller.al = 0;
    return INVALID;
  }
  const linear = caller.esBase + caller.bx;
  const { status, done } = yield* access(context, memory, disk, kind, lba, sectors, linear);
  caller.al = done;
  return status;
}

interface Packet {
  readonly linear: number;
  readonly sectors: number;
  readonly buffer: number;
  readonly lba: number;
}

/** The disk address packet at DS:SI; undefined if it is malformed. */
function readPacket(memory: ServiceMemory, caller: FrameCaller): Packet | undefined {
  const linear = caller.dsBase + caller.si;
  const bytes = memory.readBytes(linear, PACKET_BYTES);
  if (bytes[0] < PACKET_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const high = view.getUint32(12, true);
  return {
    linear,
    sectors: view.getUint16(2, true),
    buffer: view.getUint16(6, true) * 16 + view.getUint16(4, true),
    lba: high > 0x1fffff ? Number.MAX_SAFE_INTEGER : high * 0x1_0000_0000 + view.getUint32(8, true),
  };
}

function* accessPacket(
  context: ServiceContext,
  memory: ServiceMemory,
  caller: FrameCaller,
  disk: Disk,
  kind: Access,
): Directed<number> {
  const packet = readPacket(memory, caller);
  if (packet === undefined || packet.sectors > MOST_PACKET_SECTORS) return INVALID;
  const { lba, sectors } = packet;
  if (lba + sectors > disk.totalSectors) {
    memory.write16(packet.linear + 2, 0);
    return OUT_OF_RANGE;
  }
  if (sectors === 0) return 0;
  const { status, done } = yield* access(context, memory, disk, kind, lba, sectors, packet.buffer);
  if (status !== 0) memory.write16(packet.linear + 2, done);
  return status;
}

/** Sectors between a disk and memory, whatever bus it is on. */
export function* access(
  context: ServiceContext,
  memory: ServiceMemory,
  disk: Disk,
  kind: Access,
  lba: number,
  sectors: number,
  linear: number,
): Directed<{ status: number; done: number }> {
  if (lba + sectors > disk.totalSectors) return { status: OUT_OF_RANGE, done: 0 };
  const medium = context.drives.medium(disk.mediaIndex);
  if (medium.attachment.bus === "ide") return yield* ataTransfer(memory, medium.attachment, kind, lba, sectors, linear);
  return accessBootMedium(memory, medium, kind, lba, sectors, linear);
}

function accessBootMedium(
  memory: ServiceMemory,
  medium: BootMedium,
  kind: Access,
  lba: number,
  sectors: number,
  linear: number,
): { status: number; done: number } {
  const data = new Uint8Array(sectors * SECTOR_BYTES);
  if (kind === "write") {
    if (!medium.writeSectors) return { status: WRITE_PROTECTED, done: 0 };
    data.set(memory.readBytes(linear, data.length));
  }
  const isDone =
    memory.input(() => {
      if (kind === "write") return medium.writeSectors!(lba, data) ? 1 : 0;
      return medium.readSectors?.(lba, data) ? 1 : 0;
    }) === 1;
  if (!isDone) return { status: ataStatus.notFound, done: 0 };
  if (kind === "read") memory.writeBytes(linear, data);
  return { status: ataStatus.ok, done: sectors };
}
