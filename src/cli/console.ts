/** console: a running VM's screen in the user's browser. */
import { spawn } from "node:child_process";
import { accessSync, constants, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Command, Terminal } from "./command.ts";
import { UsageError } from "./errors.ts";
import { asResultError, connect, findRunning } from "./live-machine.ts";
import { option, parseArguments } from "./options.ts";

const options = [option("print", "switch")];
/** The page's server is started on demand and reads some files. */
const patienceMs = 20_000;

export const command: Command = {
  usage: ["VM [--print]"],
  about:
    "Opens the VM's console in the browser if there is a desktop, and prints its address. The address holds the key to the\n" +
    "console: whoever has it can see the screen and type. --print only prints it.",
  async run(args, terminal) {
    const parsed = parseArguments(args, options);
    const [id, ...others] = parsed.positionals;
    if (id === undefined) throw new UsageError("VM name not specified");
    if (others.length > 0) throw new UsageError(`Invalid parameter '${others[0]}'`);
    const { uuid, name } = await findRunning(id);
    try {
      if (parsed.has("print")) terminal.out(`${await consoleAddress(uuid)}\n`);
      else await showConsole(uuid, name, terminal);
    } catch (error) {
      throw asResultError(error);
    }
    return undefined;
  },
};

async function consoleAddress(uuid: string): Promise<string> {
  const client = await connect(uuid);
  try {
    return (await client.request("console", {}, patienceMs)).url;
  } finally {
    client.close();
  }
}

/** Prints where the console is, and has the desktop open it if there is one. */
export async function showConsole(uuid: string, name: string, terminal: Terminal): Promise<void> {
  const url = await consoleAddress(uuid);
  terminal.out(`The console of VM "${name}" is at ${url}\n`);
  const opener = desktopOpener();
  if (opener === undefined) return;
  // Everybody on the host can see a program's arguments: the key goes through a file that only its owner can read.
  const { consolePagePath } = await import("../control/socket-path.ts");
  const page = consolePagePath(uuid);
  rmSync(page, { force: true });
  writeFileSync(
    page,
    `<!doctype html><meta http-equiv="refresh" content="0;url=${url}"><a href="${url}">console</a>\n`,
    {
      mode: 0o600,
      flag: "wx",
    },
  );
  const child = spawn(opener, [page], { detached: true, stdio: "ignore" });
  // No desktop after all: the address has been printed.
  child.on("error", () => {});
  child.unref();
}

/** The program that opens an address on this desktop; undefined without one. */
function desktopOpener(): string | undefined {
  if (process.platform === "darwin") return "/usr/bin/open";
  if (!process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return undefined;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, "xdg-open");
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
