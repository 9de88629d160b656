/**
 * Plug of the Intel gigabit cards: PCI function 8086:100e (82540EM), 8086:1004 (82543GC) or 8086:100f (82545EM), 128 KiB of
 * registers at BAR 0, the same through an address and a data port at BAR 2, INTA.
 */
import { type AccessSize, allOnes, type IoWindow } from "../../device-api/io-window.ts";
import type { NetworkCard, NetworkCardConfig } from "../../device-api/network-card.ts";
import type { PciFunctionHandle } from "../../device-api/pci-function.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { E1000, type E1000Traits } from "./e1000.ts";
import * as R from "./registers.ts";

export type E1000Model = "82540EM" | "82543GC" | "82545EM";

export interface E1000Config extends NetworkCardConfig {
  readonly model: E1000Model;
}

const kind = "e1000";
const PCI_STATUS = 0x06;
const MIN_GNT = 0x3e;
const REVISION = 0x02;
/** 88E1011 and 88E1000, revision 0. */
const PHY_88E1011 = 0x0c20;
const PHY_88E1000 = 0x0c50;

const traitsOf: Readonly<Record<E1000Model, E1000Traits>> = {
  "82540EM": {
    identity: { deviceId: 0x100e, subsystemVendorId: R.VENDOR_INTEL, subsystemId: 0x001e },
    phyId2: PHY_88E1011,
    isFirstGeneration: false,
  },
  "82543GC": {
    identity: { deviceId: 0x1004, subsystemVendorId: R.VENDOR_INTEL, subsystemId: 0x1004 },
    phyId2: PHY_88E1000,
    isFirstGeneration: true,
  },
  "82545EM": {
    identity: { deviceId: 0x100f, subsystemVendorId: 0x15ad, subsystemId: 0x0750 },
    phyId2: PHY_88E1011,
    isFirstGeneration: false,
  },
};

export function createE1000(config: E1000Config): NetworkCard {
  const { model, macAddress, backend } = config;
  const id = `nic-${config.number}`;
  const traits = traitsOf[model];
  let chip: E1000;
  let pciFunction: PciFunctionHandle | undefined;
  /** IOADDR: the register that IODATA stands for. */
  let ioAddress = 0;

  const ports: IoWindow = {
    read(offset: number, size: AccessSize) {
      if (size !== 4) return allOnes(size);
      return offset === 0 ? ioAddress : chip.readRegister(ioAddress & ~3);
    },
    write(offset, size, value) {
      if (size !== 4) return;
      if (offset === 0) ioAddress = value & (R.MMIO_BYTES - 1);
      else chip.writeRegister(ioAddress & ~3, value);
    },
  };

  return {
    id,
    attach(context) {
      chip = new E1000({
        traits,
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
        vendorId: R.VENDOR_INTEL,
        ...traits.identity,
        revision: REVISION,
        classCode: R.CLASS_ETHERNET,
        interruptPin: 1,
        bars: [
          { index: 0, kind: "memory", sizeBytes: R.MMIO_BYTES, window: chip },
          { index: 2, kind: "io", sizeBytes: R.IO_BYTES, window: ports },
        ],
        initial: [
          { offset: PCI_STATUS, size: 2, value: 0x0220 },
          { offset: MIN_GNT, size: 2, value: 0x00ff },
        ],
        // Bus mastering may be what transmission waited for.
        onConfigWrite: (offset) => offset < 8 && chip.hostEvent(),
      });
    },
    reset() {
      ioAddress = 0;
      chip.reset();
    },
    setCableConnected: (isConnected) => chip.setCableConnected(isConnected),
    // Frames that came while nothing ran announce themselves to nobody.
    resume: () => chip.hostEvent(),
    save: () => ({ kind, version: 1, data: { model, ioAddress, chip: chip.save() } }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 1);
      state.literal("model", model);
      ioAddress = state.integer("ioAddress", 0, R.MMIO_BYTES - 1);
      chip.load(state.child("chip"));
      state.end();
    },
  };
}
