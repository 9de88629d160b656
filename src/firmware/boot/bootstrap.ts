/**
 * INT 19h: tries the boot order and enters the first boot sector it finds; then INT 18h's message. A directed service: boot
 * sectors come in through INT 13h, so that code which has hooked it (disk overlays) sees the reads.
 */
import type { BootDeviceKind } from "../../device-api/boot-media.ts";
import { BDA_BASE, bda } from "../bios-data-area.ts";
import { storeCallRegisters } from "../call-block.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import { CD_SECTOR_BYTES, cdIsReady, readCd } from "../disk/cd-access.ts";
import type { CdBoot } from "../disk/drive-table.ts";
import { bootNic } from "../network/network-boot.ts";
import type { ServiceContext } from "../service-context.ts";
import { BOOT_RECORD_LBA, findCatalogue, readCatalogue, withDiskGeometry } from "./el-torito.ts";
import { callInterrupt, print, waitKey } from "./guest-calls.ts";

const BOOT_SECTOR = 0x7c00;
/** A place for sectors that are only looked at. */
const SCRATCH = 0x8000;
const ATTEMPTS = 4;

/** What can be tried: a position of the boot order, or one device chosen in the menu. */
export interface BootChoice {
  readonly kind: BootDeviceKind;
  /** Index in bootMedia.media, of a network card in bootNics; undefined means the first of its kind (all cards in turn). */
  readonly mediaIndex?: number;
}

export function bootOrderChoices(context: ServiceContext): BootChoice[] {
  return context.bootMedia.order.flatMap((kind) => (kind === "none" ? [] : [{ kind }]));
}

/** Tries the choices in turn. Comes back only if none can be booted, with the key that was pressed then. */
export function* bootstrap(
  context: ServiceContext,
  memory: ServiceMemory,
  choices: readonly BootChoice[],
): Directed<number> {
  const reasons: string[] = [];
  for (const choice of choices) {
    const why = yield* tryBoot(context, memory, choice);
    if (why !== undefined) reasons.push(why);
  }
  if (choices.length === 0) reasons.push("The boot order is empty.");
  memory.effect(() => context.log().warn(`firmware: nothing to boot: ${reasons.join(" ")}`));
  yield* print(memory, `${reasons.map((reason) => `  ${reason}\n`).join("")}`);
  yield* print(memory, "\nNo system to start from. Insert or attach one and press a key to try again.\n");
  return yield* waitKey(memory);
}

function* tryBoot(context: ServiceContext, memory: ServiceMemory, choice: BootChoice): Directed<string | undefined> {
  switch (choice.kind) {
    case "floppy":
      return yield* bootFloppy(context, memory);
    case "disk":
      return yield* bootDisk(context, memory, choice.mediaIndex);
    case "dvd":
      return yield* bootDvd(context, memory, choice.mediaIndex);
    case "network":
      return yield* bootNetwork(context, memory, choice.mediaIndex);
  }
}

function* bootNetwork(context: ServiceContext, memory: ServiceMemory, only: number | undefined): Directed<string> {
  const reasons: string[] = [];
  for (let index = 0; index < context.bootNics.length; index++)
    if ((only ?? index) === index) reasons.push(yield* bootNic(context, memory, index));
  return reasons.length === 0 ? "Network: there is no card." : reasons.join("\n  ");
}

/** Boot sectors expect the drive in DL and nothing else; interrupts on. */
function* enter(memory: ServiceMemory, segment: number, drive: number): Directed<never> {
  storeCallRegisters(memory, { eax: 0xaa55, edx: drive });
  for (;;) yield { kind: "jump", segment, offset: 0 };
}

function* enterBootSector(memory: ServiceMemory, drive: number): Directed<never> {
  storeCallRegisters(memory, { eax: 0xaa55, edx: drive });
  for (;;) yield { kind: "jump", segment: 0, offset: BOOT_SECTOR };
}

/** Reads the first sector of a drive to 0:7C00 through INT 13h; the status, 0 if it worked. */
function* readBootSector(memory: ServiceMemory, drive: number): Directed<number> {
  let status = 0;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { eax, flags } = yield* callInterrupt(memory, 0x13, {
      eax: 0x0201,
      ebx: BOOT_SECTOR,
      ecx: 0x0001,
      edx: drive,
    });
    if ((flags & 1) === 0) return 0;
    status = (eax >> 8) & 0xff;
    yield* callInterrupt(memory, 0x13, { eax: 0, edx: drive });
  }
  return status || 0xff;
}

function* bootFloppy(context: ServiceContext, memory: ServiceMemory): Directed<string | undefined> {
  if (!context.spec.floppy?.drives.includes(0)) return "Floppy: there is no drive.";
  const status = yield* readBootSector(memory, 0x00);
  if (status !== 0) return `Floppy: no disk, or it cannot be read (error ${hex(status)}).`;
  const sector = memory.readBytes(BOOT_SECTOR, 512);
  // Disks of the first PCs have no signature; an empty or freshly formatted one repeats one byte.
  if (!hasSignature(sector) && sector.subarray(0, 64).every((byte) => byte === sector[0]))
    return "Floppy: the disk has no boot sector.";
  return yield* enterBootSector(memory, 0x00);
}

function* bootDisk(
  context: ServiceContext,
  memory: ServiceMemory,
  mediaIndex: number | undefined,
): Directed<string | undefined> {
  const { disks } = context.drives;
  const index = mediaIndex === undefined ? 0 : disks.findIndex((disk) => disk.mediaIndex === mediaIndex);
  const disk = disks[index];
  if (disk === undefined) return "Disk: there is none.";
  const { name } = context.drives.medium(disk.mediaIndex);
  const drive = 0x80 + index;
  const status = yield* readBootSector(memory, drive);
  if (status !== 0) return `Disk ${name}: cannot be read (error ${hex(status)}).`;
  if (!hasSignature(memory.readBytes(BOOT_SECTOR, 512))) return `Disk ${name}: not bootable.`;
  return yield* enterBootSector(memory, drive);
}

function* bootDvd(
  context: ServiceContext,
  memory: ServiceMemory,
  mediaIndex: number | undefined,
): Directed<string | undefined> {
  let why = "DVD: there is no drive.";
  for (let index = 0; index < context.bootMedia.media.length; index++) {
    if (context.bootMedia.media[index].kind !== "dvd" || (mediaIndex ?? index) !== index) continue;
    why = (yield* bootOneDvd(context, memory, index)) ?? why;
  }
  return why;
}

function* bootOneDvd(context: ServiceContext, memory: ServiceMemory, mediaIndex: number): Directed<string | undefined> {
  const { drives } = context;
  const { name } = drives.medium(mediaIndex);
  const ready = yield* cdIsReady(drives, memory, mediaIndex);
  if (ready !== 0) return `DVD ${name}: the drive is empty.`;
  const sectorAt = function* (lba: number): Directed<Uint8Array | undefined> {
    const status = yield* readCd(drives, memory, mediaIndex, lba, 0, CD_SECTOR_BYTES, SCRATCH);
    return status === 0 ? memory.readBytes(SCRATCH, CD_SECTOR_BYTES) : undefined;
  };
  const bootRecord = yield* sectorAt(BOOT_RECORD_LBA);
  const catalogueLba = bootRecord && findCatalogue(bootRecord);
  if (catalogueLba === undefined) return `DVD ${name}: the disc is not bootable.`;
  const catalogue = yield* sectorAt(catalogueLba);
  if (catalogue === undefined) return `DVD ${name}: the boot catalogue cannot be read.`;
  const cdBytes = memory.input(() => drives.medium(mediaIndex).sizeBytes);
  const entry = readCatalogue(catalogue, mediaIndex, cdBytes);
  if (entry.kind === "refused") return `DVD ${name}: ${entry.why}.`;
  let boot = entry.boot;
  if (boot.drive === 0x80) {
    const sector0 = yield* sectorAt(boot.imageLba);
    if (sector0 === undefined) return `DVD ${name}: the boot image cannot be read.`;
    boot = withDiskGeometry(boot, sector0);
  }
  return yield* loadImage(context, memory, boot, name);
}

function* loadImage(
  context: ServiceContext,
  memory: ServiceMemory,
  boot: CdBoot,
  name: string,
): Directed<string | undefined> {
  const { drives } = context;
  // An emulated drive starts from its boot sector; without emulation the catalogue says how much to load.
  const sectors = boot.mediaType === 0 ? boot.loadSectors : Math.min(boot.loadSectors, 1);
  const linear = boot.loadSegment * 16;
  if (linear + sectors * 512 > 0xa0000) return `DVD ${name}: the boot image does not fit into memory.`;
  const status = yield* readCd(drives, memory, boot.mediaIndex, boot.imageLba, 0, sectors * 512, linear);
  if (status !== 0) return `DVD ${name}: the boot image cannot be read (error ${hex(status)}).`;
  memory.effect(() => {
    drives.cdBoot = boot;
  });
  if (boot.drive === 0x80) memory.write8(BDA_BASE + bda.diskCount, drives.disks.length + 1);
  if (boot.drive === 0x00) memory.write8(BDA_BASE + bda.equipment, memory.read8(BDA_BASE + bda.equipment) | 1);
  return boot.loadSegment === BOOT_SECTOR >> 4
    ? yield* enterBootSector(memory, boot.drive)
    : yield* enter(memory, boot.loadSegment, boot.drive);
}

function hasSignature(sector: Uint8Array): boolean {
  return sector[510] === 0x55 && sector[511] === 0xaa;
}

function hex(value: number): string {
  return `${value.toString(16).padStart(2, "0").toUpperCase()}h`;
}
