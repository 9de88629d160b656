/** showmediuminfo (showhdinfo, showvdiinfo): one medium, known or read from its file. */
import { MediaIndex, type MediumKind, type MediumRecord } from "../config/media-registry.ts";
import { findOrOpenMedium } from "../config/open-medium.ts";
import { XmlElement } from "../config/xml.ts";
import { type Command, onlyOne } from "./command.ts";
import { mediumReport } from "./medium-report.ts";
import { parseArguments } from "./options.ts";

const kinds: Record<string, MediumKind> = { disk: "hdd", dvd: "dvd", floppy: "floppy" };

/** Takes a leading `disk`, `dvd` or `floppy` off the arguments; disks are the default. */
export function takeKind(args: readonly string[]): { kind: MediumKind; rest: readonly string[] } {
  const kind = args.length > 0 && Object.hasOwn(kinds, args[0]) ? kinds[args[0]] : undefined;
  return kind ? { kind, rest: args.slice(1) } : { kind: "hdd", rest: args };
}

export const command: Command = {
  usage: ["[disk | dvd | floppy] UUID|FILE"],
  about: "Shows a medium's state, format, size and users.",
  run(args, terminal) {
    const { kind, rest } = takeKind(args);
    const name = onlyOne(parseArguments(rest, []).positionals, "Medium");
    const index = new MediaIndex();
    const medium = findOrOpenMedium(index, name, kind);
    const known = index.byUuid(medium.uuid, kind);
    const unlisted: MediumRecord = {
      ...medium,
      type: "Normal",
      isAutoReset: false,
      element: new XmlElement("HardDisk"),
    };
    terminal.out(mediumReport(known ?? { ...unlisted, listedBy: undefined }, index, true));
    return undefined;
  },
};
