import { expect, test } from "vitest";
import { RingCharBackend } from "./ring-char-backend.ts";
import { UartHost } from "./uart-host.ts";

/** Lets everything that is ready happen. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 10));

test("without a plug the guest's bytes are lost and the modem lines are down", async () => {
  const host = new UartHost();
  const guest = new RingCharBackend(host.buffers);
  expect(guest.connected).toBe(false);
  for (let i = 0; i < 100_000; i++) expect(guest.write(1)).toBe(true);
  await host.close();
});

test("bytes go both ways in order, however fast either side is", async () => {
  const host = new UartHost();
  const guest = new RingCharBackend(host.buffers);
  const received: number[] = [];
  host.plug({
    write: async (bytes) => {
      await settle();
      received.push(...bytes);
    },
  });
  expect(guest.connected).toBe(true);
  let sent = 0;
  while (guest.write(sent & 0xff)) sent++;
  expect(sent).toBe(65536);
  host.send(Uint8Array.from({ length: 150_000 }, (_, i) => i & 0xff));
  let taken = 0;
  while (taken < 150_000) {
    await settle();
    guest.poll();
    for (let byte = guest.read(); byte >= 0; byte = guest.read()) expect(byte).toBe(taken++ & 0xff);
  }
  while (received.length < sent) await settle();
  expect(received.every((byte, i) => byte === (i & 0xff))).toBe(true);
  await host.close();
});

test("a guest that met a full ring is told when there is room, and when the cable is pulled", async () => {
  const host = new UartHost();
  const guest = new RingCharBackend(host.buffers);
  let events = 0;
  guest.onEvent(() => events++);
  let release = () => {};
  host.plug({
    write: () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  });
  while (guest.write(0)) {}
  await settle();
  // The first part was taken, the second waits for the plug.
  guest.poll();
  expect(events).toBeGreaterThan(0);
  expect(guest.write(1)).toBe(true);
  release();
  await settle();
  release();
  host.plug(undefined);
  events = 0;
  guest.poll();
  expect([events, guest.connected]).toEqual([1, false]);
  await host.close();
});

test("a source that is ahead of the guest is asked to wait and called back", async () => {
  const host = new UartHost();
  const guest = new RingCharBackend(host.buffers);
  host.plug({ write() {} });
  let hasRoom = false;
  const wantsMore = host.send(new Uint8Array(2 << 20), () => {
    hasRoom = true;
  });
  expect(wantsMore).toBe(false);
  for (let taken = 0; taken < 2 << 20; ) {
    if (guest.read() >= 0) taken++;
    else await settle();
  }
  await settle();
  expect(hasRoom).toBe(true);
  await host.close();
});

test("an output that fails is told about once; the guest's port and the end of the machine do not suffer", async () => {
  const told: string[] = [];
  const host = new UartHost((text) => told.push(text));
  const guest = new RingCharBackend(host.buffers);
  let isClosed = false;
  host.plug({
    write: () => {
      throw new Error("no space left on device");
    },
    close: () => {
      isClosed = true;
    },
  });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 40_000; i++) expect(guest.write(1)).toBe(true);
    await settle();
  }
  expect(guest.connected).toBe(true);
  await host.close();
  expect(isClosed).toBe(true);
  expect(told).toEqual(["serial port: no space left on device: its output is lost from here on"]);
});

test("a peer that takes nothing does not keep the machine from its end", async () => {
  const host = new UartHost();
  const guest = new RingCharBackend(host.buffers);
  host.plug({ write: () => new Promise(() => {}) });
  while (guest.write(0)) {}
  await settle();
  guest.write(1);
  await host.close();
});
