/** createmedium (createhd, createvdi): a new image file, listed in the registry until a VM uses it. */
import { rmSync } from "node:fs";
import { extname, resolve } from "node:path";
import { AnneauError } from "../base/errors.ts";
import { addMedium } from "../config/media-registry.ts";
import { editRegistry } from "../config/registry.ts";
import { hostStatusOf, ResultError } from "../config/result-codes.ts";
import { newUuid } from "../config/uuid.ts";
import { isCancellation, runCancellable } from "./cancel.ts";
import { type Command, noneLeft } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { checkMediumProperty, setMediumProperty } from "./modifymedium.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";
import { withProgress } from "./progress.ts";
import { takeKind } from "./showmediuminfo.ts";

const options = [
  option("filename", "text"),
  option("size", "integer"),
  option("sizebyte", "integer"),
  option("format", "text"),
  option("variant", "text"),
  option("diffparent", "text"),
  option("property", "text"),
  option("property-file", "text"),
];

const formats: Record<string, { readonly format: "VDI" | "RAW"; readonly extension: string }> = {
  vdi: { format: "VDI", extension: ".vdi" },
  raw: { format: "RAW", extension: ".img" },
};

export const command: Command = {
  usage: [
    "[disk | dvd | floppy] --filename FILE (--size MEGABYTES | --sizebyte BYTES) [--format VDI|RAW] [--variant Standard|Fixed] [--property NAME=VALUE]...",
  ],
  about: "Creates an image file. Without a folder it lies in the current one; a name without extension gets one.",
  async run(args, terminal) {
    const { kind, rest } = takeKind(args);
    const parsed = parseArguments(rest, options);
    noneLeft(parsed.positionals);
    if (parsed.has("diffparent")) {
      throw new CommandError("Differencing images are not available in this version of Anneau");
    }
    const filename = parsed.text("filename");
    if (!filename) throw new UsageError("Parameter --filename is required");
    const sizeBytes = wantedBytes(parsed);
    const wanted = (parsed.text("format") ?? (kind === "hdd" ? "VDI" : "RAW")).toLowerCase();
    if (!Object.hasOwn(formats, wanted)) {
      throw new CommandError(`The medium format '${parsed.text("format")}' is not available in this version of Anneau`);
    }
    const { format, extension } = formats[wanted];
    if (kind !== "hdd" && format !== "RAW") throw new CommandError(`A ${kind} image cannot have the format ${format}`);
    if (parsed.has("property-file"))
      throw new CommandError("'createmedium --property-file' is not available in this version of Anneau");
    const properties = parsed.options.filter((one) => one.name === "property").map(({ values }) => values[0]);
    for (const property of properties) checkMediumProperty(property);
    const variant = parseVariant(parsed.text("variant"));
    const path = resolve(extname(filename) === "" ? `${filename}${kind === "dvd" ? ".iso" : extension}` : filename);
    const { createRawInSteps, createVdiInSteps } = await import("../disk/create.ts");
    const uuid = newUuid();
    await withProgress(terminal, "Creating medium", async (report) => {
      try {
        const onProgress = (percent: number) => report(percent / 100);
        if (format === "VDI") await runCancellable(createVdiInSteps(path, { sizeBytes, variant, uuid, onProgress }));
        else await runCancellable(createRawInSteps(path, { sizeBytes, variant, onProgress }));
      } catch (error) {
        throw creationError(error, path);
      }
      try {
        editRegistry((registry) => {
          const element = addMedium(registry.global, { uuid, kind, location: path, format });
          for (const property of properties) setMediumProperty(element, property);
        });
      } catch (error) {
        rmSync(path, { force: true });
        throw error;
      }
    });
    terminal.out(`Medium created. UUID: ${uuid}\n`);
    return undefined;
  },
};

function wantedBytes(parsed: ParsedArguments): number {
  const name = parsed.has("sizebyte") ? "sizebyte" : "size";
  const value = parsed.integer(name);
  if (value === undefined) throw new UsageError("Parameter --size is required");
  if (value <= 0)
    throw new UsageError(`Invalid value for option '--${name}': '${parsed.text(name)}' (must be more than 0)`);
  return name === "size" ? value * 1048576 : value;
}

function parseVariant(text: string | undefined): "Standard" | "Fixed" {
  let variant: "Standard" | "Fixed" = "Standard";
  for (const word of (text ?? "Standard").toLowerCase().split(",")) {
    if (word === "fixed") variant = "Fixed";
    else if (/^(split2g|stream|esx|formatted|rawdisk)$/.test(word)) {
      throw new CommandError(`The medium variant '${word}' is not available in this version of Anneau`);
    } else if (word !== "standard") throw new UsageError(`Invalid medium variant '${word}'`);
  }
  return variant;
}

function creationError(error: unknown, path: string): unknown {
  if (!(error instanceof AnneauError) || error instanceof ResultError) return error;
  const isTaken = /exists already/.test(error.message);
  const status = isCancellation(error) ? "VERR_CANCELLED" : isTaken ? "VERR_ALREADY_EXISTS" : hostStatusOf(error);
  return new ResultError(
    status ? "VBOX_E_FILE_ERROR" : "E_INVALIDARG",
    "MediumWrap",
    `Failed to create medium: Could not create the medium storage unit '${path}' (${status ?? error.message})`,
    { cause: error },
  );
}
