/**
 * The disks and CD drives that INT 13h knows, in the order of the boot media, with geometry as POST found it; and the state
 * of a CD that the system was booted from (El Torito). Part of the firmware's saved state.
 */
import type { Geometry } from "../../backend-api/block.ts";
import { FormatError } from "../../base/errors.ts";
import type { BootMedia, BootMedium } from "../../device-api/boot-media.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";

export interface Disk {
  /** Index in bootMedia.media. */
  readonly mediaIndex: number;
  readonly totalSectors: number;
  readonly physical: Geometry;
  readonly logical: Geometry;
}

/** How a booted CD appears (El Torito 1.0, table of boot media types). */
export interface CdBoot {
  readonly mediaIndex: number;
  /** 0 no emulation, 1 1.2 MB, 2 1.44 MB, 3 2.88 MB floppy, 4 hard disk. */
  readonly mediaType: number;
  /** BIOS drive number: E0h, 00h or 80h. */
  readonly drive: number;
  readonly imageLba: number;
  readonly imageSectors: number;
  readonly loadSegment: number;
  readonly loadSectors: number;
  readonly geometry: Geometry;
  /** False after function 4B00h ended the emulation. */
  isActive: boolean;
}

const MOST_DISKS = 8;

export class DriveTable {
  private readonly bootMedia: BootMedia;
  disks: Disk[] = [];
  cdBoot: CdBoot | undefined;

  constructor(bootMedia: BootMedia) {
    this.bootMedia = bootMedia;
  }

  reset(): void {
    this.disks = [];
    this.cdBoot = undefined;
  }

  medium(mediaIndex: number): BootMedium {
    return this.bootMedia.media[mediaIndex];
  }

  add(disk: Disk): void {
    if (this.disks.length < MOST_DISKS) this.disks.push(disk);
  }

  /** The CD emulation that answers for this drive number. */
  emulated(drive: number): CdBoot | undefined {
    return this.cdBoot?.isActive && this.cdBoot.drive === drive ? this.cdBoot : undefined;
  }

  private get emulatesDisk(): boolean {
    return this.cdBoot?.isActive === true && this.cdBoot.drive === 0x80;
  }

  /** The real disk behind a drive number; an emulated disk moves the real ones up. */
  disk(drive: number): Disk | undefined {
    return this.disks[drive - 0x80 - (this.emulatesDisk ? 1 : 0)];
  }

  /** How many drive numbers from 80h answer. */
  get diskCount(): number {
    return this.disks.length + (this.emulatesDisk ? 1 : 0);
  }

  save(): { readonly [key: string]: SavedValue } {
    const { cdBoot } = this;
    return {
      diskCount: this.disks.length,
      disks: this.disks.map((disk) => ({
        mediaIndex: disk.mediaIndex,
        totalSectors: disk.totalSectors,
        physical: chs(disk.physical),
        logical: chs(disk.logical),
      })),
      hasCdBoot: cdBoot !== undefined,
      cdBoot:
        cdBoot === undefined
          ? {}
          : {
              mediaIndex: cdBoot.mediaIndex,
              mediaType: cdBoot.mediaType,
              drive: cdBoot.drive,
              imageLba: cdBoot.imageLba,
              imageSectors: cdBoot.imageSectors,
              loadSegment: cdBoot.loadSegment,
              loadSectors: cdBoot.loadSectors,
              geometry: chs(cdBoot.geometry),
              isActive: cdBoot.isActive,
            },
    };
  }

  load(state: StateReader): void {
    const mediaIndexOf = (entry: StateReader) => {
      const index = entry.integer("mediaIndex", 0, 0xffff);
      if (this.bootMedia.media[index] === undefined) throw new FormatError(`saved state: there is no drive ${index}`);
      return index;
    };
    this.disks = state.children("disks", state.integer("diskCount", 0, MOST_DISKS)).map((entry) => {
      const disk: Disk = {
        mediaIndex: mediaIndexOf(entry),
        totalSectors: entry.integer("totalSectors", 0, Number.MAX_SAFE_INTEGER),
        physical: geometry(entry.integers("physical", 3, 3, 0, 0xffff)),
        logical: geometry(entry.integers("logical", 3, 3, 0, 0xffff)),
      };
      entry.end();
      return disk;
    });
    const hasCdBoot = state.boolean("hasCdBoot");
    const cd = state.child("cdBoot");
    this.cdBoot = undefined;
    if (hasCdBoot)
      this.cdBoot = {
        mediaIndex: mediaIndexOf(cd),
        mediaType: cd.integer("mediaType", 0, 15),
        drive: cd.byte("drive"),
        imageLba: cd.integer("imageLba", 0, 0xffffffff),
        imageSectors: cd.integer("imageSectors", 0, 0xffffffff),
        loadSegment: cd.integer("loadSegment", 0, 0xffff),
        loadSectors: cd.integer("loadSectors", 0, 0xffff),
        geometry: geometry(cd.integers("geometry", 3, 3, 0, 0xffff)),
        isActive: cd.boolean("isActive"),
      };
    cd.end();
    state.end();
  }
}

function chs({ cylinders, heads, sectors }: Geometry): number[] {
  return [cylinders, heads, sectors];
}

function geometry([cylinders, heads, sectors]: number[]): Geometry {
  return { cylinders, heads, sectors };
}
