/** The boots of linux-interrupts.test.ts with the engines the other way round, and a machine that must be noticed. */
import { expect, test } from "vitest";
import { bootForInterrupts, checkInterrupts, interruptCases } from "./linux-interrupts.ts";

test.each(
  interruptCases.map(
    (one, index) => ({ one, name: one.name, engine: index % 2 === 1 ? "interpreter" : "translator" }) as const,
  ),
)("$name, $engine", ({ one, engine }) => checkInterrupts(one, engine));

test("a machine without APICs is noticed: everything comes by the 8259 pair", async () => {
  const guest = await bootForInterrupts("", { ioApic: false });
  const interrupts = guest.interrupts();
  expect([interrupts.get("0")!.kind, interrupts.get("LOC")!.count]).toEqual([expect.stringMatching(/^XT-PIC/), 0]);
});
