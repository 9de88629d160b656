/** modifyvm: name, groups, description, type, icon, folders, front end, autostart. */
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { safeFileName } from "../../config/folders.ts";
import { settings } from "../../config/machine-settings.ts";
import { mediaIn } from "../../config/media-registry.ts";
import type { Registry } from "../../config/registry.ts";
import { fileError, ResultError, statusName } from "../../config/result-codes.ts";
import { parseUuid } from "../../config/uuid.ts";
import { hasOwnFolder, type VboxFile } from "../../config/vbox-file.ts";
import { parseGroups, requireOsType } from "../createvm.ts";
import { choice, custom, inGroup, invalid, onOff, plainNumber, text } from "./option.ts";

const maxIconBytes = 256 * 1024;

export const generalOptions = inGroup("General", [
  custom("name", "text", (vbox, { values }) => setName(vbox, values[0]), {
    example: ["renamed"],
    needsRegistry: true,
    note: "renames settings file and folder too",
  }),
  custom("groups", "text", (vbox, { values }) => (vbox.groups = parseGroups(values[0])), { example: ["/tests/xp"] }),
  custom("description", "text", (vbox, { values }) => (vbox.description = values[0]), { example: ["A test"] }),
  custom("os-type ostype", "text", (vbox, { values }) => vbox.set(settings.osType, requireOsType(values[0]).id), {
    example: ["WindowsXP"],
    note: "sets the type only, not its recommended hardware",
  }),
  custom(
    "icon-file iconfile",
    "text",
    (vbox, { values }) => {
      let bytes: Buffer;
      try {
        bytes = readFileSync(values[0]);
      } catch (error) {
        throw fileError(error, "Could not read the icon file", values[0], "MachineWrap");
      }
      if (bytes.length > maxIconBytes) throw invalid(`The icon file is too large (${bytes.length} bytes)`);
      vbox.set(settings.icon, bytes.toString("base64"));
    },
    { status: "stored", example: ["icon.png"] },
  ),
  custom(
    "snapshot-folder snapshotfolder",
    "text",
    (vbox, { values }) =>
      vbox.set(settings.snapshotFolder, values[0] === "default" ? "Snapshots" : vbox.relativeLocation(values[0])),
    { status: "stored", example: ["States"] },
  ),
  text("default-frontend defaultfrontend", settings.defaultFrontend, { emptyWord: "default", example: ["headless"] }),
  custom(
    "hardware-uuid hardwareuuid",
    "uuid",
    (vbox, { values }) => (vbox.hardwareUuid = parseUuid(values[0]) as string),
    {
      status: "stored",
      note: "the guest is not told it yet",
      example: ["{11111111-2222-3333-4444-555555555555}"],
    },
  ),
  onOff("system-uuid-le systemuuidle", settings.systemUuidLittleEndian, { status: "stored", example: ["off"] }),
  choice("vm-process-priority vmprocpriority vmprocesspriority", settings.processPriority, {
    note: "raising it needs a privilege on most hosts",
    example: ["low"],
  }),
  onOff("autostart-enabled", settings.autostartEnabled, { status: "warned" }),
  plainNumber("autostart-delay", settings.autostartDelaySeconds, 0, 2 ** 31 - 1, { status: "stored", example: ["5"] }),
  choice("autostop-type", settings.autostopType, { status: "stored", example: ["poweroff"] }),
]);

function setName(vbox: VboxFile, name: string): void {
  if (name === "") throw invalid("The machine name must not be empty");
  vbox.name = name;
}

/**
 * Before the settings of a renamed VM are written: gives file and, where it is the VM's own, folder the new name, and
 * follows with the registry's entry and media. Returns the path to write to. Errors leave everything as it was.
 */
export function renameFiles(vbox: VboxFile, registry: Registry): string {
  const oldName = basename(vbox.path).replace(/\.vbox$/i, "");
  const newName = safeFileName(vbox.name);
  if (newName === oldName || vbox.machine.get("nameSync") === "false") return vbox.path;
  const oldFolder = vbox.folder;
  const newFolder = hasOwnFolder(vbox) ? join(dirname(oldFolder), newName) : oldFolder;
  const newPath = join(newFolder, `${newName}.vbox`);
  if (newFolder !== oldFolder) {
    rename(oldFolder, newFolder, "directory");
    try {
      rename(join(newFolder, basename(vbox.path)), newPath, "file");
    } catch (error) {
      renameSync(newFolder, oldFolder);
      throw error;
    }
  } else rename(vbox.path, newPath, "file");
  const previous = join(newFolder, `${basename(vbox.path)}-prev`);
  if (existsSync(previous)) renameSync(previous, `${newPath}-prev`);
  // The lock file was taken under the old name and went along with the folder.
  rmSync(join(newFolder, `${basename(vbox.path)}.lock`), { force: true });
  registry.moveMachine(vbox.uuid, newPath);
  for (const medium of mediaIn(registry.global, dirname(registry.path))) {
    if (medium.location.startsWith(`${oldFolder}/`)) {
      medium.element.set("location", join(newFolder, medium.location.slice(oldFolder.length + 1)));
    }
  }
  return newPath;
}

function rename(from: string, to: string, what: string): void {
  const refuse = (status: string, cause?: unknown) =>
    new ResultError(
      "VBOX_E_FILE_ERROR",
      "MachineWrap",
      `Could not rename the ${what} '${from}' to '${to}' to save the settings file (${status})`,
      { cause },
    );
  if (existsSync(to)) throw refuse("VERR_ALREADY_EXISTS");
  try {
    renameSync(from, to);
  } catch (error) {
    throw refuse(statusName(error), error);
  }
}
