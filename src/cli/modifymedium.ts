/** modifymedium (modifyhd, modifyvdi): type, description, properties and place of a medium. */
import * as fs from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { AnneauError } from "../base/errors.ts";
import { type KnownMedium, MediaIndex, type MediumKind, mediaIn } from "../config/media-registry.ts";
import { findOrOpenMedium, type OpenedMedium, unknownMedium } from "../config/open-medium.ts";
import { editRegistry, type Registry } from "../config/registry.ts";
import { fileError, hostStatusOf, ResultError } from "../config/result-codes.ts";
import { parseUuid } from "../config/uuid.ts";
import { editVbox } from "../config/vbox-file.ts";
import type { XmlElement } from "../config/xml.ts";
import type { Steps } from "../disk/create.ts";
import { MediumInUseError, mediumLockState } from "../disk/lock.ts";
import { makeFolder } from "../disk/make-folder.ts";
import { isCancellation, runCancellable } from "./cancel.ts";
import { type Command, onlyOne } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";
import { withProgress } from "./progress.ts";
import { takeKind } from "./showmediuminfo.ts";

const options = [
  option("type", "text"),
  option("autoreset auto-reset", "onoff"),
  option("description", "text"),
  option("property", "text"),
  option("move", "text"),
  option("setlocation set-location", "text"),
  option("compact", "switch"),
  option("resize", "integer"),
  option("resizebyte", "integer"),
  option("property-file", "text"),
];

const types = ["Normal", "Writethrough", "Immutable", "Shareable", "Readonly", "MultiAttach"];

export const command: Command = {
  usage: [
    "[disk | dvd | floppy] UUID|FILE [--type TYPE] [--autoreset on|off] [--description TEXT] [--property NAME=VALUE] [--move PATH] [--setlocation PATH] [--compact] [--resize MEGABYTES | --resizebyte BYTES]",
  ],
  about:
    "Changes what is known about a medium; --move moves its file, --setlocation follows one that was moved. --resize makes a\n" +
    "hard disk larger, --compact gives the space of its zeros back to the host.",
  async run(args, terminal) {
    const { kind, rest } = takeKind(args);
    const parsed = parseArguments(rest, options);
    const name = onlyOne(parsed.positionals, "Medium");
    if (parsed.options.length === 0) throw new UsageError("No operation specified");
    if (parsed.has("property-file"))
      throw new CommandError("'modifymedium --property-file' is not available in this version of Anneau");
    if (parsed.has("compact"))
      await withProgress(terminal, "Compacting medium", (report) => compact(name, kind, report));
    const sizeBytes = parsed.integer("resizebyte") ?? (parsed.integer("resize") ?? 0) * 1048576;
    if (parsed.has("resizebyte") || parsed.has("resize"))
      await withProgress(terminal, "Resizing medium", (report) => resize(name, kind, sizeBytes, report));
    if (!parsed.options.some((one) => !/^(compact|resize|resizebyte)$/.test(one.name))) return undefined;
    const edit = () =>
      editRegistry((registry) => {
        const index = new MediaIndex(registry);
        const uuid = parseUuid(name);
        const medium = (uuid && index.byUuid(uuid, kind)) || index.byLocation(resolve(name), kind);
        if (!medium) throw unknownMedium(kind, name);
        const location = newLocation(medium, parsed);
        if (parsed.has("move")) moveFile(medium, location);
        editEverywhere(registry, medium, (element, relative) => setFields(element, parsed, relative(location)));
        return medium;
      });
    if (parsed.has("move")) {
      // With a listener a signal waits until the file is in one place.
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
      const { uuid } = await withProgress(terminal, "Moving medium", edit);
      terminal.out(`Move medium with UUID ${uuid} finished\n`);
      return undefined;
    }
    const { uuid } = edit();
    if (parsed.has("setlocation")) terminal.out(`Set new location of medium with UUID ${uuid} finished\n`);
    if (parsed.has("description")) terminal.out("Medium description has been changed.\n");
    return undefined;
  },
};

/** A hard disk that nobody uses; discs and floppies have the size of their kind. */
function hardDisk(name: string, kind: MediumKind, doing: string): OpenedMedium {
  const medium = findOrOpenMedium(new MediaIndex(), name, kind);
  if (kind === "hdd") return medium;
  throw new ResultError(
    "VBOX_E_NOT_SUPPORTED",
    "MediumWrap",
    `${doing} is not supported for medium '${medium.location}'`,
  );
}

async function compact(name: string, kind: MediumKind, report: (fraction: number) => void): Promise<void> {
  const { location, format, info } = hardDisk(name, kind, "Compacting");
  if (format !== "VDI")
    throw new ResultError(
      "VBOX_E_NOT_SUPPORTED",
      "MediumWrap",
      `Compacting medium format '${format}' is not supported`,
    );
  // A fixed image keeps all of its blocks: compacting changes nothing.
  if (info.variant === "Fixed") return;
  const { compactVdiInSteps } = await import("../disk/vdi-maintenance.ts");
  await change(
    location,
    "compact",
    compactVdiInSteps(location, (percent) => report(percent / 100)),
  );
}

async function resize(
  name: string,
  kind: MediumKind,
  wantedBytes: number,
  report: (fraction: number) => void,
): Promise<void> {
  const { location, format, info } = hardDisk(name, kind, "Resizing");
  const sizeBytes = Math.ceil(wantedBytes / 512) * 512;
  if (!(sizeBytes >= info.capacityBytes))
    throw new ResultError(
      "VBOX_E_NOT_SUPPORTED",
      "MediumWrap",
      `Shrinking is not yet supported for medium '${location}'`,
    );
  const onProgress = (percent: number) => report(percent / 100);
  const { growRawInSteps, resizeVdiInSteps } = await import("../disk/vdi-maintenance.ts");
  const steps = format === "VDI" ? resizeVdiInSteps : growRawInSteps;
  await change(location, "resize", steps(location, sizeBytes, onProgress));
}

async function change(location: string, doing: string, steps: Steps<void>): Promise<void> {
  try {
    await runCancellable(steps);
  } catch (error) {
    if (!(error instanceof AnneauError)) throw error;
    const isBusy = error instanceof MediumInUseError;
    const why = isCancellation(error) ? "VERR_CANCELLED" : (hostStatusOf(error) ?? error.message);
    throw new ResultError(
      isBusy ? "VBOX_E_INVALID_OBJECT_STATE" : "VBOX_E_FILE_ERROR",
      "MediumWrap",
      `Could not ${doing} the medium '${location}' (${why})`,
      { cause: error },
    );
  }
}

function newLocation(medium: KnownMedium, parsed: ParsedArguments): string {
  const wanted = parsed.text("move") ?? parsed.text("setlocation");
  if (wanted === undefined) return medium.location;
  const target = resolve(wanted);
  const isFolder = fs.statSync(target, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return parsed.has("move") && (isFolder || wanted.endsWith("/")) ? join(target, basename(medium.location)) : target;
}

function moveFile(medium: KnownMedium, target: string): void {
  if (target === medium.location) return;
  if (mediumLockState(medium.location) !== "unlocked") {
    throw new ResultError("VBOX_E_INVALID_OBJECT_STATE", "MediumWrap", `Medium '${medium.location}' is in use`);
  }
  if (fs.existsSync(target)) {
    throw new ResultError(
      "VBOX_E_FILE_ERROR",
      "MediumWrap",
      `Could not move the medium to '${target}' (VERR_ALREADY_EXISTS)`,
    );
  }
  try {
    makeFolder(dirname(target));
    try {
      fs.renameSync(medium.location, target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      try {
        fs.copyFileSync(medium.location, target, fs.constants.COPYFILE_EXCL);
        fs.unlinkSync(medium.location);
      } catch (failure) {
        // Half a copy, or one too many.
        if ((failure as NodeJS.ErrnoException).code !== "EEXIST") fs.rmSync(target, { force: true });
        throw failure;
      }
    }
  } catch (error) {
    throw fileError(error, "Could not move the medium to", target, "MediumWrap");
  }
}

/** Every list that has the medium; `relative` turns a path into what that file stores. */
function editEverywhere(
  registry: Registry,
  medium: KnownMedium,
  work: (element: XmlElement, relative: (path: string) => string) => void,
): void {
  for (const { uuid, listedBy } of new MediaIndex(registry).media) {
    if (uuid !== medium.uuid) continue;
    const owner = registry.machines().find((entry) => entry.uuid === listedBy);
    const find = (parent: XmlElement, folder: string) =>
      mediaIn(parent, folder).find((one) => one.uuid === uuid && one.kind === medium.kind)?.element;
    if (owner) {
      editVbox(owner.path, (vbox) => {
        const element = find(vbox.machine, vbox.folder);
        if (element) work(element, (path) => vbox.relativeLocation(path));
      });
    } else {
      const element = find(registry.global, dirname(registry.path));
      if (element) work(element, (path) => path);
    }
  }
}

function setFields(element: XmlElement, parsed: ParsedArguments, location: string): void {
  if (parsed.has("move") || parsed.has("setlocation")) element.set("location", location);
  const typed = parsed.text("type");
  if (typed !== undefined) {
    const type = types.find((known) => known.toLowerCase() === typed.toLowerCase());
    if (type === undefined) throw new CommandError(`Invalid medium type '${typed}'`);
    element.set("type", type);
  }
  if (parsed.has("autoreset")) element.set("autoReset", String(parsed.onOff("autoreset")));
  const description = parsed.text("description");
  if (description !== undefined) {
    const old = element.element("Description");
    if (description !== "") (old ?? element.add("Description")).setText(description);
    else if (old) element.remove(old);
  }
  for (const { name, values } of parsed.options) if (name === "property") setMediumProperty(element, values[0]);
}

/** `NAME=VALUE`; UsageError for anything else. */
export function checkMediumProperty(property: string): void {
  if (property.indexOf("=") <= 0)
    throw new UsageError(`Invalid argument format for option '--property': '${property}'`);
}

/** Stores a medium's property in its entry; without a value it is taken away. */
export function setMediumProperty(element: XmlElement, property: string): void {
  checkMediumProperty(property);
  const equals = property.indexOf("=");
  const [name, value] = [property.slice(0, equals), property.slice(equals + 1)];
  const old = element.elements("Property").find((one) => one.get("name") === name);
  if (value !== "") (old ?? element.add("Property").set("name", name)).set("value", value);
  else if (old) element.remove(old);
}
