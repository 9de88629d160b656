/**
 * What an engine remembers (TLB, decoded code, regions) must not show: the same deterministic boot of Linux, under engines that
 * remember as much as usual, next to nothing, or work by translation, has the same registers and the same RAM every 50
 * million instructions.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import { createEngine } from "../../src/cpu/create.ts";
import type { EngineTuning, SoftwareEngine } from "../../src/cpu/engine.ts";
import { RAM } from "../../src/cpu/layout.ts";
import { TestPc } from "../../src/machine/testing.ts";

const INTERVAL = 50_000_000;
/** Through the kernel's decompression, which is the first two thousand million instructions, and into its own code. */
const INTERVALS = 48;
const RAM_MIB = 64;
const registers = [
  "eax",
  "ecx",
  "edx",
  "ebx",
  "esp",
  "ebp",
  "esi",
  "edi",
  "eip",
  "eflags",
  "cr0",
  "cr2",
  "cr3",
] as const;

const engines: { readonly [name: string]: EngineTuning } = {
  usual: {},
  "a TLB of four pages": { tlbPages: 4 },
  "eight decode maps": { decodeMaps: 8 },
  translator: { hotThreshold: 200 },
  // One region at a time, each compiled at once: they push each other out all the time.
  "eight regions": { hotThreshold: 32, regions: { regions: 8, batch: 1 } },
  "a flush at every CR3 write": { hotThreshold: 32, regions: { batch: 1 }, flushAtCr3: true },
};

class Boot {
  readonly #pc: TestPc;
  readonly #engine: SoftwareEngine;
  readonly #ram: Uint8Array;

  private constructor(pc: TestPc, engine: SoftwareEngine) {
    this.#pc = pc;
    this.#engine = engine;
    this.#ram = new Uint8Array(engine.state.u8.buffer, RAM, RAM_MIB << 20);
  }

  static async start(tuning: EngineTuning): Promise<Boot> {
    const media = await linuxGuest();
    let engine: SoftwareEngine | undefined;
    const pc = await TestPc.start({
      spec: {
        ramMiB: RAM_MIB,
        linux: {
          kernel: readFileSync(join(media, "vmlinuz")),
          initrd: readFileSync(join(media, "initrd.gz")),
          commandLine: "console=ttyS0 earlyprintk=ttyS0 nokaslr cryptomgr.notests",
        },
      },
      host: {
        createCpu: async (options) => {
          engine = await createEngine(options, tuning);
          return engine;
        },
      },
    });
    return new Boot(pc, engine as SoftwareEngine);
  }

  /** Runs to the first place at or behind an instruction count where a budget may end. */
  runTo(instructions: number): void {
    while (this.#engine.instructionCount < instructions)
      expect(this.#pc.machine.loop.step(false, instructions - this.#engine.instructionCount)).toBe(true);
  }

  /** Instructions executed in regions, and what became of those. */
  get regions() {
    return this.#engine.regionStatistics;
  }

  get state(): string {
    const values = registers.map((name) => `${name}=${this.#engine.getRegister(name).toString(16)}`);
    return `${this.#engine.instructionCount}: ${values.join(" ")} ram=${crc32(this.#ram).toString(16)}`;
  }

  get said(): string {
    return this.#pc.serial.text;
  }
}

test("the same boot under every engine", async () => {
  const usual = await Boot.start(engines.usual);
  const states: string[] = [];
  for (let n = 1; n <= INTERVALS; n++) {
    usual.runTo(n * INTERVAL);
    states.push(usual.state);
  }
  expect(new Set(states).size).toBe(INTERVALS);
  expect(usual.said).toContain("Linux version");
  for (const [name, tuning] of Object.entries(engines)) {
    if (name === "usual" || (process.env.ENGINE !== undefined && process.env.ENGINE !== name)) continue;
    const boot = await Boot.start(tuning);
    for (let n = 1; n <= INTERVALS; n++) {
      boot.runTo(n * INTERVAL);
      expect(boot.state, `${name}, interval ${n}`).toBe(states[n - 1]);
    }
    if (tuning.hotThreshold === undefined) continue;
    // Most of it in regions (but those pushed out), or nothing was shown.
    const { executed = 0, evicted = 0, dropped = 0 } = boot.regions ?? {};
    expect(executed, name).toBeGreaterThan((INTERVALS * INTERVAL) / (tuning.regions?.regions === undefined ? 2 : 10));
    if (tuning.regions?.regions !== undefined) expect(evicted, name).toBeGreaterThan(100);
    if (tuning.flushAtCr3 === true) expect(dropped, name).toBeGreaterThan(100);
  }
});
