import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import type { NicDescription } from "../../config/machine-spec.ts";
import type { NicAttachment } from "../../config/nic-attachments.ts";
import { testFrame } from "../../device-api/testing-net.ts";
import { defaultNatConfig, type ForwardingRule } from "../../net/nat-config.ts";
import { RingNetBackend } from "../ring-net-backend.ts";
import { NetworkHosts } from "./network-hosts.ts";

async function hostsOf(attachment: NicAttachment, traceFile?: string) {
  const description: NicDescription = {
    slot: 0,
    macAddress: "080027000001",
    cableConnected: true,
    attachment,
    traceFile,
  };
  const hosts = await NetworkHosts.open([description], silentLogger);
  onTestFinished(() => hosts.close());
  return { hosts, description };
}

/** Port 0: the system chooses. */
const rule = (name: string): ForwardingRule => {
  return { name, protocol: "udp", hostIp: "127.0.0.1", hostPort: 0, guestIp: "", guestPort: 7 };
};

/** An attachment whose port somebody else has. */
async function impossible(): Promise<NicAttachment> {
  const socket = createSocket("udp4");
  onTestFinished(() => void socket.close());
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  return {
    kind: "udp-tunnel",
    destination: "127.0.0.1",
    sourcePort: socket.address().port,
    destinationPort: 9,
  };
}

test("a network that cannot be had: NAT comes back with the rules of now, not those of the start", async () => {
  const nat = { ...defaultNatConfig, forwarding: [rule("early")] };
  const { hosts, description } = await hostsOf({ kind: "nat", nat, bindAddress: "", tftpFolder: "" });
  hosts.natOf(0)?.removeForwarding("early");
  await hosts.natOf(0)?.addForwarding(rule("late"));
  await expect(hosts.apply({ ...description, attachment: await impossible() })).rejects.toThrow("EADDRINUSE");
  expect(hosts.natOf(0)?.forwarding.map(({ name }) => name)).toEqual(["late"]);
});

test("a trace that cannot be written: the old one goes on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "anneau-nics-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "one.pcap");
  const { hosts, description } = await hostsOf({ kind: "null" }, path);
  await expect(hosts.apply({ ...description, traceFile: join(folder, "no/two.pcap") })).rejects.toThrow("ENOENT");
  const before = statSync(path).size;
  new RingNetBackend(hosts.hosts[0].buffers).send(testFrame("08:00:27:00:00:02", 100, 1));
  await expect.poll(() => statSync(path).size).toBeGreaterThan(before + 100);
});
