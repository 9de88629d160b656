/** POST's look at the disks: sizes from IDENTIFY, logical geometry chosen once for each medium and stored with it. */
import { BDA_BASE, bda } from "../bios-data-area.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import { type AtaPlace, ataIdentify } from "../disk/ata.ts";
import type { Disk } from "../disk/drive-table.ts";
import { access } from "../disk/fixed-disk-services.ts";
import { floppyReset } from "../disk/floppy.ts";
import { chooseLogicalGeometry, physicalGeometry } from "../disk/geometry.ts";
import type { ServiceContext } from "../service-context.ts";

/** Low memory that nothing uses during POST. */
const SCRATCH = 0x8000;

export function* probeDisks(context: ServiceContext, memory: ServiceMemory): Directed {
  const { media } = context.bootMedia;
  for (let mediaIndex = 0; mediaIndex < media.length; mediaIndex++) {
    const medium = media[mediaIndex];
    if (medium.kind !== "disk") continue;
    const totalBySize = memory.input(() => Math.floor(medium.sizeBytes / 512));
    let found = { totalSectors: totalBySize, physical: physicalGeometry(totalBySize) };
    if (medium.attachment.bus === "ide") {
      const identified = yield* identify(memory, medium.attachment);
      if (identified === undefined) {
        memory.effect(() => context.log().warn(`firmware: disk ${medium.name} does not answer`));
        continue;
      }
      found = identified;
    }
    const unshaped: Disk = { mediaIndex, ...found, logical: found.physical };
    const { status } = yield* access(context, memory, unshaped, "read", 0, 1, SCRATCH);
    const sector0 = status === 0 ? memory.readBytes(SCRATCH, 512) : undefined;
    memory.effect(() => {
      const stored = medium.logicalGeometry;
      const logical = chooseLogicalGeometry(stored, found.totalSectors, found.physical, sector0);
      context.drives.add({ mediaIndex, ...found, logical });
      if (stored === undefined) medium.storeLogicalGeometry?.(logical);
    });
  }
  const diskCount = memory.input(() => context.drives.disks.length);
  memory.write8(BDA_BASE + bda.diskCount, diskCount);
}

function* identify(memory: ServiceMemory, place: AtaPlace) {
  const data = yield* ataIdentify(memory, place, false, SCRATCH);
  if (data === undefined) return undefined;
  const word = (index: number) => data[index * 2] | (data[index * 2 + 1] << 8);
  const small = word(60) + word(61) * 0x10000;
  const hasLba48 = (word(83) & 0x0400) !== 0;
  const large = word(100) + word(101) * 0x10000 + word(102) * 0x1_0000_0000;
  return {
    totalSectors: hasLba48 && large > 0 ? large : small,
    physical: { cylinders: word(1), heads: word(3), sectors: word(6) },
  };
}

/** Resets the floppy controller if the machine has drives, and switches the motors off. */
export function* startFloppy(context: ServiceContext, memory: ServiceMemory): Directed {
  const drives = context.spec.floppy?.drives ?? [];
  if (drives.length === 0) return;
  yield* floppyReset(memory);
  yield { kind: "out8", port: 0x3f2, value: 0x0c };
}
