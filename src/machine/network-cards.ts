/** The network cards of a spec: which model is which device, and VirtualBox's PCI slots for NIC 1 to 8. */
import type { NetBackend } from "../backend-api/net.ts";
import { AnneauError } from "../base/errors.ts";
import type { NetworkCard, NetworkCardConfig } from "../device-api/network-card.ts";
import * as devices from "../devices/catalogue.ts";
import type { NicModel, NicSpec } from "../spec/machine-spec.ts";
import { SharedCable } from "./boot-nics.ts";

/** Device numbers on bus 0, by NIC. */
const pciSlots = [3, 8, 9, 10, 16, 17, 18, 19] as const;

const factories: Readonly<Record<NicModel, (config: NetworkCardConfig) => NetworkCard>> = {
  Am79C970A: (config) => devices.createPcnet({ ...config, model: "Am79C970A" }),
  Am79C973: (config) => devices.createPcnet({ ...config, model: "Am79C973" }),
  "82540EM": (config) => devices.createE1000({ ...config, model: "82540EM" }),
  "82543GC": (config) => devices.createE1000({ ...config, model: "82543GC" }),
  "82545EM": (config) => devices.createE1000({ ...config, model: "82545EM" }),
  virtio: (config) => devices.createVirtioNet(config),
};

/** What the firmware and the cards share, by index of `nics`. */
export function createCables(
  nics: readonly NicSpec[],
  backend: (index: number) => NetBackend | undefined,
): SharedCable[] {
  return nics.map(
    ({ cableConnected, macAddress, model, slot }, index) =>
      new SharedCable({
        name: `adapter ${slot + 1} (${model})`,
        pciSlot: pciSlots[slot],
        macAddress: macBytes(macAddress),
        isCableConnected: cableConnected,
        backend: backend(index),
      }),
  );
}

/** Priorities 1 to 4 first, then the others; the same priority by number of the adapter. */
export function inBootOrder<Cable>(nics: readonly NicSpec[], cables: readonly Cable[]): Cable[] {
  const rank = ({ bootPriority = 0, slot }: NicSpec) => (bootPriority || 5) * 100 + slot;
  return cables
    .map((cable, index) => ({ cable, rank: rank(nics[index]) }))
    .sort((one, other) => one.rank - other.rank)
    .map(({ cable }) => cable);
}

function macBytes(digits: string): Uint8Array {
  return Uint8Array.from({ length: 6 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** Makes the cards; `backend` gives what each is plugged into, by index of `nics`. Throws one line for a card that cannot be. */
export function createNetworkCards(
  nics: readonly NicSpec[],
  backend: (index: number) => NetBackend | undefined,
): NetworkCard[] {
  return nics.map(({ slot, model, macAddress, cableConnected }, index) => {
    const pciSlot = pciSlots[slot];
    if (pciSlot === undefined || nics.findIndex((nic) => nic.slot === slot) !== index)
      throw new AnneauError(`network adapter ${slot + 1} cannot be: a machine has ${pciSlots.length}, each once`);
    if (!/^[0-9A-F]{12}$/.test(macAddress))
      throw new AnneauError(`network adapter ${slot + 1} has no MAC address but '${macAddress}'`);
    return factories[model]({
      number: slot + 1,
      pciSlot,
      macAddress: macBytes(macAddress),
      isCableConnected: cableConnected,
      backend: backend(index),
    });
  });
}
