/** modifyvm: network adapters and their NAT engines. */
import { settings } from "../../config/machine-settings.ts";
import {
  Adapter,
  attachmentModes,
  newMacAddress,
  nicTypes,
  parseForwarding,
  promiscuousPolicies,
} from "../../config/network-settings.ts";
import { ensure } from "../../config/settings-file.ts";
import type { VboxFile } from "../../config/vbox-file.ts";
import { limits, nicModels } from "../../spec/machine-spec.ts";
import { CommandError, UsageError } from "../errors.ts";
import { type ParsedOption, parseOnOff, type ValueKind } from "../options.ts";
import { custom, inGroup, invalid, invalidArgument, type ModifyOption, type OptionStatus } from "./option.ts";

const slots = limits.nics.ich9;

interface AdapterDetails {
  readonly status?: OptionStatus;
  readonly note?: string;
  readonly more?: (first: string) => number;
  readonly example: readonly string[];
}

function adapterOption(
  names: string,
  kind: ValueKind,
  apply: (adapter: Adapter, value: string, option: ParsedOption) => void,
  details: AdapterDetails,
): Omit<ModifyOption, "group"> {
  return custom(names, kind, (vbox, option) => apply(adapterOf(vbox, option), option.values[0], option), {
    slots,
    ...details,
  });
}

function adapterOf(vbox: VboxFile, option: ParsedOption): Adapter {
  const maximum = limits.nics[vbox.get(settings.chipset) as "piix3" | "ich9"];
  if (option.slot > maximum) {
    throw invalid(`Invalid network adapter slot ${option.slot} in ${option.typed} (must be in range [1, ${maximum}])`);
  }
  return new Adapter(vbox, option.slot - 1);
}

const modeOf = (cli: string) => attachmentModes.find((mode) => mode.cli === cli) ?? attachmentModes[0];

/** Options that name the network or interface of one attachment. */
function nameOption(
  names: string,
  cli: string,
  example: string,
  status: OptionStatus = "stored",
  more = "",
): Omit<ModifyOption, "group"> {
  return adapterOption(
    names,
    "text",
    (adapter, value) => adapter.setModeName(modeOf(cli), value === "none" ? "" : value),
    {
      status,
      note: `used when the adapter is attached to \`${cli}\`${more}`,
      example: [example],
    },
  );
}

/** `on|off` of the NAT engine: element below NAT, attribute, value when absent. */
function natFlag(
  names: string,
  path: string,
  attribute: string,
  details: Partial<AdapterDetails> = {},
): Omit<ModifyOption, "group"> {
  return adapterOption(
    names,
    "onoff",
    (adapter, value) => adapter.setNatValue(path, attribute, String(parseOnOff(value))),
    { example: ["on"], ...details },
  );
}

function natText(names: string, path: string, attribute: string, details: AdapterDetails): Omit<ModifyOption, "group"> {
  return adapterOption(
    names,
    "text",
    (adapter, value) => adapter.setNatValue(path, attribute, value || undefined),
    details,
  );
}

export const networkOptions = inGroup("Network", [
  adapterOption("nic", "text", setAttachment, {
    status: "works",
    example: ["nat"],
    note: "`nat`, `natnetwork`, `intnet`, `generic` (`UDPTunnel`), `null` and `none`; `hostonly` and `bridged` with a TAP device of the host ([network.md](network.md)); the others refuse to start",
  }),
  adapterOption("nic-type nictype", "text", setType, {
    status: "works",
    example: ["Am79C973"],
    note: `${nicModels.join(", ")}; other cards are missing in the guest`,
  }),
  adapterOption(
    "cable-connected cableconnected",
    "onoff",
    (adapter, value) => (adapter.isCableConnected = parseOnOff(value) === true),
    { status: "works", example: ["off"] },
  ),
  adapterOption("mac-address macaddress", "text", setMacAddress, { status: "works", example: ["080027ABCDEF"] }),
  adapterOption(
    "nic-speed nicspeed",
    "integer",
    (adapter, value) => adapter.setAttribute("speed", String(inRange(value, 0, 10_000_000, "--nic-speed"))),
    { status: "stored", example: ["100000"] },
  ),
  adapterOption(
    "nic-boot-prio nicbootprio",
    "integer",
    (adapter, value) => adapter.setAttribute("bootPriority", String(inRange(value, 0, 4, "boot priority"))),
    { example: ["1"] },
  ),
  adapterOption(
    "nic-promisc nicpromisc",
    "text",
    (adapter, value, option) => {
      if (!Object.hasOwn(promiscuousPolicies, value))
        throw new CommandError(`Unknown promiscuous mode policy '${value}'`);
      const policy = promiscuousPolicies[option.values[0]];
      adapter.setAttribute("promiscuousModePolicy", policy === "Deny" ? undefined : policy);
    },
    {
      status: "works",
      example: ["allow-vms"],
      note: "on internal networks, where `allow-vms` and `allow-all` are the same, host-only networks and bridges",
    },
  ),
  adapterOption(
    "nic-bandwidth-group nicbandwidthgroup",
    "text",
    (adapter, value) => adapter.setAttribute("bandwidthGroup", value === "none" ? undefined : value),
    { status: "warned", example: ["Limit"] },
  ),
  adapterOption(
    "nic-trace nictrace",
    "onoff",
    (adapter, value) => adapter.setAttribute("trace", String(parseOnOff(value))),
    { status: "works", example: ["on"] },
  ),
  adapterOption("nic-trace-file nictracefile", "text", (adapter, value) => adapter.setAttribute("tracefile", value), {
    status: "works",
    example: ["/tmp/nic1.pcap"],
  }),
  adapterOption("nic-property nicproperty", "text", setProperty, { status: "works", example: ["dest=10.0.0.1"] }),
  nameOption("bridge-adapter bridgeadapter", "bridged", "tap0", "works", "; the name of a TAP device"),
  nameOption("host-only-adapter hostonlyadapter", "hostonly", "vboxnet0", "works", "; the name of a TAP device"),
  nameOption("host-only-net hostonlynet hostonly-net", "hostonlynet", "hostonly"),
  nameOption("intnet", "intnet", "lan", "works"),
  nameOption("nat-network natnetwork", "natnetwork", "NatNetwork", "works"),
  nameOption("cloud-network cloudnetwork", "cloud", "cloud"),
  nameOption("nic-generic-drv nicgenericdrv", "generic", "UDPTunnel", "works"),
]);

export const natOptions = inGroup("NAT", [
  adapterOption("nat-net natnet", "text", setNatNetwork, { status: "works", example: ["10.0.9.0/24"] }),
  natText("nat-bind-ip natbindip", "", "hostip", { status: "works", example: ["127.0.0.1"] }),
  adapterOption("nat-settings natsettings", "text", setNatSettings, {
    status: "works",
    example: ["1500,64,64,64,64"],
  }),
  adapterOption("nat-pf natpf", "text", setForwarding, {
    status: "works",
    more: (first) => (first === "delete" ? 1 : 0),
    example: ["ssh,tcp,127.0.0.1,2222,,22"],
  }),
  adapterOption("nat-alias-mode nataliasmode", "text", setAliasMode, { status: "stored", example: ["log,sameports"] }),
  natText("nat-tftp-prefix nattftpprefix", "TFTP", "prefix", { status: "works", example: ["/srv/tftp"] }),
  natText("nat-tftp-file nattftpfile", "TFTP", "boot-file", { status: "works", example: ["boot.pxe"] }),
  natText("nat-tftp-server nattftpserver", "TFTP", "next-server", { status: "works", example: ["10.0.2.4"] }),
  natFlag("nat-dns-pass-domain natdnspassdomain", "DNS", "pass-domain", { status: "works", example: ["off"] }),
  natFlag("nat-dns-proxy natdnsproxy", "DNS", "use-proxy", { status: "works" }),
  natFlag("nat-dns-host-resolver natdnshostresolver", "DNS", "use-host-resolver", { status: "works" }),
  natFlag("nat-localhostreachable natlocalhostreachable nat-localhost-reachable", "", "localhost-reachable", {
    status: "works",
  }),
]);

function setAttachment(adapter: Adapter, value: string): void {
  const typed = value.toLowerCase();
  if (typed === "none") {
    adapter.isEnabled = false;
    return;
  }
  const mode = attachmentModes.find(({ cli }) => cli === typed);
  if (mode === undefined && typed !== "null") {
    throw new CommandError(`Invalid type '${value}' specified for NIC ${adapter.slot + 1}`);
  }
  adapter.isEnabled = true;
  adapter.setMode(mode);
  if (mode?.cli === "intnet" && adapter.modeName(mode) === "") adapter.setModeName(mode, "intnet");
}

function setType(adapter: Adapter, value: string): void {
  const type = nicTypes.find((known) => known.toLowerCase() === value.toLowerCase());
  if (type === undefined) {
    throw new CommandError(`Invalid NIC type '${value}' specified for NIC ${adapter.slot + 1}`);
  }
  adapter.type = type;
}

function setMacAddress(adapter: Adapter, value: string): void {
  if (value.toLowerCase() === "auto") {
    adapter.macAddress = newMacAddress();
    return;
  }
  const digits = value.replace(/[:-]/g, "").toUpperCase();
  if (!/^[0-9A-F]{12}$/.test(digits)) throw invalid("Invalid MAC address format");
  // Bit 0 of the first byte marks a group address, which no card has.
  if (Number.parseInt(digits.slice(0, 2), 16) & 1) throw invalid("Invalid MAC address: it is a multicast address");
  adapter.macAddress = digits;
}

function inRange(value: string, min: number, max: number, what: string): number {
  const number = Number(value);
  if (number >= min && number <= max) return number;
  throw invalid(`Invalid ${what} value: ${value} (must be in range [${min}, ${max}])`);
}

function setProperty(adapter: Adapter, value: string, option: ParsedOption): void {
  const equals = value.indexOf("=");
  if (equals <= 0) throw new UsageError(`Invalid argument format for option '${option.typed}': '${value}'`);
  adapter.setProperty(value.slice(0, equals), value.slice(equals + 1));
}

function setNatNetwork(adapter: Adapter, value: string, option: ParsedOption): void {
  if (value === "default") adapter.setNatValue("", "network", undefined);
  else if (/^([0-9]{1,3}\.){3}[0-9]{1,3}(\/[0-9]{1,2})?$/.test(value)) adapter.setNatValue("", "network", value);
  else throw invalidArgument(option);
}

function setNatSettings(adapter: Adapter, value: string, option: ParsedOption): void {
  const fields = value.split(",");
  if (fields.length !== 5 || !fields.every((field) => /^[0-9]{0,6}$/.test(field))) throw invalidArgument(option);
  const names = ["mtu", "socksnd", "sockrcv", "tcpsnd", "tcprcv"];
  for (const [at, name] of names.entries())
    if (fields[at] !== "") adapter.setNatValue("", name, String(Number(fields[at])));
}

function setForwarding(adapter: Adapter, value: string, option: ParsedOption): void {
  if (value === "delete") {
    adapter.removeForwarding(option.values[1]);
    return;
  }
  const rule = parseForwarding(value);
  if (rule === undefined)
    throw new CommandError(`Invalid argument '${value}': a rule is name,tcp|udp,hostip,hostport,guestip,guestport`);
  adapter.addForwarding(rule);
}

function setAliasMode(adapter: Adapter, value: string, option: ParsedOption): void {
  const words = value === "default" ? [] : value.split(",");
  if (!words.every((word) => /^(log|proxyonly|sameports)$/.test(word))) throw invalidArgument(option);
  const alias = ensure(adapter.ensureNat(), "Alias");
  alias.set("logging", String(words.includes("log")));
  alias.set("proxy-only", String(words.includes("proxyonly")));
  alias.set("use-same-ports", String(words.includes("sameports")));
}
