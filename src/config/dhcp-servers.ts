/**
 * DHCP servers of internal and host-only networks, as the registry keeps them (VirtualBox.xml, NetserviceRegistry/DHCPServers): the range,
 * options for everybody in `Options`, those of one card and its fixed address in a `Config` with the VM's name or a MAC address.
 */
import { parseIpv4 } from "../net/address.ts";
import type { DhcpClientSettings, DhcpNetworkSettings, DhcpRange } from "../net/dhcp/network.ts";
import { isSettableOption, optionFromHex, optionFromText } from "../net/dhcp/options.ts";
import { lookUpMachine } from "./machine-lookup.ts";
import { adapters } from "./network-settings.ts";
import { loadRegistry, type Registry } from "./registry.ts";
import { ResultError } from "./result-codes.ts";
import { ensure } from "./settings-file.ts";
import type { XmlElement } from "./xml.ts";

const PARENT = "NetserviceRegistry/DHCPServers";
const HEX = "1";
const MAX_LEASE_SECONDS = 2 ** 31;

export interface DhcpServerSettings {
  readonly isEnabled: boolean;
  readonly network: DhcpNetworkSettings;
}

/** The name that a host-only interface's network has here. */
export const hostOnlyPrefix = "HostInterfaceNetworking-";

export function dhcpServerElement(registry: Registry, network: string): XmlElement | undefined {
  const servers = registry.global.find(PARENT)?.elements("DHCPServer") ?? [];
  return servers.find((one) => one.get("networkName") === network);
}

export function addDhcpServer(registry: Registry, network: string): XmlElement {
  return ensure(registry.global, PARENT).add("DHCPServer").set("networkName", network).set("enabled", "0");
}

export function removeDhcpServer(registry: Registry, server: XmlElement): void {
  registry.global.find(PARENT)?.remove(server);
}

export function rangeOf(server: XmlElement): DhcpRange {
  const text = (name: string) => server.get(name) ?? "";
  return { server: text("IPAddress"), mask: text("networkMask"), lower: text("lowerIP"), upper: text("upperIP") };
}

export function isEnabled(server: XmlElement): boolean {
  return ["1", "true"].includes(server.get("enabled") ?? "");
}

/** Twelve hexadecimal digits, with or without colons or dashes, as `08:00:27:01:02:03`; undefined: no address of a card. */
export function parseMac(text: string): string | undefined {
  const digits = text.replace(/[:-]/g, "").toLowerCase();
  return /^[0-9a-f]{12}$/.test(digits) ? (digits.match(/../g) ?? []).join(":") : undefined;
}

/** Every card has its address when the server starts; one that its VM no longer has is left out. */
function macOf(config: XmlElement, registry: Registry): string | undefined {
  const mac = config.get("MACAddress");
  if (mac) return parseMac(mac);
  const [machine, slot] = [config.get("vm-name"), Number(config.get("slot") ?? "0")];
  if (!machine) return undefined;
  try {
    const { settings } = lookUpMachine(machine.replace(/^\{(.*)\}$/, "$1"), registry);
    if (settings instanceof ResultError) return undefined;
    const adapter = adapters(settings).find((one) => one.slot === slot);
    return adapter && parseMac(adapter.macAddress);
  } catch (error) {
    if (error instanceof ResultError) return undefined;
    throw error;
  }
}

function clientSettings(element: XmlElement | undefined): DhcpClientSettings {
  const options = new Map<number, Uint8Array>();
  for (const one of element?.elements("Option") ?? []) {
    const code = Number(one.get("name"));
    const text = one.get("value") ?? "";
    const value = one.get("encoding") === HEX ? optionFromHex(code, text) : optionFromText(code, text);
    if (value !== undefined) options.set(code, value);
  }
  const seconds = Number(element?.get("secDefaultLeaseTime") ?? "0");
  const isTime = Number.isInteger(seconds) && seconds > 0 && seconds < MAX_LEASE_SECONDS;
  return { options, leaseSeconds: isTime ? seconds : undefined };
}

/** The server of that network as it is now; undefined: there is none. */
export function findDhcpServer(network: string, registry: Registry = loadRegistry()): DhcpServerSettings | undefined {
  const server = dhcpServerElement(registry, network);
  if (server === undefined) return undefined;
  const clients = new Map<string, DhcpClientSettings & { fixedAddress?: string }>();
  for (const config of server.elements("Config")) {
    const mac = macOf(config, registry);
    const fixedAddress = config.get("fixedAddress") || undefined;
    if (mac !== undefined) clients.set(mac, { ...clientSettings(config), fixedAddress });
  }
  const everybody = clientSettings(server.element("Options"));
  return { isEnabled: isEnabled(server), network: { ...rangeOf(server), everybody, clients } };
}

// --- changes by the command line ---

export const globalScope = (server: XmlElement): XmlElement => server.element("Options") ?? server.add("Options");

/** The settings of one card of a VM (slot from 0). */
export function adapterScope(server: XmlElement, uuid: string, slot: number): XmlElement {
  const isIt = (one: XmlElement) => one.get("vm-name") === `{${uuid}}` && Number(one.get("slot") ?? "0") === slot;
  return (
    server.elements("Config").find(isIt) ?? server.add("Config").set("vm-name", `{${uuid}}`).set("slot", String(slot))
  );
}

export function macScope(server: XmlElement, mac: string): XmlElement {
  const isIt = (one: XmlElement) => parseMac(one.get("MACAddress") ?? "") === mac;
  return server.elements("Config").find(isIt) ?? server.add("Config").set("MACAddress", mac);
}

/** False: no such option, or no value for it. */
export function setOption(scope: XmlElement, code: number, value: string, isHex: boolean): boolean {
  if ((isHex ? optionFromHex(code, value) : optionFromText(code, value)) === undefined) return false;
  removeOption(scope, code);
  scope
    .add("Option")
    .set("name", String(code))
    .set("value", value)
    .set("encoding", isHex ? HEX : "0");
  return true;
}

/** False: no such option. */
export function removeOption(scope: XmlElement, code: number): boolean {
  for (const one of scope.elements("Option")) if (Number(one.get("name")) === code) scope.remove(one);
  return isSettableOption(code);
}

/** False: not a time. */
export function setLeaseSeconds(scope: XmlElement, text: string): boolean {
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (seconds < 0 || seconds >= MAX_LEASE_SECONDS) return false;
  scope.set("secDefaultLeaseTime", seconds === 0 ? undefined : String(seconds));
  return true;
}

/** An empty address ends it. False: not an address. */
export function setFixedAddress(scope: XmlElement, text: string): boolean {
  if (text !== "" && parseIpv4(text) === undefined) return false;
  scope.set("fixedAddress", text || undefined);
  return true;
}
