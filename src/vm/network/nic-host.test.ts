import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { testFrame } from "../../device-api/testing-net.ts";
import { Doorbell } from "../byte-ring.ts";
import { RingNetBackend } from "../ring-net-backend.ts";
import { type FrameSink, type NetPlug, NicHost } from "./nic-host.ts";
import { PcapTrace } from "./pcap-trace.ts";

const to = "08:00:27:00:00:01";

async function until(isDone: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !isDone(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(isDone()).toBe(true);
}

/** Both ends of a card's wire in one thread, and what the cable is plugged into. */
async function wire() {
  const errors: string[] = [];
  const host = new NicHost((text) => errors.push(text));
  const doorbell = new Doorbell();
  host.connectDoorbell(doorbell);
  onTestFinished(() => host.close());
  const card = new RingNetBackend(host.buffers);
  const plug = {
    seen: [] as number[],
    resumed: 0,
    isClosed: false,
    isBroken: false,
    toGuest: (() => false) as FrameSink,
    send(frame: Uint8Array) {
      if (plug.isBroken) throw new Error("broken");
      plug.seen.push(frame[11]);
    },
    resume() {
      plug.resumed++;
    },
    close() {
      plug.isClosed = true;
    },
  };
  await host.connect((toGuest) => {
    plug.toGuest = toGuest;
    return plug satisfies NetPlug;
  });
  return { host, doorbell, card, plug, errors };
}

test("a network that is slow: the card is refused, told when there is room, nothing lost or twice", async () => {
  const { card, doorbell, plug } = await wire();
  let events = 0;
  card.onEvent(() => events++);
  let sent = 0;
  while (card.send(testFrame(to, 1000, sent & 0xff))) sent++;
  expect(sent).toBeGreaterThan(100);
  await until(() => plug.seen.length === sent && Atomics.load(doorbell.counter, 0) > 0);
  card.poll();
  expect(events).toBe(1);
  expect(card.send(testFrame(to, 1000, 77))).toBe(true);
  await until(() => plug.seen.length === sent + 1);
  expect(plug.seen.slice(0, -1)).toEqual(Array.from({ length: sent }, (_, i) => i & 0xff));
});

test("a guest that is slow: the network is refused and resumed; the doorbell rings for the first frame only", async () => {
  const { card, doorbell, plug } = await wire();
  let sent = 0;
  while (plug.toGuest(testFrame(to, 1000, sent & 0xff))) sent++;
  expect(Atomics.load(doorbell.counter, 0)).toBe(1);
  const target = new Uint8Array(2048);
  for (let i = 0; i < sent; i++) {
    expect(card.receive(target)).toBe(1014);
    expect(target[11]).toBe(i & 0xff);
  }
  await until(() => plug.resumed === 1);
  plug.toGuest(testFrame(to, 10));
  expect(Atomics.load(doorbell.counter, 0)).toBe(2);
});

test("another network: the old one is closed and its late frames vanish", async () => {
  const { host, card, plug } = await wire();
  const late = plug.toGuest;
  await host.connect(undefined);
  expect(plug.isClosed).toBe(true);
  expect(late(testFrame(to, 100))).toBe(true);
  expect(card.readableBytes).toBe(0);
  card.send(testFrame(to, 100));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(plug.seen).toEqual([]);
  await expect(host.connect(() => Promise.reject(new Error("no such network")))).rejects.toThrow("no such network");
});

test("a network that fails is said, and the guest goes on", async () => {
  const { card, plug, errors } = await wire();
  plug.isBroken = true;
  card.send(testFrame(to, 100, 1));
  await until(() => errors.length === 1);
  expect(errors[0]).toContain("broken");
  plug.isBroken = false;
  card.send(testFrame(to, 100, 2));
  await until(() => plug.seen.length === 1);
});

test("the trace has both directions, whole, and ends when it is told to; what cannot be written is refused", async () => {
  const { host, card, plug } = await wire();
  const folder = mkdtempSync(join(tmpdir(), "anneau-trace-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "one.pcap");
  host.trace(new PcapTrace(path, () => {}));
  card.send(testFrame(to, 200, 1));
  await until(() => plug.seen.length === 1);
  plug.toGuest(testFrame(to, 300, 2));
  host.trace(undefined);
  plug.toGuest(testFrame(to, 400, 3));
  const bytes = readFileSync(path);
  expect([bytes.readUInt32LE(0), bytes.readUInt32LE(20)]).toEqual([0xa1b2c3d4, 1]);
  expect(bytes.length).toBe(24 + 16 + 214 + 16 + 314);
  expect(bytes.subarray(40, 254).equals(testFrame(to, 200, 1))).toBe(true);
  expect(Math.abs(bytes.readUInt32LE(24) - Date.now() / 1000)).toBeLessThan(600);
  expect(() => new PcapTrace(join(folder, "none/x.pcap"), () => {})).toThrow(/cannot write the network trace .*ENOENT/);
  expect(() => new PcapTrace("/dev/full", () => {})).toThrow(/ENOSPC/);
});
