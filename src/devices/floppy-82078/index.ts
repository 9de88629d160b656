/** Plug of the floppy controller: ports 3F0h–3F5h and 3F7h, IRQ 6, a DMA channel, up to two drives. */
import type { MediumSlot } from "../../backend-api/block.ts";
import { InternalError } from "../../base/errors.ts";
import type { Device } from "../../device-api/device.ts";
import type { DmaChannel } from "../../device-api/dma-channel.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { FloppyDrive } from "./drive.ts";
import { Fdc82078 } from "./fdc.ts";
import * as R from "./registers.ts";

const kind = "floppy-82078";

export interface FloppyDriveConfig {
  /** 0 is A:, 1 is B:. */
  readonly drive: 0 | 1;
  readonly slot: MediumSlot;
}

export interface FloppyConfig {
  readonly drives: readonly FloppyDriveConfig[];
  /** Channel 2 on a PC. */
  readonly dma: DmaChannel;
}

/** Makes the controller; two drives with one number are the caller's mistake. */
export function createFloppy(config: FloppyConfig): Device {
  const drives: (FloppyDrive | undefined)[] = [undefined, undefined];
  for (const { drive, slot } of config.drives) {
    if (drives[drive] !== undefined) throw new InternalError(`two floppy drives with number ${drive}`);
    drives[drive] = new FloppyDrive(slot);
  }
  let fdc: Fdc82078;
  return {
    id: kind,
    get pendingRequests() {
      return drives.reduce((sum, drive) => sum + (drive?.inFlight ?? 0), 0);
    },
    attach(context) {
      const { clock, log } = context;
      fdc = new Fdc82078({
        clock,
        log,
        dma: config.dma,
        irq: context.isaIrq(R.IRQ),
        drives,
        trace: context.trace("floppy"),
      });
      context.claimPorts(R.PORT_BASE, R.PORTS, byteWindow(fdc));
      context.claimPorts(
        R.PORT_DIR_CCR,
        1,
        byteWindow({ readByte: () => fdc.readDir(), writeByte: (_offset, value) => fdc.writeCcr(value) }),
      );
    },
    reset(how) {
      if (how === "power-on") for (const drive of drives) drive?.powerOn();
      fdc.hardReset();
    },
    save: () => ({
      kind,
      version: 1,
      data: { controller: fdc.save(), drives: drives.flatMap((drive) => (drive === undefined ? [] : [drive.save()])) },
    }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 1);
      fdc.load(state.child("controller"));
      const present = drives.filter((drive) => drive !== undefined);
      state.children("drives", present.length).forEach((entry, i) => {
        present[i].load(entry);
      });
      state.end();
    },
  };
}
