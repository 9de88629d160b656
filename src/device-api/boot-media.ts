/**
 * How the firmware reaches media on controllers that its port-I/O ROM loops do not cover (SATA, SCSI, …), and the list of
 * what can be booted, in the user's boot order. Filled by machine/ from the attached devices.
 */
import type { Geometry } from "../backend-api/block.ts";

export type BootDeviceKind = "floppy" | "disk" | "dvd" | "network";

export interface BootMedium {
  readonly kind: BootDeviceKind;
  /** "ide 0 master", for messages on the screen. */
  readonly name: string;
  /** Where it hangs: IDE and floppy media are driven by real port I/O. */
  readonly attachment:
    | { readonly bus: "ide"; readonly channel: 0 | 1; readonly device: 0 | 1 }
    | { readonly bus: "floppy"; readonly drive: 0 | 1 }
    | { readonly bus: "other" };
  readonly sizeBytes: number;
  readonly logicalGeometry?: Geometry;
  storeLogicalGeometry?(geometry: Geometry): void;
  /** Synchronous sector reads and writes for "other" buses; sector size 512, 2048 for a DVD. Undefined otherwise. */
  readSectors?(lba: number, target: Uint8Array): boolean;
  writeSectors?(lba: number, source: Uint8Array): boolean;
}

export interface BootMedia {
  readonly media: readonly BootMedium[];
  /** Positions 1–4 of the boot order. */
  readonly order: readonly (BootDeviceKind | "none")[];
}
