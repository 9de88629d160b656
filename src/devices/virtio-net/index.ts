/** Plug of the virtio network card: a transitional PCI function 1af4:1000, revision 0, INTA. */
import type { NetworkCard, NetworkCardConfig } from "../../device-api/network-card.ts";
import type { PciFunctionHandle } from "../../device-api/pci-function.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { VirtioPciTransport } from "../../device-parts/virtio/pci-transport.ts";
import { CLASS_ETHERNET } from "./registers.ts";
import { VirtioNet } from "./virtio-net.ts";

const kind = "virtio-net";

export function createVirtioNet(config: NetworkCardConfig): NetworkCard {
  const { macAddress, backend } = config;
  const id = `nic-${config.number}`;
  let device: VirtioNet;
  let transport: VirtioPciTransport;
  let pciFunction: PciFunctionHandle | undefined;
  return {
    id,
    attach(context) {
      const { memory, clock } = context;
      device = new VirtioNet({ macAddress, memory, clock, backend, transport: () => transport });
      transport = new VirtioPciTransport(
        device,
        memory,
        { raise: () => pciFunction?.intx.raise(), lower: () => pciFunction?.intx.lower() },
        () => pciFunction?.busMasterEnabled ?? false,
      );
      device.setCableConnected(config.isCableConnected);
      pciFunction = context.addPciFunction(config.pciSlot, 0, {
        name: id,
        revision: 0,
        classCode: CLASS_ETHERNET,
        interruptPin: 1,
        ...transport.pciConfig(),
        // Bus mastering may be what transmission waited for.
        onConfigWrite: (offset) => offset < 8 && device.hostEvent(),
      });
    },
    reset: () => transport.reset(),
    setCableConnected: (isConnected) => device.setCableConnected(isConnected),
    // Frames that came while nothing ran announce themselves to nobody.
    resume: () => device.hostEvent(),
    save: () => ({ kind, version: 1, data: { transport: transport.save(), device: device.save() } }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 1);
      transport.load(state.child("transport"));
      device.load(state.child("device"));
      state.end();
    },
  };
}
