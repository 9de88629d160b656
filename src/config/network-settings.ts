/**
 * Network adapters in a .vbox file: attachment modes with their settings (those of modes not in use are kept under
 * `DisabledModes`), NAT engine, port forwarding.
 */
import type { ForwardingRule } from "../net/nat-config.ts";
import { ResultError } from "./result-codes.ts";
import { ensure } from "./settings-file.ts";
import type { VboxFile } from "./vbox-file.ts";
import { XmlElement } from "./xml.ts";

/** modifyvm's word, the element in the file and showvminfo's words for an attachment. */
export interface AttachmentMode {
  readonly cli: string;
  readonly element: string;
  /** Attribute that names the network or interface. */
  readonly nameAttribute: string;
  /** showvminfo --machinereadable: value of `nicN` and key of the name. */
  readonly value: string;
  readonly key: string;
  readonly label: string;
}

const mode = (cli: string, element: string, value: string, key: string, label: string, nameAttribute = "name") => ({
  cli,
  element,
  nameAttribute,
  value,
  key,
  label,
});

export const attachmentModes: readonly AttachmentMode[] = [
  mode("nat", "NAT", "nat", "natnet", "NAT", "network"),
  mode("bridged", "BridgedInterface", "bridged", "bridgeadapter", "Bridged Interface"),
  mode("intnet", "InternalNetwork", "intnet", "intnet", "Internal Network"),
  mode("hostonly", "HostOnlyInterface", "hostonly", "hostonlyadapter", "Host-only Interface"),
  mode("hostonlynet", "HostOnlyNetwork", "hostonlynetwork", "hostonly-network", "Host Only Network"),
  mode("natnetwork", "NATNetwork", "natnetwork", "nat-network", "NAT Network"),
  mode("generic", "GenericInterface", "Generic", "generic", "Generic", "driver"),
  mode("cloud", "CloudNetwork", "cloudnetwork", "cloud-network", "Cloud Network"),
];

/** Card models in VirtualBox's spelling; names compare without case. */
export const nicTypes: readonly string[] =
  "Am79C970A Am79C973 Am79C960 82540EM 82543GC 82545EM virtio NE1000 NE2000 WD8003 WD8013 3C503 3C501".split(" ");

/** The spelling in the file, where it differs. */
const xmlNicTypes: Record<string, string> = { NE1000: "NE1000", NE2000: "NE2000", "3C503": "3C503", "3C501": "3C501" };

export const adapterLimit = 8;

/** modifyvm's words and those of the file. */
export const promiscuousPolicies: Readonly<Record<string, string>> = {
  deny: "Deny",
  "allow-vms": "AllowNetwork",
  "allow-all": "AllowAll",
};

/** One adapter, by slot from 0; absent elements read as the defaults. */
export class Adapter {
  private readonly vbox: VboxFile;
  readonly slot: number;

  constructor(vbox: VboxFile, slot: number) {
    this.vbox = vbox;
    this.slot = slot;
  }

  private get element(): XmlElement | undefined {
    return this.vbox.machine
      .find("Hardware/Network")
      ?.elements("Adapter")
      .find((adapter) => Number(adapter.get("slot")) === this.slot);
  }

  /** The element for writing, made when missing, in slot order. */
  private ensureElement(): XmlElement {
    const present = this.element;
    if (present) return present;
    const network = ensure(this.vbox.machine, "Hardware/Network");
    const next = network.elements("Adapter").find((adapter) => Number(adapter.get("slot")) > this.slot);
    return network.add("Adapter", next).set("slot", String(this.slot));
  }

  /** All settings are those of `other`, of another document, which loses them. */
  become(other: Adapter): void {
    const [present, wanted] = [this.element, other.element];
    if (wanted !== undefined) {
      other.vbox.machine.find("Hardware/Network")?.remove(wanted);
      ensure(this.vbox.machine, "Hardware/Network").add(wanted, present);
    }
    if (present !== undefined) present.parent?.remove(present);
  }

  attribute(name: string, fallback: string): string {
    return this.element?.get(name) ?? fallback;
  }

  setAttribute(name: string, value: string | undefined): void {
    if (value === undefined && this.element === undefined) return;
    this.ensureElement().set(name, value);
  }

  get isEnabled(): boolean {
    return this.attribute("enabled", "false") === "true";
  }

  /** Enabling a card that never had a MAC address gives it one. */
  set isEnabled(enabled: boolean) {
    this.setAttribute("enabled", String(enabled));
    if (enabled && this.macAddress === "") this.macAddress = newMacAddress();
  }

  /** 12 upper-case hex digits, empty when never set. */
  get macAddress(): string {
    return this.attribute("MACAddress", "").toUpperCase();
  }

  set macAddress(address: string) {
    this.setAttribute("MACAddress", address);
  }

  get isCableConnected(): boolean {
    return this.attribute("cable", this.vbox.minorVersion >= 16 ? "true" : "false") === "true";
  }

  set isCableConnected(connected: boolean) {
    if (connected !== this.isCableConnected) this.setAttribute("cable", String(connected));
  }

  get type(): string {
    const type = this.attribute("type", "Am79C973");
    return nicTypes.find((known) => known.toLowerCase() === type.toLowerCase()) ?? type;
  }

  set type(type: string) {
    this.setAttribute("type", xmlNicTypes[type] ?? type);
  }

  /** undefined: enabled but attached to nothing (`null`). */
  get mode(): AttachmentMode | undefined {
    return attachmentModes.find(({ element }) => this.element?.element(element));
  }

  /** Switches the attachment; the settings of the mode left behind go to DisabledModes, known ones come back. */
  setMode(next: AttachmentMode | undefined): void {
    const adapter = this.ensureElement();
    const current = this.mode;
    if (current === next) return;
    if (current) {
      const left = adapter.element(current.element) as XmlElement;
      adapter.remove(left);
      if (left.attributes.length > 0 || left.children.length > 0) {
        const disabled = ensure(adapter, "DisabledModes");
        const old = disabled.element(current.element);
        if (old) disabled.remove(old);
        disabled.add(left);
      }
    }
    if (next === undefined) return;
    const disabled = adapter.element("DisabledModes");
    const kept = disabled?.element(next.element);
    if (kept && disabled) {
      disabled.remove(kept);
      if (disabled.elements().length === 0) adapter.remove(disabled);
    }
    adapter.add(kept ?? new XmlElement(next.element));
  }

  /** Settings of a mode, in use or not; `make` creates them where they belong. */
  modeElement(wanted: AttachmentMode, make = false): XmlElement | undefined {
    const present = this.element?.element(wanted.element) ?? this.element?.find(`DisabledModes/${wanted.element}`);
    if (present || !make) return present;
    return ensure(this.ensureElement(), `DisabledModes/${wanted.element}`);
  }

  modeName(wanted: AttachmentMode): string {
    return this.modeElement(wanted)?.get(wanted.nameAttribute) ?? "";
  }

  setModeName(wanted: AttachmentMode, name: string): void {
    this.modeElement(wanted, true)?.set(wanted.nameAttribute, name === "" ? undefined : name);
  }

  /** Property of the generic driver. */
  setProperty(name: string, value: string): void {
    const generic = attachmentModes.find(({ cli }) => cli === "generic") as AttachmentMode;
    const parent = this.modeElement(generic, true);
    const property = parent?.elements("Property").find((one) => one.get("name") === name);
    (property ?? parent?.add("Property").set("name", name))?.set("value", value);
  }

  get nat(): XmlElement | undefined {
    return this.modeElement(attachmentModes[0]);
  }

  ensureNat(): XmlElement {
    return this.modeElement(attachmentModes[0], true) as XmlElement;
  }

  natValue(path: string, attribute: string, fallback: string): string {
    return (path === "" ? this.nat : this.nat?.find(path))?.get(attribute) ?? fallback;
  }

  setNatValue(path: string, attribute: string, value: string | undefined): void {
    const parent = path === "" ? this.ensureNat() : ensure(this.ensureNat(), path);
    parent.set(attribute, value);
  }

  forwarding(): ForwardingRule[] {
    return forwardingIn(this.nat);
  }

  /** Errors: a rule of that name, or one for the same host port and address, exists. */
  addForwarding(rule: ForwardingRule): void {
    const { name } = namedRule(rule);
    for (const other of this.forwarding()) {
      if (other.name === name) throw natError(`A NAT rule of this name already exists`);
      const samePort = other.protocol === rule.protocol && other.hostPort === rule.hostPort;
      if (samePort && other.hostIp === rule.hostIp) {
        throw natError("A NAT rule for this host port and this host IP already exists");
      }
    }
    const element = this.ensureNat()
      .add("Forwarding")
      .set("name", name)
      .set("proto", rule.protocol === "tcp" ? "1" : "0");
    if (rule.hostIp) element.set("hostip", rule.hostIp);
    element.set("hostport", String(rule.hostPort));
    if (rule.guestIp) element.set("guestip", rule.guestIp);
    element.set("guestport", String(rule.guestPort));
  }

  removeForwarding(name: string): void {
    const rule = this.nat?.elements("Forwarding").find((one) => one.get("name") === name);
    if (rule === undefined)
      throw new ResultError("E_INVALIDARG", "NATEngineWrap", `No NAT rule named '${name}' exists`);
    this.nat?.remove(rule);
  }
}

/** The rules below an element, a NAT engine's or a NAT network's. */
export function forwardingIn(parent: XmlElement | undefined): ForwardingRule[] {
  return (parent?.elements("Forwarding") ?? []).map((rule) => ({
    name: rule.get("name") ?? "",
    protocol: rule.get("proto") === "0" ? "udp" : "tcp",
    hostIp: rule.get("hostip") ?? "",
    hostPort: Number(rule.get("hostport") ?? 0),
    guestIp: rule.get("guestip") ?? "",
    guestPort: Number(rule.get("guestport") ?? 0),
  }));
}

/** The rule with a name: VirtualBox makes one up where none is given. */
export function namedRule(rule: ForwardingRule): ForwardingRule {
  return rule.name === "" ? { ...rule, name: `${rule.protocol}_${rule.hostPort}_${rule.guestPort}` } : rule;
}

function natError(message: string): ResultError {
  return new ResultError("E_INVALIDARG", "NATEngineWrap", message);
}

export function adapters(vbox: VboxFile): Adapter[] {
  return Array.from({ length: adapterLimit }, (_, slot) => new Adapter(vbox, slot));
}

/** `08:00:27`, VirtualBox's prefix, and three random bytes. */
export function newMacAddress(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(3));
  return `080027${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`.toUpperCase();
}

const ipv4 = /^(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})(\.(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})){3}$/;

/** Reads `name,proto,hostip,hostport,guestip,guestport`; undefined when it is not that. */
export function parseForwarding(text: string): ForwardingRule | undefined {
  const fields = text.split(",");
  if (fields.length !== 6) return undefined;
  const [name, protocol, hostIp, hostPort, guestIp, guestPort] = fields.map((field) => field.trim());
  const kind = protocol.toLowerCase();
  if (kind !== "tcp" && kind !== "udp") return undefined;
  const isPort = (port: string) => /^[0-9]{1,5}$/.test(port) && Number(port) <= 65535;
  if (!isPort(hostPort) || !isPort(guestPort) || Number(guestPort) === 0) return undefined;
  if ((hostIp !== "" && !ipv4.test(hostIp)) || (guestIp !== "" && !ipv4.test(guestIp))) return undefined;
  return { name, protocol: kind, hostIp, hostPort: Number(hostPort), guestIp, guestPort: Number(guestPort) };
}
