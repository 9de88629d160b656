/** clonevm: a copy of a VM with its disks. */
import { existsSync, rmdirSync, rmSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { type ClonedDisk, cloneSettings } from "../config/clone-machine.ts";
import { safeFileName } from "../config/folders.ts";
import { findMachine, registeredMachines } from "../config/machine-lookup.ts";
import { refuseWhileRunning } from "../config/machine-session.ts";
import { type KnownMedium, MediaIndex } from "../config/media-registry.ts";
import { settingsPathOf } from "../config/new-machine.ts";
import { editRegistry, loadRegistry } from "../config/registry.ts";
import { ResultError } from "../config/result-codes.ts";
import { makeFolderOf } from "../config/settings-file.ts";
import { allAttachments } from "../config/storage-settings.ts";
import { newUuid, parseUuid } from "../config/uuid.ts";
import { loadVbox, type VboxFile } from "../config/vbox-file.ts";
import { copyImage } from "./clonemedium.ts";
import { type Command, onlyOne } from "./command.ts";
import { parseGroups, refuseTakenUuid } from "./createvm.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, parseArguments } from "./options.ts";
import { withProgress } from "./progress.ts";

const options = [
  option("name", "text"),
  option("groups", "text"),
  option("snapshot", "text"),
  option("mode", "text"),
  option("options", "text"),
  option("basefolder base-folder", "text"),
  option("uuid", "uuid"),
  option("register", "switch"),
];

const words = ["link", "keepallmacs", "keepnatmacs", "keepdisknames", "keephwuuids"] as const;
type Word = (typeof words)[number];

export const command: Command = {
  usage: [
    "VM [--name NAME] [--register] [--basefolder FOLDER] [--groups GROUP,...] [--uuid UUID] [--mode machine|all] [--options KeepAllMACs|KeepNATMACs|KeepDiskNames|KeepHwUUIDs,...]",
  ],
  about:
    "Copies a VM that does not run, with the hard disks that are its own. The copy has addresses of its own unless told\n" +
    "otherwise. There are no linked copies and none of snapshots.",
  async run(args, terminal) {
    const parsed = parseArguments(args, options);
    const id = onlyOne(parsed.positionals, "VM name");
    if (parsed.has("snapshot")) throw new CommandError("Snapshots cannot be copied in this version of Anneau");
    const mode = (parsed.text("mode") ?? "machine").toLowerCase();
    if (!/^(machine|machineandchildren|all)$/.test(mode)) throw new CommandError(`Invalid clone mode '${mode}'`);
    const wanted = parseWords(parsed.text("options"));
    if (wanted.has("link")) throw new CommandError("Linked copies are not available in this version of Anneau");

    const source = findMachine(id);
    refuseWhileRunning(source.path, source.name);
    if (mode !== "machine" && source.machine.element("Snapshot"))
      throw new CommandError("Snapshots cannot be copied in this version of Anneau");
    const registry = loadRegistry();
    const name = parsed.text("name") ?? freeName(`${source.name} Clone`);
    if (name === "") throw new UsageError("Parameter --name is empty");
    const groups = parsed.has("groups") ? parseGroups(parsed.text("groups") ?? "/") : undefined;
    const base = parsed.text("basefolder");
    const path = settingsPathOf(base ? resolve(base) : registry.machineFolder, name, groups ?? source.groups);
    if (existsSync(path))
      throw new ResultError("VBOX_E_FILE_ERROR", "MachineWrap", `Machine settings file '${path}' already exists`);
    const uuid = parseUuid(parsed.text("uuid")) ?? newUuid();
    refuseTakenUuid(registry, uuid);

    const index = new MediaIndex(registry);
    const originals = ownDisks(source, index);
    const hadFolder = existsSync(dirname(path));
    const made: string[] = [];
    try {
      await withProgress(terminal, "Cloning machine", async (report) => {
        makeFolderOf(path);
        const disks: ClonedDisk[] = [];
        for (const [i, original] of originals.entries()) {
          const disk = placeOf(original, i, path, name, wanted.has("keepdisknames"));
          await copyImage(original, disk.location, disk.uuid, (done) => report((i + done) / originals.length));
          made.push(disk.location);
          disks.push(disk);
        }
        const clone = cloneSettings(loadVbox(source.path), index, {
          ...{ name, uuid, groups, path, disks },
          keepsMacs: wanted.has("keepallmacs") ? "all" : wanted.has("keepnatmacs") ? "nat" : "none",
          keepsHardwareUuid: wanted.has("keephwuuids"),
        });
        clone.save();
        made.push(path);
        if (parsed.has("register")) editRegistry((latest) => latest.addMachine(clone));
      });
    } catch (error) {
      for (const file of made) rmSync(file, { force: true });
      if (!hadFolder && existsSync(dirname(path))) rmdirSync(dirname(path));
      throw error;
    }
    terminal.out(`Machine has been successfully cloned as "${name}"\n`);
    return undefined;
  },
};

function parseWords(text: string | undefined): ReadonlySet<Word> {
  const found = new Set<Word>();
  for (const one of (text ?? "").split(",").filter((word) => word !== "")) {
    const word = words.find((known) => known === one.toLowerCase());
    if (word === undefined) throw new CommandError(`Invalid clone option '${one}'`);
    found.add(word);
  }
  return found;
}

/** `NAME Clone`, `NAME Clone (2)` …: the first that no registered VM has. */
function freeName(wanted: string): string {
  const taken = new Set(
    registeredMachines().flatMap(({ settings }) => (settings instanceof ResultError ? [] : [settings.name])),
  );
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted} (${number})`;
    if (!taken.has(name)) return name;
  }
}

/** Hard disks that the copy gets copies of; those made to be shared it shares. */
function ownDisks(source: VboxFile, index: MediaIndex): KnownMedium[] {
  const found = new Map<string, KnownMedium>();
  for (const { type, imageUuid } of allAttachments(source.machine)) {
    const medium = type === "HardDisk" && imageUuid ? index.byUuid(imageUuid, "hdd") : undefined;
    if (medium === undefined || medium.type === "Shareable" || medium.type === "Readonly") continue;
    if (medium.parentUuid !== undefined)
      throw new CommandError(`The differencing image '${medium.location}' cannot be copied in this version of Anneau`);
    found.set(medium.uuid, medium);
  }
  return [...found.values()];
}

function placeOf(original: KnownMedium, at: number, path: string, name: string, keepsName: boolean): ClonedDisk {
  const { format, type, location } = original;
  const file = keepsName ? basename(location) : `${safeFileName(name)}-disk${at + 1}${extname(location)}`;
  return { originalUuid: original.uuid, uuid: newUuid(), location: join(dirname(path), file), format, type };
}
