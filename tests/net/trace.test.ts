/** tcpdump, which shares no code with us, reads what goes over the wire and checks every checksum. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ip, pattern, TestGuest, type TestGuestOptions } from "../../src/net/testing/guest.ts";
import { ipv6 } from "../../src/net/testing/guest6.ts";
import { bytes6 } from "../../src/net/testing/ipv6.ts";
import { echo } from "../../src/net/testing/simulation.ts";
import { PcapTrace } from "../../src/vm/network/pcap-trace.ts";

const server = "198.51.100.7";

/** tcpdump's reading of a trace of `frames` frames, in which nothing is bad. */
function tcpdumpOf(path: string, frames: number): string {
  const { stdout, stderr, error } = spawnSync("tcpdump", ["-vv", "-nn", "-r", path], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  expect(error === undefined ? "" : "install it with: apt-get install tcpdump").toBe("");
  const packets = stdout.match(/^\d\d:\d\d:\d\d/gm) ?? [];
  expect([packets.length, stderr.includes("truncated")]).toEqual([frames, false]);
  const bad = stdout.split("\n").filter((line) => /\bbad\b|incorrect|wrong|truncated|\[\|/.test(line));
  expect(bad).toEqual([]);
  return stdout;
}

/** What tcpdump reads in the trace of a guest's traffic over a bad wire. */
async function traced(options: TestGuestOptions, traffic: (guest: TestGuest) => void | Promise<void>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "anneau-trace-"));
  try {
    const path = join(folder, "nat.pcap");
    const trace = new PcapTrace(path, (text) => {
      throw new Error(text);
    });
    let frames = 0;
    const guest = new TestGuest({
      ...options,
      faults: { lossPercent: 5, reorderPercent: 10, delayMs: 20 },
      onFrame: (frame) => {
        frames++;
        trace.record(frame);
      },
    });
    await traffic(guest);
    trace.close();
    expect(frames).toBeGreaterThan(2000);
    return tcpdumpOf(path, frames);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("tcpdump finds no bad checksum in a trace of TCP over a bad wire, UDP, ICMP, DHCP and fragments", async () => {
  const stdout = await traced({ seed: 3 }, async (guest) => {
    guest.host.files.set("boot", pattern(3001, 1));
    guest.host.udpServers.set(`${server}:7`, (bytes, reply) => reply(bytes));
    guest.host.tcpServers.set(`${server}:7`, echo);
    guest.askFor(ip("10.0.2.2"));
    const connection = guest.connect(server, 7, 40_000);
    // An odd length: odd segments have checksums of their own kind.
    connection.write(pattern(1_000_001, 2));
    connection.end();
    const refused = guest.connect(server, 8, 40_001);
    for (const length of [0, 1, 2, 1471, 1472, 1473, 20_001]) {
      guest.sendUdp(5000, ip(server), 7, pattern(length, length));
      guest.ping(ip("10.0.2.2"), length);
    }
    guest.ping(ip(server));
    const discover = new Uint8Array(300);
    discover.set([1, 1, 6]);
    discover.set([8, 0, 0x27, 0x12, 0x34, 0x56], 28);
    discover.set([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255], 236);
    guest.sendUdp(68, -1, 67, discover, 0);
    guest.sendUdp(6000, ip("10.0.2.4"), 69, new TextEncoder().encode("\0\x01boot\0octet\0"));
    expect(await guest.host.runAsync(1_000_000, () => connection.peerHasEnded && refused.state === "refused")).toBe(
      true,
    );
  });
  for (const kind of ["(correct)", "[udp sum ok]", "BOOTP/DHCP, Reply", "ICMP echo reply", "sackOK", "sack 1", "TFTP"])
    expect(stdout.includes(kind), kind).toBe(true);
});

test("nor in one of IPv6: TCP over a bad wire, UDP, ping, errors, neighbour discovery, advertisements, fragments", async () => {
  const stdout = await traced({ seed: 6, config: { ipv6 } }, (guest) => {
    const [server6, gateway] = ["2001:db8::7", "fd17:625c:f037:2::2"];
    guest.host.udpServers.set(`${server6}:7`, (bytes, reply) => reply(bytes));
    guest.host.tcpServers.set(`${server6}:7`, echo);
    const solicitation = new Uint8Array(24);
    solicitation[0] = 135;
    solicitation.set(bytes6(gateway), 8);
    guest.sendIcmp6(gateway, solicitation, { hopLimit: 255 });
    const connection = guest.connect(server6, 7, 40_000);
    connection.write(pattern(1_000_001, 2));
    connection.end();
    const refused = guest.connect(server6, 8, 40_001);
    for (const length of [0, 1, 2, 1451, 1452, 1453, 20_001]) {
      guest.sendUdp(5000, server6, 7, pattern(length, length));
      guest.ping6(gateway, length);
    }
    guest.ping6(server6);
    guest.sendUdp(5000, gateway, 9, pattern(100, 1));
    expect(guest.host.run(1_000_000, () => connection.peerHasEnded && refused.state === "refused")).toBe(true);
  });
  for (const kind of [
    ...["cksum 0x", "(correct)", "[udp sum ok]", "sack 1", "frag (0x", "[icmp6 sum ok] ICMP6, echo reply"],
    ...["ICMP6, router advertisement", "prefix info option (3), length 32 (4): fd17:625c:f037:2::/64"],
    ...["rdnss option (25), length 24 (3):  lifetime 1800s, addr: fd17:625c:f037:2::3", "mtu option (5)"],
    ...["ICMP6, neighbor advertisement", "unreachable prohibited 2001:db8::7"],
    "ICMP6, destination unreachable, unreachable port",
  ])
    expect(stdout.includes(kind), kind).toBe(true);
});
