/**
 * dhcpserver: DHCP servers of host-only and internal networks in the registry, as clients set them up and list them. They are
 * stored: no VM of ours is on a host-only network, and internal networks have no server yet, which `add` and `start` say.
 */
import { editRegistry, loadRegistry, type Registry } from "../config/registry.ts";
import { ensure } from "../config/settings-file.ts";
import type { XmlElement } from "../config/xml.ts";
import { parseIpv4 } from "../net/address.ts";
import { type Command, noneLeft, type Terminal } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";

const PARENT = "NetserviceRegistry/DHCPServers";
const options = [
  option("network netname", "text"),
  option("interface ifname", "text"),
  option("server-ip ip", "text"),
  option("netmask", "text"),
  option("lower-ip lowerip", "text"),
  option("upper-ip upperip", "text"),
  option("enable", "switch"),
  option("disable", "switch"),
];
/** Options and the attributes that hold them. */
const attributes = [
  ["server-ip", "IPAddress"],
  ["netmask", "networkMask"],
  ["lower-ip", "lowerIP"],
  ["upper-ip", "upperIP"],
] as const;

function networkName(parsed: ParsedArguments): string {
  noneLeft(parsed.positionals);
  const [network, hostInterface] = [parsed.text("network"), parsed.text("interface")];
  if (network && hostInterface) throw new UsageError("You can only use either --network or --interface");
  const name = network ?? (hostInterface && `HostInterfaceNetworking-${hostInterface}`);
  if (!name) throw new UsageError("You need to specify either --network or --interface to identify the DHCP server");
  return name;
}

function find(registry: Registry, name: string): XmlElement | undefined {
  const servers = registry.global.find(PARENT)?.elements("DHCPServer") ?? [];
  return servers.find((one) => one.get("networkName") === name);
}

function apply(server: XmlElement, parsed: ParsedArguments): void {
  for (const [name, attribute] of attributes) {
    const value = parsed.text(name);
    if (value === undefined) continue;
    if (parseIpv4(value) === undefined) throw new UsageError(`Invalid IP address for option '--${name}': '${value}'`);
    server.set(attribute, value);
  }
  const last = parsed.options.findLast(({ name }) => name === "enable" || name === "disable");
  if (last !== undefined) server.set("enabled", last.name === "enable" ? "1" : "0");
}

function existing(server: XmlElement | undefined): XmlElement {
  if (server === undefined) throw new CommandError("DHCP server does not exist");
  return server;
}

function warnStored(terminal: Terminal): void {
  terminal.warn("DHCP servers of internal and host-only networks are stored and do not run");
}

export const command: Command = {
  usage: [
    "add --network NAME|--interface NAME --server-ip A --netmask M --lower-ip A --upper-ip A [--enable|--disable]",
    "modify --network NAME|--interface NAME [--server-ip A] [--netmask M] [--lower-ip A] [--upper-ip A] [--enable|--disable]",
    "remove|start|restart|stop --network NAME|--interface NAME",
    "findlease --network NAME|--interface NAME --mac-address MAC",
  ],
  about: "DHCP servers of internal and host-only networks. They are stored; none runs yet. NAT has its own.",
  run(args, terminal) {
    const [verb, ...rest] = args;
    const extra = verb === "findlease" ? [option("mac-address", "text")] : [];
    const parsed = parseArguments(rest, [...options, ...extra]);
    switch (verb) {
      case "add": {
        const name = networkName(parsed);
        for (const [required] of attributes)
          if (!parsed.text(required)) throw new UsageError(`Missing required option: --${required}`);
        editRegistry((registry) => {
          if (find(registry, name) !== undefined) throw new CommandError("DHCP server already exists");
          const server = ensure(registry.global, PARENT).add("DHCPServer").set("networkName", name);
          apply(server.set("enabled", "0"), parsed);
        });
        return undefined;
      }
      case "modify": {
        const name = networkName(parsed);
        editRegistry((registry) => apply(existing(find(registry, name)), parsed));
        return undefined;
      }
      case "remove": {
        const name = networkName(parsed);
        editRegistry((registry) => {
          const server = existing(find(registry, name));
          registry.global.find(PARENT)?.remove(server);
        });
        return undefined;
      }
      case "start":
      case "restart":
      case "stop":
        existing(find(loadRegistry(), networkName(parsed)));
        if (verb !== "stop") warnStored(terminal);
        return undefined;
      case "findlease":
        existing(find(loadRegistry(), networkName(parsed)));
        if (!parsed.text("mac-address")) throw new UsageError("Missing required option: --mac-address");
        throw new CommandError("No lease found: the DHCP server does not run");
      default:
        throw new UsageError(verb === undefined ? "No subcommand specified" : `Invalid subcommand: ${verb}`);
    }
  },
};
