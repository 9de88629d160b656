/** closemedium: takes an unused medium off the lists, with --delete also its file. */
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import { type KnownMedium, MediaIndex, type MediumKind, removeMedium } from "../config/media-registry.ts";
import { unknownMedium } from "../config/open-medium.ts";
import { editRegistry, type Registry } from "../config/registry.ts";
import { fileError, ResultError } from "../config/result-codes.ts";
import { parseUuid } from "../config/uuid.ts";
import { editVbox } from "../config/vbox-file.ts";
import { type Command, onlyOne } from "./command.ts";
import { option, parseArguments } from "./options.ts";
import { withProgress } from "./progress.ts";
import { takeKind } from "./showmediuminfo.ts";

export const command: Command = {
  usage: ["[disk | dvd | floppy] UUID|FILE [--delete]"],
  about: "Forgets a medium that no VM uses; --delete deletes its file too.",
  async run(args, terminal) {
    const { kind, rest } = takeKind(args);
    const parsed = parseArguments(rest, [option("delete", "switch")]);
    const name = onlyOne(parsed.positionals, "Medium");
    const close = (work: (medium: KnownMedium) => void) =>
      editRegistry((registry) => {
        const medium = findUnused(registry, name, kind);
        work(medium);
        unlist(registry, medium);
      });
    if (!parsed.has("delete")) {
      close(() => {});
      return undefined;
    }
    await withProgress(terminal, "Deleting medium", () =>
      close(({ location }) => {
        try {
          rmSync(location, { force: true });
        } catch (error) {
          throw fileError(error, "Could not delete the medium storage unit", location, "MediumWrap");
        }
      }),
    );
    return undefined;
  },
};

function findUnused(registry: Registry, name: string, kind: MediumKind): KnownMedium {
  const index = new MediaIndex(registry);
  const uuid = parseUuid(name);
  const medium = (uuid && index.byUuid(uuid, kind)) || index.byLocation(resolve(name), kind);
  if (!medium) throw unknownMedium(kind, name);
  const users = index.usersOf(medium.uuid);
  if (users.length > 0) {
    throw new ResultError(
      "VBOX_E_OBJECT_IN_USE",
      "MediumWrap",
      `Cannot close medium '${medium.location}' because it is still attached to ${users.length} virtual machines`,
    );
  }
  const children = index.childrenOf(medium.uuid).length;
  if (children > 0) {
    throw new ResultError(
      "VBOX_E_OBJECT_IN_USE",
      "MediumWrap",
      `Cannot close medium '${medium.location}' because it has ${children} child media`,
    );
  }
  return medium;
}

/** Off every list that has it. */
function unlist(registry: Registry, medium: KnownMedium): void {
  for (const { uuid, listedBy } of new MediaIndex(registry).media) {
    if (uuid !== medium.uuid) continue;
    const owner = registry.machines().find((entry) => entry.uuid === listedBy);
    if (owner) editVbox(owner.path, (vbox) => removeMedium(vbox.machine, uuid));
    else removeMedium(registry.global, uuid);
  }
}
