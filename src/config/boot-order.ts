/** The boot order in a .vbox file: four positions. */
import type { BootPosition } from "../spec/machine-spec.ts";
import { ensure } from "./settings-file.ts";
import type { VboxFile } from "./vbox-file.ts";

export const bootPositions = 4;

const xmlNames: Record<string, BootPosition> = {
  None: "none",
  Floppy: "floppy",
  DVD: "dvd",
  HardDisk: "disk",
  Network: "network",
};

const defaultOrder: readonly BootPosition[] = ["floppy", "dvd", "disk", "none"];

export function bootOrder(vbox: VboxFile): [BootPosition, BootPosition, BootPosition, BootPosition] {
  const boot = vbox.machine.find("Hardware/Boot");
  if (boot === undefined) return [...defaultOrder] as [BootPosition, BootPosition, BootPosition, BootPosition];
  const order: [BootPosition, BootPosition, BootPosition, BootPosition] = ["none", "none", "none", "none"];
  for (const entry of boot.elements("Order")) {
    const position = Number(entry.get("position"));
    const device = entry.get("device") ?? "";
    if (position >= 1 && position <= bootPositions && Object.hasOwn(xmlNames, device)) {
      order[position - 1] = xmlNames[device];
    }
  }
  return order;
}

/** Sets one position from 1; a file without an order gets the whole default one first. */
export function setBootDevice(vbox: VboxFile, position: number, device: BootPosition): void {
  const order = bootOrder(vbox);
  if (order[position - 1] === device) return;
  order[position - 1] = device;
  const boot = ensure(vbox.machine, "Hardware/Boot");
  for (const [index, value] of order.entries()) {
    const at = String(index + 1);
    const entry =
      boot.elements("Order").find((one) => one.get("position") === at) ?? boot.add("Order").set("position", at);
    entry.set(
      "device",
      Object.keys(xmlNames).find((name) => xmlNames[name] === value),
    );
  }
}
