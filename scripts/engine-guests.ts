/**
 * The guests that engines are tried on: real systems that boot from kernel, CD, disk or floppy without anybody's help, in a machine in
 * the calling thread. Used by the shadow tests and scripts.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createEngine } from "../src/cpu/create.ts";
import type { EngineTuning, SoftwareEngine } from "../src/cpu/engine.ts";
import { textToScancodes } from "../src/display/us-keyboard.ts";
import { MemoryMedium, TestPc, type TestPcOptions } from "../src/machine/testing.ts";
import { bootTools } from "./media/boot-tools.ts";
import { debianNetboot, debianNetbootIso } from "./media/debian-netboot.ts";
import { linuxGuest } from "./media/linux-guest.ts";
import { OptionError } from "./options.ts";

export interface EngineGuest {
  readonly options: () => Promise<TestPcOptions>;
  /** What somebody types on the keyboard when the screen shows something. */
  readonly answers?: readonly (readonly [shows: RegExp, text: string])[];
  /** The screen or the serial line says so when the guest has come where this is to end. */
  readonly end: RegExp;
}

/** Free disks that are not in Debian; the folder may be missing. */
const floppies = resolve(import.meta.dirname, "../../shared/media");

async function linux(flavour: "686" | "686-pae"): Promise<TestPcOptions> {
  const media = await linuxGuest({ flavour });
  const commandLine = "console=ttyS0 earlyprintk=ttyS0 nokaslr cryptomgr.notests";
  const [kernel, initrd] = ["vmlinuz", "initrd.gz"].map((name) => readFileSync(join(media, name)));
  return { spec: { ramMiB: 96, linux: { kernel, initrd, commandLine } } };
}

const floppy = (name: string) => async (): Promise<TestPcOptions> => ({
  floppies: [new MemoryMedium(new Uint8Array(readFileSync(join(floppies, name))))],
  spec: { ramMiB: 32 },
});

const tool = async (name: string): Promise<MemoryMedium> =>
  new MemoryMedium(new Uint8Array(readFileSync(join(await bootTools(), name))), true);

const all: { readonly [name: string]: EngineGuest } = {
  "linux-686": { options: () => linux("686"), end: /ANNEAU-GUEST-READY/ },
  "linux-686-pae": { options: () => linux("686-pae"), end: /ANNEAU-GUEST-READY/ },
  installer: {
    options: async () => {
      const iso = new Uint8Array(readFileSync(join(await debianNetboot(), debianNetbootIso)));
      return { dvds: { "1.0": new MemoryMedium(iso, true) }, spec: { ramMiB: 512 } };
    },
    answers: [[/boot:|Install/, "\n"]],
    end: /Choose the language|Select a language/,
  },
  memtest: {
    options: async () => {
      const kernel = readFileSync(join(await bootTools(), "memtest86+ia32.bin"));
      return { spec: { ramMiB: 8, linux: { kernel, commandLine: "" } } };
    },
    end: /Pass: +1 +Errors/,
  },
  grub: {
    options: async () => ({ floppies: [await tool("grub-rescue-floppy.img")], spec: { ramMiB: 16 } }),
    end: /Press enter to boot/,
  },
  ipxe: {
    options: async () => ({ dvds: { "1.0": await tool("ipxe.iso") }, spec: { ramMiB: 32 } }),
    end: /No more network devices|Press Ctrl-B/,
  },
  freedos: { options: floppy("freedos-1440.img"), answers: [[/[A-Z]:\\>$/, "dir\n"]], end: /bytes free/ },
  sanos: { options: floppy("sanos-flp.img"), end: /login:|# $|\$ $/ },
};

/** Those whose media can be had here. */
export const engineGuests: ReadonlyMap<string, EngineGuest> = new Map(
  Object.entries(all).filter(([name]) => existsSync(floppies) || (name !== "freedos" && name !== "sanos")),
);

export class EngineRun {
  readonly pc: TestPc;
  readonly engine: SoftwareEngine;
  readonly #guest: EngineGuest;
  #answered = 0;

  private constructor(pc: TestPc, engine: SoftwareEngine, guest: EngineGuest) {
    this.pc = pc;
    this.engine = engine;
    this.#guest = guest;
  }

  static async start(name: string, tuning: EngineTuning): Promise<EngineRun> {
    const guest = engineGuests.get(name);
    if (guest === undefined)
      throw new OptionError(`no guest ${name}; there are ${[...engineGuests.keys()].join(", ")}`);
    let engine: SoftwareEngine | undefined;
    const pc = await TestPc.start({
      ...(await guest.options()),
      host: {
        createCpu: async (options) => {
          engine = await createEngine(options, tuning);
          return engine;
        },
      },
    });
    return new EngineRun(pc, engine as SoftwareEngine, guest);
  }

  /** Runs until the guest has come to its end or `isEnough`; looks about every ten million instructions. */
  run(isEnough: () => boolean, maxInstructions: number): "end" | "enough" | "not there" {
    const end = this.engine.instructionCount + maxInstructions;
    while (this.engine.instructionCount < end) {
      const next = this.engine.instructionCount + 10_000_000;
      const isRunning = this.pc.runUntil(() => this.engine.instructionCount >= next || isEnough(), 10_000_000);
      const text = `${this.pc.screenText()}\n${this.pc.serial.text.slice(-500)}`;
      if (this.#guest.end.test(text)) return "end";
      if (isEnough()) return "enough";
      if (!isRunning && this.engine.instructionCount < next) return "not there";
      this.#answer(this.pc.screenText());
    }
    return "not there";
  }

  #answer(screen: string): void {
    const answer = this.#guest.answers?.[this.#answered];
    if (answer === undefined || !answer[0].test(screen)) return;
    this.#answered++;
    const { clock, front } = this.pc.machine;
    for (const code of textToScancodes(answer[1])) {
      front.keyboard?.putScancode(code);
      const until = clock.lastNs + 20e6;
      this.pc.runUntil(() => clock.lastNs >= until);
    }
  }
}
