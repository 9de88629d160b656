/** setproperty: properties of the registry. */
import { resolve } from "node:path";
import { editRegistry, type Registry } from "../config/registry.ts";
import { setExtraDataIn } from "../config/vbox-file.ts";
import type { Command } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { parseOnOff } from "./options.ts";

type Setter = (registry: Registry, value: string) => void;

/** A property that is an attribute; `default` deletes it. */
const attribute =
  (name: string): Setter =>
  (registry, value) =>
    registry.setSystemProperty(name, value === "default" ? undefined : value);

const proxyModes: Record<string, string> = { system: "0", noproxy: "1", manual: "2" };

const properties: Readonly<Record<string, Setter>> = {
  machinefolder: (registry, value) =>
    registry.setSystemProperty("defaultMachineFolder", value === "default" ? undefined : resolve(value)),
  hwvirtexclusive: (registry, value) => {
    const isOn = parseOnOff(value);
    if (isOn === undefined) throw new CommandError(`Invalid hwvirtexclusive argument '${value}'`);
    registry.setSystemProperty("exclusiveHwVirt", String(isOn));
  },
  vrdeauthlibrary: attribute("VRDEAuthLibrary"),
  websrvauthlibrary: attribute("webServiceAuthLibrary"),
  vrdeextpack: attribute("defaultVRDEExtPack"),
  autostartdbpath: attribute("autostartDatabasePath"),
  loghistorycount: (registry, value) => {
    if (!/^[0-9]{1,3}$/.test(value)) throw new CommandError(`Invalid loghistorycount argument '${value}'`);
    registry.setSystemProperty("LogHistoryCount", String(Number(value)));
  },
  defaultfrontend: attribute("defaultFrontend"),
  logginglevel: attribute("LoggingLevel"),
  proxymode: (registry, value) => {
    const mode = value.toLowerCase();
    if (!Object.hasOwn(proxyModes, mode)) throw new CommandError(`Invalid proxymode argument '${value}'`);
    registry.setSystemProperty("proxyMode", proxyModes[mode]);
  },
  proxyurl: attribute("proxyUrl"),
  language: (registry, value) => setExtraDataIn(registry.global, "GUI/LanguageID", value),
};

export const command: Command = {
  usage: [`${Object.keys(properties).join("|")} VALUE`],
  about: "Sets a property of the registry. `default` brings a property's default back.",
  run(args) {
    if (args.length < 2) throw new UsageError("Not enough parameters");
    if (args.length > 2) throw new UsageError(`Invalid parameter '${args[2]}'`);
    if (!Object.hasOwn(properties, args[0])) throw new UsageError(`Invalid parameter '${args[0]}'`);
    editRegistry((registry) => properties[args[0]](registry, args[1]));
    return undefined;
  },
};
