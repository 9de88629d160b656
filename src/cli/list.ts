/** list: VMs, media, OS types, properties. Several lists may be asked for at once with --multiple. */

import { type FoundMachine, registeredMachines } from "../config/machine-lookup.ts";
import { MediaIndex, type MediumKind } from "../config/media-registry.ts";
import { osTypes } from "../config/os-types.ts";
import { ResultError } from "../config/result-codes.ts";
import type { Command, Terminal } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { currentState, liveStatusOf } from "./live-machine.ts";
import { option, parseArguments } from "./options.ts";

interface ListOptions {
  readonly isLong: boolean;
  readonly isSorted: boolean;
}

type Lister = (terminal: Terminal, options: ListOptions) => void | Promise<void>;

const host = (text: (module: typeof import("./host-lists.ts")) => string): Lister => {
  return async (terminal) => terminal.out(text(await import("./host-lists.ts")));
};

const lists: Record<string, Lister> = {
  vms: (terminal, options) => listMachines(terminal, options),
  runningvms: (terminal, options) => listMachines(terminal, options, isRunning),
  ostypes: listOsTypes,
  systemproperties: async (terminal) => {
    const { systemProperties } = await import("./system-properties.ts");
    terminal.out(systemProperties());
  },
  hdds: (terminal, options) => listMedia(terminal, options, "hdd"),
  dvds: (terminal, options) => listMedia(terminal, options, "dvd"),
  floppies: (terminal, options) => listMedia(terminal, options, "floppy"),
  hddbackends: (terminal) => {
    terminal.out(
      "Supported hard disk backends:\n\n" +
        "Backend 0: id='VDI' description='VDI' capabilities=0x067 extensions='vdi (HardDisk)' properties=()\n" +
        "Backend 1: id='RAW' description='RAW' capabilities=0x023 extensions='iso (DVD), img (Floppy)' properties=()\n",
    );
  },
  groups: (terminal) => {
    const groups = new Set(["/"]);
    for (const { settings } of registeredMachines()) {
      if (!(settings instanceof ResultError)) for (const group of settings.groups) groups.add(group);
    }
    terminal.out([...groups].map((group) => `"${group}"\n`).join(""));
  },
  hostinfo: async (terminal) => {
    const { hostInfo } = await import("./system-properties.ts");
    terminal.out(hostInfo());
  },
  bridgedifs: host(({ bridgedInterfaces }) => bridgedInterfaces()),
  hostifs: host(({ bridgedInterfaces }) => bridgedInterfaces()),
  hostonlyifs: host(({ hostOnlyInterfaces }) => hostOnlyInterfaces()),
  hostonlynets: () => {},
  dhcpservers: host(({ dhcpServers }) => dhcpServers()),
  natnetworks: host(({ natNetworks }) => natNetworks()),
  natnets: host(({ natNetworks }) => natNetworks()),
  intnets: host(({ internalNetworks }) => internalNetworks()),
  hostdvds: host(({ hostDrives }) => hostDrives("dvd")),
  hostfloppies: host(({ hostDrives }) => hostDrives("floppy")),
  usbhost: (terminal) => terminal.out("Host USB Devices:\n\n<none>\n\n"),
  usbfilters: (terminal) => terminal.out("Global USB Device Filters:\n\n<none>\n\n"),
  webcams: (terminal) => terminal.out("Video Input Devices: 0\n"),
  cloudproviders: (terminal) => terminal.out("Supported Cloud Providers:\n\n"),
  extpacks: (terminal) => terminal.out("Extension Packs: 0\n"),
};

/** Lists of VBoxManage that there is nothing for yet. */
const unavailable = "cloudnets cloudprofiles cpu-profiles hostcpuids hostdrives screenshotformats".split(" ");

export const command: Command = {
  usage: [`[--long] [--sorted] [--multiple] ${Object.keys(lists).join("|")}`],
  about: "Prints a list. --long says more about each entry, --sorted orders VMs by name.",
  async run(args, terminal) {
    const { options, positionals } = parseArguments(args, [
      option("long l", "switch"),
      option("sorted sort s", "switch"),
      option("multiple m", "switch"),
      option("platform-arch", "text"),
    ]);
    const has = (name: string) => options.some((one) => one.name === name);
    if (positionals.length === 0) throw new UsageError('Missing subcommand for "list" command');
    if (positionals.length > 1 && !has("multiple")) throw new UsageError(`Invalid parameter '${positionals[1]}'`);
    const names = positionals.map((name) => name.toLowerCase());
    for (const name of names) {
      if (unavailable.includes(name))
        throw new CommandError(`'list ${name}' is not available in this version of Anneau`);
      if (!Object.hasOwn(lists, name)) throw new UsageError(`Invalid parameter '${name}'`);
    }
    for (const name of names) {
      if (has("multiple")) terminal.out(`[${name}]\n`);
      await lists[name](terminal, { isLong: has("long"), isSorted: has("sorted") });
    }
    return undefined;
  },
};

/** VirtualBox's meaning: runs or is paused; a machine in guru meditation has a process, but does not run. */
async function isRunning({ entry, settings }: FoundMachine): Promise<boolean> {
  const { state } =
    settings instanceof ResultError ? ((await liveStatusOf(entry.uuid)) ?? {}) : await currentState(settings);
  return state === "running" || state === "paused";
}

async function listMachines(
  terminal: Terminal,
  { isLong, isSorted }: ListOptions,
  isWanted?: (machine: FoundMachine) => Promise<boolean>,
): Promise<void> {
  const all = registeredMachines();
  const wanted = isWanted && (await Promise.all(all.map(isWanted)));
  const machines = wanted ? all.filter((_, i) => wanted[i]) : all;
  const nameOf = ({ settings }: FoundMachine) => (settings instanceof ResultError ? "<inaccessible>" : settings.name);
  if (isSorted) machines.sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
  for (const machine of machines) {
    const { entry, settings } = machine;
    if (!isLong) terminal.out(`"${nameOf(machine)}" {${entry.uuid}}\n`);
    else if (settings instanceof ResultError) {
      terminal.out(`${"Name:".padEnd(28)} <inaccessible>\n${"UUID:".padEnd(28)} ${entry.uuid}\n\n`);
    } else {
      const { machineReport } = await import("./vminfo/whole.ts");
      const { state, live } = await currentState(settings);
      terminal.out(`${machineReport(settings, state, live, false)}\n`);
    }
  }
}

function listOsTypes(terminal: Terminal): void {
  const blocks = osTypes.map(
    ({ id, description, familyId, familyDescription, is64Bit }) =>
      `ID:          ${id}\nDescription: ${description}\nFamily ID:   ${familyId}\nFamily Desc: ${familyDescription}\n64 bit:      ${is64Bit}\n\n`,
  );
  terminal.out(blocks.join(""));
}

async function listMedia(terminal: Terminal, { isLong }: ListOptions, kind: MediumKind): Promise<void> {
  const { mediumReport } = await import("./medium-report.ts");
  const index = new MediaIndex();
  for (const medium of index.ofKind(kind)) terminal.out(`${mediumReport(medium, index, isLong)}\n`);
}
