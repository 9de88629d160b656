/** What can be asked about a machine's parts, as text for people: `debugvm info`. */
import type { Machine } from "./machine.ts";

type Item = { readonly about: string; readonly describe: (machine: Machine) => string };

const items: Readonly<Record<string, Item>> = {
  cpu: { about: "registers", describe: ({ cpu }) => cpu.describe() },
  devices: {
    about: "devices in the order of their reset",
    describe: ({ devices }) => lines(devices.map(({ id }) => id)),
  },
  demand: {
    about: "what the guest asked for that is not there, counted",
    describe: ({ demand }) => lines(Object.entries(demand.counts()).map(([kind, count]) => `${kind}: ${count}`)),
  },
  pci: { about: "PCI functions and where their windows are", describe: ({ pci }) => lines(pci.describe()) },
  timers: {
    about: "guest time and the timers that are armed",
    describe: ({ clock }) => lines([`now ${clock.lastNs}`, ...clock.describe()]),
  },
};

/** The answer, or undefined for an item that there is not. `help` lists the items. */
export function inspect(machine: Machine, item: string): string | undefined {
  if (item === "help") {
    return lines(Object.entries(items).map(([name, { about }]) => `${name.padEnd(10)} ${about}`));
  }
  return Object.hasOwn(items, item) ? items[item].describe(machine) : undefined;
}

function lines(texts: readonly string[]): string {
  return texts.length === 0 ? "none" : texts.join("\n");
}
