import { expect, test } from "vitest";
import { KeyQueue } from "./key-queue.ts";

/** A keyboard that keeps so many bytes until the guest reads them. */
function keyboard(room: number) {
  const kept: number[] = [];
  const machine = {
    request: async (_name: string, { bytes }: { bytes: readonly number[] }) => {
      const taken = Math.min(bytes.length, room - kept.length);
      kept.push(...bytes.slice(0, taken));
      return { taken };
    },
  };
  return { kept, queue: new KeyQueue(machine as never), read: () => kept.splice(0) };
}

/** What is down after these scan codes; Pause aside. */
function heldAfter(bytes: readonly number[]): Set<number> {
  const held = new Set<number>();
  for (let i = 0; i < bytes.length; i++) {
    const prefix = bytes[i] === 0xe0 ? bytes[i++] : 0;
    const key = (prefix << 8) | (bytes[i] & 0x7f);
    if (bytes[i] & 0x80) held.delete(key);
    else held.add(key);
  }
  return held;
}

test("a text at once arrives whole and in order, though the keyboard keeps little", async () => {
  const { kept, queue } = keyboard(16);
  const sent: number[] = [];
  for (let i = 0; i < 500; i++) {
    for (const codes of [[0x1e + (i % 9)], [(0x1e + (i % 9)) | 0x80]]) {
      queue.put(codes);
      sent.push(...codes);
    }
  }
  const got: number[] = [];
  while (got.length < sent.length) {
    await new Promise((done) => setTimeout(done, 1));
    got.push(...kept.splice(0));
  }
  expect(got).toEqual(sent);
});

test("a guest that takes nothing for long: presses are lost, and no key stays down", async () => {
  const { queue, read } = keyboard(64);
  for (let i = 0; i < 40_000; i++) {
    const code = 1 + (i % 0x50);
    const prefix = i % 3 === 0 ? [0xe0] : [];
    // Held keys repeat, and come up only much later.
    queue.put([...prefix, code]);
    if (i % 7 !== 0) queue.put([...prefix, code | 0x80]);
  }
  for (let code = 1; code <= 0x50; code++) for (const prefix of [[], [0xe0]]) queue.put([...prefix, code | 0x80]);
  queue.put([0xe0, 0x2a, 0xe0, 0x37]);
  queue.put([0xe0, 0xb7, 0xe0, 0xaa]);
  const got: number[] = [];
  for (let empty = 0; empty < 40; ) {
    await new Promise((done) => setTimeout(done, 1));
    const bytes = read();
    got.push(...bytes);
    empty = bytes.length === 0 ? empty + 1 : 0;
  }
  expect(got.length).toBeGreaterThan(10_000);
  expect(got.length).toBeLessThan(20_000);
  expect(heldAfter(got)).toEqual(new Set());
});

test("a machine that is off takes nothing, and nothing is kept for it", async () => {
  let calls = 0;
  const queue = new KeyQueue({
    request: async () => {
      calls++;
      throw new Error("off");
    },
  } as never);
  queue.put([0x1e]);
  await new Promise((done) => setTimeout(done, 5));
  queue.put([0x9e]);
  await new Promise((done) => setTimeout(done, 5));
  expect(calls).toBe(2);
});
