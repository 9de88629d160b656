/** The DHCP server of an internal network with the parts that serve it: registry, switch, sockets, a second process. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { Logger } from "../../base/logger.ts";
import { silentLogger } from "../../base/logger.ts";
import { leasesPath, loadLeases, natNetworkLeases } from "../../config/dhcp-leases.ts";
import {
  addDhcpServer,
  dhcpServerElement,
  globalScope,
  macScope,
  setFixedAddress,
  setOption,
} from "../../config/dhcp-servers.ts";
import { addNatNetwork } from "../../config/nat-networks.ts";
import { editRegistry } from "../../config/registry.ts";
import type { XmlElement } from "../../config/xml.ts";
import { internalFamily, requestService } from "../../control/network-switch.ts";
import { DHCP, dhcpFrame, dotted, OPTION, parseDhcpFrame, quad } from "../../net/testing/dhcp-client.ts";
import { startNatService } from "./nat-service.ts";
import type { NetPlug } from "./nic-host.ts";
import { plugFor } from "./plugs.ts";

const variables = ["XDG_RUNTIME_DIR", "VBOX_USER_HOME"] as const;
const before = new Map<string, string | undefined>();
let folder: string;
const open: NetPlug[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "anneau-dhcp-"));
  for (const name of variables) {
    before.set(name, process.env[name]);
    process.env[name] = join(folder, name === "VBOX_USER_HOME" ? "home" : "run");
  }
  mkdirSync(join(folder, "run"), { mode: 0o700 });
});
afterEach(() => {
  for (const plug of open.splice(0)) plug.close();
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  rmSync(folder, { recursive: true });
});

/** A server of the network "lan" with two addresses, unless `change` says otherwise. */
function server(change: (element: XmlElement) => void = () => {}): void {
  editRegistry((registry) => {
    const element = dhcpServerElement(registry, "lan") ?? addDhcpServer(registry, "lan");
    element.set("IPAddress", "10.9.8.1").set("networkMask", "255.255.255.0");
    element.set("lowerIP", "10.9.8.100").set("upperIP", "10.9.8.101").set("enabled", "1");
    change(element);
  });
}

/** A machine's card on that network, and a DHCP client behind it. */
class Machine {
  readonly mac: Uint8Array;
  plug!: NetPlug;
  readonly heard: ReturnType<typeof parseDhcpFrame>[] = [];

  constructor(number: number) {
    this.mac = Uint8Array.of(8, 0, 0x27, 0, 0, number);
  }

  async join(name = "lan", log: Logger = silentLogger): Promise<this> {
    const hex = Buffer.from(this.mac).toString("hex");
    const make = plugFor({ kind: "intnet", name, isPromiscuous: false }, hex, log)!;
    this.plug = await make((frame) => {
      const answer = parseDhcpFrame(frame);
      if (answer?.mac === hex) this.heard.push(answer);
      return true;
    });
    open.push(this.plug);
    return this;
  }

  /** Says it until somebody answers, as clients do. */
  async say(type: number, options: Record<number, number[]> = {}) {
    this.heard.length = 0;
    for (let i = 0; i < 20 && this.heard.length === 0; i++) {
      this.plug.send(dhcpFrame(this.mac, type, { options }));
      for (let n = 0; n < 50 && this.heard.length === 0; n++) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.heard[0]!;
  }

  async lease(): Promise<string> {
    const offer = await this.say(DHCP.discover);
    return this.ask(offer.yours, offer.server);
  }

  async ask(address: string, serverAddress?: string): Promise<string> {
    const options: Record<number, number[]> = { [OPTION.requested]: quad(address) };
    if (serverAddress !== undefined) options[OPTION.server] = quad(serverAddress);
    const answer = await this.say(DHCP.request, options);
    return answer.type === DHCP.ack ? answer.yours : `message ${answer.type}`;
  }

  /** Nobody answers, though the switch has carried the question. */
  async isUnanswered(): Promise<boolean> {
    this.heard.length = 0;
    this.plug.send(dhcpFrame(this.mac, DHCP.discover));
    await new Promise((resolve) => setTimeout(resolve, 100));
    return this.heard.length === 0;
  }
}

const machine = (number: number) => new Machine(number).join();

test("two machines on an internal network get addresses of their own, which are in the file of leases", async () => {
  server((element) => {
    setOption(globalScope(element), 6, "10.9.8.53", false);
    setFixedAddress(macScope(element, "08:00:27:00:00:03"), "10.9.8.30");
  });
  const [a, b, c] = [await machine(1), await machine(2), await machine(3)];
  expect([await a.lease(), await b.lease(), await c.lease()]).toEqual(["10.9.8.100", "10.9.8.101", "10.9.8.30"]);
  const offer = await a.say(DHCP.discover);
  expect([dotted(offer.options.get(6)!), offer.server]).toEqual(["10.9.8.53", "10.9.8.1"]);
  for (const plug of open.splice(0)) plug.close();
  expect(loadLeases("lan").map(({ mac }) => mac)).toEqual([
    "08:00:27:00:00:03",
    "08:00:27:00:00:01",
    "08:00:27:00:00:02",
  ]);
  expect(readFileSync(leasesPath("lan"), "utf8")).toContain(
    '<Lease mac="08:00:27:00:00:01" network="0.0.0.0" state="acked">',
  );
  expect(statSync(leasesPath("lan")).mode & 0o777).toBe(0o600);
});

test("the process that serves is killed: another one serves, machines keep their addresses and newcomers get others", async () => {
  server();
  const code =
    `const { plugFor } = await import(${JSON.stringify(new URL("./plugs.ts", import.meta.url).href)});` +
    "const log = { info() {}, warn() {}, error: console.error, debug() {} };" +
    'await plugFor({ kind: "intnet", name: "lan", isPromiscuous: false }, "080027000009", log)(() => true);' +
    'console.log("serves"); setInterval(() => {}, 1000);';
  const first = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void first.kill("SIGKILL"));
  await new Promise((resolve) => first.stdout.once("data", resolve));
  const a = await machine(1);
  expect(await a.lease()).toBe("10.9.8.100");
  const isGone = new Promise((resolve) => first.once("exit", resolve));
  first.kill("SIGKILL");
  await isGone;
  const b = await machine(2);
  expect(await b.lease()).toBe("10.9.8.101");
  expect(await a.ask("10.9.8.100")).toBe("10.9.8.100");
});

test("start, restart and stop reach the server where it runs; one that is disabled or missing does not answer", async () => {
  const a = await machine(1);
  expect(await a.isUnanswered()).toBe(true);
  server();
  expect(await requestService(internalFamily, "lan", "start")).toBe("done");
  expect(await a.lease()).toBe("10.9.8.100");
  server((element) => element.set("lowerIP", "10.9.8.50"));
  expect(await requestService(internalFamily, "lan", "start")).toBe("done");
  expect(await a.lease()).toBe("10.9.8.100");
  expect(await (await machine(2)).lease()).toBe("10.9.8.50");
  expect(await requestService(internalFamily, "lan", "stop")).toBe("done");
  expect(await a.isUnanswered()).toBe(true);
  server((element) => element.set("enabled", "0"));
  expect(await requestService(internalFamily, "lan", "start")).toBe("done");
  expect(await a.isUnanswered()).toBe(true);
});

test("settings that make no sense: the machines have their network, the log says why there are no addresses", async () => {
  server((element) => element.set("upperIP", "10.9.8.99"));
  const errors: string[] = [];
  const log = { ...silentLogger, error: (text: string) => void errors.push(text) } as Logger;
  const a = await new Machine(1).join("lan", log);
  expect(errors).toEqual([
    "the DHCP server of 'lan' does not run: the range ends at 10.9.8.99, before it begins (dhcpserver modify --network lan)",
  ]);
  expect(await a.isUnanswered()).toBe(true);
  expect(await requestService(internalFamily, "lan", "start")).toBe("failed");
});

test("a file of leases that is none, or holds nonsense, is passed over", async () => {
  server();
  for (const text of [
    "<Leases",
    "",
    "<x/>",
    '<Leases><Lease mac="x"/><Lease mac="080027000005"><Time/></Lease></Leases>',
  ]) {
    writeFileSync(leasesPath("lan"), text);
    const a = await machine(1);
    expect(await a.lease()).toBe("10.9.8.100");
    for (const plug of open.splice(0)) plug.close();
  }
});

test("a NAT network's router is started again: who has an address keeps it, a newcomer gets another one", async () => {
  editRegistry((registry) => addNatNetwork(registry, "lan", "10.9.8.0/24"));
  const router = async (guest: Machine) => {
    const hex = Buffer.from(guest.mac).toString("hex");
    const service = await startNatService(
      "lan",
      (frame) => {
        const answer = parseDhcpFrame(frame);
        if (answer?.mac === hex) guest.heard.push(answer);
      },
      silentLogger,
    );
    guest.plug = { send: (frame) => service.receive(frame), close: () => service.close() };
    open.push(guest.plug);
    return guest;
  };
  const first = await router(new Machine(1));
  expect(await first.lease()).toBe("10.9.8.15");
  first.plug.close();
  expect(loadLeases(natNetworkLeases("lan"))).toMatchObject([{ mac: "08:00:27:00:00:01", seconds: 86_400 }]);
  const second = await router(new Machine(2));
  expect(await second.lease()).toBe("10.9.8.16");
  second.plug.close();
  expect(await (await router(new Machine(1))).lease()).toBe("10.9.8.15");
});
