/** startvm: starts a VM's process, which lives on when the command ends. Everything that can be known before is checked. */
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { memoryWarning } from "../config/host-memory.ts";
import { lookUpMachine } from "../config/machine-lookup.ts";
import { alreadyLocked, sessionOf } from "../config/machine-session.ts";
import { settings } from "../config/machine-settings.ts";
import { audioFileOf } from "../config/machine-spec.ts";
import { MediaIndex, type MediumKind } from "../config/media-registry.ts";
import { inspectImage } from "../config/open-medium.ts";
import { loadRegistry } from "../config/registry.ts";
import { ResultError } from "../config/result-codes.ts";
import { allAttachments } from "../config/storage-settings.ts";
import { supportOf } from "../config/support.ts";
import type { VboxFile } from "../config/vbox-file.ts";
import { editVbox } from "../config/vbox-file.ts";
import { remoteDisplayOf } from "../config/vrde-settings.ts";
import type { Command, Terminal } from "./command.ts";
import { CommandError, errorLines, exitCodes, UsageError } from "./errors.ts";
import { asStartError, liveStatusOf } from "./live-machine.ts";
import { recordAbort } from "./modifyvm.ts";
import { option, parseArguments } from "./options.ts";
import { parseTrace } from "./trace.ts";

const options = [
  option("type", "text"),
  option("putenv E", "text"),
  option("password", "text"),
  option("password-id", "text"),
  option("trace", "text"),
];

export const command: Command = {
  usage: ["VM ... [--type gui|headless|separate]"],
  about:
    "Starts VMs and returns when they run. `gui` opens the VM's console in the browser if there is a desktop, and prints its\n" +
    "address, and so does `separate`; `headless` leaves that to the command `console`.",
  async run(args, terminal) {
    const parsed = parseArguments(args, options);
    if (parsed.positionals.length === 0) throw new UsageError("VM name not specified");
    if (parsed.has("password") || parsed.has("password-id")) {
      throw new CommandError("Encrypted VMs are not available in this version of Anneau");
    }
    if (parsed.has("putenv"))
      terminal.warn("--putenv is not carried out: the VM process gets this command's environment");
    const trace = parseTrace(parsed.text("trace")).join(",");
    let exitCode: number = exitCodes.success;
    for (const id of parsed.positionals) {
      try {
        await start(id, parsed.text("type"), trace, terminal);
      } catch (error) {
        if (parsed.positionals.length === 1) throw error;
        for (const line of errorLines(error, `startvm ${id}`)) terminal.err(`${terminal.program}: error: ${line}\n`);
        exitCode = exitCodes.failure;
      }
    }
    return exitCode;
  },
};

async function start(id: string, typed: string | undefined, trace: string, terminal: Terminal): Promise<void> {
  const { settings: vbox } = lookUpMachine(id);
  if (vbox instanceof ResultError) throw vbox;
  const type =
    typed ?? (vbox.get(settings.defaultFrontend) || loadRegistry().systemProperty("defaultFrontend") || "gui");
  if (!/^(headless|gui|separate)$/.test(type))
    throw new CommandError(`The front end '${type}' is not available in this version of Anneau`);
  terminal.out(`Waiting for VM "${vbox.name}" to power on...\n`);
  if (sessionOf(vbox.path).kind === "alive") throw alreadyLocked(vbox.name);
  const index = new MediaIndex();
  refuseUnsupported(vbox, index);
  checkMedia(vbox, index);
  if (sessionOf(vbox.path).kind === "dead") editVbox(vbox.path, recordAbort);
  for (const what of supportOf(vbox, index).warned) terminal.warn(`'${vbox.name}': not carried out: ${what}`);
  checkSoundFile(vbox, terminal);
  const tight = memoryWarning(vbox.get(settings.memoryMiB));
  if (tight !== undefined) terminal.warn(`'${vbox.name}': ${tight}`);
  const { launchMachine } = await import("../control/launch.ts");
  try {
    await launchMachine({ settingsPath: vbox.path, sessionName: type, trace });
  } catch (error) {
    throw asStartError(error);
  }
  terminal.out(`VM "${vbox.name}" has been successfully started.\n`);
  if (hasRemoteDisplay(vbox)) await checkRemoteDisplay(vbox, terminal);
  if (type === "headless") return;
  const { showConsole } = await import("./console.ts");
  try {
    await showConsole(vbox.uuid, vbox.name, terminal);
  } catch (error) {
    terminal.warn(`'${vbox.name}' runs, but its console cannot be opened: ${(error as Error).message}`);
  }
}

/** Nothing is written before the guest plays something, which would be late to say that it cannot be. */
function checkSoundFile(vbox: VboxFile, terminal: Terminal): void {
  const isPlaying = vbox.get(settings.audioEnabled) && vbox.get(settings.audioOut);
  const path = isPlaying ? audioFileOf(vbox) : undefined;
  if (path === undefined) return;
  const warn = (why: string) => terminal.warn(`'${vbox.name}': sound cannot be written to '${path}': ${why}`);
  try {
    const existing = statSync(path, { throwIfNoEntry: false });
    if (existing?.isDirectory()) warn("it is a folder");
    else accessSync(existing === undefined ? dirname(path) : path, constants.W_OK);
  } catch (error) {
    warn(String((error as NodeJS.ErrnoException).code));
  }
}

/** Whether a viewer will be looked for: one without a password has been said already. */
function hasRemoteDisplay(vbox: VboxFile): boolean {
  const { isOn, password } = remoteDisplayOf(vbox);
  return isOn && password !== "";
}

/** A port that is taken, an address that is not this host's: known only now. The machine runs all the same. */
async function checkRemoteDisplay({ name, uuid }: VboxFile, terminal: Terminal): Promise<void> {
  const problem = (await liveStatusOf(uuid))?.remoteDisplayProblem;
  if (problem !== undefined) terminal.warn(`'${name}': the remote display is not there: ${problem}`);
}

function refuseUnsupported(vbox: VboxFile, index: MediaIndex): void {
  const refuse = (why: string) => {
    throw new ResultError("VBOX_E_NOT_SUPPORTED", "ConsoleWrap", `The machine '${vbox.name}' cannot start: ${why}`);
  };
  if (vbox.stateFile) refuse(`its saved state '${vbox.stateFile}' cannot be restored (discardstate drops it)`);
  const { refused } = supportOf(vbox, index);
  if (refused.length > 0) refuse(refused.join("; "));
}

/** Every image is there and is what the registry says, before a process starts. */
function checkMedia(vbox: VboxFile, index: MediaIndex): void {
  const kinds: Record<string, MediumKind> = { HardDisk: "hdd", DVD: "dvd", Floppy: "floppy" };
  for (const { type, imageUuid, isEjected } of allAttachments(vbox.machine)) {
    if (imageUuid === undefined || isEjected) continue;
    const medium = index.byUuid(imageUuid, kinds[type]);
    if (medium === undefined) {
      throw new ResultError(
        "VBOX_E_OBJECT_NOT_FOUND",
        "MachineWrap",
        `The medium with UUID {${imageUuid}} that is attached to '${vbox.name}' is not in any media registry`,
      );
    }
    const { uuid } = inspectImage(medium.location, medium.kind);
    if (medium.kind === "hdd" && uuid !== undefined && uuid !== imageUuid) {
      throw new ResultError(
        "VBOX_E_INVALID_OBJECT_STATE",
        "MediumWrap",
        `UUID {${uuid}} of the medium '${medium.location}' does not match the value {${imageUuid}} stored in the media registry`,
      );
    }
  }
}
