/**
 * Debian's 686-pae kernel and the interrupt controllers: with both APICs, and told to do without one, the other or ACPI. Each
 * boots to its prompt, has its interrupts where one expects them (a network card's level-triggered ones too: every ping comes
 * back), and complains about nothing that it does not complain about under QEMU. The engines take turns; linux-interrupts.long.test.ts
 * has the rest.
 */
import { expect, test } from "vitest";
import { bootForInterrupts, checkInterrupts, interruptCases } from "./linux-interrupts.ts";

test.each(
  interruptCases.map(
    (one, index) => ({ one, name: one.name, engine: index % 2 === 0 ? "interpreter" : "translator" }) as const,
  ),
)("$name, $engine", ({ one, engine }) => checkInterrupts(one, engine));

test("with the translator and the HPET, both APICs: the same places, the clock from the HPET", async () => {
  const guest = await bootForInterrupts("clocksource=hpet", {
    hpet: true,
    x2Apic: true,
    cpu: { pae: true, nx: true, engine: "translator" },
  });
  expect(guest.interrupts().get("0")!.kind).toMatch(/^IO-APIC +2-edge +timer/);
  expect(guest.shell("cat /sys/devices/system/clocksource/clocksource0/current_clocksource")).toBe("hpet\n");
  const hpet = guest.shell("dmesg | grep hpet0");
  expect(hpet).toContain("at MMIO 0xfed00000, IRQs 2, 8, 0");
  expect(hpet).toContain("3 comparators, 64-bit 100.000000 MHz counter");
  // The clock's interrupts are the HPET's now: an alarm in two seconds.
  expect(guest.shell("grep -c HPET_emulated.*yes /proc/driver/rtc")).toBe("1\n");
  const alarm = "echo +2 > /sys/class/rtc/rtc0/wakealarm; sleep 4; cat /sys/class/rtc/rtc0/wakealarm | wc -l";
  expect(guest.shell(alarm)).toBe("0\n");
  expect(guest.interrupts().get("8")!.count).toBeGreaterThan(0);
  expect(guest.complaints.filter((text) => /apic|hpet|timer|irq/i.test(text))).toEqual([]);
});
