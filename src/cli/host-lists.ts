/** Lists of what the host has and of networks in the registry: `list bridgedifs`, `dhcpservers`, `natnetworks` … */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { registeredMachines } from "../config/machine-lookup.ts";
import { ruleLines } from "../config/nat-networks.ts";
import { adapters } from "../config/network-settings.ts";
import { loadRegistry } from "../config/registry.ts";
import { ResultError } from "../config/result-codes.ts";
import { hostOnlyDevices, interfaceNames, isHostOnlyName, mayOpenTap, tapDevices } from "../config/tap-devices.ts";
import type { XmlElement } from "../config/xml.ts";
import { formatIpv4, parseIpv4 } from "../net/address.ts";
import { type HostAddress, hostAddresses, maskOf } from "./host-addresses.ts";

const ETHERNET = "1";

interface HostInterface {
  readonly name: string;
  readonly mac: string;
  readonly isUp: boolean;
  readonly isWireless: boolean;
  readonly addresses: readonly HostAddress[];
}

/** The host's Ethernet interfaces but the loopback. Linux tells about those that are down too. */
function hostInterfaces(): HostInterface[] {
  const known = hostAddresses();
  const folder = "/sys/class/net";
  if (!existsSync(folder)) {
    return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
      addresses.some(({ internal }) => internal)
        ? []
        : [{ name, mac: addresses[0]?.mac ?? "", isUp: true, isWireless: false, addresses: known.get(name) ?? [] }],
    );
  }
  const read = (name: string, file: string) => {
    try {
      return readFileSync(`${folder}/${name}/${file}`, "latin1").trim();
    } catch {
      return "";
    }
  };
  return interfaceNames()
    .filter((name) => read(name, "type") === ETHERNET && (Number(read(name, "flags")) & 8) === 0)
    .map((name) => ({
      name,
      mac: read(name, "address"),
      isUp: (Number(read(name, "flags")) & 1) === 1,
      isWireless: existsSync(`${folder}/${name}/wireless`),
      addresses: known.get(name) ?? [],
    }));
}

/** As VirtualBox makes it on Linux: the name's first bytes and the hardware address. */
function interfaceUuid(name: string, mac: string): string {
  const bytes = Buffer.alloc(8);
  bytes.write(name, "latin1");
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
  const node = mac.replaceAll(":", "").padStart(12, "0");
  return `${hex(bytes.readUInt32LE(0), 8)}-${hex(bytes.readUInt16LE(4), 4)}-4${hex(bytes.readUInt16LE(6) & 0xfff, 3)}-8000-${node}`;
}

/** What a VM can be bridged to first (TAP devices that the user may open), then the host's other interfaces. */
export function bridgedInterfaces(): string {
  const usable = new Set(
    tapDevices()
      .filter(mayOpenTap)
      .map(({ name }) => name),
  );
  const others = hostInterfaces().filter(({ name }) => !isHostOnlyName(name));
  return others
    .sort((a, b) => Number(usable.has(b.name)) - Number(usable.has(a.name)))
    .map(interfaceBlock)
    .join("");
}

export function hostOnlyInterfaces(): string {
  const names = new Set(hostOnlyDevices().map(({ name }) => name));
  return hostInterfaces()
    .filter(({ name }) => names.has(name))
    .map(interfaceBlock)
    .join("");
}

function interfaceBlock({ name, mac, isUp, isWireless, addresses }: HostInterface): string {
  const line = (label: string, value: string) => `${label.padEnd(17)}${value}`.trimEnd() + "\n";
  const v4 = addresses.find(({ isIpv6 }) => !isIpv6);
  const v6 = addresses.find(({ isIpv6 }) => isIpv6);
  return (
    line("Name:", name) +
    line("GUID:", interfaceUuid(name, mac)) +
    line("DHCP:", "Disabled") +
    line("IPAddress:", v4?.address ?? "0.0.0.0") +
    line("NetworkMask:", maskOf(v4?.prefixLength ?? 0)) +
    line("IPV6Address:", v6?.address ?? "") +
    `IPV6NetworkMaskPrefixLength: ${v6?.prefixLength ?? "0"}\n` +
    line("HardwareAddress:", mac) +
    line("MediumType:", "Ethernet") +
    line("Wireless:", isWireless ? "Yes" : "No") +
    line("Status:", isUp ? "Up" : "Down") +
    `VBoxNetworkName: HostInterfaceNetworking-${name}\n\n`
  );
}

function registered(path: string, name: string): XmlElement[] {
  return loadRegistry().global.find(`NetserviceRegistry/${path}`)?.elements(name) ?? [];
}

const yesNo = (text: string | undefined) => (text === "1" || text === "true" ? "Yes" : "No");

function dhcpScope(scope: XmlElement | undefined, mask?: string): string {
  const seconds = Number(scope?.get("secDefaultLeaseTime") ?? "0");
  const options = (scope?.elements("Option") ?? []).map((one) => ({
    code: one.get("name") ?? "",
    kind: one.get("encoding") === "1" ? "hex" : "legacy",
    value: one.get("value") ?? "",
  }));
  if (mask !== undefined && !options.some(({ code }) => code === "1"))
    options.unshift({ code: "1", kind: "legacy", value: mask });
  return (
    `    minLeaseTime:     default\n    defaultLeaseTime: ${seconds > 0 ? `${seconds} sec` : "default"}\n    maxLeaseTime:     default\n` +
    "    Forced options:   None\n    Suppressed opts.: None\n" +
    options.map(({ code, kind, value }) => `${code.padStart(9)}/${kind}: ${value}`.trimEnd() + "\n").join("")
  );
}

/** What single cards are told: named by VM and adapter or by their address. */
function dhcpClients(server: XmlElement): string {
  const configs = server.elements("Config").map((config) => {
    const machine = config.get("vm-name");
    const who = machine
      ? `VM ${machine}, NIC ${Number(config.get("slot") ?? "0") + 1}`
      : `MAC ${config.get("MACAddress")}`;
    return `    Config:           ${who}\n    Fixed Address:    ${config.get("fixedAddress") ?? "dynamic"}\n${dhcpScope(config)}`;
  });
  return configs.length === 0 ? "Individual Configs:   None\n" : `Individual Configs:\n${configs.join("")}`;
}

/** Labels of 6.1 and later, and beside them those that older clients look for. */
export function dhcpServers(): string {
  const line = (label: string, value: string | undefined) => `${label.padEnd(16)}${value ?? ""}`.trimEnd() + "\n";
  return registered("DHCPServers", "DHCPServer")
    .map((server) => {
      const [ip, mask] = [server.get("IPAddress"), server.get("networkMask")];
      const [lower, upper] = [server.get("lowerIP"), server.get("upperIP")];
      return (
        line("NetworkName:", server.get("networkName")) +
        line("Dhcpd IP:", ip) +
        line("LowerIPAddress:", lower) +
        line("UpperIPAddress:", upper) +
        line("NetworkMask:", mask) +
        line("Enabled:", yesNo(server.get("enabled"))) +
        line("IP:", ip) +
        line("lowerIPAddress:", lower) +
        line("upperIPAddress:", upper) +
        "Global Configuration:\n" +
        dhcpScope(server.element("Options"), mask) +
        "Groups:               None\n" +
        dhcpClients(server) +
        "\n"
      );
    })
    .join("");
}

/** `pattern`: only networks whose name it matches (`*`, `?`). */
export function natNetworks(pattern = "*"): string {
  const line = (label: string, value: string | undefined) => `${label.padEnd(13)}${value ?? ""}`.trimEnd() + "\n";
  const wanted = new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".")}$`,
    "i",
  );
  const networks = registered("NATNetworks", "NATNetwork").filter((one) => wanted.test(one.get("networkName") ?? ""));
  const blocks = networks.map((network) => {
    const [address, bits = "24"] = (network.get("network") ?? "").split("/");
    const first = (parseIpv4(address) ?? 0) & (-1 << (32 - Number(bits)));
    return (
      line("Name:", network.get("networkName")) +
      line("Enabled:", yesNo(network.get("enabled"))) +
      line("Network:", `${address}/${bits}`) +
      line("Gateway:", formatIpv4(first + 1)) +
      line("DHCP Server:", yesNo(network.get("needDhcp"))) +
      line("IPv6:", yesNo(network.get("ipv6"))) +
      line("IPv6 Prefix:", network.get("ipv6prefix")) +
      line("IPv6 Default:", yesNo(network.get("advertiseDefaultIPv6Route"))) +
      ruleLines(network)
    );
  });
  const count = `${networks.length} ${networks.length === 1 ? "network" : "networks"} found\n`;
  return `NAT Networks:\n\n${blocks.map((block) => `${block}\n`).join("")}${count}`;
}

/** Internal networks that a VM's adapter names. */
export function internalNetworks(): string {
  const names = new Set<string>();
  for (const { settings } of registeredMachines()) {
    if (settings instanceof ResultError) continue;
    for (const adapter of adapters(settings))
      if (adapter.mode?.cli === "intnet") names.add(adapter.modeName(adapter.mode));
  }
  return [...names].map((name) => `Name:        ${name}\n`).join("");
}

/** Drives of the host that a VM could be given. */
export function hostDrives(kind: "dvd" | "floppy"): string {
  const pattern = kind === "dvd" ? /^sr[0-9]+$/ : /^fd[0-9]+$/;
  let names: string[] = [];
  try {
    names = readdirSync("/dev").filter((name) => pattern.test(name));
  } catch {
    // Hosts without /dev have no drives that could be named.
  }
  return names.map((name) => `UUID:         ${interfaceUuid(name, "")}\nName:         /dev/${name}\n\n`).join("");
}
