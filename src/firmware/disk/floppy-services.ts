/** INT 13h on floppy drives. */
import { BDA_BASE, bda } from "../bios-data-area.ts";
import type { FrameCaller } from "../caller.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import { cmos, readCmos } from "../post/chipset.ts";
import { ROM_SEGMENT } from "../rom/system-rom.ts";
import type { ServiceContext } from "../service-context.ts";
import { type FloppyTransfer, floppyChangeLine, floppyReset, floppyStatus, floppyTransfer } from "./floppy.ts";
import { driveType } from "./floppy-parameters.ts";

const UNSUPPORTED_MEDIA = 0x0c;
const ATTEMPTS_LIMIT = 0xff;

const transfers: Partial<Record<number, FloppyTransfer>> = { 2: "read", 3: "write", 4: "verify", 5: "format" };

/** `drive` is the real drive's number, `shift` how many emulated drives come before it. Gives AH. */
export function* floppyDrive(
  context: ServiceContext,
  memory: ServiceMemory,
  caller: FrameCaller,
  drive: number,
  shift: number,
): Directed<number | undefined> {
  const drives = context.spec.floppy?.drives ?? [];
  if (drive !== 0 && drive !== 1) return floppyStatus.badCommand;
  if (!drives.includes(drive)) return floppyStatus.badCommand;
  switch (caller.ah) {
    case 0x00:
      return yield* floppyReset(memory);
    case 0x02:
    case 0x03:
    case 0x04:
    case 0x05:
      return yield* transfer(memory, caller, drive);
    case 0x08: {
      // Last track 79, 18 or 36 sectors, last head 1; the tables in ROM have NT's 13 bytes.
      const is288 = typeOf(context, memory, drive) === driveType.mb288;
      caller.ax = 0;
      caller.bx = is288 ? driveType.mb288 : driveType.mb144;
      caller.cx = is288 ? 0x4f24 : 0x4f12;
      caller.dx = 0x0100 | (drives.length + shift);
      caller.es = ROM_SEGMENT;
      caller.di = is288 ? context.rom.labels.disketteParameters288 : context.rom.labels.disketteParameters;
      return floppyStatus.ok;
    }
    case 0x15:
      // A drive with change line.
      caller.ah = 0x02;
      caller.carry = false;
      return undefined;
    case 0x16:
      return (yield* floppyChangeLine(memory, drive)) ? floppyStatus.changed : floppyStatus.ok;
    case 0x17:
      memory.write8(BDA_BASE + bda.floppyState + drive, 0);
      return caller.al >= 1 && caller.al <= 4 ? floppyStatus.ok : floppyStatus.badCommand;
    case 0x18:
      return setMediaType(context, memory, caller, drive);
    default:
      return floppyStatus.badCommand;
  }
}

function typeOf({ ports }: ServiceContext, memory: ServiceMemory, drive: number): number {
  const types = memory.input(() => readCmos(ports, cmos.floppyTypes));
  return drive === 0 ? types >> 4 : types & 0x0f;
}

function* transfer(memory: ServiceMemory, caller: FrameCaller, drive: number): Directed<number> {
  const kind = transfers[caller.ah]!;
  const sectors = caller.al;
  const isFormat = kind === "format";
  if (!isFormat && (sectors === 0 || sectors > ATTEMPTS_LIMIT || (caller.cl & 0x3f) === 0 || caller.dh > 1)) {
    caller.al = 0;
    return floppyStatus.badCommand;
  }
  const address = { drive, cylinder: caller.ch, head: caller.dh & 1, sector: caller.cl, sectors };
  const status = yield* floppyTransfer(memory, kind, address, caller.esBase + caller.bx);
  if (!isFormat && status !== floppyStatus.ok) caller.al = 0;
  return status;
}

interface MediaType {
  /** For 40:90: data rate in bits 6 and 7, media established. */
  readonly state: number;
  readonly table: string;
}
const mediaTypes: Partial<Record<number, MediaType>> = {
  9: { state: 0x97, table: "disketteParameters720" },
  18: { state: 0x17, table: "disketteParameters" },
  36: { state: 0xd7, table: "disketteParameters288" },
};

/** Prepares a format: 80 tracks of 9 or 18 sectors, 36 in a drive that can. */
function setMediaType(context: ServiceContext, memory: ServiceMemory, caller: FrameCaller, drive: number): number {
  const lastTrack = caller.ch | ((caller.cl & 0xc0) << 2);
  const sectors = caller.cl & 0x3f;
  const media = mediaTypes[sectors];
  const isTooMuch = sectors === 36 && typeOf(context, memory, drive) !== driveType.mb288;
  if (lastTrack > 79 || media === undefined || isTooMuch) return UNSUPPORTED_MEDIA;
  memory.write8(BDA_BASE + bda.floppyState + drive, media.state);
  caller.es = ROM_SEGMENT;
  caller.di = context.rom.labels[media.table];
  return floppyStatus.ok;
}
