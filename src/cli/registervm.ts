/** registervm: makes an existing .vbox file known. Everything is checked before the registry changes. */
import { resolve } from "node:path";
import { MediaIndex, mediaIn, mediumLabels, realPath } from "../config/media-registry.ts";
import { editRegistry, type Registry } from "../config/registry.ts";
import { ResultError } from "../config/result-codes.ts";
import { loadVbox, type VboxFile } from "../config/vbox-file.ts";
import { type Command, onlyOne } from "./command.ts";
import { refuseTakenUuid } from "./createvm.ts";
import { option, parseArguments } from "./options.ts";

export const command: Command = {
  usage: ["FILE.vbox"],
  about: "Registers the VM whose settings file is given, absolute or relative to the current folder.",
  run(args) {
    const parsed = parseArguments(args, [option("password", "text")]);
    const path = resolve(onlyOne(parsed.positionals, "Settings file"));
    editRegistry((registry) => {
      const vbox = loadVbox(path);
      refuseTakenUuid(registry, vbox.uuid);
      refuseMediumClash(registry, vbox);
      registry.addMachine({ uuid: vbox.uuid, path });
    });
    return undefined;
  },
};

/** One UUID names one medium: a known one at another place is another medium. */
function refuseMediumClash(registry: Registry, vbox: VboxFile): void {
  const index = new MediaIndex(registry);
  for (const medium of mediaIn(vbox.machine, vbox.folder)) {
    const known = index.byUuid(medium.uuid, medium.kind);
    if (known === undefined || realPath(known.location) === realPath(medium.location)) continue;
    const label = mediumLabels[medium.kind];
    throw new ResultError(
      "E_INVALIDARG",
      "VirtualBoxWrap",
      `Cannot register the ${label} '${medium.location}' {${medium.uuid}} because a ${label} '${known.location}' ` +
        `with UUID {${known.uuid}} already exists`,
    );
  }
}
