/** Leases of a DHCP server in their file, so that the next server of the network, in whichever process, goes on with them. */
import type { Logger } from "../../base/logger.ts";
import { loadLeases, saveLeases } from "../../config/dhcp-leases.ts";
import type { DhcpServer } from "../../net/dhcp/server.ts";

/** A guest that asks without end costs one file a second. */
const SAVE_MS = 1000;

/** Keeps the file as the server's leases are: at once, or a second after it was written last. */
export class LeaseStore {
  readonly #name: string;
  readonly #server: DhcpServer;
  readonly #log: Logger;
  readonly #epochMs: number;
  #timer: NodeJS.Timeout | undefined;
  #isChanged = false;

  /** `epochMs`: the time of day at 0 of the server's clock. */
  constructor(name: string, server: DhcpServer, log: Logger, epochMs = 0) {
    this.#name = name;
    this.#server = server;
    this.#log = log;
    this.#epochMs = epochMs;
    try {
      server.restore(loadLeases(name).map((lease) => ({ ...lease, issuedMs: lease.issuedMs - epochMs })));
    } catch (error) {
      log.warn(`DHCP: leases of '${name}' cannot be read: ${(error as Error).message}`);
    }
    server.onChange = () => {
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
      const leases = this.#server.leases.map((lease) => ({ ...lease, issuedMs: lease.issuedMs + this.#epochMs }));
      saveLeases(this.#name, leases, Date.now());
    } catch (error) {
      this.#log.error(`DHCP: leases of '${this.#name}' cannot be written: ${(error as Error).message}`);
    }
  }

  close(): void {
    this.#server.onChange = () => {};
    if (this.#isChanged) this.#save();
    clearTimeout(this.#timer);
  }
}
