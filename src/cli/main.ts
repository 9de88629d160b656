/**
 * The command line's entry: global options, response files, help, dispatch, and the one place where errors become text
 * and an exit code. Commands are loaded lazily (see commands.ts).
 */
import { readFileSync } from "node:fs";
import type { Command, Terminal } from "./command.ts";
import { commands, unavailableCommands } from "./commands.ts";
import { errorLines, exitCodes, UsageError } from "./errors.ts";

/** Runs one command line. `program` is the name it was started under, `args` what follows it. Never throws. */
export async function main(program: string, args: readonly string[]): Promise<void> {
  const name = /^vboxmanage(\.exe)?$/i.test(program) ? "VBoxManage" : "anneau";
  survivePrinting(name);
  const code = await runCommandLine(name, args);
  // Output that could not be written has left its code.
  process.exitCode ||= code;
}

interface GlobalOptions {
  isDetailedProgress: boolean;
}

async function runCommandLine(program: string, given: readonly string[]): Promise<number> {
  const globals: GlobalOptions = { isDetailedProgress: false };
  const terminal: Terminal = {
    program,
    get isDetailedProgress() {
      return globals.isDetailedProgress;
    },
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    warn: (text) => void process.stderr.write(`${program}: warning: ${text}\n`),
  };
  let command: Command | undefined;
  let args: readonly string[] = given;
  try {
    args = takeGlobalOptions(given, globals);
    const [first, ...rest] = args;
    if (first === undefined) {
      const { banner, overview } = await import("./help.ts");
      terminal.out(banner() + overview(program));
      return exitCodes.failure;
    }
    const early = await answerEarly(first, rest, terminal);
    if (early !== undefined) return early;
    const entry = Object.hasOwn(commands, first) ? commands[first] : undefined;
    if (entry === undefined) {
      if (!unavailableCommands.includes(first)) throw new UsageError(`Invalid command '${first}'`);
      terminal.err(`${program}: error: '${first}' is not available in this version of Anneau\n`);
      return exitCodes.failure;
    }
    ({ command } = await entry.load());
    if (rest.length === 1 && /^(--help|-h|-\?|help)$/.test(rest[0])) {
      const { commandHelp } = await import("./help.ts");
      terminal.out(commandHelp(program, first, command));
      return exitCodes.success;
    }
    return (await command.run(rest, terminal)) ?? exitCodes.success;
  } catch (error) {
    return report(error, terminal, args, command);
  }
}

async function report(error: unknown, terminal: Terminal, args: readonly string[], command?: Command): Promise<number> {
  const { program } = terminal;
  if (error instanceof UsageError) {
    const { banner, usage } = await import("./help.ts");
    const lines = command ? usage(program, args[0], command) : `Type '${program} help' for the commands there are.\n`;
    terminal.err(`${banner()}${program}: error: ${error.message}\n\n${lines}`);
    return exitCodes.syntax;
  }
  // The command and what it was about: a VM, a file.
  const [name, ...rest] = args;
  const subject = rest.find((argument) => !argument.startsWith("-"));
  const doing = subject === undefined ? name : `${name} ${subject}`;
  for (const line of errorLines(error, doing)) terminal.err(`${program}: error: ${line}\n`);
  return (error as { exitCode?: number }).exitCode ?? exitCodes.failure;
}

/** Takes the options before the command away; a response file is replaced by the arguments in it. */
function takeGlobalOptions(given: readonly string[], globals: GlobalOptions): string[] {
  const args = [...given];
  for (let replaced = 0; args.length > 0; ) {
    const first = args[0];
    if (/^(-q|--?nologo)$/.test(first)) args.shift();
    else if (/^(-d|--?detailed-progress)$/.test(first)) {
      globals.isDetailedProgress = true;
      args.shift();
    } else if (/^--?settingspw(file)?$/.test(first)) {
      if (args.length < 2) throw new UsageError(`Missing value for option '${first}'`);
      args.splice(0, 2);
    } else if (/^--?settingspw(file)?[=:]/.test(first)) args.shift();
    else if (first.startsWith("@") && first.length > 1) {
      if (++replaced > 8) throw new UsageError("Response files name one another");
      args.splice(0, 1, ...readResponseFile(first.slice(1)));
    } else break;
  }
  return args;
}

async function answerEarly(first: string, rest: readonly string[], terminal: Terminal): Promise<number | undefined> {
  const { program } = terminal;
  if (/^(-v|-V|--?version)$/.test(first)) {
    const { interfaceVersion, ownVersion } = await import("./version.ts");
    terminal.out(`${program === "VBoxManage" ? interfaceVersion : ownVersion()}\n`);
    return exitCodes.success;
  }
  if (first === "--dump-build-type") {
    terminal.out("release\n");
    return exitCodes.success;
  }
  if (first === "commands") {
    const names = Object.entries(commands).filter(([, { isAlias }]) => !isAlias);
    terminal.out(`${names.map(([name]) => name).join("\n")}\n`);
    return exitCodes.success;
  }
  if (!/^(help|--help|-help|-h|-\?)$/.test(first)) return undefined;
  const { banner, commandHelp, overview } = await import("./help.ts");
  if (rest.length === 0) {
    terminal.out(banner() + overview(program));
    return exitCodes.success;
  }
  if (!Object.hasOwn(commands, rest[0])) throw new UsageError(`Invalid command '${rest[0]}'`);
  terminal.out(commandHelp(program, rest[0], (await commands[rest[0]].load()).command));
  return exitCodes.success;
}

/** Arguments in a file, separated by white space; quotes of both kinds and backslashes as in a shell. */
function readResponseFile(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`Cannot read the response file '${path}' (${(error as NodeJS.ErrnoException).code})`);
  }
  const words = text.match(/(?:"(?:[^"\\]|\\[\s\S])*"|'[^']*'|\\[\s\S]|[^\s"'\\])+/g) ?? [];
  return words.map((word) =>
    word.replace(
      /"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'|\\([\s\S])/g,
      (_, double?: string, single?: string, escaped?: string) =>
        double !== undefined ? double.replace(/\\(["\\$`])/g, "$1") : (single ?? escaped ?? ""),
    ),
  );
}

/**
 * A reader that has gone (`| head`) is no failure, and what the command changes is still done to the end. Output that
 * cannot be written (a full disk) is one, said once.
 */
function survivePrinting(program: string): void {
  const ignore = () => {};
  process.stderr.on("error", ignore);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    if (!process.exitCode) process.stderr.write(`${program}: error: cannot write the output (${error.code})\n`);
    process.exitCode = exitCodes.failure;
  });
}
