/** controlvm's verbs for one network adapter of a running VM: `natpfN` … */
import { Adapter, namedRule, parseForwarding } from "../config/network-settings.ts";
import { ResultError } from "../config/result-codes.ts";
import { editVbox, loadVbox } from "../config/vbox-file.ts";
import type { ControlClient } from "../control/client.ts";
import { limits } from "../spec/machine-spec.ts";
import { CommandError, UsageError } from "./errors.ts";
import type { RunningMachine } from "./live-machine.ts";

/** `slot` counts from 0. */
type AdapterVerb = (
  client: ControlClient,
  slot: number,
  args: readonly string[],
  machine: RunningMachine,
) => Promise<void>;

const adapterVerbs: Readonly<Record<string, AdapterVerb>> = { natpf };

export const networkUsage: readonly string[] = [
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
