/** What the firmware may boot from: the drives of the machine spec with what is in them now, in the user's boot order. */
import type { BlockBackend, MediumSlot } from "../backend-api/block.ts";
import type { BootMedia, BootMedium } from "../device-api/boot-media.ts";
import type { MachineSpec } from "../spec/machine-spec.ts";

/** One drive that the firmware should know. */
export interface BootDrive {
  readonly kind: BootMedium["kind"];
  readonly name: string;
  readonly attachment: BootMedium["attachment"];
  readonly slot: MediumSlot;
}

/** Drives without a medium stay in the list with size 0: one may be put in before the firmware looks. */
export class MachineBootMedia implements BootMedia {
  readonly order: BootMedia["order"];
  readonly media: readonly BootMedium[];

  constructor(spec: MachineSpec, drives: readonly BootDrive[]) {
    this.order = spec.bootOrder;
    this.media = drives.map((drive) => new DriveMedium(drive));
  }
}

class DriveMedium implements BootMedium {
  readonly kind: BootMedium["kind"];
  readonly name: string;
  readonly attachment: BootMedium["attachment"];
  readonly #slot: MediumSlot;

  constructor(drive: BootDrive) {
    this.kind = drive.kind;
    this.name = drive.name;
    this.attachment = drive.attachment;
    this.#slot = drive.slot;
  }

  get sizeBytes(): number {
    return this.#slot.medium?.sizeBytes ?? 0;
  }
  get logicalGeometry(): BlockBackend["logicalGeometry"] {
    return this.#slot.medium?.logicalGeometry;
  }
  storeLogicalGeometry(geometry: NonNullable<BlockBackend["logicalGeometry"]>): void {
    this.#slot.medium?.storeLogicalGeometry?.(geometry);
  }
}
