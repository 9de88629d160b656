/**
 * The 256 words of IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-6 8.12, 8.13), as pure functions from the drive's
 * facts to bytes. Strings and capabilities are those guests know from VirtualBox, because systems tie themselves to the
 * model and serial number of their disk.
 */
import type { Geometry } from "../../backend-api/block.ts";

export const maxMultipleSectors = 128;
export const maxLba28Sectors = 0x0fff_ffff;
/** UDMA mode 6 is the highest offered; the controller's driver limits it to what the chip can. */
export const maxUdmaMode = 6;
export const maxMdmaMode = 2;

export interface DriveIdentity {
  readonly model: string;
  readonly serial: string;
  readonly firmware: string;
  /** 0 master, 1 slave. */
  readonly device: 0 | 1;
  /** Transfer mode as SET FEATURES 03h set it: 20h–22h multiword DMA, 40h–46h Ultra DMA, else PIO. */
  readonly transferMode: number;
}

export interface DiskIdentity extends DriveIdentity {
  readonly totalSectors: number;
  readonly physical: Geometry;
  /** Set by INITIALIZE DEVICE PARAMETERS. */
  readonly current: Geometry;
  /** Sectors per block of READ/WRITE MULTIPLE, 0 if off. */
  readonly multipleSectors: number;
  readonly isWriteCacheOn: boolean;
  readonly isLookAheadOn: boolean;
}

/** "VB" with both ends of the UUID, or with the drive's place if there is none. */
export function defaultSerial(uuid: string | undefined, channel: 0 | 1, device: 0 | 1): string {
  const digits = (uuid ?? "").replaceAll("-", "").toLowerCase();
  if (/^[0-9a-f]{32}$/.test(digits) && /[1-9a-f]/.test(digits)) {
    const last = digits.slice(24).match(/../g) ?? [];
    return `VB${digits.slice(0, 8)}-${last.reverse().join("")}`;
  }
  return `VB${channel * 2 + device}-${channel === 0 ? "01f003f6" : "01700376"}`;
}

export function identifyDisk(disk: DiskIdentity, out: Uint8Array): void {
  const word = wordWriter(out);
  const { physical, current, totalSectors } = disk;
  const isLarge = totalSectors > maxLba28Sectors;
  word(0, 0x0040);
  word(1, physical.cylinders);
  word(3, physical.heads);
  word(4, physical.sectors * 512);
  word(5, 512);
  word(6, physical.sectors);
  word(20, 3);
  word(21, 512);
  word(47, 0x8000 | maxMultipleSectors);
  word(48, 1);
  word(49, 0x0b00);
  word(50, 0x4000);
  word(51, 240);
  word(52, 240);
  word(53, 0x0007);
  word(54, current.cylinders);
  word(55, current.heads);
  word(56, current.sectors);
  doubleWord(word, 57, current.cylinders * current.heads * current.sectors);
  if (disk.multipleSectors > 0) word(59, 0x0100 | disk.multipleSectors);
  doubleWord(word, 60, Math.min(totalSectors, maxLba28Sectors));
  identifyTransferModes(word, disk);
  word(80, 0x007e);
  word(81, 0x0022);
  const powerManagement = 0x0008;
  const writeCache = 0x0020;
  const lookAhead = 0x0040;
  const flushAndLba48 = isLarge ? 0x3400 : 0x1000;
  word(82, powerManagement | writeCache | lookAhead);
  word(83, 0x4000 | flushAndLba48);
  word(84, 0x4000);
  word(85, powerManagement | (disk.isWriteCacheOn ? writeCache : 0) | (disk.isLookAheadOn ? lookAhead : 0));
  word(86, flushAndLba48);
  word(87, 0x4000);
  if (isLarge) {
    doubleWord(word, 100, totalSectors % 0x1_0000_0000);
    doubleWord(word, 102, Math.floor(totalSectors / 0x1_0000_0000));
  }
  identifyStrings(out, disk);
}

export function identifyPacketDrive(drive: DriveIdentity, out: Uint8Array): void {
  const word = wordWriter(out);
  // CD-ROM, removable, packet requested within 3 ms of the command, 12-byte packets.
  word(0, 0x8580);
  word(20, 3);
  word(21, 512);
  word(49, 0x0b00);
  word(50, 0x4000);
  word(51, 240);
  word(52, 240);
  word(53, 0x0006);
  identifyTransferModes(word, drive);
  word(73, 0x003e);
  word(74, 9);
  word(75, 1);
  word(80, 0x007e);
  word(81, 0x0022);
  word(82, 0x0210);
  word(83, 0x4000);
  word(84, 0x4000);
  word(85, 0x0210);
  word(87, 0x4000);
  identifyStrings(out, drive);
}

type WordWriter = (index: number, value: number) => void;

function wordWriter(out: Uint8Array): WordWriter {
  out.fill(0, 0, 512);
  return (index, value) => {
    out[index * 2] = value;
    out[index * 2 + 1] = value >>> 8;
  };
}

function doubleWord(word: WordWriter, index: number, value: number): void {
  word(index, value % 0x1_0000);
  word(index + 1, Math.floor(value / 0x1_0000));
}

function identifyTransferModes(word: WordWriter, { transferMode, device }: DriveIdentity): void {
  const selected = (base: number) => ((transferMode & 0xf8) === base ? 0x100 << (transferMode & 7) : 0);
  word(63, ((2 << maxMdmaMode) - 1) | selected(0x20));
  word(64, 3);
  for (let i = 65; i <= 68; i++) word(i, 120);
  word(88, ((2 << maxUdmaMode) - 1) | selected(0x40));
  // 80-conductor cable seen; the drive's own half of the word says how it learnt its number.
  word(93, 0x6000 | (device === 0 ? 0x0003 : 0x0300));
}

/** Strings, and the checksum over everything: goes last. */
function identifyStrings(out: Uint8Array, { model, serial, firmware }: DriveIdentity): void {
  writeSwapped(out, 10, serial, 20);
  writeSwapped(out, 23, firmware, 8);
  writeSwapped(out, 27, model, 40);
  out[510] = 0xa5;
  let sum = 0;
  for (let i = 0; i < 511; i++) sum += out[i];
  out[511] = -sum;
}

/** ASCII, padded with spaces, first character in the upper byte of each word. */
function writeSwapped(out: Uint8Array, firstWord: number, text: string, length: number): void {
  for (let i = 0; i < length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0x20;
    out[firstWord * 2 + (i ^ 1)] = code >= 0x20 && code < 0x7f ? code : 0x20;
  }
}
