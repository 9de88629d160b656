/**
 * Linux's own TCP against NAT's over a wire that loses 5 % of the frames, swaps 10 % and delays all by 100 ms each way: a file comes down and
 * goes up again whole, nothing stalls, and tcpdump finds no bad checksum in the card's trace.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { pattern } from "../../src/net/testing/guest.ts";
import { RunGuest } from "../guests/run-guest.ts";

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

/** Seconds between frames with TCP data in the trace, the longest pause within one connection. */
function longestPauseSeconds(trace: Uint8Array): number {
  const view = new DataView(trace.buffer, trace.byteOffset, trace.length);
  const last = new Map<number, number>();
  let longest = 0;
  for (let at = 24; at + 16 <= trace.length; ) {
    const time = view.getUint32(at, true) + view.getUint32(at + 4, true) / 1e6;
    const length = view.getUint32(at + 8, true);
    const frame = at + 16;
    at = frame + length;
    if (view.getUint16(frame + 12) !== 0x0800 || trace[frame + 23] !== 6) continue;
    const dataBytes = view.getUint16(frame + 16) - 20 - (trace[frame + 46] >> 4) * 4;
    if (dataBytes === 0) continue;
    const ports = view.getUint16(frame + 34) ^ view.getUint16(frame + 36);
    longest = Math.max(longest, time - (last.get(ports) ?? time));
    last.set(ports, time);
  }
  return longest;
}

/** The story for a file of that many bytes: most of the time is Linux's congestion control. What it took. */
export async function fileOverBadWire(
  bytes: number,
): Promise<{ readonly downSeconds: number; readonly upSeconds: number; readonly pauseSeconds: number }> {
  const folder = mkdtempSync(join(tmpdir(), "anneau-wire-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = pattern(bytes, 7);
  const uploaded = createHash("sha256");
  let uploadedBytes = 0;
  const down = createServer((socket) => {
    socket.on("error", () => {});
    socket.end(file);
  });
  const up = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (part) => {
      uploaded.update(part);
      uploadedBytes += part.length;
    });
    socket.on("end", () => socket.end());
  });
  for (const server of [down, up]) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
  }
  const port = (server: typeof down) => (server.address() as AddressInfo).port;

  const media = await linuxGuest({ modules: ["pcnet32", "e1000", "virtio_pci", "virtio_net"] });
  const trace = join(folder, "wire.pcap");
  const guest = new RunGuest(
    "--memory=128",
    `--kernel=${join(media, "vmlinuz")}`,
    `--initrd=${join(media, "initrd.gz")}`,
    "--append=console=ttyS0,115200 quiet panic=0 net.ifnames=0 cryptomgr.notests",
    `--nic=Am79C973,host-loopback,wire=5:10:100:1,trace=${trace}`,
  );
  await guest.says(/ANNEAU-GUEST-READY/);
  await guest.says("# ");
  await guest.shell("ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up");
  /** Runs a transfer behind the shell's back: the long form takes longer than anybody waits for one command. */
  const transfer = async (command: string) => {
    await guest.shell(`rm -f /tmp/done; ( { ${command}; echo $? > /tmp/done; } & )`);
    let status = "";
    while (status === "") {
      await sleep(2000);
      status = (await guest.shell("cat /tmp/done 2> /dev/null || true")).trim();
    }
    expect([command, status]).toEqual([command, "0"]);
  };
  const startMs = performance.now();
  await transfer(`nc 10.0.2.2 ${port(down)} < /dev/null > /tmp/file`);
  const downSeconds = Math.round((performance.now() - startMs) / 1000);
  expect(await guest.shell("sha256sum /tmp/file")).toContain(sha256(file));
  const upMs = performance.now();
  await transfer(`nc 10.0.2.2 ${port(up)} < /tmp/file`);
  const upSeconds = Math.round((performance.now() - upMs) / 1000);
  expect([uploadedBytes, uploaded.digest("hex")]).toEqual([bytes, sha256(file)]);
  const tcp = (await guest.shell("grep Tcp: /proc/net/snmp")).split("\n")[1].trim().split(" ");
  // Column 15: segments that came with errors; column 13: segments that Linux sent again.
  expect([tcp[14], Number(tcp[12]) > 0]).toEqual(["0", true]);

  const pauseSeconds = longestPauseSeconds(readFileSync(trace));
  expect(pauseSeconds).toBeLessThan(10);
  const { stdout, error } = spawnSync("tcpdump", ["-vv", "-nn", "-r", trace], { encoding: "utf8", maxBuffer: 1 << 28 });
  expect(error === undefined ? "" : "install it with: apt-get install tcpdump").toBe("");
  expect(stdout.split("\n").length).toBeGreaterThan(bytes / 1460);
  expect(stdout.split("\n").filter((line) => /\bbad\b|incorrect|wrong/.test(line))).toEqual([]);
  return { downSeconds, upSeconds, pauseSeconds };
}
