/**
 * The ACPI tables as a running machine's memory holds them, evaluated by Intel's acpiexec, against the machine itself: sleep
 * states by the registers, resources by who answers at the ports, interrupt routing by the wires. Needs Debian's acpica-tools.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ICR, ICS, IMC, IMS } from "../../src/devices/e1000/registers.ts";
import { TestPc } from "../../src/machine/testing.ts";

const folder = mkdtempSync(join(tmpdir(), "anneau-acpi-"));
afterAll(() => rmSync(folder, { recursive: true }));

let pc: TestPc;
let fadt: DataView;
let byPath: Map<string, Resources>;

/** POST gives BARs ports from here on. */
const FIRST_BAR_PORT = 0xd000;
const slotsOfCards = [3, 8, 9, 10, 16, 17, 18, 19];

function acpiexec(...commands: string[]): string {
  const done = spawnSync("acpiexec", ["-b", commands.join(";"), "dsdt.aml"], { cwd: folder, encoding: "utf8" });
  if (done.error) throw new Error("acpiexec is missing: apt-get install acpica-tools");
  return done.stdout + done.stderr;
}

/** A table of the guest's memory. */
function table(gpa: number, length?: number): DataView {
  const bytes = new Uint8Array(length ?? table(gpa, 8).getUint32(4, true));
  expect(bytes.length).toBeLessThan(0x10000);
  pc.machine.cpu.readLinearBytes(gpa, bytes);
  return new DataView(bytes.buffer);
}
const hex = (value: number) => value.toString(16);
const signature = (view: DataView) => String.fromCharCode(...new Uint8Array(view.buffer, 0, 4));

interface Resources {
  readonly ports: [base: number, length: number][];
  readonly irqs: number[];
  readonly dmas: number[];
}

/** What `_CRS` of every device gives. */
function resourcesByPath(): Map<string, Resources> {
  const found = new Map<string, Resources>();
  const said = acpiexec("resources *");
  for (const [, path, text] of said.matchAll(
    /Device: (\S+)\nEvaluating (?:_PRT[\s\S]*?Evaluating )?_CRS([\s\S]*?)(?=Device: |$)/g,
  )) {
    const port = /I\/O Resource[\s\S]*?Address Minimum : (\w+)[\s\S]*?Address Length : (\w+)/g;
    const list = (what: RegExp) => [...text.matchAll(what)].map((match) => Number.parseInt(match[1], 16));
    found.set(path, {
      ports: [...text.matchAll(port)].map(([, base, length]) => [
        Number.parseInt(base, 16),
        Number.parseInt(length, 16),
      ]),
      irqs: list(/Interrupt List : (\w+)/g),
      dmas: list(/Channel List : (\w+)/g),
    });
  }
  return found;
}

beforeAll(async () => {
  pc = await TestPc.start({
    floppies: [undefined],
    spec: {
      ioApic: true,
      hpet: true,
      parallels: [{ enabled: true, ioBase: 0x378, irq: 7 }],
      nics: slotsOfCards.map(
        (_, slot) => ({ slot, model: "82540EM", macAddress: `08002700000${slot}`, cableConnected: true }) as const,
      ),
      ide: { name: "IDE", model: "PIIX4", bootable: true, drives: [] },
    },
  });
  if (!pc.runUntilScreen("No system", 100_000_000)) throw new Error(pc.describe());
  const rsdt = table(table(0xe0000, 36).getUint32(16, true));
  expect(signature(rsdt)).toBe("RSDT");
  fadt = table(rsdt.getUint32(36, true));
  expect(signature(fadt)).toBe("FACP");
  writeFileSync(join(folder, "dsdt.aml"), table(fadt.getUint32(40, true)));
  byPath = resourcesByPath();
});

/** PCI functions have these by their own right. */
const ofPciFunctions = [
  ...[0x170, 8, 0x376, 1, 0x1f0, 8, 0x3f6, 1],
  ...[0x3b0, 12, 0x3c0, 32, 0x1ce, 5],
  ...[0xcf8, 8],
];

it("_CRS: who answers at the board's ports is described, and who is described answers", () => {
  const isClaimed = (port: number) => pc.machine.ports.isClaimed(port);
  const described = new Set<number>();
  const silent: string[] = [];
  for (const [path, { ports }] of byPath) {
    if (path === "\\_SB_.PCI0" || path === "\\_SB.PCI0") continue;
    for (const [base, length] of ports) {
      for (let port = base; port < base + length; port++) described.add(port);
      for (let port = base; port < base + length; port++) if (!isClaimed(port)) silent.push(`${path} ${hex(port)}`);
    }
  }
  // Sixteen ports for a coprocessor since the AT.
  expect(silent.filter((text) => !/COPR f[2-9a-f]$/.test(text))).toEqual([]);
  for (let i = 0; i < ofPciFunctions.length; i += 2)
    for (let n = 0; n < ofPciFunctions[i + 1]; n++) described.add(ofPciFunctions[i] + n);
  const undescribed: string[] = [];
  for (let port = 0; port < FIRST_BAR_PORT; port++)
    if (isClaimed(port) && !described.has(port)) undescribed.push(hex(port));
  expect(undescribed).toEqual([]);
});

it("_CRS: interrupts and DMA channels of the board's devices", () => {
  const lines = [...byPath].map(([path, { irqs, dmas }]) => `${path.slice(path.lastIndexOf(".") + 1)} ${irqs}/${dmas}`);
  expect(lines).toEqual(
    expect.arrayContaining([
      ...[
        "PIC 2/",
        "TIMR 0/",
        "RTC 8/",
        "DMAC /4",
        "COPR 13/",
        "PS2K 1/",
        "PS2M 12/",
        "FDC0 6/2",
        "COM1 4/",
        "LPT1 7/",
      ],
      "HPET 0,8/",
    ]),
  );
});

/** A double word of a function's configuration space. */
function config(slot: number, fn: number, register: number): number {
  pc.machine.ports.writePort(0xcf8, 4, (0x80000000 | (slot << 11) | (fn << 8) | register) >>> 0);
  return pc.machine.ports.readPort(0xcfc, 4);
}

it("_PRT: a card's interrupt arrives where both interrupt models say", () => {
  const { ports, memoryBus } = pc.machine;
  const ioApic = (index: number, value: number) => {
    memoryBus.writeMmio(0xfec00000, 4, index);
    memoryBus.writeMmio(0xfec00010, 4, value);
  };
  // Nobody takes them: what is asked for shows at the 8259s and at the local APIC.
  ports.writePort(0x21, 1, 0xff);
  ports.writePort(0xa1, 1, 0xff);
  /** 8259 requests of IRQ 9, 10, 11, which come from PCI alone. */
  const requested = () => {
    ports.writePort(0xa0, 1, 0x0a);
    return (ports.readPort(0xa0, 1) << 8) & 0x0e00;
  };
  const pending = () => {
    const vectors: number[] = [];
    for (let vector = 0; vector < 256; vector++)
      if (memoryBus.readMmio(0xfee00200 + (vector >> 5) * 16, 4) & (1 << (vector & 31))) vectors.push(vector);
    return vectors;
  };
  const said = acpiexec(...[0, 1].flatMap((model) => [`execute \\_PIC ${model}`, "execute \\_SB.PCI0._PRT"]));
  const integer = (text: string) => Number.parseInt(/= ([0-9A-F]+)/.exec(text)![1], 16);
  const entries = [...said.matchAll(/\[Package\] Contains 4 Elements:\n((?:.*\n){4})/g)].map((match) =>
    match[1].split("\n"),
  );
  const entryOf = (slot: number, isApic: boolean) =>
    entries.filter((entry) => integer(entry[0]) === ((slot << 16) | 0xffff) && integer(entry[1]) === 0)[isApic ? 1 : 0];
  for (const [index, slot] of slotsOfCards.entries()) {
    const bar = (config(slot, 0, 0x10) & ~0xf) >>> 0;
    const link = /LNK([A-D])/.exec(entryOf(slot, false)[2])![1].charCodeAt(0) - 0x41;
    const irq = (config(1, 0, 0x60) >>> (8 * link)) & 0xff;
    expect(config(slot, 0, 0x3c) & 0xffff).toBe(irq | 0x0100);
    const gsi = integer(entryOf(slot, true)[3]);
    // Each input with a vector of its own, edge-triggered: no card waits for an end of interrupt.
    const vector = (input: number) => 0x40 + 8 * index + input - 16;
    for (let input = 16; input < 24; input++) {
      ioApic(0x11 + 2 * input, 0);
      ioApic(0x10 + 2 * input, vector(input));
    }
    const before = pending();
    expect(requested()).toBe(0);
    memoryBus.writeMmio(bar + IMS, 4, 4);
    memoryBus.writeMmio(bar + ICS, 4, 4);
    expect([slot, requested(), pending()]).toEqual([slot, 1 << irq, [...before, vector(gsi)]]);
    memoryBus.writeMmio(bar + IMC, 4, 0xffffffff);
    memoryBus.readMmio(bar + ICR, 4);
  }
});

it("_S5 written to the register of the FADT switches off; there are no other sleep states than S0", () => {
  const said = acpiexec(...[1, 2, 3, 4, 5].map((state) => `execute \\_S${state}`));
  for (const state of [1, 2, 3, 4])
    expect(said).toContain(`Evaluation of \\_S${state} failed with status AE_NOT_FOUND`);
  const [type] = [...said.matchAll(/\[Integer\] = (\w+)/g)].map((match) => Number.parseInt(match[1], 16));
  const { ports } = pc.machine;
  const smiCommand = fadt.getUint32(48, true);
  const control = fadt.getUint32(64, true);
  const timer = fadt.getUint32(76, true);
  expect(ports.readPort(control, 2) & 1).toBe(0);
  ports.writePort(smiCommand, 1, fadt.getUint8(52));
  expect(ports.readPort(control, 2) & 1).toBe(1);
  const before = ports.readPort(timer, 4);
  pc.runUntil(() => false, 1000);
  expect(ports.readPort(timer, 4)).toBeGreaterThan(before);
  // The buttons' events, where the FADT says that they are: fixed ones.
  expect(fadt.getUint32(112, true) & 0x30).toBe(0);
  const events = fadt.getUint32(56, true);
  pc.machine.front.sleepButton!();
  expect(ports.readPort(events, 2) & 0x0300).toBe(0x0200);
  pc.machine.front.powerButton!();
  expect(ports.readPort(events, 2) & 0x0300).toBe(0x0300);
  expect(pc.events).toEqual([]);
  ports.writePort(control, 2, (type << 10) | 0x2000);
  pc.runUntil(() => pc.events.length > 0, 10_000);
  expect(pc.events).toEqual([{ kind: "powered-off" }]);
});
