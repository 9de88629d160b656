import { describe, expect, test } from "vitest";
import { FormatError } from "../../base/errors.ts";
import type { SavedLeaf } from "../../device-api/saved-state.ts";
import { FakeContext } from "../../device-api/testing.ts";
import { createIde, type IdeConfig } from "./index.ts";
import { IdeGuest, MemoryMedium, MemorySlot } from "./testing.ts";

describe("PCI function", () => {
  test.each([
    ["PIIX3", 0x7010, 0],
    ["PIIX4", 0x7111, 1],
    ["ICH6", 0x269e, 0],
  ] as const)("%s", (model, deviceId, revision) => {
    const { pci } = new IdeGuest({ model, drives: [] });
    expect([pci.slot, pci.fn]).toEqual([1, 1]);
    expect(pci.readConfig(0x00, 4)).toBe((deviceId << 16) | 0x8086);
    expect(pci.readConfig(0x08, 4)).toBe((0x01018a00 | revision) >>> 0);
    expect(pci.config.bars).toMatchObject([{ index: 4, kind: "io", sizeBytes: 16 }]);
    expect(pci.config.interruptPin ?? 0).toBe(0);
    // Without these bits drivers see no channel.
    expect([pci.readConfig(0x40, 2), pci.readConfig(0x42, 2)]).toEqual([0x8000, 0x8000]);
  });

  test("timing registers keep what drivers write, the programming interface does not", () => {
    const { pci } = new IdeGuest({ model: "PIIX4", drives: [] });
    pci.guestWrite(0x40, 4, 0xa307e3ff);
    pci.guestWrite(0x44, 1, 0xbb);
    pci.guestWrite(0x48, 1, 0x05);
    pci.guestWrite(0x4a, 2, 0x2222);
    pci.guestWrite(0x09, 1, 0xff);
    expect(pci.readConfig(0x40, 4)).toBe(0xa307e3ff);
    expect([pci.readConfig(0x44, 1), pci.readConfig(0x48, 1), pci.readConfig(0x4a, 2)]).toEqual([0xbb, 5, 0x2222]);
    expect(pci.readConfig(0x09, 1)).toBe(0x8a);
  });

  test("ICH6 reports 80-conductor cables", () => {
    expect(new IdeGuest({ model: "ICH6", drives: [] }).pci.readConfig(0x54, 1)).toBe(0xf0);
  });

  test("ports of both channels are claimed, drives or not; the floppy's neighbours are not", () => {
    const { context } = new IdeGuest({ model: "PIIX3", drives: [] });
    for (const port of [0x1f0, 0x1f7, 0x3f6, 0x170, 0x177, 0x376]) expect(context.isClaimed(port)).toBe(true);
    for (const port of [0x1ef, 0x1f8, 0x3f5, 0x3f7, 0x16f, 0x178]) expect(context.isClaimed(port)).toBe(false);
  });
});

test("two drives at one place are refused", () => {
  const slot = new MemorySlot();
  const drive = { port: 0, device: 1, kind: "dvd", slot } as const;
  expect(() => createIde({ model: "PIIX4", drives: [drive, drive] })).toThrow("two IDE drives");
});

describe("saved state", () => {
  const diskBytes = new MemoryMedium(0x40000).bytes;
  const discBytes = new MemoryMedium(0x40000, { seed: 9 }).bytes;

  function machine() {
    const backend = new MemoryMedium(0);
    Object.assign(backend, { bytes: diskBytes.slice() });
    const disc = new MemoryMedium(0);
    Object.assign(disc, { bytes: discBytes });
    const slot = new MemorySlot(disc);
    const config: IdeConfig = {
      model: "PIIX4",
      drives: [
        { port: 0, device: 0, kind: "disk", backend },
        { port: 0, device: 1, kind: "dvd", slot },
      ],
    };
    return { guest: new IdeGuest(config), backend, slot };
  }

  /** Carries RAM, time and the controller over into a fresh machine. */
  function move(from: ReturnType<typeof machine>): ReturnType<typeof machine> {
    const leaf = from.guest.ide.save();
    const to = machine();
    to.backend.bytes.set(from.backend.bytes);
    to.slot.medium = from.slot.medium;
    const { context } = to.guest;
    context.clock.timeNs = from.guest.context.clock.timeNs;
    context.memory.bytes.set(from.guest.context.memory.bytes);
    to.guest.ide.load(structuredClone(leaf));
    expect(to.guest.ide.save()).toEqual(leaf);
    expect(context.irq[14].rises).toBe(0);
    context.irq[14].level = from.guest.context.irq[14].level;
    return to;
  }

  const read10 = [0x28, 0, 0, 0, 0, 3, 0, 0, 5];
  const readRaw = [0xbe, 0, 0, 0, 0, 3, 0, 0, 40, 0xf8];
  type Run = (guest: IdeGuest, pause: () => IdeGuest) => unknown;
  const runs: [string, Run][] = [
    [
      "a PIO read",
      (guest, pause) => {
        const parts: Uint8Array[] = [];
        guest.command28(0x20, 9, 3);
        for (let block = 0; block < 3; block++) {
          pause().waitReady();
          parts.push(pause().readWords(100));
          parts.push(pause().readWords(156));
        }
        return [parts, pause().status];
      },
    ],
    [
      "a PIO write",
      (guest, pause) => {
        guest.command28(0xc5, 9, 130);
        for (let block = 0; block < 130; block++) {
          pause().waitReady();
          pause().writeWords(new Uint8Array(512).fill(block));
        }
        pause().waitReady();
        return pause().status;
      },
    ],
    [
      "a DMA read",
      (guest, pause) => {
        guest.setRegions(0x1000, [[0x8000, 5120]]);
        guest.command28(0xc8, 9, 10);
        pause().pass(1_000);
        pause().startBusMaster(true);
        pause().pass(2_000);
        pause().pass(4_000);
        pause().pass(100_000);
        return [pause().finishDma(), pause().context.memory.bytes.slice(0x8000, 0x9800)];
      },
    ],
    [
      "a DMA write whose list ends inside a sector",
      (guest, pause) => {
        guest.context.memory.bytes.fill(0x5a, 0x8000, 0x9000);
        guest.setRegions(0x1000, [[0x8000, 1300]]);
        guest.command28(0xca, 9, 4);
        guest.startBusMaster(false);
        guest.pass();
        const next = pause();
        next.bmOut(0, 1, 0);
        next.setRegions(0x1000, [[0x8000, 748]]);
        next.startBusMaster(false);
        return pause().finishDma();
      },
    ],
    [
      "a packet read",
      (guest, pause) => {
        guest.out(6, 0xb0);
        guest.out(1, 0);
        guest.out(4, 0);
        guest.out(5, 8);
        guest.out(7, 0xa0);
        pause().waitReady();
        pause().writeWords(Uint8Array.from(read10.slice(0, 4)));
        pause().writeWords(Uint8Array.from([...read10.slice(4), 0, 0, 0]));
        const parts: unknown[] = [];
        for (let block = 0; block < 5; block++) {
          pause().waitReady();
          parts.push(pause().readWords(1024));
        }
        pause().waitReady();
        return [parts, pause().in(2), pause().status];
      },
    ],
    [
      "raw sectors by DMA in two lists",
      (guest, pause) => {
        guest.setRegions(0x1000, [[0x8000, 40000]]);
        guest.startPacket(readRaw, 0, 1, true);
        pause().startBusMaster(true);
        pause().pass();
        const next = pause();
        next.bmOut(0, 1, 0);
        next.setRegions(0x1000, [
          [0x20000, 0],
          [0x30000, 0],
        ]);
        next.startBusMaster(true);
        return [
          pause().finishDma(),
          Buffer.from(pause().context.memory.bytes.slice(0x8000, 0x40000)).toString("base64"),
        ];
      },
    ],
    [
      "settings, sense, media change, reset",
      (guest, pause) => {
        guest.simple(0xc6, 0, { count: 8 });
        guest.simple(0xef, 0, { features: 3, count: 0x21 });
        guest.packet([0x1e, 0, 0, 0, 1], { device: 1 });
        const seen: unknown[] = [pause().ide.isTrayLocked(0, 1)];
        pause().packet([0xff], { device: 1 });
        seen.push(pause().sense(1));
        pause().setControl(0x04);
        pause().pass(1000);
        pause().setControl(0x00);
        pause().pass(1000);
        seen.push(pause().waitReady(), pause().in(4));
        pause().out(7, 0x90);
        pause().pass(1000);
        pause().pass();
        seen.push(pause().irqLevel, pause().status, [...pause().identify()]);
        return seen;
      },
    ],
  ];

  test.each(runs)("%s goes on in another machine at any moment", (_name, run) => {
    const whole = machine();
    let moments = 0;
    const expected = run(whole.guest, () => {
      moments++;
      return whole.guest;
    });
    const step = Math.max(1, Math.floor(moments / 15));
    for (let moment = 1; moment <= moments; moment += step) {
      let current = machine();
      let count = 0;
      const result = run(current.guest, () => {
        if (++count === moment) current = move(current);
        return current.guest;
      });
      expect(result).toEqual(expected);
      expect(Buffer.compare(current.backend.bytes, whole.backend.bytes)).toBe(0);
    }
  });

  test("a disc change in the middle of its sequence", () => {
    let current = machine();
    current.slot.insert(new MemoryMedium(2048 * 5));
    const senses: number[] = [];
    for (let i = 0; i < 5; i++) {
      current = move(current);
      senses.push(current.guest.testUnitReady(1));
    }
    expect(senses).toEqual([0x023a00, 0x023a00, 0x062800, 0, 0]);
  });

  test("a disc that is gone when the state comes back was taken out", () => {
    const from = machine();
    const to = machine();
    to.slot.medium = undefined;
    to.guest.ide.load(from.guest.ide.save());
    expect(to.guest.testUnitReady(1)).toBe(0x023a00);
  });

  test("requests in flight must be drained first", () => {
    const { guest, backend } = machine();
    backend.isDeferred = true;
    guest.command28(0x20, 0, 1);
    guest.pass();
    expect(() => guest.ide.save()).toThrow("in flight");
    backend.complete();
    guest.ide.save();
  });

  test("anything unexpected is refused, by name", () => {
    const leaf = machine().guest.ide.save();
    const { guest } = machine();
    expect(() => guest.ide.load({ ...leaf, kind: "ahci" })).toThrow(FormatError);
    expect(() => guest.ide.load({ ...leaf, version: 2 })).toThrow(FormatError);
    const damaged = (change: (data: Record<string, never>) => void): SavedLeaf => {
      const copy = structuredClone(leaf) as unknown as { data: Record<string, never> };
      change(copy.data);
      return copy as unknown as SavedLeaf;
    };
    // Every field of the tree in turn: missing, of another type, out of range, and one too many in each object.
    let cases = 0;
    const visit = (path: string[], node: unknown) => {
      if (typeof node !== "object" || node === null || node instanceof Uint8Array || Array.isArray(node)) return;
      const at = (data: Record<string, never>) => path.reduce<Record<string, unknown>>((o, k) => o[k] as never, data);
      const refuse = (change: (object: Record<string, unknown>) => void) => {
        cases++;
        expect(() => guest.ide.load(damaged((data) => change(at(data))))).toThrow(FormatError);
      };
      refuse((object) => {
        object.surplus = 1;
      });
      for (const [key, value] of Object.entries(node)) {
        refuse((object) => {
          delete object[key];
        });
        refuse((object) => {
          object[key] = "text";
        });
        if (typeof value === "number") {
          refuse((object) => {
            object[key] = -7;
          });
        }
        visit([...path, key], value);
      }
    };
    visit([], leaf.data);
    expect(cases).toBeGreaterThan(150);
    guest.ide.load(leaf);
    expect(guest.ide.save()).toEqual(leaf);
  });
});

test("power-on needs nothing but attach and reset", () => {
  const context = new FakeContext();
  const ide = createIde({ model: "PIIX4", drives: [] });
  ide.attach(context);
  ide.reset("power-on");
  expect(ide.pendingRequests).toBe(0);
});

test("the trace names commands, packets and results", () => {
  const lines: string[] = [];
  const context = new FakeContext();
  context.trace = (channel) => ({ enabled: channel === "ide", line: (text) => lines.push(text) });
  const slot = new MemorySlot();
  const ide = createIde({ model: "PIIX4", drives: [{ port: 0, device: 0, kind: "dvd", slot }] });
  ide.attach(context);
  ide.reset("power-on");
  context.out(0x1f6, 1, 0xa0);
  context.out(0x1f7, 1, 0xa0);
  context.clock.advance(10_000);
  for (let word = 0; word < 6; word++) context.out(0x1f0, 2, 0);
  context.clock.advance(10_000);
  expect(lines).toEqual([
    "ide primary master: command a0 features 00 count 01 lba eb 14 01 device a0",
    "ide primary master: packet 00 00 00 00 00 00 00 00 00 00 00 00 limit 60180",
    "ide primary master: status 51 error 20",
  ]);
});
