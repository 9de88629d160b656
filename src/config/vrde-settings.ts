/** Properties of the remote display in a .vbox file. */
import { ensure } from "./settings-file.ts";
import type { VboxFile } from "./vbox-file.ts";

export function vrdeProperties(vbox: VboxFile): readonly (readonly [name: string, value: string])[] {
  const properties = vbox.machine.find("Hardware/RemoteDisplay/VRDEProperties")?.elements("Property") ?? [];
  return properties.map((property) => [property.get("name") ?? "", property.get("value") ?? ""] as const);
}

export function vrdeProperty(vbox: VboxFile, name: string): string | undefined {
  return vrdeProperties(vbox).find(([key]) => key === name)?.[1];
}

/** Sets a property; an empty value deletes it. */
export function setVrdeProperty(vbox: VboxFile, name: string, value: string): void {
  const parent = ensure(vbox.machine, "Hardware/RemoteDisplay/VRDEProperties");
  const property = parent.elements("Property").find((one) => one.get("name") === name);
  if (value !== "") (property ?? parent.add("Property").set("name", name)).set("value", value);
  else if (property) parent.remove(property);
}
