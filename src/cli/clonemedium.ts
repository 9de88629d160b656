/** clonemedium (clonehd, clonevdi) and convertfromraw (convertdd): one image's content in a new image. */
import { rmSync } from "node:fs";
import { extname, resolve } from "node:path";
import type { BlockBackend } from "../backend-api/block.ts";
import { AnneauError } from "../base/errors.ts";
import { addMedium, MediaIndex, type MediumKind } from "../config/media-registry.ts";
import { findOrOpenMedium, imageKinds, type OpenedMedium } from "../config/open-medium.ts";
import { editRegistry } from "../config/registry.ts";
import { hostStatusOf, ResultError } from "../config/result-codes.ts";
import { newUuid, parseUuid } from "../config/uuid.ts";
import { copyMediumInSteps, createRawInSteps, createVdiInSteps, type ImageContent } from "../disk/create.ts";
import { openMedium } from "../disk/open.ts";
import { isCancellation, runCancellable } from "./cancel.ts";
import type { Command } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, parseArguments } from "./options.ts";
import { withProgress } from "./progress.ts";
import { takeKind } from "./showmediuminfo.ts";

const options = [
  option("format", "text"),
  option("variant", "text"),
  option("uuid", "uuid"),
  option("existing", "switch"),
  option("resize", "integer"),
];

export const cloneCommand: Command = {
  usage: [
    "[disk | dvd | floppy] UUID|FILE TARGET [--format VDI|RAW] [--variant Standard|Fixed] [--resize MEGABYTES] [--existing]",
  ],
  about: "Copies a medium into a new image of the same or another format.",
  async run(args, terminal) {
    const { kind, rest } = takeKind(args);
    const parsed = parseArguments(rest, options);
    const [from, to] = two(parsed.positionals);
    const index = new MediaIndex();
    const source = findOrOpenMedium(index, from, kind);
    if (parsed.has("existing")) {
      const { uuid, format } = await withProgress(terminal, "Cloning medium", (report) =>
        overwrite(source, findOrOpenMedium(index, to, kind), report),
      );
      terminal.out(`Clone medium created in format '${format}'. UUID: ${uuid}\n`);
      return undefined;
    }
    const format = formatOf(parsed.text("format") ?? source.format, kind);
    const target = resolve(extname(to) === "" ? `${to}${format === "VDI" ? ".vdi" : ".img"}` : to);
    const uuid = newUuid();
    const isFixed = isFixedVariant(parsed.text("variant"));
    const leastBytes = (parsed.integer("resize") ?? 0) * 1048576;
    if (parsed.has("resize") && leastBytes < source.info.capacityBytes)
      throw new ResultError(
        "VBOX_E_NOT_SUPPORTED",
        "MediumWrap",
        `Shrinking is not yet supported for medium '${target}'`,
      );
    await withProgress(terminal, "Cloning medium", async (report) => {
      const content = openSource(source.location, kind, source.format);
      try {
        await write(target, { format, isFixed, uuid, content, leastBytes, report });
      } finally {
        content.close();
      }
      try {
        editRegistry((registry) => addMedium(registry.global, { uuid, kind, location: target, format }));
      } catch (error) {
        rmSync(target, { force: true });
        throw error;
      }
    });
    terminal.out(`Clone medium created in format '${format}'. UUID: ${uuid}\n`);
    return undefined;
  },
};

export const convertCommand: Command = {
  usage: [
    "FILE TARGET [--format VDI] [--variant Standard|Fixed] [--uuid UUID]",
    "stdin TARGET BYTES [--format VDI] [--variant Standard|Fixed]",
  ],
  about: "Makes an image of a raw one, or of bytes on standard input. It is not put on any list.",
  async run(args, terminal) {
    const parsed = parseArguments(args, options);
    const [from, to, bytes, ...surplus] = parsed.positionals;
    if (from === undefined || to === undefined) throw new UsageError("Not enough parameters");
    const isStdin = from === "stdin";
    const tooMany = isStdin ? surplus[0] : bytes;
    if (tooMany !== undefined) throw new UsageError(`Invalid parameter '${tooMany}'`);
    if (isStdin && !/^[1-9][0-9]{0,15}$/.test(bytes ?? ""))
      throw new UsageError("The size of what comes on standard input is missing");
    const format = formatOf(parsed.text("format") ?? "VDI", "hdd");
    const isFixed = isFixedVariant(parsed.text("variant"));
    const target = resolve(to);
    terminal.err(`Converting from raw image file="${from}" to file="${to}"...\n`);
    const content = isStdin ? standardInput(Number(bytes)) : openSource(resolve(from), "hdd", "RAW");
    try {
      const { sizeBytes } = content;
      const size = `${sizeBytes} bytes (${Math.ceil(sizeBytes / 1048576)}MB)`;
      terminal.err(`Creating ${isFixed ? "fixed" : "dynamic"} image with size ${size}...\n`);
      await write(target, {
        format,
        isFixed,
        uuid: parseUuid(parsed.text("uuid")) ?? newUuid(),
        content,
        report: () => {},
      });
    } finally {
      content.close();
    }
    return undefined;
  },
};

function two(positionals: readonly string[]): readonly [string, string] {
  if (positionals.length < 2) throw new UsageError("Not enough parameters");
  if (positionals.length > 2) throw new UsageError(`Invalid parameter '${positionals[2]}'`);
  return [positionals[0], positionals[1]];
}

function formatOf(text: string, kind: MediumKind): "VDI" | "RAW" {
  const format = text.toUpperCase();
  if (format === "RAW") return format;
  if (format === "VDI" && kind === "hdd") return format;
  throw new CommandError(`The medium format '${text}' is not available in this version of Anneau`);
}

function isFixedVariant(text: string | undefined): boolean {
  const words = (text ?? "Standard").toLowerCase().split(",");
  for (const word of words) {
    if (word !== "standard" && word !== "fixed") {
      throw new CommandError(`The medium variant '${word}' is not available in this version of Anneau`);
    }
  }
  return words.includes("fixed");
}

function openSource(path: string, kind: MediumKind, format: string): BlockBackend {
  try {
    const known = format.toUpperCase();
    const wanted = known === "VDI" || known === "RAW" ? known : undefined;
    return openMedium(path, { kind: imageKinds[kind], readOnly: true, format: wanted });
  } catch (error) {
    throw imageError(error, path, "open");
  }
}

interface Target {
  readonly format: "VDI" | "RAW";
  readonly isFixed: boolean;
  readonly uuid: string;
  readonly content: BlockBackend;
  /** At least this many bytes, if the content is not longer. */
  readonly leastBytes?: number;
  readonly report: (fraction: number) => void;
}

/** Copies a known medium's image to a new file of the same format, under the given UUID. */
export async function copyImage(
  source: Pick<OpenedMedium, "location" | "kind" | "format">,
  target: string,
  uuid: string,
  report: (fraction: number) => void,
): Promise<void> {
  const content = openSource(source.location, source.kind, source.format);
  try {
    await write(target, { format: formatOf(source.format, source.kind), isFixed: false, uuid, content, report });
  } finally {
    content.close();
  }
}

/** Copies over a medium that is there: same UUID, same size, all of its former content gone. */
async function overwrite(
  source: OpenedMedium,
  target: OpenedMedium,
  report: (fraction: number) => void,
): Promise<OpenedMedium> {
  const { location, kind } = target;
  if (target.info.capacityBytes < source.info.capacityBytes) {
    throw new ResultError(
      "E_INVALIDARG",
      "MediumWrap",
      `The medium '${location}' is smaller than '${source.location}'`,
    );
  }
  const content = openSource(source.location, source.kind, source.format);
  try {
    const format = target.format.toUpperCase() === "VDI" ? "VDI" : "RAW";
    const disk = openMedium(location, { kind: imageKinds[kind], readOnly: false, format });
    try {
      await runCancellable(copyMediumInSteps(content, disk, (percent) => report(percent / 100), false));
      const restBytes = disk.sizeBytes - content.sizeBytes;
      if (restBytes > 0) disk.discard?.(content.sizeBytes, restBytes, () => {});
    } finally {
      disk.close();
    }
  } catch (error) {
    throw imageError(error, location, "write");
  } finally {
    content.close();
  }
  return target;
}

async function write(path: string, { format, isFixed, uuid, content, leastBytes = 0, report }: Target): Promise<void> {
  const variant = isFixed ? "Fixed" : "Standard";
  const onProgress = (percent: number) => report(percent / 100);
  const sizeBytes = Math.max(leastBytes, Math.ceil(content.sizeBytes / 512) * 512);
  try {
    if (format === "VDI")
      await runCancellable(createVdiInSteps(path, { sizeBytes, variant, uuid, content, onProgress }));
    else await runCancellable(createRawInSteps(path, { sizeBytes, variant: "Standard", content, onProgress }));
  } catch (error) {
    throw imageError(error, path, "create");
  }
}

function imageError(error: unknown, path: string, doing: string): unknown {
  if (!(error instanceof AnneauError) || error instanceof ResultError) return error;
  const isTaken = /exists already/.test(error.message);
  const status = isCancellation(error)
    ? "VERR_CANCELLED"
    : isTaken
      ? "VERR_ALREADY_EXISTS"
      : (hostStatusOf(error) ?? error.message);
  const what = `Could not ${doing} the medium storage unit '${path}' (${status})`;
  return new ResultError("VBOX_E_FILE_ERROR", "MediumWrap", what, { cause: error });
}

/** Standard input as a medium that is read once, in order; where it ends early the rest is zeros. */
function standardInput(sizeBytes: number): ImageContent {
  const input = process.stdin;
  let position = 0;
  let hasEnded = false;
  let waiting: () => void = () => {};
  input.on("end", () => {
    hasEnded = true;
  });
  for (const event of ["readable", "end", "error", "close"]) input.on(event, () => waiting());
  const parts: Buffer[] = [];
  let held = 0;
  return {
    sizeBytes: Math.ceil(sizeBytes / 512) * 512,
    readOnly: true,
    async whenReady(lengthBytes) {
      const wanted = Math.max(0, Math.min(lengthBytes, sizeBytes - position));
      while (held < wanted && !hasEnded && !input.destroyed) {
        const next: Buffer | null = input.read(Math.min(wanted - held, input.readableLength || 1));
        if (next !== null) {
          parts.push(next);
          held += next.length;
          continue;
        }
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      }
    },
    read(offsetBytes, target, done) {
      if (offsetBytes !== position) {
        done(false);
        return;
      }
      const bytes = Buffer.concat(parts.splice(0));
      held = 0;
      target.set(bytes);
      target.fill(0, bytes.length);
      position += target.length;
      done(true);
    },
    write: (_offsetBytes, _source, done) => done(false),
    flush: (done) => done(true),
    close: () => input.destroy(),
  };
}
