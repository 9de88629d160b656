/** Serial and parallel ports in a .vbox file. */
import { ensure } from "./settings-file.ts";
import type { VboxFile } from "./vbox-file.ts";
import type { XmlElement } from "./xml.ts";

/** What a serial port is connected to. `device` is a real port of the host, or whatever the name is. */
export type UartMode =
  | { readonly kind: "disconnected" }
  | { readonly kind: "server" | "client" | "file" | "tcpserver" | "tcpclient" | "device"; readonly path: string };

export const uartTypes: readonly string[] = ["16450", "16550A", "16750"];

/** A port by index from 0, serial (`UART`) or parallel (`LPT`). */
export class Port {
  private readonly vbox: VboxFile;
  private readonly group: "UART" | "LPT";
  readonly index: number;

  constructor(vbox: VboxFile, group: "UART" | "LPT", index: number) {
    this.vbox = vbox;
    this.group = group;
    this.index = index;
  }

  private get element(): XmlElement | undefined {
    return this.vbox.machine
      .find(`Hardware/${this.group}`)
      ?.elements("Port")
      .find((port) => Number(port.get("slot")) === this.index);
  }

  private ensureElement(): XmlElement {
    const present = this.element;
    if (present) return present;
    const group = ensure(this.vbox.machine, `Hardware/${this.group}`);
    const next = group.elements("Port").find((port) => Number(port.get("slot")) > this.index);
    const [ioBase, irq] = defaults[this.group][this.index];
    const element = group.add("Port", next).set("slot", String(this.index)).set("enabled", "false");
    element.set("IOBase", hex(ioBase)).set("IRQ", String(irq));
    return this.group === "UART" ? element.set("hostMode", "Disconnected") : element;
  }

  get isEnabled(): boolean {
    return this.element?.get("enabled") === "true";
  }

  get ioBase(): number {
    return number(this.element?.get("IOBase"), defaults[this.group][this.index][0]);
  }

  get irq(): number {
    return number(this.element?.get("IRQ"), defaults[this.group][this.index][1]);
  }

  enable(ioBase: number, irq: number): void {
    this.ensureElement().set("enabled", "true").set("IOBase", hex(ioBase)).set("IRQ", String(irq));
  }

  disable(): void {
    this.element?.set("enabled", "false");
  }

  get uartType(): string {
    return this.element?.get("uartType") ?? "16550A";
  }

  set uartType(type: string) {
    this.ensureElement().set("uartType", type);
  }

  /** The host device of a parallel port. */
  get path(): string {
    return this.element?.get("path") ?? "";
  }

  set path(path: string) {
    this.ensureElement().set("path", path === "" ? undefined : path);
  }

  get mode(): UartMode {
    const isServer = this.element?.get("server") === "true";
    const path = this.path;
    switch (this.element?.get("hostMode")?.toLowerCase()) {
      case "hostpipe":
        return { kind: isServer ? "server" : "client", path };
      case "tcp":
        return { kind: isServer ? "tcpserver" : "tcpclient", path };
      case "rawfile":
        return { kind: "file", path };
      case "hostdevice":
        return { kind: "device", path };
      default:
        return { kind: "disconnected" };
    }
  }

  set mode(mode: UartMode) {
    const hostModes = {
      disconnected: "Disconnected",
      server: "HostPipe",
      client: "HostPipe",
      tcpserver: "TCP",
      tcpclient: "TCP",
      file: "RawFile",
      device: "HostDevice",
    } as const;
    const isPiped = hostModes[mode.kind] === "HostPipe" || hostModes[mode.kind] === "TCP";
    this.ensureElement()
      .set("hostMode", hostModes[mode.kind])
      .set("server", isPiped ? String(mode.kind === "server" || mode.kind === "tcpserver") : undefined)
      .set("path", mode.kind === "disconnected" ? undefined : mode.path);
  }
}

const defaults = {
  UART: [
    [0x3f8, 4],
    [0x2f8, 3],
    [0x3e8, 4],
    [0x2e8, 3],
  ],
  LPT: [
    [0x378, 7],
    [0x278, 5],
  ],
} as const;

export const portCounts = { UART: 4, LPT: 2 } as const;

export function ports(vbox: VboxFile, group: "UART" | "LPT"): Port[] {
  return Array.from({ length: portCounts[group] }, (_, index) => new Port(vbox, group, index));
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function number(text: string | undefined, fallback: number): number {
  return text !== undefined && /^(0[xX][0-9a-fA-F]{1,6}|[0-9]{1,6})$/.test(text) ? Number(text) : fallback;
}
