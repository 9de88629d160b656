/** `anneau run`: a machine in the foreground, without a settings file. Ours, not one of VBoxManage's commands. */
import type { MediumKind } from "../config/media-registry.ts";
import { inspectImage, refuseDisc } from "../config/open-medium.ts";
import { ResultError } from "../config/result-codes.ts";
import { cpuEngines } from "../spec/machine-spec.ts";
import { runForeground } from "../vm/foreground.ts";
import type { Command } from "./command.ts";
import { noneLeft } from "./command.ts";
import { CommandError, UsageError } from "./errors.ts";
import { option, type ParsedArguments, parseArguments } from "./options.ts";
import { parseRunNic } from "./run-nic.ts";
import { parseTrace } from "./trace.ts";

const specs = [
  option("memory m", "integer"),
  option("vram", "integer"),
  option("cdrom", "text"),
  option("disk", "text"),
  option("floppy", "text"),
  option("kernel", "text"),
  option("initrd", "text"),
  option("append", "text"),
  option("serial", "text"),
  option("display", "text"),
  option("bios", "text"),
  option("boot", "text"),
  option("trace", "text"),
  option("log", "text"),
  option("triple-fault", "text"),
  option("engine", "text"),
  option("nic", "text"),
  option("ioapic", "text"),
  option("audio", "text"),
  option("audio-file", "text"),
  option("read-only", "switch"),
  option("deterministic", "switch"),
  option("statistics", "switch"),
];

export const command: Command = {
  usage: [
    "[--memory=MB] [--vram=MB] [--cdrom=FILE] [--disk=FILE]... [--floppy=FILE] [--read-only]",
    "[--kernel=FILE [--initrd=FILE] [--append=TEXT]] [--bios=FILE] [--boot=LETTERS]",
    "[--serial=stdio|none|file:PATH] [--display=none|text|png:FILE]",
    "[--trace=LIST] [--log=FILE] [--statistics] [--deterministic] [--triple-fault=stop|reset]",
    "[--engine=interpreter|translator|shadow] [--nic=MODEL[,WORD]...]... [--ioapic=on|off]",
    "[--audio=none|ac97|sb16] [--audio-file=FILE.wav]",
  ],
  about:
    "Runs a machine in the foreground, without a settings file, its first serial port on the terminal. Ctrl-A X ends it, " +
    "Ctrl-A A types a Ctrl-A. --boot takes letters in order: a floppy, c disk, d DVD, n network. SIGUSR1 writes the picture of " +
    "--display=png:FILE, as does the end. --nic is a network card on NAT; words: net=nat|null|intnet:NAME|natnetwork:NAME|hostonly:DEVICE|bridged:DEVICE, " +
    "mac=, cable=off, host-loopback, ipv6, tftp=FOLDER and boot=FILE (network boot), forward=tcp:HOSTPORT:GUESTPORT, trace=FILE, wire=LOSS:REORDER:DELAYMS (a bad wire). What a sound " +
    "card plays goes into --audio-file, or nowhere. The exit code is 0 when the guest switches off, 1 when it dies.",
  run(args) {
    const parsed = parseArguments(args, specs);
    noneLeft(parsed.positionals);
    for (const name of ["initrd", "append"])
      if (parsed.has(name) && !parsed.has("kernel")) throw new UsageError(`Option '--${name}' needs --kernel`);
    const trace = parseTrace(parsed.text("trace"));
    const disks = parsed.options.filter(({ name }) => name === "disk").map(({ values }) => values[0]);
    const [cdrom, floppy] = [parsed.text("cdrom"), parsed.text("floppy")];
    for (const disk of disks) checkMedium(disk, "hdd");
    if (cdrom !== undefined) checkMedium(cdrom, "dvd");
    if (floppy !== undefined) checkMedium(floppy, "floppy");
    const display = parseDisplay(parsed.text("display") ?? "none");
    const serial = parseSerial(parsed.text("serial") ?? (display.kind === "text" ? "none" : "stdio"));
    if (display.kind === "text" && serial.kind === "stdio")
      throw new UsageError("--display=text and --serial=stdio both want the terminal");
    return runForeground({
      memoryMiB: parsed.integer("memory") ?? 256,
      vramMiB: parsed.integer("vram"),
      cdrom,
      disks,
      floppy,
      kernel: parsed.text("kernel"),
      initrd: parsed.text("initrd"),
      append: parsed.text("append"),
      bios: parsed.text("bios"),
      bootOrder: parseBootOrder(parsed.text("boot")),
      nics: parsed.options.filter(({ name }) => name === "nic").map(({ values }, i) => parseRunNic(values[0], i)),
      hasSerial: serial.kind !== "none",
      hasGraphics: true,
      hasIoApic: parseOnOff("ioapic", parsed.text("ioapic") ?? "on"),
      serial,
      display,
      isReadOnly: parsed.has("read-only"),
      deterministic: parsed.has("deterministic"),
      engine: parseEngine(parsed.text("engine") ?? "translator"),
      trace,
      logFile: parsed.text("log"),
      statistics: parsed.has("statistics"),
      onTripleFault: parseTripleFault(parsed),
      audio: parseAudio(parsed),
      audioFile: parsed.text("audio-file"),
    });
  },
};

/** What storageattach would refuse is refused here, in one line. */
function checkMedium(path: string, kind: MediumKind): void {
  try {
    if (kind === "hdd") refuseDisc(path);
    inspectImage(path, kind);
  } catch (error) {
    throw error instanceof ResultError ? new CommandError(error.message) : error;
  }
}

function parseEngine(text: string) {
  const engine = cpuEngines.find((name) => name === text);
  if (engine !== undefined) return engine;
  throw new UsageError(`Invalid argument format for option '--engine': '${text}'`);
}

/** --audio-file by itself wants a card too. */
function parseAudio(parsed: ParsedArguments) {
  const card = parsed.text("audio") ?? (parsed.has("audio-file") ? "ac97" : "none");
  if (card === "none" && !parsed.has("audio-file")) return undefined;
  if (card === "ac97" || card === "sb16") return { controller: card } as const;
  throw new UsageError(`Invalid argument format for option '--audio': '${card}'`);
}

function parseOnOff(name: string, text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new UsageError(`Invalid argument format for option '--${name}': '${text}'`);
}

function parseSerial(text: string) {
  if (text === "stdio" || text === "none") return { kind: text } as const;
  if (/^file:./.test(text)) return { kind: "file", path: text.slice(5) } as const;
  throw new UsageError(`Invalid argument format for option '--serial': '${text}'`);
}

function parseDisplay(text: string) {
  if (text === "text" || text === "none") return { kind: text } as const;
  if (/^png:./.test(text)) return { kind: "png", path: text.slice(4) } as const;
  throw new UsageError(`Invalid argument format for option '--display': '${text}'`);
}

function parseTripleFault(parsed: ParsedArguments): "stop" | "reset" {
  const text = parsed.text("triple-fault") ?? "stop";
  if (text === "stop" || text === "reset") return text;
  throw new UsageError(`Invalid argument format for option '--triple-fault': '${text}'`);
}

function parseBootOrder(text: string | undefined) {
  if (text === undefined) return undefined;
  const letters = { a: "floppy", c: "disk", d: "dvd", n: "network" } as const;
  const order = [...text].map((letter) => letters[letter as keyof typeof letters]);
  if (order.length > 4 || order.includes(undefined as never))
    throw new UsageError(`Invalid argument format for option '--boot': '${text}'`);
  const at = (i: number) => order[i] ?? "none";
  return [at(0), at(1), at(2), at(3)] as const;
}
