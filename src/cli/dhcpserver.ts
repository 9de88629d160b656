/**
 * dhcpserver: DHCP servers of internal and host-only networks in the registry. An enabled one runs while a VM is on its network, in the VM
 * process that serves the network's switch; `start`, `restart` and `stop` reach it there.
 */
import { loadLeases } from "../config/dhcp-leases.ts";
import {
  adapterScope,
  addDhcpServer,
  dhcpServerElement,
  globalScope,
  hostOnlyPrefix,
  isEnabled,
  macScope,
  parseMac,
  rangeOf,
  removeDhcpServer,
  removeOption,
  setFixedAddress,
  setLeaseSeconds,
  setOption,
} from "../config/dhcp-servers.ts";
import { lookUpMachine } from "../config/machine-lookup.ts";
import { editRegistry, loadRegistry, type Registry } from "../config/registry.ts";
import type { XmlElement } from "../config/xml.ts";
import { internalFamily, requestService, tapFamily } from "../control/network-switch.ts";
import { formatIpv4, parseIpv4 } from "../net/address.ts";
import { rangeProblem } from "../net/dhcp/network.ts";
import { type Command, noneLeft, type Terminal } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, type ParsedArguments, type ParsedOption, parseArguments } from "./options.ts";

const NICS = 8;
const identity = [option("network netname", "text"), option("interface ifname", "text")];
const settings = [
  option("server-ip ip", "text"),
  option("netmask", "text"),
  option("lower-ip lowerip", "text"),
  option("upper-ip upperip", "text"),
  option("enable", "switch"),
  option("disable", "switch"),
  option("global", "switch"),
  option("vm", "text"),
  option("nic", "integer"),
  option("mac-address", "text"),
  option("set-opt", "integer", { more: () => 1 }),
  option("set-opt-hex", "integer", { more: () => 1 }),
  option("del-opt", "integer"),
  option("default-lease-time lease-time", "integer"),
  option("fixed-address", "text"),
];
const options: Readonly<Record<string, readonly ReturnType<typeof option>[]>> = {
  add: [...identity, ...settings],
  modify: [...identity, ...settings],
  findlease: [...identity, option("mac-address", "text")],
};
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
  const name = network ?? (hostInterface && `${hostOnlyPrefix}${hostInterface}`);
  if (!name) throw new UsageError("You need to specify either --network or --interface to identify the DHCP server");
  return name;
}

function apply(server: XmlElement, parsed: ParsedArguments, registry: Registry): void {
  for (const [name, attribute] of attributes) {
    const value = parsed.text(name);
    if (value === undefined) continue;
    if (parseIpv4(value) === undefined) throw new UsageError(`Invalid IP address for option '--${name}': '${value}'`);
    server.set(attribute, value);
  }
  const last = parsed.options.findLast(({ name }) => name === "enable" || name === "disable");
  if (last !== undefined) server.set("enabled", last.name === "enable" ? "1" : "0");
  const scopes = new Scopes(server, registry);
  for (const one of parsed.options) scopes.apply(one);
  // One that is switched off may wait for the rest of its settings.
  const problem = isEnabled(server) ? rangeProblem(rangeOf(server)) : undefined;
  if (problem !== undefined) throw new CommandError(`Invalid DHCP server settings: ${problem}`);
}

/** Options that say what is told to whom, in the order in which they are typed: everybody, or who was named last. */
class Scopes {
  readonly #server: XmlElement;
  readonly #registry: Registry;
  #machine: string | undefined;
  #client: (() => XmlElement) | undefined;

  constructor(server: XmlElement, registry: Registry) {
    this.#server = server;
    this.#registry = registry;
  }

  apply({ name, typed, values }: ParsedOption): void {
    const [value] = values;
    const invalid = () => new UsageError(`Invalid value for option '${typed}': '${values.join(" ")}'`);
    const scope = () => this.#client?.() ?? globalScope(this.#server);
    const demand = (isGood: boolean) => {
      if (!isGood) throw invalid();
    };
    switch (name) {
      case "global":
        this.#machine = this.#client = undefined;
        return;
      case "vm":
        this.#machine = lookUpMachine(value, this.#registry).entry.uuid;
        this.#setAdapter(0);
        return;
      case "nic": {
        if (this.#machine === undefined) throw new UsageError("Option '--nic' needs a '--vm' before it");
        demand(Number(value) >= 1 && Number(value) <= NICS);
        this.#setAdapter(Number(value) - 1);
        return;
      }
      case "mac-address": {
        const mac = parseMac(value);
        if (mac === undefined) throw invalid();
        this.#machine = undefined;
        this.#client = () => macScope(this.#server, mac);
        return;
      }
      case "set-opt":
      case "set-opt-hex":
        demand(setOption(scope(), Number(value), values[1], name === "set-opt-hex"));
        return;
      case "del-opt":
        demand(removeOption(scope(), Number(value)));
        return;
      case "default-lease-time":
        demand(setLeaseSeconds(scope(), value));
        return;
      case "fixed-address":
        if (this.#client === undefined)
          throw new UsageError("Option '--fixed-address' needs '--vm' or '--mac-address'");
        demand(setFixedAddress(scope(), value));
        return;
    }
  }

  #setAdapter(slot: number): void {
    const machine = this.#machine as string;
    this.#client = () => adapterScope(this.#server, machine, slot);
  }
}

function existing(server: XmlElement | undefined): XmlElement {
  if (server === undefined) throw new CommandError("DHCP server does not exist");
  return server;
}

/** Without a VM on the network there is nothing to do: the first one starts its server. */
async function request(name: string, what: "start" | "stop", terminal: Terminal): Promise<void> {
  const outcome = name.startsWith(hostOnlyPrefix)
    ? await requestService(tapFamily("hostonly"), name.slice(hostOnlyPrefix.length), what)
    : await requestService(internalFamily, name, what);
  if (outcome === "failed")
    throw new CommandError(`Failed to ${what} the DHCP server of '${name}': the log of the VM that serves it says why`);
  if (what === "start") warnUnlessRunning(name, outcome === "nobody", terminal);
}

function warnUnlessRunning(name: string, hasNobody: boolean, terminal: Terminal): void {
  const server = dhcpServerElement(loadRegistry(), name);
  if (server !== undefined && !isEnabled(server)) {
    terminal.warn(`the DHCP server of '${name}' is disabled and does not run`);
  } else if (hasNobody) {
    terminal.warn(`no VM is on the network '${name}': its DHCP server starts with the first one`);
  }
}

/** The lease, running out or not, as the server last wrote it. */
function findLease(name: string, macText: string | undefined, terminal: Terminal): void {
  if (!macText) throw new UsageError("Missing required option: --mac-address");
  const mac = parseMac(macText);
  if (mac === undefined) throw new UsageError(`Invalid MAC address: '${macText}'`);
  const lease = loadLeases(name).find((one) => one.mac === mac);
  if (lease === undefined) throw new CommandError(`Could not find a lease for ${mac}`);
  const { address, issuedMs, seconds } = lease;
  const endMs = issuedMs + seconds * 1000;
  const left = Math.max(0, Math.round((endMs - Date.now()) / 1000));
  const time = (ms: number) => `${new Date(ms).toISOString()} (${Math.floor(ms / 1000)})`;
  terminal.out(
    `IP Address:  ${formatIpv4(address)}\nMAC Address: ${mac}\nState:       ${left > 0 ? "acked" : "expired"}\n` +
      `Issued:      ${time(issuedMs)}\nExpire:      ${time(endMs)}\nTTL:         ${seconds} sec, currently ${left} sec left\n`,
  );
}

export const command: Command = {
  usage: [
    "add --network NAME|--interface NAME --server-ip A --netmask M --lower-ip A --upper-ip A [--enable|--disable] [SCOPE SETTING…]…",
    "modify --network NAME|--interface NAME [--server-ip A] [--netmask M] [--lower-ip A] [--upper-ip A] [--enable|--disable] [SCOPE SETTING…]…",
    "remove|start|restart|stop --network NAME|--interface NAME",
    "findlease --network NAME|--interface NAME --mac-address MAC",
  ],
  about:
    "DHCP servers of internal and host-only networks. SCOPE is --global, --vm NAME [--nic N] or --mac-address MAC; " +
    "SETTING is --set-opt CODE VALUE, --set-opt-hex CODE HEX, --del-opt CODE, --default-lease-time SECONDS or, but for --global, " +
    "--fixed-address A. A server runs while a VM is on its network; `restart` makes changes take effect. NAT has its own.",
  async run(args, terminal) {
    const [verb, ...rest] = args;
    const parsed = parseArguments(rest, options[verb ?? ""] ?? identity);
    switch (verb) {
      case "add": {
        const name = networkName(parsed);
        for (const [required] of attributes)
          if (!parsed.text(required)) throw new UsageError(`Missing required option: --${required}`);
        editRegistry((registry) => {
          if (dhcpServerElement(registry, name) !== undefined) throw new CommandError("DHCP server already exists");
          apply(addDhcpServer(registry, name), parsed, registry);
        });
        return undefined;
      }
      case "modify": {
        const name = networkName(parsed);
        editRegistry((registry) => apply(existing(dhcpServerElement(registry, name)), parsed, registry));
        return undefined;
      }
      case "remove": {
        const name = networkName(parsed);
        editRegistry((registry) => removeDhcpServer(registry, existing(dhcpServerElement(registry, name))));
        await request(name, "stop", terminal);
        return undefined;
      }
      case "start":
      case "restart":
      case "stop": {
        const name = networkName(parsed);
        existing(dhcpServerElement(loadRegistry(), name));
        await request(name, verb === "stop" ? "stop" : "start", terminal);
        return undefined;
      }
      case "findlease": {
        const name = networkName(parsed);
        existing(dhcpServerElement(loadRegistry(), name));
        findLease(name, parsed.text("mac-address"), terminal);
        return undefined;
      }
      default:
        throw new UsageError(verb === undefined ? "No subcommand specified" : `Invalid subcommand: ${verb}`);
    }
  },
};
