import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { ByteRing } from "./byte-ring.ts";

test("bytes come out in order across the wrap, and a full ring says no", () => {
  const ring = ByteRing.create(8);
  const other = new ByteRing(ring.buffer);
  let next = 0;
  let expected = 0;
  for (let round = 0; round < 100; round++) {
    while (ring.writeByte(next & 0xff)) next++;
    expect(ring.freeBytes).toBe(0);
    expect(ring.write(new Uint8Array(1))).toBe(false);
    for (const byte of other.read(1 + (round % 7))) expect(byte).toBe(expected++ & 0xff);
  }
  while (other.availableBytes > 0) expect(other.readByte()).toBe(expected++ & 0xff);
  expect(expected).toBe(next);
  expect(other.readByte()).toBe(-1);
});

test("a block is written whole or not at all", () => {
  const ring = ByteRing.create(16);
  expect(ring.write(new Uint8Array(12).fill(1))).toBe(true);
  expect(ring.write(new Uint8Array(5).fill(2))).toBe(false);
  ring.read(10);
  expect(ring.write(new Uint8Array(14).fill(3))).toBe(true);
  expect([...ring.read()]).toEqual([1, 1, ...new Array(14).fill(3)]);
});

test("a reader is woken by what is written later", async () => {
  const ring = ByteRing.create(16);
  const woken = ring.whenWritten();
  ring.writeByte(7);
  await woken;
  expect(ring.readByte()).toBe(7);
});

test("two threads: nothing is lost and the reader is always woken", async () => {
  const ring = ByteRing.create(64);
  const source = `
    import { workerData } from "node:worker_threads";
    const { ByteRing } = await import(workerData.module);
    const ring = new ByteRing(workerData.buffer);
    for (let i = 0; i < 200000; ) {
      if (ring.writeByte(i & 255)) i++;
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0.01);
    }
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: { buffer: ring.buffer, module: new URL("./byte-ring.ts", import.meta.url).href },
  });
  let expected = 0;
  while (expected < 200_000) {
    await ring.whenWritten();
    for (const byte of ring.read()) if (byte !== (expected++ & 255)) throw new Error(`wrong byte ${expected - 1}`);
  }
  await worker.terminate();
});
