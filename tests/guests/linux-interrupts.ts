/** What the tests of Linux and the interrupt controllers share: the kernel's words, what each means, the check of one boot. */
import { expect } from "vitest";
import { linuxGuest } from "../../scripts/media/linux-guest.ts";
import type { TestPcOptions } from "../../src/machine/testing.ts";
import type { MachineSpec } from "../../src/spec/machine-spec.ts";
import { complaintsUnderQemu, LinuxShell } from "./linux-shell.ts";

type Engine = NonNullable<MachineSpec["cpu"]["engine"]>;

interface InterruptCase {
  readonly name: string;
  readonly words: string;
  readonly timer: RegExp;
  readonly uart: RegExp;
  /** Absent: no SCI. */
  readonly sci?: RegExp;
  readonly hasLocalTimer: boolean;
  /** Where slot 3, pin A, arrives: input 16 + 3, or by PIRQ C at IRQ 9, which is the SCI's too. */
  readonly card: { readonly line: string; readonly kind: RegExp };
}

const throughIoApic = {
  timer: /^IO-APIC +2-edge +timer/,
  uart: /^IO-APIC +4-edge +ttyS0/,
  card: { line: "19", kind: /^IO-APIC +19-fasteoi +eth0$/ },
};
const through8259 = {
  timer: /^XT-PIC +timer/,
  sci: /^XT-PIC +acpi/,
  uart: /^XT-PIC +ttyS0/,
  card: { line: "9", kind: /^XT-PIC +acpi, eth0$/ },
};
export const interruptCases: readonly InterruptCase[] = [
  { name: "both APICs", words: "", ...throughIoApic, sci: /^IO-APIC +9-fasteoi +acpi$/, hasLocalTimer: true },
  { name: "noapic", words: "noapic", ...through8259, hasLocalTimer: true },
  { name: "nolapic", words: "nolapic", ...through8259, hasLocalTimer: false },
  // By the MP table.
  { name: "acpi=off", words: "acpi=off", ...throughIoApic, hasLocalTimer: true },
];

/** What this kernel says here and not under QEMU, and why. */
export const explained = [
  // The firmware has PIRQs on IRQ 9, 10 and 11, QEMU's on 10 and 11: Linux says so when it leaves only the SCI's.
  /^ACPI: setting ELCR to 0200 \(from 0e00\)/,
  // QEMU says that it is a hypervisor: then the kernel whispers both.
  /^Failed to access perfctr msr \(MSR 186 is/,
  /^Broken PMU hardware detected, using software events only\./,
  // CPUID has no machine checks.
  /^mce: Unable to init MCE device \(rc: -5\)/,
];

export const interruptGuest = () => linuxGuest({ flavour: "686-pae", modules: ["pcnet32", "button"] });

export async function bootForInterrupts(
  extra: string,
  spec: Partial<MachineSpec> = {},
  host: TestPcOptions["host"] = {},
): Promise<LinuxShell> {
  return LinuxShell.boot(await interruptGuest(), extra, {
    host,
    spec: {
      ioApic: true,
      cpu: { pae: true, nx: true },
      nics: [{ slot: 0, model: "Am79C973", macAddress: "080027000001", cableConnected: true }],
      ...spec,
    },
  });
}

/** Boots to the prompt and checks interrupts, pings through a level-triggered one, and complaints against QEMU's. */
export async function checkInterrupts(one: InterruptCase, engine: Engine): Promise<void> {
  const qemu = complaintsUnderQemu(await interruptGuest(), one.words);
  // Waited for below; until then nobody listens.
  qemu.catch(() => {});
  const guest = await bootForInterrupts(one.words, { cpu: { pae: true, nx: true, engine } });
  guest.shell("ifconfig eth0 10.0.0.1 netmask 255.255.255.0 up");
  const before = guest.interrupts();
  expect(before.get("0")?.kind).toMatch(one.timer);
  expect(before.get("4")?.kind).toMatch(one.uart);
  if (one.sci === undefined) expect(before.has("9")).toBe(false);
  else expect(before.get("9")?.kind).toMatch(one.sci);
  expect(before.get(one.card.line)?.kind).toMatch(one.card.kind);
  expect(before.get("4")!.count).toBeGreaterThan(0);
  expect(before.get("ERR")!.count).toBe(0);
  expect(before.get("SPU")!.count).toBe(0);

  // The time-stamp counter by the 8254, then by HPET or PM timer.
  const rates = [...guest.shell("dmesg | grep 'tsc: .*MHz'").matchAll(/([\d.]+) MHz/g)].map((match) =>
    Number(match[1]),
  );
  expect(rates.length).toBeGreaterThan(0);
  for (const rate of rates) expect(Math.abs(rate - 1000)).toBeLessThan(1);

  expect(guest.shell("ping -c 20 -W 2 10.0.0.2")).toContain("20 packets transmitted, 20 packets received");
  const after = guest.interrupts();
  const more = (name: string) => after.get(name)!.count - before.get(name)!.count;
  expect(more(one.card.line)).toBeGreaterThanOrEqual(20);
  // Served once each, or nearly: a level that nobody takes away would come thousands of times.
  expect(more(one.card.line)).toBeLessThan(400);
  expect(guest.shell("dmesg | grep -c 'nobody cared'")).toBe("0\n");
  // The kernel's tick ran meanwhile: on the local APIC's timer, or on the 8254.
  expect(more(one.hasLocalTimer ? "LOC" : "0")).toBeGreaterThan(2);
  if (!one.hasLocalTimer) expect(after.get("LOC")!.count).toBe(0);

  if (one.sci !== undefined) {
    const pressed = () => Number(/\d+/.exec(guest.shell("cat /sys/firmware/acpi/interrupts/ff_pwr_btn"))?.[0]);
    expect(pressed()).toBe(0);
    guest.pc.machine.front.powerButton!();
    guest.shell("sleep 1");
    expect(pressed()).toBe(1);
    expect(guest.interrupts().get("9")!.count).toBeGreaterThan(before.get("9")!.count);
  }

  const theirs = await qemu;
  const unexplained = guest.complaints.filter(
    (text) => !theirs.includes(text) && !explained.some((why) => why.test(text)),
  );
  expect(unexplained, `QEMU's: ${theirs.join("\n")}`).toEqual([]);
}
