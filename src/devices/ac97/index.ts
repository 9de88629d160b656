/** Plug of the AC'97 sound card: PCI function 8086:2415 at 00:05.0, mixer at BAR 0, bus master at BAR 1, INTA. */
import type { AudioBackend } from "../../backend-api/audio.ts";
import type { Device } from "../../device-api/device.ts";
import type { PciFunctionHandle } from "../../device-api/pci-function.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { Ac97 } from "./ac97.ts";
import * as R from "./registers.ts";

export interface Ac97Config {
  readonly backend: AudioBackend;
}

const kind = "ac97";
const PCI_SLOT = 5;
const PCI_STATUS = 0x06;

export function createAc97(config: Ac97Config): Device {
  let chip: Ac97;
  let pciFunction: PciFunctionHandle | undefined;
  return {
    id: kind,
    attach(context) {
      chip = new Ac97({
        backend: config.backend,
        memory: context.memory,
        clock: context.clock,
        interrupt: { raise: () => pciFunction?.intx.raise(), lower: () => pciFunction?.intx.lower() },
        isBusMaster: () => pciFunction?.busMasterEnabled ?? false,
      });
      pciFunction = context.addPciFunction(PCI_SLOT, 0, {
        name: "AC'97",
        vendorId: 0x8086,
        deviceId: 0x2415,
        revision: 1,
        classCode: 0x040100,
        subsystemVendorId: 0x8086,
        subsystemId: 0,
        interruptPin: 1,
        bars: [
          { index: 0, kind: "io", sizeBytes: R.MIXER_BYTES, window: chip.mixer },
          { index: 1, kind: "io", sizeBytes: R.BUS_MASTER_BYTES, window: chip.busMaster },
        ],
        initial: [{ offset: PCI_STATUS, size: 2, value: 0x0280 }],
      });
    },
    reset: () => chip.reset(),
    save: () => ({ kind, version: 1, data: chip.save() }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 1);
      chip.load(state);
    },
  };
}
