/** controlvm: what can be done to a running VM. */
import { closeSync, openSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setBalloon } from "../config/balloon.ts";
import { sessionOf } from "../config/machine-session.ts";
import { settings } from "../config/machine-settings.ts";
import { fileError, ResultError } from "../config/result-codes.ts";
import { editVbox, type VboxFile } from "../config/vbox-file.ts";
import { isPortList, setVrdeProperty } from "../config/vrde-settings.ts";
import type { ControlClient } from "../control/client.ts";
import { untypable } from "../display/us-keyboard.ts";
import { limits } from "../spec/machine-spec.ts";
import type { Command, Terminal } from "./command.ts";
import { adapterVerb, networkUsage } from "./controlvm-network.ts";
import { CommandError, UsageError } from "./errors.ts";
import { asResultError, connect, findRunning, type RunningMachine, requestPatienceMs } from "./live-machine.ts";
import { parseOnOff } from "./options.ts";
import { withProgress } from "./progress.ts";

type Verb = (
  client: ControlClient,
  args: readonly string[],
  terminal: Terminal,
  machine: RunningMachine,
) => Promise<void>;

const powerOffPatienceMs = 60_000;
/** What a line of a guest's keyboard buffer takes; longer texts go in pieces. */
const textPieceLength = 500;
/** What keyboardputfile types at most. */
const maxTypedBytes = 65_536;

const verbs: Readonly<Record<string, Verb>> = {
  poweroff: (client, args, terminal, { settingsPath }) => {
    none(args);
    return withProgress(terminal, "Powering off", async () => {
      await client.request("poweroff", {}, powerOffPatienceMs);
      // Whoever comes next finds the VM off and unlocked.
      for (let waitedMs = 0; sessionOf(settingsPath).kind === "alive" && waitedMs < 10_000; waitedMs += 10)
        await sleep(10);
    });
  },
  reset: simple("reset"),
  pause: simple("pause"),
  resume: async (client, args) => {
    // `--type` chose a front end once; there is nothing to choose.
    if (!(args.length === 2 && args[0] === "--type")) none(args);
    await client.request("resume", {});
  },
  acpipowerbutton: simple("acpipowerbutton"),
  acpisleepbutton: simple("acpisleepbutton"),
  cpuexecutioncap: async (client, args, _terminal, machine) => {
    const [text] = exactly(args, 1, "cpuexecutioncap PERCENT");
    const percent = wholeNumber(
      text,
      1,
      100,
      (value) => `Invalid CPU execution cap value: ${value} (must be in range [1, 100])`,
    );
    await client.request("cpuexecutioncap", { percent });
    keep(machine, (vbox) => vbox.set(settings.cpuExecutionCap, percent));
  },
  "vm-process-priority": async (client, args, _terminal, machine) => {
    const [text] = exactly(args, 1, "vm-process-priority default|flat|low|normal|high");
    const priority = settings.processPriority.choices?.find(({ value }) => value === text.toLowerCase())?.value;
    if (priority === undefined) throw new CommandError(`Invalid vm-process-priority '${text}'`);
    await client.request("processpriority", { priority });
    keep(machine, (vbox) => vbox.set(settings.processPriority, priority));
  },
  guestmemoryballoon: async (_client, args, terminal, machine) => {
    const [text] = exactly(args, 1, "guestmemoryballoon MEGABYTES");
    const { max } = limits.ramMiB;
    const sizeMiB = wholeNumber(text, 0, max, (value) => `Invalid guest memory balloon size: ${value} MB`);
    keep(machine, (vbox) => setBalloon(vbox, sizeMiB));
    if (sizeMiB > 0) terminal.warn(`'${machine.name}': not carried out: the memory balloon`);
  },
  // Without an agent in the guest these are what a person at the machine would press.
  shutdown: async (client, args) => {
    none(args.filter((argument) => argument !== "--force"));
    await client.request("acpipowerbutton", {});
  },
  reboot: async (client, args) => {
    none(args.filter((argument) => argument !== "--force"));
    await client.request("keyboardputscancode", { bytes: ctrlAltDelete });
  },
  keyboardputscancode: async (client, args) => {
    const words = args.flatMap((argument) => argument.split(/\s+/)).filter((word) => word !== "");
    if (words.length === 0) throw new UsageError("Missing argument: keyboardputscancode HH [HH ...]");
    const bytes = words.map((word) => {
      if (!/^[0-9a-fA-F]{2}$/.test(word)) throw new CommandError(`'${word}' is not a hex byte`);
      return Number.parseInt(word, 16);
    });
    await client.request("keyboardputscancode", { bytes });
  },
  keyboardputstring: async (client, args, terminal) => {
    if (args.length === 0) throw new UsageError("Missing argument: keyboardputstring TEXT [TEXT ...]");
    for (const text of args) await type(client, text, terminal);
  },
  keyboardputfile: async (client, args, terminal) => {
    const [path] = exactly(args, 1, "FILE");
    await type(client, readText(path), terminal);
  },
  audioout: async (client, args, _terminal, vbox) => {
    const isOn = onOrOff(args, "audioout");
    await client.request("audioout", { isOn });
    keep(vbox, (file) => file.set(settings.audioOut, isOn));
  },
  audioin: async (_client, args, terminal, vbox) => {
    const isOn = onOrOff(args, "audioin");
    keep(vbox, (file) => file.set(settings.audioIn, isOn));
    if (isOn) terminal.warn("not carried out: recording; the guest hears silence");
  },
  vrde: async (client, args, _terminal, vbox) => {
    const isOn = onOrOff(args, "vrde");
    let wasOn = false;
    const problem = await changeRemoteDisplay(client, vbox, (file) => {
      wasOn = file.get(settings.vrde);
      file.set(settings.vrde, isOn);
    });
    if (problem === undefined) return;
    // It would come by itself with the next change that happens to mend it.
    if (!wasOn) await changeRemoteDisplay(client, vbox, (file) => file.set(settings.vrde, false));
    throw new CommandError(`The remote display could not be started: ${problem}`);
  },
  vrdeport: async (client, args, terminal, vbox) => {
    const [ports] = exactly(args, 1, "vrdeport PORTS");
    if (!isPortList(ports)) throw new UsageError(`Invalid argument '${ports}'`);
    const problem = await changeRemoteDisplay(client, vbox, (file) =>
      setVrdeProperty(file, "TCP/Ports", ports === "default" ? "0" : ports),
    );
    if (problem !== undefined) terminal.warn(`The remote display is not there: ${problem}`);
  },
  vrdeproperty: async (client, args, terminal, vbox) => {
    const [property] = exactly(args, 1, "vrdeproperty NAME=VALUE");
    const equals = property.indexOf("=");
    if (equals <= 0) throw new UsageError(`Invalid argument '${property}'`);
    const problem = await changeRemoteDisplay(client, vbox, (file) =>
      setVrdeProperty(file, property.slice(0, equals), property.slice(equals + 1)),
    );
    if (problem !== undefined) terminal.warn(`The remote display is not there: ${problem}`);
  },
  setvideomodehint: async (client, args, terminal) => {
    if (args.length < 3 || args.length > 7 || args.length === 6) throw new UsageError("Incorrect number of parameters");
    const [width, height, bitsPerPixel] = args.map((text) => (/^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN));
    for (const [i, value] of [width, height, bitsPerPixel].entries())
      if (Number.isNaN(value)) throw new UsageError(`Invalid argument '${args[i]}'`);
    if (args[3] !== undefined && args[3] !== "0") throw new CommandError(`There is no display ${args[3]}`);
    if (args[4] !== undefined && !["yes", "1"].includes(args[4]))
      throw new CommandError("The only display cannot be disabled");
    const { isHeard } = await client.request("setvideomodehint", { width, height, bitsPerPixel });
    if (!isHeard)
      terminal.warn(
        "the guest does not ask for mode hints: it needs the graphics controller VBoxSVGA and a driver for it, such as Linux's vboxvideo",
      );
  },
  screenshotpng: async (client, args) => {
    if (args.length > 2) throw new UsageError(`Invalid parameter '${args[2]}'`);
    if (args.length === 0) throw new UsageError("Missing argument: screenshotpng FILE [DISPLAY]");
    if (args[1] !== undefined && args[1] !== "0") throw new CommandError(`There is no display ${args[1]}`);
    await client.request("screenshotpng", { path: resolve(args[0]) });
  },
};

export const command: Command = {
  usage: [
    ...["poweroff", "reset", "pause", "resume", "acpipowerbutton", "acpisleepbutton"].map((verb) => `VM ${verb}`),
    "VM reboot | shutdown",
    "VM cpuexecutioncap PERCENT",
    "VM vm-process-priority default|flat|low|normal|high",
    "VM guestmemoryballoon MEGABYTES",
    "VM keyboardputscancode HH [HH ...]",
    "VM keyboardputstring TEXT [TEXT ...]",
    "VM keyboardputfile FILE",
    "VM screenshotpng FILE",
    "VM setvideomodehint WIDTH HEIGHT BPP [0 [yes [X Y]]]",
    ...networkUsage,
    "VM audioin | audioout on|off",
    "VM vrde on|off",
    "VM vrdeport default|PORT[-PORT][,...]",
    "VM vrdeproperty NAME=[VALUE]",
  ],
  about:
    "Controls a running VM. There is no agent in the guest: shutdown presses the ACPI power button and reboot types\n" +
    "Ctrl-Alt-Delete.",
  async run(args, terminal) {
    const [id, verb, ...rest] = args;
    if (id === undefined) throw new UsageError("VM name not specified");
    if (verb === undefined) throw new UsageError('Missing subcommand for "controlvm" command');
    const ofAdapter = adapterVerb(verb);
    if (ofAdapter === undefined && !Object.hasOwn(verbs, verb)) {
      if (!unavailable.test(verb)) throw new UsageError(`Invalid parameter '${verb}'`);
      throw new CommandError(`'controlvm ${verb}' is not available in this version of Anneau`);
    }
    const machine = await findRunning(id);
    const client = await reach(machine);
    try {
      if (ofAdapter !== undefined) await ofAdapter(client, rest, machine);
      else await verbs[verb](client, rest, terminal, machine);
    } catch (error) {
      throw asResultError(error);
    } finally {
      client.close();
    }
    return undefined;
  },
};

/** Ctrl, Alt and Delete pressed and released, scan code set 1. */
const ctrlAltDelete = [0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d];

/** Stores what has been changed in the running machine, so that it counts at the next start too. */
/** The only argument of `verb on|off`. */
function onOrOff(args: readonly string[], verb: string): boolean {
  const isOn = parseOnOff(exactly(args, 1, `${verb} on|off`)[0]);
  if (isOn === undefined) throw new UsageError(`Invalid argument '${args[0]}'`);
  return isOn;
}

function keep({ settingsPath }: RunningMachine, change: (vbox: VboxFile) => void): void {
  editVbox(settingsPath, change);
}

function wholeNumber(text: string, min: number, max: number, refusal: (value: string) => string): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new ResultError("E_INVALIDARG", "MachineWrap", refusal(text));
}

/** VBoxManage's verbs that are not here. */
const unavailable =
  /^(savestate|setlinkstate|nic|nictrace|nictracefile|nicproperty|nicpromisc|natpf|usbattach|usbdetach|clipboard|draganddrop|vrdevideochannelquality|setscreenlayout|recording|videocap.*|webcam|setcredentials|teleport|plugcpu|unplugcpu|addencpassword|removeencpassword|removeallencpasswords|changeuartmode[0-9]*|autostart-enabled[0-9]*)$/;

/** A process that has just started may not listen yet. */
async function reach({ uuid, settingsPath }: RunningMachine): Promise<ControlClient> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await connect(uuid, requestPatienceMs);
    } catch (error) {
      if (attempt >= 50 || sessionOf(settingsPath).kind !== "alive") throw error;
      await sleep(100);
    }
  }
}

function simple(name: "reset" | "pause" | "acpipowerbutton" | "acpisleepbutton"): Verb {
  return async (client, args) => {
    none(args);
    await client.request(name, {});
  };
}

/** A file to be typed. Reads no more than that, so a device without an end is just too long. */
function readText(path: string): string {
  const bytes = Buffer.alloc(maxTypedBytes + 1);
  let length = 0;
  try {
    const file = openSync(path, "r");
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read)
        read = readSync(file, bytes, length, bytes.length - length, null);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileError(error, "Could not read the file", path, "ConsoleWrap");
  }
  if (length > maxTypedBytes)
    throw new CommandError(`The file '${path}' is too long to be typed (more than ${maxTypedBytes} bytes)`);
  return bytes.toString("utf8", 0, length);
}

async function type(client: ControlClient, text: string, terminal: Terminal): Promise<void> {
  const untyped = untypable(text);
  // Control characters are told, not sent to the terminal.
  const shown = untyped.replace(
    /\p{Cc}/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  if (untyped !== "") terminal.warn(`A US keyboard has no keys for '${shown}': left out`);
  for (let at = 0; at < text.length; at += textPieceLength) {
    await client.request("keyboardputstring", { text: text.slice(at, at + textPieceLength) }, powerOffPatienceMs);
  }
}

/** Stores a change of the remote display and has the VM process take it over; why it does not listen if it is to. */
async function changeRemoteDisplay(
  client: ControlClient,
  { settingsPath }: RunningMachine,
  change: (vbox: VboxFile) => void,
): Promise<string | undefined> {
  editVbox(settingsPath, change);
  return (await client.request("remotedisplay", {})).problem;
}

function none(args: readonly string[]): void {
  if (args.length > 0) throw new UsageError(`Invalid parameter '${args[0]}'`);
}

function exactly(args: readonly string[], count: number, what: string): readonly string[] {
  if (args.length < count) throw new UsageError(`Missing argument: ${what}`);
  none(args.slice(count));
  return args;
}
