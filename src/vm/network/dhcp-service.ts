/**
 * The DHCP server of an internal network, at the switch in the VM process that serves it. Its settings are read from the registry when
 * it starts: with the first VM on the network, when another process takes over, or with `dhcpserver start`. Leases are in a file, so that
 * the next one goes on with them.
 */
import { AnneauError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { loadLeases, saveLeases } from "../../config/dhcp-leases.ts";
import { findDhcpServer } from "../../config/dhcp-servers.ts";
import { DhcpNetwork } from "../../net/dhcp/network.ts";
import type { SwitchService } from "./internal-network.ts";

/** A guest that asks without end costs one file a second. */
const SAVE_MS = 1000;

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
  const store = new LeaseStore(name, network, log);
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

/** Keeps the file as the server's leases are: at once, or a second after it was written last. */
class LeaseStore {
  readonly #name: string;
  readonly #network: DhcpNetwork;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isChanged = false;

  constructor(name: string, network: DhcpNetwork, log: Logger) {
    this.#name = name;
    this.#network = network;
    this.#log = log;
    try {
      network.server.restore(loadLeases(name));
    } catch (error) {
      log.warn(`DHCP: leases of '${name}' cannot be read: ${(error as Error).message}`);
    }
    network.server.onChange = () => {
      this.#isChanged = true;
      if (this.#timer === undefined) this.#save();
    };
  }

  #save(): void {
    this.#isChanged = false;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isChanged) this.#save();
    }, SAVE_MS).unref();
    try {
      saveLeases(this.#name, this.#network.server.leases, Date.now());
    } catch (error) {
      this.#log.error(`DHCP: leases of '${this.#name}' cannot be written: ${(error as Error).message}`);
    }
  }

  close(): void {
    this.#network.server.onChange = () => {};
    if (this.#isChanged) this.#save();
    clearTimeout(this.#timer);
  }
}
