import { describe, expect, test } from "vitest";
import { seededRandom } from "../../device-api/testing.ts";
import { testFrame } from "../../device-api/testing-net.ts";
import { addWords, fold } from "../../device-parts/internet-checksum.ts";
import { F_EVENT_IDX } from "../../device-parts/virtio/pci-transport.ts";
import * as R from "./registers.ts";
import { DriverQueue, OWN_MAC, QUEUE_SIZE, VirtioGuest } from "./testing.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";
const interfaces = [
  ["legacy", true],
  ["modern", false],
] as const;

test("PCI identity and capabilities: common, notify, ISR, device configuration in BAR 4", () => {
  const { pci } = new VirtioGuest();
  expect([pci.readConfig(0, 4), pci.readConfig(8, 1), pci.readConfig(0x2c, 4)]).toEqual([0x10001af4, 0, 0x00011af4]);
  expect(pci.readConfig(6, 2) & 0x10).toBe(0x10);
  const found: number[][] = [];
  for (let at = pci.readConfig(0x34, 1); at !== 0; at = pci.readConfig(at + 1, 1)) {
    expect([pci.readConfig(at, 1), pci.readConfig(at + 4, 1)]).toEqual([9, 4]);
    found.push([pci.readConfig(at + 3, 1), pci.readConfig(at + 8, 4)]);
  }
  expect(found).toEqual([
    [1, 0x0000],
    [2, 0x3000],
    [3, 0x1000],
    [4, 0x2000],
  ]);
});

describe.each(interfaces)("%s interface", (_name, isLegacy) => {
  test("address, link, frames both ways, more often than a queue is long", () => {
    const guest = new VirtioGuest({ isLegacy });
    guest.start();
    expect([0, 1, 2, 3, 4, 5].map((i) => guest.config(i, 1))).toEqual([8, 0, 0x27, 0x12, 0x34, 0x56]);
    expect(guest.config(6, 2)).toBe(1);
    guest.giveBuffers(16);
    for (let i = 0; i < QUEUE_SIZE + 50; i++) {
      const frame = testFrame(OWN_MAC, 46 + (i % 1400), i);
      guest.send(frame);
      expect(Buffer.compare(guest.net.sent.pop() ?? frame.subarray(1), frame)).toBe(0);
      expect(guest.queues[1].take()).toBeDefined();
      guest.net.deliver(frame);
      expect(guest.line).toBe(true);
      expect(guest.isr()).toBe(1);
      expect(guest.line).toBe(false);
      expect(Buffer.compare(guest.receive()?.frame ?? frame.subarray(1), frame)).toBe(0);
      guest.giveBuffers(1);
    }
  });

  test("frames wait for buffers; small ones are merged", () => {
    const guest = new VirtioGuest({ isLegacy });
    guest.start();
    const frames = [testFrame(OWN_MAC, 1000, 1), testFrame(OWN_MAC, 1500, 2)];
    guest.net.deliver(...frames);
    expect(guest.receive()).toBeUndefined();
    guest.giveBuffers(2, 256);
    expect(guest.receive()).toBeUndefined();
    guest.giveBuffers(20, 256);
    expect([guest.receive()?.frame, guest.receive()?.frame]).toEqual(frames);
  });

  test("no room in the network: the packet stays, goes once when there is", () => {
    const guest = new VirtioGuest({ isLegacy });
    guest.start();
    guest.net.hasRoom = false;
    guest.send(testFrame(BROADCAST, 100, 1));
    guest.send(testFrame(BROADCAST, 100, 2));
    expect(guest.queues[1].take()).toBeUndefined();
    guest.net.hasRoom = true;
    guest.net.event();
    expect(guest.net.sent.map((frame) => frame[11])).toEqual([1, 2]);
    expect([guest.queues[1].take()?.length, guest.queues[1].take()?.length]).toEqual([0, 0]);
  });

  test("cable: the configuration says so and interrupts", () => {
    const guest = new VirtioGuest({ isLegacy });
    guest.start();
    guest.isr();
    guest.card.setCableConnected(false);
    expect([guest.isr(), guest.config(6, 2)]).toEqual([2, 0]);
    guest.send(testFrame(BROADCAST, 100));
    guest.card.setCableConnected(true);
    expect([guest.isr() & 2, guest.config(6, 2), guest.net.sent.length]).toEqual([2, 1, 0]);
  });

  test("reset forgets the queues", () => {
    const guest = new VirtioGuest({ isLegacy });
    guest.start();
    guest.status = 0;
    expect(guest.status).toBe(0);
    guest.giveBuffers(4);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    expect([guest.net.waiting.length, guest.receive(), guest.line]).toEqual([0, undefined, false]);
  });
});

test("a short header without merging, as the oldest drivers have it", () => {
  const guest = new VirtioGuest({ isLegacy: true, features: [R.F_MAC] });
  guest.start();
  guest.giveBuffers(2, 1524);
  const frame = testFrame(OWN_MAC, 1500);
  guest.net.deliver(frame);
  expect(guest.receive()?.frame).toEqual(frame);
  guest.send(frame);
  expect(guest.net.sent).toEqual([frame]);
});

test("a modern driver that does not accept VERSION_1 is refused", () => {
  const { pci } = new VirtioGuest();
  pci.barWrite(4, 20, 1, 3);
  pci.barWrite(4, 20, 1, 11);
  expect(pci.barRead(4, 20, 1)).toBe(3);
});

test("interrupts only where the driver asks: flag, and event index", () => {
  const flag = new VirtioGuest({ features: [R.F_MAC] });
  flag.start();
  flag.memory.write16(flag.queues[1].avail, 1);
  flag.send(testFrame(BROADCAST, 100));
  expect(flag.line).toBe(false);
  flag.memory.write16(flag.queues[1].avail, 0);
  flag.send(testFrame(BROADCAST, 100));
  expect(flag.line).toBe(true);
  const event = new VirtioGuest({ features: [R.F_MAC, F_EVENT_IDX] });
  event.start();
  event.send(testFrame(BROADCAST, 100));
  event.isr();
  event.memory.write16(event.queues[1].avail + 4 + 2 * QUEUE_SIZE, 2);
  event.send(testFrame(BROADCAST, 100));
  expect(event.line).toBe(false);
  event.send(testFrame(BROADCAST, 100));
  expect(event.line).toBe(true);
});

/** IPv4 and TCP in a frame; the checksum field holds the pseudo-header's sum, as Linux leaves it. */
function tcpPacket(payloadBytes: number): Uint8Array {
  const packet = testFrame(OWN_MAC, 40 + payloadBytes);
  const total = 40 + payloadBytes;
  packet.set([0x08, 0], 12);
  packet.set([0x45, 0, total >>> 8, total & 0xff, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2], 14);
  packet.set([0xc0, 0, 0x1f, 0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0x50, 0x19, 0x20, 0, 0, 0, 0, 0], 34);
  const pseudo = fold(addWords(packet, 26, 34, 6 + total - 20));
  packet.set([pseudo >>> 8, pseudo & 0xff], 50);
  return packet;
}
const get16 = (bytes: Uint8Array, at: number) => (bytes[at] << 8) | bytes[at + 1];
const transportSum = (frame: Uint8Array) =>
  fold(addWords(frame, 34, frame.length, addWords(frame, 26, 34) + 6 + frame.length - 34));

test("checksums are completed, long packets segmented, each segment once however little room there is", () => {
  const guest = new VirtioGuest();
  guest.start();
  guest.send(tcpPacket(333), [
    [R.HDR_FLAGS, 1],
    [R.HDR_CSUM_START, 34],
    [R.HDR_CSUM_OFFSET, 16],
  ]);
  expect(transportSum(guest.net.sent[0])).toBe(0xffff);
  guest.net.sent.length = 0;
  guest.net.hasRoom = false;
  const packet = tcpPacket(9000);
  guest.send(packet, [
    [R.HDR_FLAGS, 1],
    [R.HDR_GSO_TYPE, R.GSO_TCPV4],
    [R.HDR_GSO_SIZE, 1460],
    [R.HDR_CSUM_START, 34],
    [R.HDR_CSUM_OFFSET, 16],
  ]);
  guest.net.hasRoom = true;
  const send = guest.net.send.bind(guest.net);
  for (let i = 0; i < 20; i++) {
    const before = guest.net.sent.length;
    guest.net.send = (frame) => guest.net.sent.length === before && send(frame);
    guest.net.event();
  }
  const segments = guest.net.sent;
  expect(segments.map((frame) => frame.length)).toEqual([1514, 1514, 1514, 1514, 1514, 1514, 54 + 240]);
  segments.forEach((frame, i) => {
    expect([get16(frame, 16), get16(frame, 18)]).toEqual([frame.length - 14, 0x1234 + i]);
    expect(get16(frame, 38) * 65536 + get16(frame, 40)).toBe(0x100 + 1460 * i);
    expect(frame[47]).toBe(i === 6 ? 0x19 : 0x10);
    expect([fold(addWords(frame, 14, 34)), transportSum(frame)]).toEqual([0xffff, 0xffff]);
    expect(frame.slice(54)).toEqual(packet.slice(54 + 1460 * i, 54 + 1460 * (i + 1)));
  });
});

test("a checked checksum saves the driver the work, a wrong one does not", () => {
  const guest = new VirtioGuest({ features: [R.F_MAC, R.F_MRG_RXBUF, R.F_GUEST_CSUM] });
  guest.start();
  guest.giveBuffers(4);
  const good = tcpPacket(100);
  const sum = ~fold(addWords(good, 14, 34)) & 0xffff;
  good.set([sum >>> 8, sum & 0xff], 24);
  const transport = ~fold(addWords(good, 34, good.length)) & 0xffff;
  good.set([transport >>> 8, transport & 0xff], 50);
  const bad = good.slice();
  bad[60] ^= 1;
  guest.net.deliver(good, bad);
  expect([guest.receive()?.header[0], guest.receive()?.header[0]]).toEqual([R.HDR_F_DATA_VALID, 0]);
});

/** A guest whose control queue is in place. */
function controlled(): { guest: VirtioGuest; command: (...bytes: number[]) => number } {
  const guest = new VirtioGuest();
  guest.start();
  const { desc, avail, used } = guest.queues[2];
  guest.pci.barWrite(4, 22, 2, 2);
  // Smaller than the test's rings: 64 entries.
  for (const [at, gpa] of [
    [32, desc],
    [40, avail],
    [48, used],
  ])
    guest.pci.barWrite(4, at, 4, gpa);
  guest.pci.barWrite(4, 28, 2, 1);
  const command = (...bytes: number[]) => {
    const answer = guest.buffer(1);
    guest.memory.write8(answer, 0xee);
    const data = guest.buffer(Uint8Array.from(bytes));
    guest.queues[2].add([
      { gpa: data, length: 2, isWritable: false },
      { gpa: data + 2, length: bytes.length - 2, isWritable: false },
      { gpa: answer, length: 1, isWritable: true },
    ]);
    guest.notify(2);
    return guest.memory.read8(answer);
  };
  return { guest, command };
}

test("receive filter: promiscuous until told otherwise, then own address, tables and modes", () => {
  const { guest, command } = controlled();
  guest.giveBuffers(16);
  const group = "01:00:5e:00:00:fb";
  const stranger = "08:00:27:99:99:99";
  const taken = (to: string) => {
    guest.net.deliver(testFrame(to, 64));
    return guest.receive() !== undefined;
  };
  expect(taken(stranger)).toBe(true);
  expect(command(0, 0, 0)).toBe(0);
  expect([OWN_MAC, BROADCAST, stranger, group].map(taken)).toEqual([true, true, false, false]);
  const table = [1, 0, 0, 0, 0x08, 0, 0x27, 0x99, 0x99, 0x99, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 0xfb];
  expect(command(1, 0, ...table)).toBe(0);
  expect([stranger, group, "01:00:5e:00:00:01"].map(taken)).toEqual([true, true, false]);
  expect(command(0, 1, 1)).toBe(0);
  expect(taken("01:00:5e:00:00:01")).toBe(true);
  expect(command(1, 1, 2, 0, 0, 0, 0, 1)).toBe(0);
  expect([taken("02:00:00:00:00:01"), taken(OWN_MAC)]).toEqual([true, false]);
  expect([command(9, 9, 9), command(1, 0, 255, 255, 255, 255)]).toEqual([1, 1]);
});

test("saved state: in the middle of things, to a fresh card, and equal again", () => {
  const guest = new VirtioGuest();
  guest.start();
  guest.net.deliver(testFrame(OWN_MAC, 100, 7));
  guest.net.hasRoom = false;
  guest.send(testFrame(BROADCAST, 80, 42));
  const saved = guest.card.save();
  const other = new VirtioGuest();
  other.card.load(saved);
  expect(other.card.save()).toEqual(saved);
  other.memory.bytes.set(guest.memory.bytes);
  other.net.event();
  expect(other.net.sent.map((frame) => frame[11])).toEqual([42]);
  other.giveBuffers(1);
  expect(other.receive()?.frame[11]).toBe(7);
});

describe("no throw, no hang, alive after a reset", () => {
  test.each([1, 2, 3, 4, 5, 6])("any accesses, any rings and chains (seed %i)", (seed) => {
    const random = seededRandom(seed * 65537);
    const guest = new VirtioGuest({ isLegacy: seed % 2 === 0 });
    for (let i = 0; i < 6_000; i++) {
      if (random(50) === 0) {
        guest.start();
        guest.giveBuffers(random(8));
      }
      if (random(20) === 0) {
        // Descriptors that point at themselves, at each other, at the rings, anywhere; indirect ones too.
        for (let k = 0; k < 200; k++) {
          const at = 0x10000 + random(3) * 0x4000 + random(256) * 16;
          guest.memory.write32(at, random(2) ? 0x10000 + random(0xc000) : random(2 ** 32));
          guest.memory.write32(at + 4, random(8) ? 0 : random(2 ** 32));
          guest.memory.write32(at + 8, random(4) ? random(4096) : random(2 ** 32));
          guest.memory.write16(at + 12, random(8));
          guest.memory.write16(at + 14, random(300));
        }
      }
      if (random(10) === 0) guest.memory.write16(guest.queues[random(3)].avail + 2, random(0x10000));
      if (random(10) === 0) guest.memory.write16(guest.queues[random(3)].avail + 4 + 2 * random(256), random(300));
      const size = ([1, 2, 4] as const)[random(3)];
      if (random(3) === 0) guest.notify(random(4));
      else if (random(2)) guest.pci.barWrite(0, random(64 / size) * size, size, random(2 ** (8 * size)));
      else guest.pci.barWrite(4, random(64 / size) * size, size, random(2) ? random(2 ** (8 * size)) : random(16));
      if (random(4) === 0) guest.pci.barRead(random(2) * 4, random(64 / size) * size, size);
      if (random(16) === 0) guest.net.deliver(testFrame(random(2) ? OWN_MAC : BROADCAST, random(1505)));
      if (random(32) === 0) guest.net.hasRoom = !guest.net.hasRoom;
      if (random(64) === 0) guest.card.setCableConnected(random(2) === 0);
      if (random(8) === 0) guest.context.clock.advance(random(4_000_000));
      if (guest.net.sent.length > 1000) guest.net.sent.length = 0;
    }
    guest.card.reset("hard");
    guest.card.setCableConnected(true);
    guest.net.waiting.length = 0;
    guest.net.sent.length = 0;
    guest.net.hasRoom = true;
    guest.memory.bytes.fill(0);
    guest.pci.guestWrite(4, 2, 7);
    guest.queues.splice(0, 3, ...[0, 1, 2].map((k) => new DriverQueue(guest.memory, k)));
    guest.start();
    guest.send(testFrame(OWN_MAC, 100));
    expect(guest.net.sent.length).toBe(1);
    const leaf = guest.card.save();
    guest.card.load(leaf);
    expect(guest.card.save()).toEqual(leaf);
  });

  test("a chain that loops: the device asks to be reset", () => {
    const guest = new VirtioGuest();
    guest.start();
    const at = guest.queues[1].desc;
    guest.memory.write32(at, 0x40000);
    guest.memory.write32(at + 8, 10);
    guest.memory.write16(at + 12, 1);
    guest.memory.write16(at + 14, 0);
    guest.memory.write16(guest.queues[1].avail + 2, 1);
    guest.notify(1);
    expect(guest.status & 0x40).toBe(0x40);
    expect(guest.isr() & 2).toBe(2);
    guest.memory.write16(guest.queues[1].avail + 2, 0);
    guest.start();
    expect(guest.status & 0x40).toBe(0);
  });
});
