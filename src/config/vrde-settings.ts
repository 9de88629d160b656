/** The remote display in a .vbox file, and its properties. */
import { settings } from "./machine-settings.ts";
import { ensure } from "./settings-file.ts";
import type { VboxFile } from "./vbox-file.ts";

/** VirtualBox's port where none is set. */
export const DEFAULT_VRDE_PORT = 3389;
/** Listeners stay on this host unless somebody says otherwise. */
export const DEFAULT_VRDE_ADDRESS = "127.0.0.1";
/** A range may not make a start try thousands of ports. */
const MAX_PORTS = 1024;

export interface RemoteDisplaySettings {
  readonly isOn: boolean;
  readonly address: string;
  /** To be tried in this order. */
  readonly ports: readonly number[];
  /** "" if there is none. VNC uses the first eight bytes. */
  readonly password: string;
  readonly allowsSeveral: boolean;
  /** With one viewer at a time: a new one takes the place of the old one. */
  readonly replacesOld: boolean;
}

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

/** Whether `text` is a list of ports and rising ranges, or `default`. */
export function isPortList(text: string): boolean {
  return text === "default" || rangesOf(text) !== undefined;
}

/** `5900-5910,6000` one by one; `default` and 0 are the default port, nonsense is none. */
export function portsOf(text: string): number[] {
  if (text === "default") return [DEFAULT_VRDE_PORT];
  const ports: number[] = [];
  for (const [first, last] of rangesOf(text) ?? []) {
    for (let port = first; port <= last && ports.length < MAX_PORTS; port++)
      ports.push(port === 0 ? DEFAULT_VRDE_PORT : port);
  }
  return ports;
}

/** The ranges of a list, ends included; undefined if it is none. */
function rangesOf(text: string): [first: number, last: number][] | undefined {
  const ranges: [number, number][] = [];
  for (const part of text.split(",")) {
    if (!/^[0-9]{1,5}(-[0-9]{1,5})?$/.test(part)) return undefined;
    const [first, last = first] = part.split("-").map(Number);
    if (first > last || last > 65_535) return undefined;
    ranges.push([first, last]);
  }
  return ranges;
}

export function remoteDisplayOf(vbox: VboxFile): RemoteDisplaySettings {
  return {
    isOn: vbox.get(settings.vrde),
    address: vrdeProperty(vbox, "TCP/Address") ?? DEFAULT_VRDE_ADDRESS,
    ports: portsOf(vrdeProperty(vbox, "TCP/Ports") ?? "default"),
    password: vrdeProperty(vbox, "VNCPassword") ?? "",
    allowsSeveral: vbox.get(settings.vrdeMultiCon),
    replacesOld: vbox.get(settings.vrdeReuseCon),
  };
}
