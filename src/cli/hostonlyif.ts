/**
 * hostonlyif: interfaces of the host for host-only networks. They need VirtualBox's kernel driver or a TAP device, which a program
 * without native code cannot open: `create` says so in the words that clients look for, and there is none to configure or remove.
 */
import { ResultError } from "../config/result-codes.ts";
import { type Command, onlyOne, type Terminal } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option, parseArguments } from "./options.ts";
import { withProgress } from "./progress.ts";

const ipconfigOptions = [
  option("dhcp", "switch"),
  option("ip", "text"),
  option("netmask", "text"),
  option("ipv6", "text"),
  option("netmasklengthv6", "integer"),
];

export const command: Command = {
  usage: ["create", "remove NAME", "ipconfig NAME --dhcp|--ip A [--netmask M]|--ipv6 A [--netmasklengthv6 N]"],
  about: "Interfaces of the host for host-only networks. There are none: they need a driver in the host's kernel.",
  run(args, terminal) {
    const [verb, ...rest] = args;
    switch (verb) {
      case "create":
        parseArguments(rest, [option("machinereadable", "switch")]);
        return create(terminal);
      case "remove":
        throw unknown(onlyOne(parseArguments(rest, []).positionals, "Host interface name"));
      case "ipconfig":
        throw unknown(onlyOne(parseArguments(rest, ipconfigOptions).positionals, "Host interface name"));
      default:
        throw new UsageError(verb === undefined ? "No subcommand specified" : `Invalid subcommand: ${verb}`);
    }
  },
};

function create(terminal: Terminal): Promise<undefined> {
  return withProgress(terminal, "Creating the host-only interface", () => {
    const why = "there is no driver for it (modifyvm --nic1 natnetwork and intnet need none)";
    throw new ResultError(
      "NS_ERROR_FAILURE",
      "HostNetworkInterfaceWrap",
      `Failed to create the host-only adapter: failed to open /dev/vboxnetctl: ${why}`,
    );
  });
}

function unknown(name: string): ResultError {
  return new ResultError("E_INVALIDARG", "HostWrap", `The host network interface named '${name}' could not be found`);
}
