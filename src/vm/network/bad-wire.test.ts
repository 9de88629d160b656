import { expect, test } from "vitest";
import { parseWireFaults } from "../../config/wire-faults.ts";
import { overBadWire } from "./bad-wire.ts";
import type { FrameSink, NetPlug } from "./nic-host.ts";

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

test("faults as they are typed", () => {
  expect(parseWireFaults("5:10:200")).toEqual({ lossPercent: 5, reorderPercent: 10, delayMs: 200, seed: 1 });
  expect(parseWireFaults("0:0:0:77")).toEqual({ lossPercent: 0, reorderPercent: 0, delayMs: 0, seed: 77 });
  for (const bad of ["", "5", "5:10", "a:b:c", "100:0:0", "1:2:3:", "-1:0:0"])
    expect(parseWireFaults(bad)).toBeUndefined();
});

test("a good wire carries all in order; a bad one loses and swaps the same frames every time", async () => {
  const carried = async (text: string): Promise<string> => {
    const got: number[] = [];
    const make = (): NetPlug => ({ send: (frame) => void got.push(frame[0]), close() {} });
    const plug = await overBadWire(make, parseWireFaults(text)!)(() => true);
    const frame = new Uint8Array(60);
    for (frame[0] = 0; frame[0] < 200; frame[0]++) plug.send(frame);
    await sleep(100);
    plug.close();
    return got.join();
  };
  const all = Array.from({ length: 200 }, (_, i) => i).join();
  expect(await carried("0:0:1")).toBe(all);
  const bad = (await carried("20:20:1:5")).split(",").map(Number);
  expect(bad.length).toBeGreaterThan(120);
  expect(bad.length).toBeLessThan(190);
  expect(bad).not.toEqual(bad.toSorted((a, b) => a - b));
  expect((await carried("20:0:1:5")).split(",").length).toBe((await carried("20:0:1:5")).split(",").length);
});

test("a guest that takes nothing stops the sender, and nothing is lost", async () => {
  let sink: FrameSink = () => true;
  let resumed = 0;
  let isDeaf = true;
  const got: number[] = [];
  const make = (toGuest: FrameSink): NetPlug => {
    sink = toGuest;
    return { send() {}, close() {}, resume: () => void resumed++ };
  };
  const plug = await overBadWire(
    make,
    parseWireFaults("0:0:0")!,
  )((frame) => {
    if (isDeaf) return false;
    got.push(frame[0] | (frame[1] << 8));
    return true;
  });
  let sent = 0;
  while (sink(Uint8Array.of(sent & 255, sent >> 8))) sent++;
  await sleep(30);
  expect([sent, got.length, resumed]).toEqual([1024, 0, 0]);
  isDeaf = false;
  plug.resume?.();
  expect(got).toEqual(Array.from({ length: sent }, (_, i) => i));
  expect(resumed).toBe(1);
});
