/** modifymedium (modifyhd, modifyvdi): type, description, properties and place of a medium. */
import * as fs from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type KnownMedium, MediaIndex, mediaIn } from "../config/media-registry.ts";
import { unknownMedium } from "../config/open-medium.ts";
import { editRegistry, type Registry } from "../config/registry.ts";
import { fileError, ResultError } from "../config/result-codes.ts";
import { parseUuid } from "../config/uuid.ts";
import { editVbox } from "../config/vbox-file.ts";
import type { XmlElement } from "../config/xml.ts";
import { mediumLockState } from "../disk/lock.ts";
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
    "[disk | dvd | floppy] UUID|FILE [--type TYPE] [--autoreset on|off] [--description TEXT] [--property NAME=VALUE] [--move PATH] [--setlocation PATH]",
  ],
  about: "Changes what is known about a medium; --move moves its file, --setlocation follows one that was moved.",
  async run(args, terminal) {
    const { kind, rest } = takeKind(args);
    const parsed = parseArguments(rest, options);
    const name = onlyOne(parsed.positionals, "Medium");
    for (const missing of ["compact", "resize", "resizebyte", "property-file"]) {
      if (parsed.has(missing))
        throw new CommandError(`'modifymedium --${missing}' is not available in this version of Anneau`);
    }
    if (parsed.options.length === 0) throw new UsageError("No operation specified");
    const change = () =>
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
      const { uuid } = await withProgress(terminal, "Moving medium", change);
      terminal.out(`Move medium with UUID ${uuid} finished\n`);
      return undefined;
    }
    const { uuid } = change();
    if (parsed.has("setlocation")) terminal.out(`Set new location of medium with UUID ${uuid} finished\n`);
    if (parsed.has("description")) terminal.out("Medium description has been changed.\n");
    return undefined;
  },
};

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
    fs.mkdirSync(dirname(target), { recursive: true });
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
  const property = parsed.text("property");
  if (property === undefined) return;
  const equals = property.indexOf("=");
  if (equals <= 0) throw new UsageError(`Invalid argument format for option '--property': '${property}'`);
  const name = property.slice(0, equals);
  const old = element.elements("Property").find((one) => one.get("name") === name);
  (old ?? element.add("Property").set("name", name)).set("value", property.slice(equals + 1));
}
