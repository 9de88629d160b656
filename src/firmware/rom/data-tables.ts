/**
 * Tables in the system ROM: machine configuration (INT 15h C0h), diskette and disk parameters, serial divisors, the CGA
 * register table of INT 1Dh, the BIOS32 header. Layouts: IBM PC/AT Technical Reference; BIOS32 Service Directory
 * (Phoenix, 1993).
 */

import type { BootMedia } from "../../device-api/boot-media.ts";
import type { Assembler } from "../assembler/assembler.ts";
import { diskette144, diskette288, diskette720 } from "../disk/floppy-parameters.ts";
import { physicalGeometry } from "../disk/geometry.ts";

/** Model FCh, submodel 0, revision 1; second PIC, clock, INT 15h 4Fh, EBDA; INT 16h function 09h. */
export function emitConfigurationTable(a: Assembler): void {
  a.label("configurationTable");
  a.dw(8);
  a.db(0xfc, 0x00, 0x01, 0x74, 0x40, 0x00, 0x00, 0x00);
}

export function emitBaudTable(a: Assembler): void {
  for (const divisor of [1047, 768, 384, 192, 96, 48, 24, 12]) a.dw(divisor);
}

export function emitDisketteTables(a: Assembler): void {
  a.label("disketteParameters");
  a.bytes(diskette144);
  a.label("disketteParameters720");
  a.bytes(diskette720);
  a.label("disketteParameters288");
  a.bytes(diskette288);
}

/** INT 41h and 46h: the physical geometry of the first two disks; control byte bit 3 says more than eight heads. */
export function emitFixedDiskTables(a: Assembler, bootMedia: BootMedia): void {
  const disks = bootMedia.media.filter((medium) => medium.kind === "disk").slice(0, 2);
  for (let i = 0; i < 2; i++) {
    a.label(`fixedDiskParameters${i}`);
    const sizeBytes = disks[i]?.sizeBytes ?? 0;
    const { cylinders, heads, sectors } =
      sizeBytes > 0 ? physicalGeometry(Math.floor(sizeBytes / 512)) : { cylinders: 0, heads: 0, sectors: 0 };
    a.dw(cylinders);
    a.db(heads);
    a.dw(0, 0xffff);
    a.db(0, heads > 8 ? 0x08 : 0x00, 0, 0, 0);
    a.dw(cylinders);
    a.db(sectors, 0);
  }
}

/** CRTC registers of the four CGA/MDA timings, page sizes, columns, mode control values. */
export function emitVideoParameters(a: Assembler): void {
  a.db(0x38, 0x28, 0x2d, 0x0a, 0x1f, 0x06, 0x19, 0x1c, 0x02, 0x07, 0x06, 0x07, 0, 0, 0, 0);
  a.db(0x71, 0x50, 0x5a, 0x0a, 0x1f, 0x06, 0x19, 0x1c, 0x02, 0x07, 0x06, 0x07, 0, 0, 0, 0);
  a.db(0x38, 0x28, 0x2d, 0x0a, 0x7f, 0x06, 0x64, 0x70, 0x02, 0x01, 0x06, 0x07, 0, 0, 0, 0);
  a.db(0x61, 0x50, 0x52, 0x0f, 0x19, 0x06, 0x19, 0x19, 0x02, 0x0d, 0x0b, 0x0c, 0, 0, 0, 0);
  a.dw(0x0800, 0x1000, 0x4000, 0x4000);
  a.db(40, 40, 80, 80, 40, 40, 80, 80);
  a.db(0x2c, 0x28, 0x2d, 0x29, 0x2a, 0x2e, 0x1e, 0x29);
}

/** `_32_` and the entry's physical address; the checksum byte is set by `sealHeader`. */
export function emitBios32Header(a: Assembler, segmentBase: number): void {
  a.align(16);
  a.label("bios32Header");
  a.db("_32_");
  a.addressPlus("bios32", segmentBase);
  a.db(0, 1, 0, 0, 0, 0, 0, 0);
}

/** Makes the byte sum of `lengthBytes` from `start` zero through the byte at `checksumAt`. */
export function sealHeader(bytes: Uint8Array, start: number, lengthBytes: number, checksumAt: number): void {
  bytes[checksumAt] = 0;
  let sum = 0;
  for (let i = 0; i < lengthBytes; i++) sum += bytes[start + i];
  bytes[checksumAt] = -sum & 0xff;
}
