/**
 * The DHCP server of an internal network, at the switch in the VM process that serves it. Its settings are read from the registry when
 * it starts: with the first VM on the network, when another process takes over, or with `dhcpserver start`. Leases are in a file, so that
 * the next one goes on with them.
 */
import { AnneauError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { findDhcpServer } from "../../config/dhcp-servers.ts";
import { DhcpNetwork } from "../../net/dhcp/network.ts";
import type { SwitchService } from "./internal-network.ts";
import { LeaseStore } from "./lease-store.ts";

/** undefined: the network has no server, or it is disabled. Throws one line where its settings make no sense. */
export async function startDhcpService(
  name: string,
  send: (frame: Uint8Array) => void,
  log: Logger,
): Promise<SwitchService | undefined> {
  const settings = findDhcpServer(name);
  if (settings === undefined || !settings.isEnabled) return undefined;
  const toSwitch = (frame: Uint8Array): boolean => {
    send(frame);
    return true;
  };
  const network = startedNetwork(name, () => new DhcpNetwork(settings.network, toSwitch, Date.now, log));
  const store = new LeaseStore(name, network.server, log);
  return {
    macAddresses: network.macAddresses,
    receive: (frame) => network.receiveFrame(frame),
    close: () => store.close(),
  };
}

function startedNetwork(name: string, make: () => DhcpNetwork): DhcpNetwork {
  try {
    return make();
  } catch (error) {
    const why = (error as Error).message;
    const problem = `the DHCP server of '${name}' does not run: ${why} (dhcpserver modify --network ${name})`;
    throw new AnneauError(problem, { cause: error });
  }
}
