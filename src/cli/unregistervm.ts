/** unregistervm: forgets a VM, with --delete also its files and the hard disks only it uses. */
import * as fs from "node:fs";
import { dirname } from "node:path";
import { lookUpMachine } from "../config/machine-lookup.ts";
import { alreadyLocked, refuseWhileRunning, sessionLockPath } from "../config/machine-session.ts";
import { MediaIndex, removeMedium } from "../config/media-registry.ts";
import { editRegistry, type Registry } from "../config/registry.ts";
import { fileError, ResultError } from "../config/result-codes.ts";
import { allAttachments } from "../config/storage-settings.ts";
import { hasOwnFolder, type VboxFile } from "../config/vbox-file.ts";
import { removeDeadSocket } from "../control/local-socket.ts";
import { consolePagePath, consoleTokenPath, socketPathOf } from "../control/socket-path.ts";
import { removeDeadLocks } from "../disk/lock.ts";
import { type Command, onlyOne } from "./command.ts";
import { liveStatusOf } from "./live-machine.ts";
import { option, parseArguments } from "./options.ts";
import { withProgress } from "./progress.ts";

export const command: Command = {
  usage: ["VM [--delete | --delete-all]"],
  about:
    "Unregisters a VM. --delete also deletes its settings, logs, saved state and the hard disk images attached to it\n" +
    "alone; --delete-all does the same.",
  async run(args, terminal) {
    const parsed = parseArguments(args, [option("delete", "switch"), option("delete-all", "switch")]);
    const id = onlyOne(parsed.positionals, "VM name");
    const isDeleting = parsed.has("delete") || parsed.has("delete-all");
    let files: string[] = [];
    let media: string[] = [];
    const before = lookUpMachine(id);
    // A process whose settings are gone cannot be seen by its lock.
    if (before.settings instanceof ResultError && (await liveStatusOf(before.entry.uuid)) !== undefined)
      throw alreadyLocked(id);
    const { uuid, vbox } = editRegistry((registry) => {
      const { entry, settings } = lookUpMachine(id, registry);
      if (settings instanceof ResultError) {
        if (isDeleting) throw settings;
        registry.removeMachine(entry.uuid);
        return { uuid: entry.uuid, vbox: undefined };
      }
      refuseWhileRunning(settings.path, settings.name);
      media = attachedFiles(new MediaIndex(registry), settings);
      if (isDeleting) {
        files = [...disksToDelete(registry, settings), ...machineFiles(settings)];
        for (const file of files) refuseUndeletable(file);
      }
      registry.removeMachine(entry.uuid);
      return { uuid: entry.uuid, vbox: settings };
    });
    // What a killed process left behind.
    await removeDeadSocket(socketPathOf(uuid));
    for (const path of [consoleTokenPath(uuid), consolePagePath(uuid)]) fs.rmSync(path, { force: true });
    for (const file of media) removeDeadLocks(file);
    if (vbox === undefined || !isDeleting) return undefined;
    await withProgress(terminal, "Deleting the VM's files", (report) => {
      for (const [index, file] of files.entries()) {
        remove(file);
        report((index + 1) / (files.length + 1));
      }
      removeEmptyFolders(vbox);
    });
    return undefined;
  },
};

/** Image files of hard disks that no other VM uses; those listed in the registry are taken off it. */
function disksToDelete(registry: Registry, vbox: VboxFile): string[] {
  const index = new MediaIndex(registry);
  const files = new Set<string>();
  for (const { type, imageUuid } of allAttachments(vbox.machine)) {
    if (type !== "HardDisk" || imageUuid === undefined) continue;
    for (let uuid: string | undefined = imageUuid; uuid !== undefined; ) {
      const medium = index.byUuid(uuid, "hdd");
      const isShared = index.usersOf(uuid).some((user) => user.uuid !== vbox.uuid);
      const hasOtherChildren = index.childrenOf(uuid).some((child) => !files.has(index.byUuid(child)?.location ?? ""));
      if (medium === undefined || isShared || hasOtherChildren) break;
      files.add(medium.location);
      if (medium.listedBy === undefined) removeMedium(registry.global, uuid);
      uuid = medium.parentUuid;
    }
  }
  return [...files];
}

/** Images in the VM's drives. */
function attachedFiles(index: MediaIndex, vbox: VboxFile): string[] {
  return allAttachments(vbox.machine).flatMap(({ imageUuid }) => {
    const medium = imageUuid === undefined ? undefined : index.byUuid(imageUuid);
    return medium === undefined ? [] : [medium.location];
  });
}

/** The VM's own files, present or not. */
function machineFiles(vbox: VboxFile): string[] {
  const logs = list(vbox.logFolder).filter((name) => /^VBox(Hardening|UI)?\.log(\.[0-9]+)?$/.test(name));
  return [
    ...(vbox.stateFile ? [vbox.stateFile] : []),
    ...[vbox.path, `${vbox.path}-prev`, sessionLockPath(vbox.path), vbox.nvramFile],
    ...logs.map((name) => `${vbox.logFolder}/${name}`),
  ];
}

/** Before anything is deleted or forgotten: the folder of a file that is there can be written. */
function refuseUndeletable(path: string): void {
  if (!fs.existsSync(path)) return;
  try {
    fs.accessSync(dirname(path), fs.constants.W_OK);
  } catch (error) {
    throw fileError(error, "Could not delete the file", path, "MachineWrap");
  }
}

function removeEmptyFolders(vbox: VboxFile): void {
  removeIfEmpty(vbox.logFolder);
  if (vbox.snapshotFolder.startsWith(vbox.folder)) removeIfEmpty(vbox.snapshotFolder);
  if (hasOwnFolder(vbox)) removeIfEmpty(vbox.folder);
}

function list(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

function remove(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw fileError(error, "Could not delete the file", path, "MachineWrap");
  }
}

/** Other people's files in the folder keep it. */
function removeIfEmpty(folder: string): void {
  try {
    fs.rmdirSync(folder);
  } catch {
    // Not empty, or never made.
  }
}
