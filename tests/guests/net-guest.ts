/**
 * A Linux guest with network cards in this process, so that a test can pull cables, and the peers that it talks to: an HTTP
 * server on the host's loopback that serves and takes bytes. The guest reaches it at its gateway's address.
 */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { parseRunNic, type RunNic } from "../../src/cli/run-nic.ts";
import { MachineThreadClient } from "../../src/vm/machine-thread-client.ts";
import { NetworkHosts } from "../../src/vm/network/network-hosts.ts";
import { describeRunMachine } from "../../src/vm/run-spec.ts";
import { UartHost } from "../../src/vm/uart-host.ts";
import { GuestTerminal } from "./guest-terminal.ts";

const quick = "cryptomgr.notests initcall_blacklist=load_system_certificate_list";
/** PCI slots of NIC 1 to 8, as the guest spells them. */
const slots = ["03", "08", "09", "0a", "10", "11", "12", "13"];

/** Media with the drivers of all cards. */
export function netGuestMedia(): Promise<string> {
  return linuxGuest({ modules: ["pcnet32", "e1000", "virtio_pci", "virtio_net"] });
}

export class NetGuest extends GuestTerminal {
  readonly nics: readonly RunNic[];
  #client: MachineThreadClient | undefined;
  #network: NetworkHosts | undefined;
  readonly #uart = new UartHost();

  private constructor(nics: readonly RunNic[]) {
    super();
    this.nics = nics;
  }

  /** Boots to the shell; each of `nics` is an argument of `--nic`. */
  static async boot(media: string, nics: readonly string[]): Promise<NetGuest> {
    const guest = new NetGuest(nics.map((nic, slot) => parseRunNic(nic, slot)));
    await guest.#start(media);
    await guest.says(/ANNEAU-GUEST-READY 6\.\S+/);
    await guest.says("# ");
    return guest;
  }

  async #start(media: string): Promise<void> {
    this.#uart.plug({ write: (bytes) => this.heard(bytes) });
    const { spec, ide, floppies } = describeRunMachine({
      memoryMiB: 96,
      disks: [],
      kernel: join(media, "vmlinuz"),
      initrd: join(media, "initrd.gz"),
      append: `console=ttyS0,115200 quiet panic=0 net.ifnames=0 ${quick}`,
      hasSerial: true,
      hasGraphics: true,
      deterministic: false,
      nics: this.nics,
    });
    this.#network = await NetworkHosts.open(
      this.nics.map(({ description }) => description),
      silentLogger,
    );
    onTestFinished(() => this.#end());
    this.#client = await MachineThreadClient.start({
      spec,
      ide,
      floppies,
      uarts: [this.#uart],
      nics: this.#network.hosts,
      trace: [],
      onTripleFault: "stop",
      onDeath: "end",
      onLine: (tag, text) => {
        if (tag !== "I") this.errors += `${text}\n`;
      },
    });
    this.#network.machine = this.#client;
    this.#client.ended.then(
      () => this.ended(),
      () => this.ended(),
    );
  }

  async #end(): Promise<void> {
    this.#network?.close();
    await this.#client?.terminate();
    await this.#uart.close();
  }

  type(text: string): void {
    this.#uart.send(Buffer.from(text));
  }

  async setCable(nic: number, isConnected: boolean): Promise<void> {
    await this.#network?.apply({ ...this.nics[nic].description, cableConnected: isConnected });
  }

  /** Linux's name of NIC `nic` (from 0). */
  async interfaceOf(nic: number): Promise<string> {
    const found = await this.shell(`find /sys/devices/pci0000:00/0000:00:${slots[nic]}.0 -path '*/net/*' -name 'eth*'`);
    return found.trim().split("/").at(-1) ?? "";
  }
}

/** Bytes with a pattern that repeats late. */
export function patternBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0, x = 12345; i < length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
    bytes[i] = x >>> 16;
  }
  return bytes;
}

export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

export interface TestServer {
  readonly port: number;
  /** Requests answered so far. */
  readonly requests: number;
}

/** GET /N answers N bytes of the pattern; PUT answers the SHA-256 of what came. On the host's loopback, closed with the test. */
export async function httpServer(address: "127.0.0.1" | "::1" = "127.0.0.1"): Promise<TestServer> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    if (request.method === "GET") {
      response.end(patternBytes(Number(request.url?.slice(1)) || 0));
      return;
    }
    const hash = createHash("sha256");
    request.on("data", (bytes) => hash.update(bytes));
    request.on("end", () => response.end(`${hash.digest("hex")}\n`));
  });
  await new Promise<void>((resolve, reject) => {
    // A host without ::1 gets it by: sysctl -w net.ipv6.conf.lo.disable_ipv6=0
    server.once("error", reject);
    server.listen(0, address, resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    get requests() {
      return requests;
    },
  };
}
