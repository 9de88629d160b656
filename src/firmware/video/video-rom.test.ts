import { describe, expect, it } from "vitest";
import { StateReader } from "../../device-api/state-reader.ts";
import { seededRandom } from "../../device-api/testing.ts";
import { font8x16 } from "../fonts/fonts.ts";
import { int10 } from "./int10.ts";
import { VIDEO_CONTROL_PORT, VIDEO_KEY, VIDEO_ROM_SEGMENT, VIDEO_SESSION_PORT } from "./program.ts";
import { RomRunner, type RunnerRegisters } from "./testing.ts";
import { buildVideoRom } from "./video-rom.ts";
import { VideoService } from "./video-service.ts";

const rom = buildVideoRom({ vendorId: 0x80ee, deviceId: 0xbeef });
const VRAM_64K = 128;

/** The ROM in an emulator of its own, over a card that only remembers its registers. */
class Bench {
  service = new VideoService((frame) => int10({ romSegment: VIDEO_ROM_SEGMENT, labels: rom.labels }, frame));
  readonly runner: RomRunner;
  readonly indexed = new Map<number, Map<number, number>>();
  readonly dispi = new Map<number, number>();
  readonly dac: number[] = [];
  readonly attributes = new Map<number, number>();
  isDataNext = false;
  /** Called before each byte that the ROM takes. */
  onRead = () => {};
  /** Port writes that are no ours and no VGA's. */
  readonly strange: number[] = [];
  private readonly index = new Map<number, number>();
  private attributeIndex = 0;
  private pending: { port: number; high: number } | undefined;
  private isLow = false;

  constructor() {
    this.runner = new RomRunner({ in: (port) => this.in(port), out: (port, value) => this.out(port, value) });
    this.runner.memory.set(rom.bytes, 0xc0000);
    this.runner.call(VIDEO_ROM_SEGMENT, 3, {}, false);
  }

  in(port: number): number {
    if (port === VIDEO_CONTROL_PORT) return this.service.control.read(0, 1);
    if (port >= VIDEO_SESSION_PORT && port < VIDEO_SESSION_PORT + 8) {
      this.onRead();
      return this.service.sessions.read(port - VIDEO_SESSION_PORT, 1);
    }
    if (port === 0x3da || port === 0x3ba) this.isDataNext = false;
    if (port === 0x3cc) return 0x67;
    if (port === 0x3c1) return this.attributes.get(this.attributeIndex & 0x1f) ?? 0;
    if (port === 0x1cf) {
      const index = this.dispi.get(-1) ?? 0;
      const value = index === 10 ? VRAM_64K : index === 11 ? 0xe000 : (this.dispi.get(index) ?? 0);
      this.isLow = !this.isLow;
      return this.isLow ? value >> 8 : value & 0xff;
    }
    return this.indexed.get(port - 1)?.get(this.index.get(port - 1) ?? 0) ?? 0;
  }

  out(port: number, value: number): void {
    if (port === VIDEO_CONTROL_PORT) this.service.control.write(0, 1, value);
    else if (port >= VIDEO_SESSION_PORT && port < VIDEO_SESSION_PORT + 8)
      this.service.sessions.write(port - VIDEO_SESSION_PORT, 1, value);
    else if (port === 0x1ce || port === 0x1cf) this.outDispi(port, value);
    else if (port === 0x3c0) {
      if (this.isDataNext) this.attributes.set(this.attributeIndex & 0x1f, value);
      else this.attributeIndex = value;
      this.isDataNext = !this.isDataNext;
    } else if (port === 0x3c9) this.dac.push(value);
    else if (port === 0x3c4 || port === 0x3ce || port === 0x3d4 || port === 0x3b4) this.index.set(port, value);
    else if (port === 0x3c5 || port === 0x3cf || port === 0x3d5 || port === 0x3b5) {
      const registers = this.indexed.get(port - 1) ?? new Map<number, number>();
      registers.set(this.index.get(port - 1) ?? 0, value);
      this.indexed.set(port - 1, registers);
    } else if (port < 0x3b0 || port > 0x3df) this.strange.push(port);
  }

  private outDispi(port: number, value: number): void {
    this.isLow = false;
    if (this.pending?.port !== port) {
      this.pending = { port, high: value };
      return;
    }
    const full = (this.pending.high << 8) | value;
    this.pending = undefined;
    if (port === 0x1ce) this.dispi.set(-1, full);
    else this.dispi.set(this.dispi.get(-1) ?? 0, full);
  }

  int10(registers: RunnerRegisters): Uint16Array {
    this.runner.int(0x10, registers);
    return this.runner.regs;
  }
  row(row: number): string {
    const cells = this.runner.memory.subarray(0xb8000 + row * 160, 0xb8000 + row * 160 + 160);
    return String.fromCharCode(...cells.filter((_, i) => i % 2 === 0)).trimEnd();
  }
  type(text: string): void {
    for (const char of text) this.int10({ ax: 0x0e00 | char.charCodeAt(0), bx: 0x0007 });
  }
}

describe("the video ROM in an emulator of simple instructions", () => {
  it("is an option ROM with PCI data, and sets mode 3 when it is initialised", () => {
    expect([...rom.bytes.subarray(0, 3)]).toEqual([0x55, 0xaa, 64]);
    expect(rom.bytes.reduce((sum, byte) => sum + byte, 0) % 256).toBe(0);
    const pcir = rom.bytes[0x18] | (rom.bytes[0x19] << 8);
    expect(String.fromCharCode(...rom.bytes.subarray(pcir, pcir + 4))).toBe("PCIR");
    const bench = new Bench();
    expect(bench.runner.memory[0x449]).toBe(3);
    expect(bench.indexed.get(0x3d4)?.get(0x13)).toBe(0x28);
    expect(bench.attributes.get(0x10)).toBe(0x0c);
    expect(bench.runner.word(0xb8000)).toBe(0x0720);
    // The font lies in plane 2, which this card does not keep apart: 16 of every 32 bytes.
    expect(bench.strange).toEqual([]);
  });

  it("types, wraps and scrolls", () => {
    const bench = new Bench();
    bench.type("first\r\nsecond\r\n");
    bench.type("x".repeat(81));
    expect([bench.row(0), bench.row(1), bench.row(2), bench.row(3)]).toEqual(["first", "second", "x".repeat(80), "x"]);
    bench.type("\r\n".repeat(22));
    expect(bench.row(0)).toBe("second");
    const cursor = bench.int10({ ax: 0x0300 });
    expect([cursor[2], cursor[1]]).toEqual([0x1800, 0x0607]);
    expect(bench.indexed.get(0x3d4)?.get(0x0e)).toBe((24 * 80) >> 8);
  });

  it("keeps all registers that a function does not name, and little stack", () => {
    const bench = new Bench();
    const sent = { bx: 0x0007, cx: 0x1234, dx: 0x5678, si: 0x9abc, di: 0xdef0, bp: 0x1357, ds: 0x2468, es: 0x369c };
    bench.int10({ ax: 0x0e41, ...sent });
    const { lowestStack, regs, segs } = bench.runner;
    expect([...regs]).toEqual([0x0e41, 0x1234, 0x5678, 0x0007, 0x1000, 0x1357, 0x9abc, 0xdef0]);
    expect([segs[3], segs[0]]).toEqual([0x2468, 0x369c]);
    expect(0x1000 - lowestStack).toBeLessThan(64);
  });

  it("scrolls windows up and down and clears them", () => {
    const bench = new Bench();
    for (let row = 0; row < 5; row++) {
      bench.int10({ ax: 0x0200, dx: row << 8 });
      bench.type(`line ${row}`);
    }
    bench.int10({ ax: 0x0701, bx: 0x1700, cx: 0x0100, dx: 0x0302 });
    expect([0, 1, 2, 3, 4].map((row) => bench.row(row))).toEqual(["line 0", "   e 1", "line 2", "line 3", "line 4"]);
    expect(bench.runner.word(0xb8000 + 160)).toBe(0x1720);
    bench.int10({ ax: 0x0600, bx: 0x0700, cx: 0, dx: 0x184f });
    expect(bench.row(4)).toBe("");
  });

  it("lists and describes VBE modes with pitch, masks and frame buffer", () => {
    const bench = new Bench();
    const { memory } = bench.runner;
    memory.set([0x56, 0x42, 0x45, 0x32], 0x20000);
    expect(bench.int10({ ax: 0x4f00, es: 0x2000 })[0]).toBe(0x004f);
    expect(String.fromCharCode(...memory.subarray(0x20000, 0x20004))).toBe("VESA");
    expect(bench.runner.word(0x20004)).toBe(0x0200);
    expect(bench.runner.word(0x20012)).toBe(VRAM_64K);
    const list = bench.runner.word(0x20010) * 16 + bench.runner.word(0x2000e);
    const modes: number[] = [];
    for (let at = list; bench.runner.word(at) !== 0xffff; at += 2) modes.push(bench.runner.word(at));
    expect(modes).toContain(0x118);
    for (const mode of modes) {
      expect(bench.int10({ ax: 0x4f01, cx: mode, es: 0x2100 })[0]).toBe(0x004f);
      const word = (offset: number) => bench.runner.word(0x21000 + offset);
      const bits = memory[0x21019];
      const pitch = bits === 4 ? Math.ceil(word(18) / 8) : word(18) * Math.ceil(bits / 8);
      expect([mode, word(16)]).toEqual([mode, pitch]);
      expect(pitch * word(20) * (bits === 4 ? 4 : 1)).toBeLessThanOrEqual(VRAM_64K * 0x10000);
      if (bits > 4) expect(word(42)).toBe(0xe000);
    }
    expect(bench.int10({ ax: 0x4f01, cx: 0x1ff, es: 0x2100 })[0]).toBe(0x014f);
    expect(bench.int10({ ax: 0x4f15, es: 0x2100 })[0]).toBe(0x0100);
  });

  it("sets a VBE mode through DISPI, banks by far call, and goes back to text", () => {
    const bench = new Bench();
    expect(bench.int10({ ax: 0x4f02, bx: 0x4118 })[0]).toBe(0x004f);
    expect([1, 2, 3, 4].map((index) => bench.dispi.get(index))).toEqual([1024, 768, 24, 0x41]);
    expect(bench.int10({ ax: 0x4f03 })[3]).toBe(0x4118);
    bench.int10({ ax: 0x4f01, cx: 0x118, es: 0x2100 });
    const { runner } = bench;
    runner.call(runner.word(0x2100e), runner.word(0x2100c), { bx: 0, dx: 5 }, false);
    expect([runner.regs[0], bench.dispi.get(5)]).toEqual([0x004f, 5]);
    runner.call(runner.word(0x2100e), runner.word(0x2100c), { bx: 0x0100 }, false);
    expect(runner.regs[2]).toBe(5);
    bench.int10({ ax: 0x0003 });
    expect([bench.dispi.get(4), bench.int10({ ax: 0x4f03 })[3]]).toEqual([0, 3]);
  });

  it("points to its fonts", () => {
    const bench = new Bench();
    const regs = bench.int10({ ax: 0x1130, bx: 0x0600 });
    const at = bench.runner.segs[0] * 16 + regs[5];
    expect(bench.runner.memory.subarray(at, at + 4096)).toEqual(font8x16);
    expect([regs[1], regs[2] & 0xff]).toEqual([16, 24]);
  });

  it("returns from every function with every sub-function", () => {
    const bench = new Bench();
    for (let ah = 0; ah < 0x100; ah++) {
      for (const al of [0x00, 0x01, 0x02, 0x03, 0x12, 0x15, 0x30, 0x83, 0xff]) {
        bench.int10({ ax: (ah << 8) | al, bx: 0x0001, cx: 0x0002, dx: 0x0304, es: 0x4000, di: 0x100, bp: 0x200 });
      }
    }
    expect(bench.strange).toEqual([]);
  });

  it("carries on after save and load in the middle of a call", () => {
    const bench = new Bench();
    const fresh = () =>
      new VideoService((frame) => int10({ romSegment: VIDEO_ROM_SEGMENT, labels: rom.labels }, frame));
    for (let stop = 1; stop < 300; stop += 7) {
      let left = stop;
      // The state is taken before one of the reads and put into a fresh service, which goes on serving.
      bench.onRead = () => {
        if (left-- !== 0) return;
        const leaf = { kind: "video", version: 1, data: { video: bench.service.save() } };
        const restored = fresh();
        restored.load(StateReader.open(leaf, "video", 1).child("video"));
        expect(restored.save()).toEqual(bench.service.save());
        bench.service = restored;
      };
      bench.int10({ ax: 0x0200, dx: 0x0500 });
      const letter = String.fromCharCode(0x41 + (stop % 26));
      bench.type(letter);
      expect(bench.row(5)).toBe(letter);
    }
  });

  it("survives whatever a guest writes to its ports", () => {
    const random = seededRandom(20);
    const service = new VideoService((frame) => int10({ romSegment: VIDEO_ROM_SEGMENT, labels: rom.labels }, frame));
    for (let i = 0; i < 200_000; i++) {
      const which = random(10);
      if (which === 0) for (const byte of VIDEO_KEY) service.control.write(0, 1, byte);
      else if (which === 1) service.control.read(0, 1);
      else if (which < 6) expect(service.sessions.read(random(8), 1)).toBeLessThan(256);
      else service.sessions.write(random(8), 1, random(256));
    }
    expect(service.save()).toBeDefined();
  });
});
