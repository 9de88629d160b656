/**
 * hostonlyif: interfaces of the host for host-only networks: TAP devices called vboxnet0, vboxnet1 … Who may change the host's interfaces makes,
 * configures and removes them here; everybody else takes those that root has made for him, and is told what root types for others.
 * Those that are taken have VirtualBox's keys in the registry's extra data.
 */
import { isIPv6 } from "node:net";
import { AnneauError } from "../base/errors.ts";
import { editRegistry } from "../config/registry.ts";
import { type ResultCode, ResultError } from "../config/result-codes.ts";
import {
  defaultHostOnlyAddress,
  hostOnlyDevices,
  interfaceNames,
  makingCommands,
  mayConfigureInterfaces,
  mayOpenTap,
  type TapDevice,
} from "../config/tap-devices.ts";
import { extraDataIn, setExtraDataIn } from "../config/vbox-file.ts";
import type { XmlElement } from "../config/xml.ts";
import { parseIpv4 } from "../net/address.ts";
import { type Command, noneLeft, onlyOne, type Terminal } from "./command.ts";
import { UsageError } from "./errors.ts";
import { hostAddresses, maskOf, runIp } from "./host-addresses.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";
import { withProgress } from "./progress.ts";

const MAX_INTERFACES = 200;
const DEFAULT_MASK = "255.255.255.0";
const DEFAULT_IPV6_PREFIX = 64;
const ipconfigOptions = [
  option("dhcp", "switch"),
  option("ip", "text"),
  option("netmask", "text"),
  option("ipv6", "text"),
  option("netmasklengthv6", "integer"),
];

export const command: Command = {
  usage: [
    "create [--machinereadable]",
    "remove NAME",
    "ipconfig NAME --dhcp|--ip A [--netmask M]|--ipv6 A [--netmasklengthv6 N]",
  ],
  about:
    "Interfaces of the host for host-only networks: TAP devices called vboxnet0, vboxnet1 … `create` takes one that root has made for you, or makes " +
    "one if you may; else it says what root types.",
  run(args, terminal) {
    const [verb, ...rest] = args;
    switch (verb) {
      case "create": {
        const parsed = parseArguments(rest, [option("machinereadable", "switch")]);
        noneLeft(parsed.positionals);
        return create(parsed.has("machinereadable"), terminal);
      }
      case "remove":
        return remove(existing(onlyOne(parseArguments(rest, []).positionals, "Host interface name")), terminal);
      case "ipconfig": {
        const parsed = parseArguments(rest, ipconfigOptions);
        configure(onlyOne(parsed.positionals, "Host interface name"), parsed);
        return undefined;
      }
      default:
        throw new UsageError(verb === undefined ? "No subcommand specified" : `Invalid subcommand: ${verb}`);
    }
  },
};

async function create(isMachineReadable: boolean, terminal: Terminal): Promise<undefined> {
  const name = await withProgress(terminal, "Creating the host-only interface", () => {
    // Under the registry's lock: no two get the same one.
    return editRegistry(({ global }) => {
      const made = takeExisting(global) ?? makeNew();
      forget(global, made);
      remember(global, made);
      return made;
    });
  });
  terminal.out(isMachineReadable ? `${name}\n` : `Interface '${name}' was successfully created\n`);
  return undefined;
}

/** One that is the user's and that no `create` has given out yet. */
function takeExisting(global: XmlElement): string | undefined {
  const uid = process.geteuid?.();
  return hostOnlyDevices().find(({ name, owner }) => owner === uid && !isTaken(global, name))?.name;
}

function makeNew(): string {
  const failure = (why: string, cause?: unknown) =>
    // Clients know by this path that there are no host-only interfaces to be had.
    new ResultError(
      "NS_ERROR_FAILURE",
      "HostNetworkInterfaceWrap",
      `Failed to create the host-only adapter: failed to open /dev/vboxnetctl: ${why}`,
      { cause },
    );
  const present = new Set(interfaceNames());
  const name = Array.from({ length: MAX_INTERFACES }, (_, i) => `vboxnet${i}`).find((one) => !present.has(one));
  if (name === undefined) throw failure(`there are ${MAX_INTERFACES} already`);
  const address = defaultHostOnlyAddress(name) as string;
  const remedy = `as root type: ${makingCommands(name, address)}`;
  if (process.platform !== "linux") throw failure("they are TAP devices, which there are on Linux hosts only");
  if (!mayConfigureInterfaces()) throw failure(`you may not make a TAP device; ${remedy}`);
  try {
    runIp("tuntap", "add", "dev", name, "mode", "tap", "user", String(process.geteuid?.() ?? 0));
  } catch (error) {
    throw failure(`${(error as Error).message}; ${remedy}`, error);
  }
  try {
    runIp("address", "add", address, "dev", name);
    runIp("link", "set", name, "up");
  } catch (error) {
    runIp("tuntap", "del", "dev", name, "mode", "tap");
    throw failure((error as Error).message, error);
  }
  return name;
}

function existing(name: string): TapDevice {
  const device = hostOnlyDevices().find((one) => one.name === name);
  if (device !== undefined) return device;
  throw refusal("E_INVALIDARG", `The host network interface named '${name}' could not be found`);
}

function refusal(code: ResultCode, message: string, cause?: unknown): ResultError {
  return new ResultError(code, "HostWrap", message, { cause });
}

function remove(device: TapDevice, terminal: Terminal): Promise<undefined> {
  const { name } = device;
  return withProgress(terminal, "Removing the host-only interface", () => {
    // The kernel lets its owner do that.
    change(`Cannot remove '${name}'`, [["tuntap", "del", "dev", name, "mode", "tap"]], mayOpenTap(device));
    editRegistry(({ global }) => forget(global, name));
    return undefined;
  });
}

/** Runs `ip` with each of `commands`, or says that root has to. */
function change(what: string, commands: readonly string[][], isAllowed: boolean): void {
  const typed = commands.map((args) => `ip ${args.join(" ")}`).join(" && ");
  if (!isAllowed) throw refusal("E_ACCESSDENIED", `${what}: as root type: ${typed}`);
  try {
    for (const args of commands) runIp(...args);
  } catch (error) {
    if (!(error instanceof AnneauError)) throw error;
    throw refusal("NS_ERROR_FAILURE", `${what}: ${error.message}; as root type: ${typed}`, error);
  }
}

/** What is so already needs nobody's permission. */
function configure(name: string, parsed: ParsedArguments): void {
  const wanted = [parsed.has("dhcp"), parsed.has("ip"), parsed.has("ipv6")].filter((is) => is).length;
  if (wanted === 0) throw new UsageError("Missing option: --dhcp, --ip or --ipv6");
  if (wanted > 1) throw new UsageError("You can only use one of --dhcp, --ip and --ipv6");
  existing(name);
  if (parsed.has("dhcp"))
    throw refusal("NS_ERROR_FAILURE", `Cannot configure '${name}' by DHCP: there is no client for it (--ip A works)`);
  const { address, prefixLength, isIpv6 } = parsed.has("ip") ? ipv4Of(parsed) : ipv6Of(parsed);
  const family = isIpv6 ? "-6" : "-4";
  const present = (hostAddresses().get(name) ?? []).filter((one) => one.isIpv6 === isIpv6);
  if (!present.some((one) => one.address === address && one.prefixLength === prefixLength)) {
    const commands = [
      [family, "address", "flush", "dev", name, "scope", "global"],
      [family, "address", "add", `${address}/${prefixLength}`, "dev", name],
      ["link", "set", name, "up"],
    ];
    change(`Cannot configure '${name}'`, commands, mayConfigureInterfaces());
  }
  editRegistry(({ global }) => {
    setExtraDataIn(global, key(name, isIpv6 ? "IPV6Address" : "IPAddress"), address);
    setExtraDataIn(
      global,
      key(name, isIpv6 ? "IPV6NetMask" : "IPNetMask"),
      isIpv6 ? String(prefixLength) : maskOf(prefixLength),
    );
  });
}

function ipv4Of(parsed: ParsedArguments) {
  if (parsed.has("netmasklengthv6")) throw new UsageError("Option '--netmasklengthv6' needs --ipv6");
  const [address, mask] = [parsed.text("ip") ?? "", parsed.text("netmask") ?? DEFAULT_MASK];
  const bits = parseIpv4(mask);
  const prefixLength = bits === undefined ? 0 : Math.clz32(~bits);
  if (parseIpv4(address) === undefined) throw refusal("E_INVALIDARG", `Invalid IP address: '${address}'`);
  if (prefixLength === 0 || maskOf(prefixLength) !== mask)
    throw refusal("E_INVALIDARG", `Invalid network mask: '${mask}'`);
  return { address, prefixLength, isIpv6: false };
}

function ipv6Of(parsed: ParsedArguments) {
  if (parsed.has("netmask")) throw new UsageError("Option '--netmask' needs --ip");
  const [typed, length] = [parsed.text("ipv6") ?? "", parsed.text("netmasklengthv6") ?? String(DEFAULT_IPV6_PREFIX)];
  const prefixLength = Number(length);
  if (!isIPv6(typed) || typed.includes("%")) throw refusal("E_INVALIDARG", `Invalid IPv6 address: '${typed}'`);
  if (prefixLength < 1 || prefixLength > 128) throw refusal("E_INVALIDARG", `Invalid IPv6 prefix length: '${length}'`);
  // One spelling, that of `ip` and of WHATWG URLs.
  const address = new URL(`http://[${typed}]/`).hostname.slice(1, -1);
  return { address, prefixLength, isIpv6: true };
}

// --- the registry ---

const key = (name: string, what: string) => `HostOnly/${name}/${what}`;

/** A key of a device that has gone since counts for nothing. */
function isTaken(global: XmlElement, name: string): boolean {
  return extraDataIn(global, key(name, "IPAddress")) !== undefined;
}

function remember(global: XmlElement, name: string): void {
  const found = (hostAddresses().get(name) ?? []).find(({ isIpv6 }) => !isIpv6);
  setExtraDataIn(global, key(name, "IPAddress"), found?.address ?? "0.0.0.0");
  setExtraDataIn(global, key(name, "IPNetMask"), maskOf(found?.prefixLength ?? 0));
}

function forget(global: XmlElement, name: string): void {
  for (const what of ["IPAddress", "IPNetMask", "IPV6Address", "IPV6NetMask"])
    setExtraDataIn(global, key(name, what), undefined);
}
