/** NAT networks that VMs share, as the registry keeps them (VirtualBox.xml, NetserviceRegistry/NATNetworks). */
import { natAddresses, parseIpv4 } from "../net/address.ts";
import { Ipv6Address, type Ipv6Config, isForeignUnicast6, prefixFor } from "../net/ipv6/address.ts";
import { defaultNatConfig, type ForwardingRule, type NatConfig } from "../net/nat-config.ts";
import { forwardingIn } from "./network-settings.ts";
import { loadRegistry, type Registry } from "./registry.ts";
import { ensure } from "./settings-file.ts";
import type { XmlElement } from "./xml.ts";

export interface NatNetworkSettings {
  readonly name: string;
  readonly isEnabled: boolean;
  readonly nat: NatConfig;
}

const PARENT = "NetserviceRegistry/NATNetworks";
/** The router's place in the network; .2 is the loopback's where a mapping says so. */
const ROUTER_HOST = 1;

export function natNetworkElements(registry: Registry): XmlElement[] {
  return registry.global.find(PARENT)?.elements("NATNetwork") ?? [];
}

export function natNetworkElement(registry: Registry, name: string): XmlElement | undefined {
  return natNetworkElements(registry).find((one) => one.get("networkName") === name);
}

/** A new network with VirtualBox's defaults: DHCP, no IPv6. */
export function addNatNetwork(registry: Registry, name: string, cidr: string): XmlElement {
  return ensure(registry.global, PARENT)
    .add("NATNetwork")
    .set("networkName", name)
    .set("network", cidr)
    .set("ipv6", "false")
    .set("ipv6prefix", "fd17:625c:f037:2::/64")
    .set("advertiseDefaultIPv6Route", "false")
    .set("needDhcp", "true")
    .set("enabled", "true");
}

export function removeNatNetwork(registry: Registry, element: XmlElement): void {
  registry.global.find(PARENT)?.remove(element);
}

export const isTrue = (text: string | undefined): boolean => text === "true" || text === "1";

export type Family = 4 | 6;

export function forwardingOf(network: XmlElement, family: Family): ForwardingRule[] {
  return forwardingIn(network.element(`PortForwarding${family}`));
}

/** Host number that stands for the host's 127.0.0.1; undefined where no mapping was made. */
export function loopbackHostOf(network: XmlElement): number | undefined {
  const mapping = network
    .element("Mappings")
    ?.elements("Loopback4")
    .find((one) => one.get("address") === "127.0.0.1");
  return mapping === undefined ? undefined : Number(mapping.get("offset"));
}

/** Host number of the address that stands for the host's ::1; 0: none, as VirtualBox writes it. */
export function loopback6HostOf(network: XmlElement): number {
  return Number(network.get("loopback6") ?? "0") || 0;
}

/** undefined: off. */
function ipv6Of(network: XmlElement): Ipv6Config | undefined {
  if (!isTrue(network.get("ipv6"))) return undefined;
  return {
    prefix: network.get("ipv6prefix") || defaultPrefix6(network.get("network") ?? ""),
    isDefaultRouter: isTrue(network.get("advertiseDefaultIPv6Route")),
    loopbackHost: loopback6HostOf(network),
  };
}

/** VirtualBox's prefix for a network where none is named; empty for what is no network. */
export function defaultPrefix6(cidr: string): string {
  const addresses = natAddresses(cidr, ROUTER_HOST);
  return addresses === undefined ? "" : prefixFor(addresses.network);
}

/** The network of that name as it is now; undefined: there is none. */
export function findNatNetwork(name: string): NatNetworkSettings | undefined {
  const element = natNetworkElement(loadRegistry(), name);
  if (element === undefined) return undefined;
  const loopbackHost = loopbackHostOf(element);
  const ipv6 = ipv6Of(element);
  return {
    name,
    isEnabled: isTrue(element.get("enabled")),
    nat: {
      ...defaultNatConfig,
      network: element.get("network") ?? "",
      routerHost: ROUTER_HOST,
      loopbackHost: loopbackHost ?? ROUTER_HOST,
      localhostReachable: loopbackHost !== undefined,
      dhcp: isTrue(element.get("needDhcp")),
      forwarding: [...forwardingOf(element, 4), ...(ipv6 === undefined ? [] : forwardingOf(element, 6))],
      ipv6,
    },
  };
}

/**
 * `name:proto:[hostip]:hostport:[guestip]:guestport`, addresses in brackets; undefined if it is not that. An IPv6 rule names its guest:
 * there are no leases.
 */
export function parseNetworkRule(text: string, family: Family): ForwardingRule | undefined {
  const match = /^([^:]+):(tcp|udp):\[([^\]]*)\]:(\d{1,5}):\[([^\]]*)\]:(\d{1,5})$/i.exec(text);
  if (match === null) return undefined;
  const [, name, protocol, hostIp, hostPort, guestIp, guestPort] = match;
  const isPort = (port: string) => Number(port) > 0 && Number(port) < 65536;
  if (!isPort(hostPort) || !isPort(guestPort)) return undefined;
  if (family === 4) {
    const isAddress = (address: string) => address === "" || parseIpv4(address) !== undefined;
    if (!isAddress(hostIp) || !isAddress(guestIp)) return undefined;
  } else {
    const guest = Ipv6Address.parse(guestIp);
    if (guest === undefined || !isForeignUnicast6(guest)) return undefined;
    if (hostIp !== "" && Ipv6Address.parse(hostIp) === undefined) return undefined;
  }
  return {
    ...{ name, hostIp, guestIp, protocol: protocol.toLowerCase() as "tcp" | "udp" },
    hostPort: Number(hostPort),
    guestPort: Number(guestPort),
  };
}

export function formatNetworkRule({ guestIp, guestPort, hostIp, hostPort, name, protocol }: ForwardingRule): string {
  return `${name}:${protocol}:[${hostIp}]:${hostPort}:[${guestIp}]:${guestPort}`;
}

/** Lines of a network's rules and mappings, as `list natnetworks` has them below the rest. */
export function ruleLines(network: XmlElement): string {
  const [rules, rules6] = ([4, 6] as const).map((family) =>
    forwardingOf(network, family).map((one) => `        ${formatNetworkRule(one)}\n`),
  );
  const loopbacks = (network.element("Mappings")?.elements("Loopback4") ?? []).map(
    (one) => `        ${one.get("address")}=${one.get("offset")}\n`,
  );
  return (
    (rules.length > 0 ? `Port-forwarding (ipv4)\n${rules.join("")}` : "") +
    (rules6.length > 0 ? `Port-forwarding (ipv6)\n${rules6.join("")}` : "") +
    (loopbacks.length > 0 ? `loopback mappings (ipv4)\n${loopbacks.join("")}` : "") +
    (loopback6HostOf(network) > 0 ? `loopback mappings (ipv6)\n        ::1=${loopback6HostOf(network)}\n` : "")
  );
}
