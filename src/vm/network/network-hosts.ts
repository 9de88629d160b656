/** A machine's network cards on the main thread: what each is plugged into, traces, link states, all changeable while it runs. */

import { AnneauError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { NicDescription } from "../../config/machine-spec.ts";
import type { NicAttachment } from "../../config/nic-attachments.ts";
import type { NatNetwork } from "../../net/nat-network.ts";
import type { MachineThreadClient } from "../machine-thread-client.ts";
import { overBadWire } from "./bad-wire.ts";
import { NicHost } from "./nic-host.ts";
import { PcapTrace } from "./pcap-trace.ts";
import { NatPlug, plugFor } from "./plugs.ts";

/** A guest sees a new network as a cable that was out for this long. */
const REPLUG_MS = 500;

export class NetworkHosts {
  readonly hosts: readonly NicHost[];
  readonly #nics: NicDescription[];
  readonly #log: Logger;
  #machine: MachineThreadClient | undefined;

  private constructor(nics: readonly NicDescription[], log: Logger) {
    this.#nics = [...nics];
    this.#log = log;
    this.hosts = nics.map(({ slot }) => new NicHost((text) => log.error(`network adapter ${slot + 1}: ${text}`)));
  }

  /** Opens networks and traces. Rejects with one line, nothing left open, if one cannot be had. */
  static async open(nics: readonly NicDescription[], log: Logger): Promise<NetworkHosts> {
    const network = new NetworkHosts(nics, log);
    try {
      for (const [i, { slot, attachment, macAddress, traceFile, wire }] of nics.entries()) {
        if (traceFile !== undefined) network.trace(slot, traceFile);
        const make = plugFor(attachment, macAddress, log);
        await network.hosts[i].connect(make && wire ? overBadWire(make, wire) : make);
      }
    } catch (error) {
      network.close();
      throw error;
    }
    return network;
  }

  /** The machine whose cards these are, once it runs. */
  set machine(machine: MachineThreadClient) {
    this.#machine = machine;
  }

  /** Makes a running card what `wanted` says: network, cable, trace, as far as they differ. Rejects with one line. */
  async apply(wanted: NicDescription): Promise<void> {
    const index = this.#indexOf(wanted.slot);
    const current = this.#nics[index];
    this.#nics[index] = { ...wanted, attachment: current.attachment, traceFile: current.traceFile };
    if (wanted.cableConnected !== current.cableConnected) await this.#setCable(index, wanted.cableConnected);
    if (wanted.traceFile !== current.traceFile) {
      this.trace(wanted.slot, wanted.traceFile);
      this.#nics[index] = { ...this.#nics[index], traceFile: wanted.traceFile };
    }
    if (!isSameNetwork(wanted.attachment, current.attachment)) await this.#attach(index, wanted.attachment);
  }

  /** The guest sees the link go and, after a moment, come back. If the network cannot be had, it has its old one again. */
  async #attach(index: number, attachment: NicAttachment): Promise<void> {
    const { macAddress } = this.#nics[index];
    const old = this.#presentAttachment(index);
    const make = plugFor(attachment, macAddress, this.#log);
    await this.#setCable(index, false);
    try {
      await this.hosts[index].connect(make);
      this.#nics[index] = { ...this.#nics[index], attachment };
    } catch (error) {
      await this.hosts[index].connect(plugFor(old, macAddress, this.#log));
      throw error;
    } finally {
      setTimeout(() => {
        if (this.#nics[index].cableConnected) this.#setCable(index, true).catch(() => {});
      }, REPLUG_MS).unref();
    }
  }

  /** With the rules that `controlvm natpfN` has made and taken away since. */
  #presentAttachment(index: number): NicAttachment {
    const { attachment } = this.#nics[index];
    const { plug } = this.hosts[index];
    if (attachment.kind !== "nat" || !(plug instanceof NatPlug)) return attachment;
    return { ...attachment, nat: { ...attachment.nat, forwarding: plug.network.forwarding } };
  }

  /** Starts a trace into a new file, or ends it (undefined). Throws one line if the file cannot be written; the old trace goes on then. */
  trace(slot: number, path: string | undefined): void {
    const host = this.hosts[this.#indexOf(slot)];
    host.trace(path === undefined ? undefined : new PcapTrace(path, (text) => this.#log.error(text)));
  }

  /** What the card in `slot` is plugged into. */
  plugOf(slot: number) {
    return this.hosts[this.#indexOf(slot)].plug;
  }

  /** The NAT network that the adapter in `slot` is on; undefined: on none, or there is no card. */
  natOf(slot: number): NatNetwork | undefined {
    const index = this.#nics.findIndex((nic) => nic.slot === slot);
    const plug = this.hosts[index]?.plug;
    return plug instanceof NatPlug ? plug.network : undefined;
  }

  pause(): void {
    for (const host of this.hosts) host.pause();
  }
  wake(): void {
    for (const host of this.hosts) host.wake();
  }
  close(): void {
    for (const host of this.hosts) host.close();
  }

  async #setCable(nic: number, isConnected: boolean): Promise<void> {
    await this.#machine?.request("setCable", { nic, isConnected });
  }

  #indexOf(slot: number): number {
    const index = this.#nics.findIndex((nic) => nic.slot === slot);
    if (index < 0) throw new AnneauError(`the machine has no network adapter ${slot + 1}`);
    return index;
  }
}

/** Port forwarding has a way of its own: it changes without a new network. */
function isSameNetwork(a: NicAttachment, b: NicAttachment): boolean {
  const comparable = (one: NicAttachment) =>
    JSON.stringify(one.kind === "nat" ? { ...one, nat: { ...one.nat, forwarding: [] } } : one);
  return comparable(a) === comparable(b);
}
