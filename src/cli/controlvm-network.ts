/** controlvm's verbs for one network adapter of a running VM: link state, attachment, trace, port forwarding. */
import { resolve } from "node:path";
import {
  Adapter,
  attachmentModes,
  namedRule,
  parseForwarding,
  promiscuousPolicies,
} from "../config/network-settings.ts";
import { attachmentOf } from "../config/nic-attachments.ts";
import { ResultError } from "../config/result-codes.ts";
import { editVbox, loadVbox } from "../config/vbox-file.ts";
import type { ControlClient } from "../control/client.ts";
import { limits } from "../spec/machine-spec.ts";
import { CommandError, UsageError } from "./errors.ts";
import type { RunningMachine } from "./live-machine.ts";
import { parseOnOff } from "./options.ts";

/** `slot` counts from 0. */
type AdapterVerb = (
  client: ControlClient,
  slot: number,
  args: readonly string[],
  machine: RunningMachine,
) => Promise<void>;

const adapterVerbs: Readonly<Record<string, AdapterVerb>> = {
  natpf,
  setlinkstate: changing("setlinkstateN on|off", 1, (adapter, [word]) => {
    adapter.isCableConnected = onOff(word, "link state");
  }),
  nic: attach,
  nictrace: changing("nictraceN on|off", 1, (adapter, [word]) => {
    enabled(adapter, "its trace flag").setAttribute("trace", String(onOff(word, "nictrace argument")));
  }),
  nictracefile: changing("nictracefileN FILE", 1, (adapter, [path]) => {
    enabled(adapter, "its tracefile").setAttribute("tracefile", resolve(path));
  }),
  nicpromisc: changing("nicpromiscN deny|allow-vms|allow-all", 1, (adapter, [word]) => {
    if (!Object.hasOwn(promiscuousPolicies, word)) throw new CommandError(`Unknown promiscuous mode policy '${word}'`);
    const policy = promiscuousPolicies[word];
    enabled(adapter, "its promiscuous policy").setAttribute(
      "promiscuousModePolicy",
      policy === "Deny" ? undefined : policy,
    );
  }),
  nicproperty: changing("nicpropertyN NAME=[VALUE]", 1, (adapter, [text]) => {
    const equals = text.indexOf("=");
    if (equals <= 0) throw new UsageError(`Invalid argument '${text}': a property is NAME=[VALUE]`);
    enabled(adapter, "its generic property").setProperty(text.slice(0, equals), text.slice(equals + 1));
  }),
};

export const networkUsage: readonly string[] = [
  "VM setlinkstateN on|off",
  "VM nicN null|nat|natnetwork|intnet|hostonly|bridged|generic [NAME]",
  "VM nictraceN on|off",
  "VM nictracefileN FILE",
  "VM nicpropertyN NAME=[VALUE]",
  "VM nicpromiscN deny|allow-vms|allow-all",
  "VM natpfN [NAME],tcp|udp,[HOSTIP],HOSTPORT,[GUESTIP],GUESTPORT",
  "VM natpfN delete NAME",
];

/** The verb `word` of an adapter, ready to be called; undefined if it is none. Errors: there is no such adapter. */
export function adapterVerb(
  word: string,
): ((client: ControlClient, args: readonly string[], machine: RunningMachine) => Promise<void>) | undefined {
  const match = /^([a-z]+)([0-9]+)$/.exec(word);
  if (match === null || !Object.hasOwn(adapterVerbs, match[1])) return undefined;
  const number = Number(match[2]);
  const maximum = limits.nics.piix3;
  if (number < 1 || number > maximum)
    throw new ResultError(
      "E_INVALIDARG",
      "MachineWrap",
      `Invalid network adapter slot ${match[2]} in ${word} (must be in range [1, ${maximum}])`,
    );
  return (client, args, machine) => adapterVerbs[match[1]](client, number - 1, args, machine);
}

function onOff(word: string, what: string): boolean {
  const value = parseOnOff(word);
  if (value === undefined) throw new UsageError(`Invalid ${what} '${word}'`);
  return value;
}

function enabled(adapter: Adapter, what: string): Adapter {
  if (adapter.isEnabled) return adapter;
  throw new CommandError(`The NIC ${adapter.slot + 1} is currently disabled and thus can't change ${what}`);
}

/** A verb that changes the adapter's settings; the VM process then takes over what the file says. */
function changing(
  usage: string,
  count: number,
  change: (adapter: Adapter, args: readonly string[]) => void,
): AdapterVerb {
  return async (client, slot, args, { settingsPath }) => {
    if (args.length < count) throw new UsageError(`Missing argument: ${usage}`);
    if (args.length > count) throw new UsageError(`Invalid parameter '${args[count]}'`);
    await carryOut(client, slot, settingsPath, (adapter) => change(adapter, args));
  };
}

/** Stores what `change` does to the adapter and has the VM process take it over. What it cannot have is not stored. */
async function carryOut(
  client: ControlClient,
  slot: number,
  settingsPath: string,
  change: (adapter: Adapter) => void,
): Promise<void> {
  const before = editVbox(settingsPath, (vbox) => {
    change(new Adapter(vbox, slot));
    return new Adapter(loadVbox(settingsPath), slot);
  });
  try {
    await client.request("adapter", { slot });
  } catch (error) {
    editVbox(settingsPath, (vbox) => new Adapter(vbox, slot).become(before));
    throw error;
  }
}

/** `nicN ATTACHMENT [NAME]`: what cannot be had is not stored. */
async function attach(
  client: ControlClient,
  slot: number,
  args: readonly string[],
  { settingsPath }: RunningMachine,
): Promise<void> {
  const [typed, name, ...more] = args;
  if (typed === undefined)
    throw new UsageError(`Missing argument: nic${slot + 1} null|nat|natnetwork|intnet|generic [NAME]`);
  if (more.length > 0) throw new UsageError(`Invalid parameter '${more[0]}'`);
  const mode = attachmentModes.find(({ cli }) => cli === typed.toLowerCase());
  if (mode === undefined && typed.toLowerCase() !== "null")
    throw new UsageError(`Invalid type '${typed}' specified for NIC ${slot + 1}`);
  const change = (adapter: Adapter) => {
    enabled(adapter, "its attachment type").setMode(mode);
    if (mode !== undefined && name !== undefined) adapter.setModeName(mode, name);
  };
  const wanted = loadVbox(settingsPath);
  const adapter = new Adapter(wanted, slot);
  change(adapter);
  const attachment = attachmentOf(adapter, wanted.name);
  if (attachment.kind === "unavailable") throw new CommandError(`Cannot have ${attachment.why}`);
  await carryOut(client, slot, settingsPath, change);
}

/** Takes effect at once and is stored; what cannot be had is not stored. */
async function natpf(
  client: ControlClient,
  slot: number,
  args: readonly string[],
  { settingsPath }: RunningMachine,
): Promise<void> {
  const [first, name, ...more] = args;
  if (first === undefined || (first === "delete" && name === undefined))
    throw new UsageError(`Missing argument: natpf${slot + 1} RULE | delete NAME`);
  const left = first === "delete" ? more : args.slice(1);
  if (left.length > 0) throw new UsageError(`Invalid parameter '${left[0]}'`);
  if (first === "delete") {
    // Refused before anything happens if there is none.
    new Adapter(loadVbox(settingsPath), slot).removeForwarding(name);
    await client.request("natpf", { slot, remove: name });
    editVbox(settingsPath, (vbox) => new Adapter(vbox, slot).removeForwarding(name));
    return;
  }
  const typed = parseForwarding(first);
  if (typed === undefined)
    throw new CommandError(`Invalid argument '${first}': a rule is name,tcp|udp,hostip,hostport,guestip,guestport`);
  const rule = namedRule(typed);
  new Adapter(loadVbox(settingsPath), slot).addForwarding(rule);
  await client.request("natpf", { slot, add: rule });
  editVbox(settingsPath, (vbox) => new Adapter(vbox, slot).addForwarding(rule));
}
