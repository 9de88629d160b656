/**
 * Run by tap-uplink.test.ts in a network of its own, in which tap0 and tap1 are the ports of a bridge: two uplinks, one at each end, so that what
 * one sends is what the other's device has for it. Prints what it has seen as JSON.
 */
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MemoryLogger } from "../../src/base/logger.ts";
import { seededRandom } from "../../src/device-api/testing.ts";
import { testFrame } from "../../src/device-api/testing-net.ts";
import { TapUplink } from "../../src/vm/network/tap-uplink.ts";

const MACHINE = "08:00:27:00:00:01";
const OTHERS_TAG = 0xee;
const log = new MemoryLogger();
const received: Uint8Array[] = [];
const port = (taken: Uint8Array[]) => ({
  // IPv6 and the bridge have things of their own to say.
  send: (frame: Uint8Array) => {
    if (frame[12] === 0x88 && frame[13] === 0xb5) taken.push(Uint8Array.from(frame));
  },
  own() {},
});
const open = (name: string, taken: Uint8Array[]) =>
  TapUplink.open({ name, mode: "bridged", label: name }, port(taken), false, log);
/** Devices and sockets; Node and libuv open and keep files of their own. */
const descriptors = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return /^(\/dev\/net\/tun|socket:.*)$/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  }).length;

async function until(isDone: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !isDone(); i++) await sleep(5);
}

const before = descriptors();
const b = await open("tap1", received);
// From now on there are frames on the wire that are larger than what the second uplink may take.
spawnSync("sh", ["-c", "for d in br0 tap0 tap1; do ip link set $d mtu 65000; done"]);
const a = await open("tap0", []);

// Frames of every length, in batches that no buffer loses.
const random = seededRandom(11);
const sent: Uint8Array[] = [];
for (let batch = 0; batch < 60; batch++) {
  for (let i = 0; i < 32; i++) {
    const frame = testFrame(MACHINE, batch === 0 ? i : random(1501), random(256));
    sent.push(frame);
    a.send(frame);
  }
  await until(() => received.length === sent.length);
}
const areSame = received.length === sent.length && received.every((frame, i) => Buffer.compare(frame, sent[i]) === 0);

// What is too short or too long for the sender, for the receiver, for the relay.
received.length = 0;
for (let i = 0; i < 14; i++) a.send(testFrame(MACHINE, 0).subarray(0, i));
for (const bytes of [1505, 1600, 9000, 16369, 16370, 16371, 30_000, 64_980, 70_000]) a.send(testFrame(MACHINE, bytes));
// What is for bridges only.
a.send(testFrame("01:80:c2:00:00:00", 46));
a.send(testFrame(MACHINE, 46, 7));
await until(() => received.length > 0);
const afterBadLengths = received.map(({ length }) => length);

// Datagrams of somebody else to every socket there is.
received.length = 0;
const stranger = createSocket("udp4");
const ports = readFileSync("/proc/net/udp", "latin1").split("\n").slice(1, -1);
const numbers = ports.map((line) => Number.parseInt(line.trim().split(/\s+/)[1].split(":")[1], 16));
for (const number of numbers) {
  stranger.on("error", () => {});
  await new Promise((resolve) => stranger.send(testFrame(MACHINE, 46, OTHERS_TAG), number, "127.0.0.1", resolve));
}
a.send(testFrame(MACHINE, 46, 7));
await until(() => received.length > 0);
stranger.close();
const afterStrangers = received.map((frame) => frame[11]);

// A storm of groups, then a frame for one machine.
received.length = 0;
const startedMs = performance.now();
const group = testFrame("ff:ff:ff:ff:ff:ff", 46, 1);
for (let i = 0; i < 60_000; i++) {
  a.send(group);
  if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
}
await sleep(200);
const storm = { passed: received.length, allowed: 5000 + 5 * (performance.now() - startedMs) };
await until(() => log.lines.some((line) => line.includes("frames dropped")));
received.length = 0;
await until(() => {
  a.send(testFrame(MACHINE, 46, 7));
  return received.some((frame) => frame[11] === 7);
});
const isWellAfterStorm = received.some((frame) => frame[11] === 7);

// The relay is killed, again and again.
let restarts = 0;
for (let i = 0; i < 3; i++) {
  const { relayPid } = b;
  if (relayPid !== undefined) process.kill(relayPid, "SIGKILL");
  await until(() => b.relayPid !== undefined && b.relayPid !== relayPid);
  received.length = 0;
  await until(() => {
    a.send(testFrame(MACHINE, 46, 7));
    return received.length > 0;
  });
  if (received.length > 0) restarts++;
}

const openInUse = descriptors();
a.close();
b.close();
await sleep(300);
const children = readFileSync(`/proc/self/task/${process.pid}/children`, "latin1").trim();
console.log(
  JSON.stringify({
    areSame,
    afterBadLengths,
    ports: numbers.length,
    afterStrangers,
    storm,
    isWellAfterStorm,
    restarts,
    children,
    open: [openInUse, descriptors()].map((count) => count - before),
    log: log.lines,
  }),
);
