import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { seededRandom } from "../device-api/testing.ts";
import { FrameRing } from "./frame-ring.ts";

function frameOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed * 31 + i) & 0xff);
}

test("frames come out as they went in, round the ring and with any lengths", () => {
  const random = seededRandom(5);
  const ring = FrameRing.create(4096);
  const target = new Uint8Array(2048);
  const waiting: Uint8Array[] = [];
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    if (random(2) === 0) {
      const frame = frameOf(14 + random(1505), i);
      const wasEmpty = ring.isEmpty;
      const outcome = ring.write(frame);
      if (outcome === "no room") refused++;
      else {
        expect(outcome).toBe(wasEmpty ? "first" : "queued");
        waiting.push(frame);
      }
    } else {
      const expected = waiting.shift();
      expect(ring.nextBytes).toBe(expected?.length ?? 0);
      const length = ring.read(target);
      expect(Buffer.compare(target.subarray(0, length), expected ?? new Uint8Array(0))).toBe(0);
    }
  }
  expect(refused).toBeGreaterThan(100);
});

test("a frame that is too long for its reader is gone, the next one is not", () => {
  const ring = FrameRing.create(4096);
  ring.write(frameOf(1000, 1));
  ring.write(frameOf(100, 2));
  const target = new Uint8Array(500);
  expect(ring.read(target)).toBe(0);
  expect(ring.read(target)).toBe(100);
  expect(ring.isEmpty).toBe(true);
});

test("a writer without room is woken when half of it is free", async () => {
  const ring = FrameRing.create(4096);
  while (ring.write(frameOf(500, 1)) !== "no room") {}
  ring.askForRoom();
  let isWoken = false;
  const woken = ring.whenRoom().then(() => {
    isWoken = true;
  });
  const target = new Uint8Array(2048);
  ring.read(target);
  expect(ring.takeWaitingWriter()).toBe(false);
  await new Promise((resolve) => setImmediate(resolve));
  expect(isWoken).toBe(false);
  for (let i = 0; i < 4; i++) ring.read(target);
  expect(ring.takeWaitingWriter()).toBe(true);
  ring.wakeWriter();
  await woken;
});

test("two threads, nothing lost, nobody sleeps for ever", async () => {
  const ring = FrameRing.create(8192);
  const count = 20_000;
  const worker = new Worker(
    `import { workerData } from "node:worker_threads";
     import { FrameRing } from ${JSON.stringify(new URL("./frame-ring.ts", import.meta.url).href)};
     const ring = new FrameRing(workerData);
     for (let i = 0; i < ${count}; ) {
       const frame = new Uint8Array(14 + ((i * 37) % 1400)).fill(i & 255);
       const outcome = ring.write(frame);
       if (outcome === "first") ring.wakeReader();
       if (outcome !== "no room") i++;
     }`,
    { eval: true, workerData: ring.buffer, execArgv: ["--input-type=module"] },
  );
  const failed = new Promise<never>((_, reject) => worker.on("error", reject));
  const target = new Uint8Array(2048);
  const read = async () => {
    for (let i = 0; i < count; ) {
      await ring.whenWritten();
      for (let length = ring.read(target); length > 0; length = ring.read(target), i++) {
        expect([length, target[0], target[length - 1]]).toEqual([14 + ((i * 37) % 1400), i & 255, i & 255]);
      }
    }
  };
  await Promise.race([read(), failed]);
  await worker.terminate();
});
