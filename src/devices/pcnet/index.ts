/**
 * Plug of the PCnet cards: PCI function 1022:2000, 32 ports at BAR 0 and the same registers in memory at BAR 1, INTA. The
 * two models differ in revision and in what the chip says of itself.
 */
import type { NetworkCard, NetworkCardConfig } from "../../device-api/network-card.ts";
import type { PciFunctionHandle } from "../../device-api/pci-function.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { Pcnet } from "./pcnet.ts";
import type { PcnetModel } from "./register-file.ts";
import * as R from "./registers.ts";

export type { PcnetModel } from "./register-file.ts";

export interface PcnetConfig extends NetworkCardConfig {
  readonly model: PcnetModel;
}

const kind = "pcnet";
const revisions = { Am79C970A: 0x16, Am79C973: 0x40 } as const;
const PCI_STATUS = 0x06;
const MIN_GNT = 0x3e;

export function createPcnet(config: PcnetConfig): NetworkCard {
  const { model, macAddress, backend } = config;
  const id = `nic-${config.number}`;
  let chip: Pcnet;
  let pciFunction: PciFunctionHandle | undefined;
  return {
    id,
    attach(context) {
      chip = new Pcnet({
        model,
        macAddress,
        backend,
        memory: context.memory,
        clock: context.clock,
        interrupt: { raise: () => pciFunction?.intx.raise(), lower: () => pciFunction?.intx.lower() },
        isBusMaster: () => pciFunction?.busMasterEnabled ?? false,
      });
      chip.setCableConnected(config.isCableConnected);
      pciFunction = context.addPciFunction(config.pciSlot, 0, {
        name: id,
        vendorId: R.VENDOR_AMD,
        deviceId: R.DEVICE_PCNET,
        revision: revisions[model],
        classCode: R.CLASS_ETHERNET,
        subsystemVendorId: R.VENDOR_AMD,
        subsystemId: R.DEVICE_PCNET,
        interruptPin: 1,
        bars: [
          { index: 0, kind: "io", sizeBytes: R.WINDOW_BYTES, window: chip },
          { index: 1, kind: "memory", sizeBytes: R.WINDOW_BYTES, window: chip },
        ],
        initial: [
          { offset: PCI_STATUS, size: 2, value: 0x0280 },
          { offset: MIN_GNT, size: 2, value: 0xff06 },
        ],
        // Bus mastering may be what transmission waited for.
        onConfigWrite: (offset) => offset < 8 && chip.hostEvent(),
      });
    },
    reset: () => chip.reset(),
    setCableConnected: (isConnected) => chip.setCableConnected(isConnected),
    // Frames that came while nothing ran announce themselves to nobody.
    resume: () => chip.hostEvent(),
    save: () => ({ kind, version: 1, data: { model, chip: chip.save() } }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 1);
      state.literal("model", model);
      chip.load(state.child("chip"));
      state.end();
    },
  };
}
