/**
 * A NAT network that VMs share: an internal network whose serving VM process has NAT's router at the switch too. What the network is
 * like is read from the registry when the router starts: with the first VM on it, when another process takes over, or with
 * `natnetwork start`. Its connections end with the process that serves; its leases do not.
 */
import { AnneauError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { natNetworkLeases } from "../../config/dhcp-leases.ts";
import { configurationFolder } from "../../config/folders.ts";
import { findNatNetwork } from "../../config/nat-networks.ts";
import { NatNetwork } from "../../net/nat-network.ts";
import { NodeHostNetwork } from "../host-network.ts";
import type { SwitchService } from "./internal-network.ts";
import { LeaseStore } from "./lease-store.ts";

/** Throws one line where the registry has no such network, or it is disabled. */
export async function startNatService(
  name: string,
  send: (frame: Uint8Array) => void,
  log: Logger,
): Promise<SwitchService> {
  const settings = findNatNetwork(name);
  if (settings === undefined)
    throw new AnneauError(`no NAT network '${name}' (natnetwork add --netname ${name} --network 10.0.2.0/24 --enable)`);
  if (!settings.isEnabled)
    throw new AnneauError(`the NAT network '${name}' is disabled (natnetwork modify --netname ${name} --enable)`);
  const host = new NodeHostNetwork({ bindAddress: "", tftpFolder: `${configurationFolder()}/TFTP` });
  const toSwitch = (frame: Uint8Array): boolean => {
    send(frame);
    return true;
  };
  const network = new NatNetwork(settings.nat, host, toSwitch, log);
  const store = new LeaseStore(natNetworkLeases(name), network.dhcpServer, log, Date.now() - host.nowMs());
  await network.start(log);
  return {
    macAddresses: network.macAddresses,
    receive: (frame) => network.receiveFrame(frame),
    close: () => {
      store.close();
      network.close();
    },
  };
}
