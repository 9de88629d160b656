/** natnetwork: NAT networks that VMs share, in the registry; `start` and `stop` reach the VM process that serves a network. */

import {
  addNatNetwork,
  defaultPrefix6,
  type Family,
  forwardingOf,
  natNetworkElement,
  parseNetworkRule,
  removeNatNetwork,
} from "../config/nat-networks.ts";
import { editRegistry, loadRegistry } from "../config/registry.ts";
import { ResultError } from "../config/result-codes.ts";
import { ensure } from "../config/settings-file.ts";
import type { XmlElement } from "../config/xml.ts";
import { natNetworkFamily, requestService } from "../control/network-switch.ts";
import { natAddresses } from "../net/address.ts";
import { parsePrefix6 } from "../net/ipv6/address.ts";
import { type Command, noneLeft, type Terminal } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { natNetworks } from "./host-lists.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";

/** A rule, or `delete` and a rule's name. */
const rule = { more: (first: string) => (first.toLowerCase() === "delete" ? 1 : 0) };
const options = [
  option("netname t", "text"),
  option("network n", "text"),
  option("dhcp h", "onoff"),
  option("ipv6 6", "onoff"),
  option("ipv6-default", "onoff"),
  option("ipv6-prefix", "text"),
  option("loopback-4 l", "text", rule),
  option("loopback-6 L", "text", rule),
  option("port-forward-4 p", "text", rule),
  option("port-forward-6 P", "text", rule),
  option("enable e", "switch"),
  option("disable d", "switch"),
];

type Change = (network: XmlElement, values: readonly string[]) => void;

/** What each option does to a network. */
const changes: Readonly<Record<string, Change>> = {
  network: (network, [cidr]) => {
    if (natAddresses(cidr, 1) === undefined)
      throw new ResultError(
        "E_INVALIDARG",
        "NATNetworkWrap",
        `'${cidr}' is not a network for NAT (a.b.c.d/n, n from 8 to 27)`,
      );
    network.set("network", cidr);
  },
  dhcp: (network, [value]) => network.set("needDhcp", String(isOn(value))),
  ipv6: (network, [value]) => network.set("ipv6", String(isOn(value))),
  "ipv6-default": (network, [value]) => network.set("advertiseDefaultIPv6Route", String(isOn(value))),
  "ipv6-prefix": (network, [prefix]) => {
    if (prefix !== "" && parsePrefix6(prefix) === undefined)
      throw new ResultError(
        "E_INVALIDARG",
        "NATNetworkWrap",
        `'${prefix}' is not a prefix for NAT (unicast, of 64 bits: fd17:625c:f037:2::/64)`,
      );
    network.set("ipv6prefix", prefix);
  },
  "loopback-4": (network, values) => changeLoopback(network, values),
  "loopback-6": (network, values) => changeLoopback6(network, values),
  "port-forward-4": (network, values) => changeForwarding(network, values, 4),
  "port-forward-6": (network, values) => changeForwarding(network, values, 6),
  enable: (network) => network.set("enabled", "true"),
  disable: (network) => network.set("enabled", "false"),
};

const isOn = (text: string): boolean => /^(on|true|yes|1|enabled?)$/i.test(text);

/** `127.0.0.1=N`: the network's address N is the host's loopback. Others of 127/8 have no sockets of their own here. */
function changeLoopback(network: XmlElement, [text, toDelete]: readonly string[]): void {
  const mappings = ensure(network, "Mappings");
  const wanted = toDelete ?? text;
  const match = /^127\.0\.0\.1(?:=(\d{1,3}))?$/.exec(wanted);
  const host = Number(match?.[1] ?? Number.NaN);
  const present = mappings.elements("Loopback4").find((one) => one.get("address") === "127.0.0.1");
  if (toDelete !== undefined) {
    if (match === null || present === undefined) throw new CommandError(`There is no loopback mapping '${toDelete}'`);
    mappings.remove(present);
    return;
  }
  // 1, 3, 4 and 15 to 30 are taken: router, name server, TFTP, leases.
  const isFree = host === 2 || (host >= 5 && host <= 14);
  if (!isFree) throw new UsageError(`Invalid argument format for option '--loopback-4': '${text}'`);
  (present ?? mappings.add("Loopback4")).set("address", "127.0.0.1").set("offset", String(host));
}

/** `N`: the prefix's address N is the host's ::1. `delete` or, as VirtualBox has it, -1: none is. */
function changeLoopback6(network: XmlElement, [text, toDelete]: readonly string[]): void {
  const host = toDelete !== undefined || text === "-1" ? 0 : /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  // 1 and 3 are taken: router, name server.
  const isFree = host === 0 || host === 2 || (host >= 4 && host <= 65_535);
  if (!isFree || (host === 0 && text === "0"))
    throw new UsageError(`Invalid argument format for option '--loopback-6': '${text}'`);
  network.set("loopback6", host === 0 ? undefined : String(host));
}

function changeForwarding(network: XmlElement, [text, toDelete]: readonly string[], family: Family): void {
  const rules = ensure(network, `PortForwarding${family}`);
  if (toDelete !== undefined) {
    const present = rules.elements("Forwarding").find((one) => one.get("name") === toDelete);
    if (present === undefined)
      throw new ResultError("E_INVALIDARG", "NATNetworkWrap", `No NAT rule named '${toDelete}' exists`);
    rules.remove(present);
    return;
  }
  const wanted = parseNetworkRule(text, family);
  if (wanted === undefined)
    throw new UsageError(`Invalid argument format for option '--port-forward-${family}': '${text}'`);
  for (const other of forwardingOf(network, family)) {
    if (other.name === wanted.name)
      throw new ResultError("E_INVALIDARG", "NATNetworkWrap", "A NAT rule of this name already exists");
    const isSamePort = other.protocol === wanted.protocol && other.hostPort === wanted.hostPort;
    if (isSamePort && other.hostIp === wanted.hostIp)
      throw new ResultError(
        ...([
          "E_INVALIDARG",
          "NATNetworkWrap",
          "A NAT rule for this host port and this host IP already exists",
        ] as const),
      );
  }
  rules
    .add("Forwarding")
    .set("name", wanted.name)
    .set("proto", wanted.protocol === "tcp" ? "1" : "0")
    .set("hostip", wanted.hostIp)
    .set("hostport", String(wanted.hostPort))
    .set("guestip", wanted.guestIp)
    .set("guestport", String(wanted.guestPort));
}

function apply(network: XmlElement, parsed: ParsedArguments): void {
  for (const { name, values } of parsed.options) if (name !== "netname") changes[name](network, values);
  // As VirtualBox: a network that has IPv6 has a prefix.
  if (isOn(network.get("ipv6") ?? "") && !network.get("ipv6prefix"))
    network.set("ipv6prefix", defaultPrefix6(network.get("network") ?? ""));
}

function nameIn(parsed: ParsedArguments): string {
  noneLeft(parsed.positionals);
  const name = parsed.text("netname");
  if (!name) throw new UsageError("Missing --netname parameter");
  return name;
}

function existing(find: XmlElement | undefined): XmlElement {
  if (find === undefined) throw new CommandError("NATNetwork server does not exist");
  return find;
}

function add(parsed: ParsedArguments): void {
  const name = nameIn(parsed);
  const cidr = parsed.text("network");
  if (!cidr) throw new UsageError("Missing --network parameter");
  editRegistry((registry) => {
    if (natNetworkElement(registry, name) !== undefined) throw new CommandError("NATNetwork server already exists");
    apply(addNatNetwork(registry, name, cidr), parsed);
  });
}

function modify(parsed: ParsedArguments): void {
  const name = nameIn(parsed);
  editRegistry((registry) => apply(existing(natNetworkElement(registry, name)), parsed));
}

async function remove(parsed: ParsedArguments): Promise<void> {
  const name = nameIn(parsed);
  editRegistry((registry) => removeNatNetwork(registry, existing(natNetworkElement(registry, name))));
  await request(name, "stop");
}

async function request(name: string, what: "start" | "stop"): Promise<void> {
  // Without a VM on it there is nothing to do: the first one starts it.
  if ((await requestService(natNetworkFamily, name, what)) === "failed")
    throw new CommandError(`Failed to ${what} network '${name}': the log of the VM that serves it says why`);
}

async function startOrStop(parsed: ParsedArguments, what: "start" | "stop"): Promise<void> {
  const name = nameIn(parsed);
  const network = existing(natNetworkElement(loadRegistry(), name));
  if (what === "start" && network.get("enabled") !== "true" && network.get("enabled") !== "1")
    throw new CommandError(`The NAT network '${name}' is disabled`);
  await request(name, what);
}

/** All networks whose name matches the pattern (`*`, `?`), rules included. */
function list(parsed: ParsedArguments, terminal: Terminal): void {
  if (parsed.positionals.length > 1) throw new UsageError(`Invalid parameter '${parsed.positionals[1]}'`);
  terminal.out(natNetworks(parsed.positionals[0]));
}

export const command: Command = {
  usage: [
    "add --netname NAME --network A.B.C.D/N [--dhcp on|off] [--ipv6 on|off] [--ipv6-prefix P::/64] [--ipv6-default on|off] [--enable|--disable] [--loopback-4 127.0.0.1=N] [--loopback-6 N] [--port-forward-4 RULE] [--port-forward-6 RULE]",
    "modify --netname NAME [--network A.B.C.D/N] [--dhcp on|off] [--ipv6 …] [--enable|--disable] [--loopback-4 …] [--loopback-6 …] [--port-forward-4|-6 RULE|delete NAME]",
    "remove --netname NAME",
    "start --netname NAME",
    "stop --netname NAME",
    "list [PATTERN]",
  ],
  about:
    "NAT networks that VMs share (modifyvm --nic1 natnetwork --nat-network1 NAME). A rule is NAME:tcp|udp:[HOSTIP]:PORT:[GUESTIP]:PORT, its addresses IPv4 or IPv6 as the option says. " +
    "A network runs while a VM is on it; `stop` and `start` make changes take effect, its connections end.",
  async run(args, terminal) {
    const [verb, ...rest] = args;
    const parsed = parseArguments(rest, options);
    switch (verb) {
      case "add":
        add(parsed);
        return undefined;
      case "modify":
        modify(parsed);
        return undefined;
      case "remove":
        await remove(parsed);
        return undefined;
      case "start":
      case "stop":
        await startOrStop(parsed, verb);
        return undefined;
      case "list":
        list(parsed, terminal);
        return undefined;
      default:
        throw new UsageError(verb === undefined ? "No subcommand specified" : `Invalid subcommand: ${verb}`);
    }
  },
};
