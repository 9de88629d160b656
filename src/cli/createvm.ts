/** createvm: a new VM, registered or not. */
import { existsSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { newMachine } from "../config/new-machine.ts";
import { findOsType } from "../config/os-types.ts";
import { editRegistry, loadRegistry, type Registry } from "../config/registry.ts";
import { ResultError } from "../config/result-codes.ts";
import { newUuid, parseUuid } from "../config/uuid.ts";
import type { VboxFile } from "../config/vbox-file.ts";
import { type Command, noneLeft, type Terminal } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, parseArguments } from "./options.ts";

const options = [
  option("name", "text"),
  option("groups group", "text"),
  option("basefolder base-folder", "text"),
  option("ostype os-type", "text"),
  option("uuid", "uuid"),
  option("register", "switch"),
  option("default", "switch"),
  option("settingsfile", "text"),
  option("platform-architecture", "text"),
  option("cipher", "text"),
  option("password-id", "text"),
  option("password", "text"),
];

export const command: Command = {
  usage: [
    "--name NAME [--ostype TYPE] [--basefolder FOLDER] [--groups GROUP,...] [--uuid UUID] [--default] [--register]",
  ],
  about:
    "Writes NAME/NAME.vbox below the machine folder (or --basefolder). --register makes it known, --default gives it\n" +
    "the hardware recommended for its type: memory, storage controllers, sound and so on.",
  run(args, terminal) {
    const parsed = parseArguments(args, options);
    noneLeft(parsed.positionals);
    const name = parsed.text("name");
    if (!name) throw new UsageError("Parameter --name is required");
    if (parsed.has("cipher") || parsed.has("password") || parsed.has("password-id")) {
      throw new CommandError("Encrypted VMs are not available in this version of Anneau");
    }
    const architecture = parsed.text("platform-architecture");
    if (architecture !== undefined && architecture !== "x86") {
      throw new CommandError(`The platform architecture '${architecture}' is not available in this version of Anneau`);
    }
    const osType = requireOsType(parsed.text("ostype") ?? "Other");
    const wanted = {
      name,
      uuid: parseUuid(parsed.text("uuid")) ?? newUuid(),
      osType,
      groups: parseGroups(parsed.text("groups") ?? "/"),
      withDefaults: parsed.has("default"),
    };
    const baseFolder = parsed.text("basefolder");
    const make = (registry: Registry) => {
      refuseTakenUuid(registry, wanted.uuid);
      return newMachine({ ...wanted, baseFolder: baseFolder ? resolve(baseFolder) : registry.machineFolder });
    };
    const isRegistered = parsed.has("register");
    const vbox = isRegistered ? createAndRegister(make) : create(make);
    say(terminal, vbox, isRegistered);
    return undefined;
  },
};

function create(make: (registry: Registry) => VboxFile): VboxFile {
  const vbox = make(loadRegistry());
  vbox.save();
  return vbox;
}

function createAndRegister(make: (registry: Registry) => VboxFile): VboxFile {
  let written: VboxFile | undefined;
  try {
    return editRegistry((registry) => {
      const vbox = make(registry);
      vbox.save();
      written = vbox;
      registry.addMachine(vbox);
      return vbox;
    });
  } catch (error) {
    // A registry that cannot be written must not leave a VM behind that nobody asked for unregistered.
    if (written && existsSync(written.path)) rmSync(written.path);
    throw error;
  }
}

function say(terminal: Terminal, vbox: VboxFile, isRegistered: boolean): void {
  terminal.out(
    `Virtual machine '${vbox.name}' is created${isRegistered ? " and registered" : ""}.\n` +
      `UUID: ${vbox.uuid}\nSettings file: '${vbox.path}'\n`,
  );
}

/** The type, or VirtualBox's error for an unknown one. */
export function requireOsType(id: string) {
  const osType = findOsType(id);
  if (osType) return osType;
  throw new ResultError("VBOX_E_OBJECT_NOT_FOUND", "VirtualBoxWrap", `'${id}' is not a valid Guest OS type`);
}

/** `/a,/b/c`; every group starts with a slash. */
export function parseGroups(text: string): string[] {
  const groups = text.split(",").map((group) => group.trim());
  for (const group of groups) {
    if (!/^\/($|[^/]+(\/[^/]+)*$)/.test(group)) {
      throw new ResultError("E_INVALIDARG", "VirtualBoxWrap", `Invalid machine group '${group}'`);
    }
  }
  return groups;
}

export function refuseTakenUuid(registry: Registry, uuid: string): void {
  const taken = registry.machines().find((entry) => entry.uuid === uuid);
  if (taken === undefined) return;
  throw new ResultError(
    "VBOX_E_OBJECT_IN_USE",
    "VirtualBoxWrap",
    `Registered machine with UUID {${uuid}} ('${taken.path}') already exists`,
  );
}
