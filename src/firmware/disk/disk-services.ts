/**
 * INT 13h: the dispatcher over drive numbers. Floppies are 00h and 01h, disks from 80h, a booted CD at E0h (or at 00h/80h
 * when it emulates a floppy or disk, which moves the real ones up). A directed service: transfers on IDE and floppy are
 * guest instructions, so that Windows 9x sees which controller is behind a drive.
 */
import { BDA_BASE, bda } from "../bios-data-area.ts";
import { FrameCaller } from "../caller.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import type { ServiceContext } from "../service-context.ts";
import { cdDrive } from "./cd-services.ts";
import { fixedDisk } from "./fixed-disk-services.ts";
import { floppyDrive } from "./floppy-services.ts";

export const INVALID = 0x01;

export function* int13(context: ServiceContext, memory: ServiceMemory, frame: number): Directed {
  const caller = new FrameCaller(memory, frame);
  caller.enableInterrupts();
  const drive = caller.dl;
  const { drives } = context;
  const emulated = drives.emulated(drive);
  const isFloppyEmulated = drives.cdBoot?.isActive === true && drives.cdBoot.drive === 0;
  // Function 4Bh ends an emulation that is not at this drive number too.
  if (emulated || (caller.ah === 0x4b && drives.cdBoot)) {
    const cdBoot = emulated ?? drives.cdBoot!;
    yield* statusful(memory, caller, bda.diskStatus, cdDrive(context, memory, caller, cdBoot));
  } else if (drive < 0x80) {
    const shifted = drive - (isFloppyEmulated ? 1 : 0);
    const service = floppyDrive(context, memory, caller, shifted, isFloppyEmulated ? 1 : 0);
    yield* statusful(memory, caller, bda.floppyStatus, service);
  } else yield* statusful(memory, caller, bda.diskStatus, fixedDisk(context, memory, caller));
  caller.commit();
}

/**
 * Runs a service that gives AH, or undefined when it has set AH itself. Function 01h reports the last status of the kind of
 * drive; every other function leaves its own there.
 */
function* statusful(
  memory: ServiceMemory,
  caller: FrameCaller,
  place: number,
  service: Directed<number | undefined>,
): Directed {
  if (caller.ah === 0x01) {
    const last = memory.read8(BDA_BASE + place);
    memory.write8(BDA_BASE + place, 0);
    caller.finish(last);
    return;
  }
  const status = yield* service;
  if (status === undefined) {
    memory.write8(BDA_BASE + place, 0);
    return;
  }
  memory.write8(BDA_BASE + place, status);
  caller.finish(status);
}
