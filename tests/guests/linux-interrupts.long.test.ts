/** The boots of linux-interrupts.test.ts with the engines the other way round, and a machine that must be noticed. */
import { expect, test } from "vitest";
import { bootForInterrupts, checkInterrupts, interruptCases } from "./linux-interrupts.ts";

test.each(
  interruptCases.map(
    (one, index) => ({ one, name: one.name, engine: index % 2 === 1 ? "interpreter" : "translator" }) as const,
  ),
)("$name, $engine", ({ one, engine }) => checkInterrupts(one, engine));

test("every way to restart that Linux knows, then off", async () => {
  const guest = await bootForInterrupts(
    "",
    { cpu: { pae: true, nx: true, engine: "translator" } },
    { onTripleFault: "reset" },
  );
  const { events } = guest.pc;
  for (const way of ["acpi", "kbd", "pci", "triple", "bios"]) {
    expect(guest.shell(`echo ${way} > /sys/kernel/reboot/type; cat /sys/kernel/reboot/type`)).toBe(`${way}\n`);
    guest.restart("reboot -f");
    // The keyboard controller restarts the processor alone; a jump to the BIOS' entry restarts nothing by itself.
    expect([way, events.length]).toEqual([way, way === "kbd" || way === "bios" ? 0 : 1]);
    events.length = 0;
  }
  guest.begin("poweroff -f");
  guest.pc.runUntil(() => events.length > 0, 2_000_000_000);
  expect(events).toEqual([{ kind: "powered-off" }]);
});

test("a machine without APICs is noticed: everything comes by the 8259 pair", async () => {
  const guest = await bootForInterrupts("", { ioApic: false });
  const interrupts = guest.interrupts();
  expect([interrupts.get("0")!.kind, interrupts.get("LOC")!.count]).toEqual([expect.stringMatching(/^XT-PIC/), 0]);
});
