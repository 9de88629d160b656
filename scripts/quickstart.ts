/**
 * `npm run quickstart [-- --iso FILE]`: from nothing to an operating system's installer. Makes the installation CD (Debian
 * 12's network installer for i386, unless a CD is given), types the walk-through's commands, starts the machine without
 * a window and waits for the installer's first question; then says where its picture is and what to type next.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { connectToMachine } from "../src/control/client.ts";
import { socketPathOf } from "../src/control/socket-path.ts";
import { debianNetboot, debianNetbootIso } from "./media/debian-netboot.ts";

const root = resolve(import.meta.dirname, "..");
const anneau = join(root, "bin", "anneau");
const PATIENCE_MS = 10 * 60_000;

const { values } = parseArgs({
  options: { iso: { type: "string" }, name: { type: "string", default: "quickstart" } },
});
const name = values.name;

function fail(text: string): never {
  console.error(`quickstart: ${text}`);
  process.exit(1);
}

/** Runs the command line as typed, showing it; answers its standard output. */
function type(args: readonly string[], options: { mayFail?: boolean; isQuiet?: boolean } = {}): string {
  if (!options.isQuiet) console.log(`$ anneau ${args.map((a) => (/[\s']/.test(a) ? `'${a}'` : a)).join(" ")}`);
  const result = spawnSync(process.execPath, [anneau, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", options.isQuiet ? "pipe" : "inherit"],
  });
  if (!options.isQuiet && result.stdout !== "") process.stdout.write(result.stdout);
  if (result.status !== 0 && !options.mayFail) fail(`'anneau ${args[0]}' failed`);
  return result.stdout;
}

const folder = join(root, "build", "quickstart");
mkdirSync(folder, { recursive: true });
let iso: string;
if (values.iso !== undefined) {
  iso = resolve(values.iso);
  if (!existsSync(iso)) fail(`there is no file '${iso}'`);
} else {
  console.log("Making the installation CD from Debian's installer package …");
  iso = join(await debianNetboot(), debianNetbootIso);
}

// A second run starts afresh: the machine of that name is this script's own.
if (type(["list", "vms"], { isQuiet: true }).includes(`"${name}"`)) {
  type(["controlvm", name, "poweroff"], { mayFail: true, isQuiet: true });
  type(["unregistervm", name, "--delete"]);
}
const disk = join(folder, `${name}.vdi`);
rmSync(disk, { force: true });

type(["createvm", "--name", name, "--ostype", "Debian", "--register"]);
type(["createhd", "--filename", disk, "--size", "5000"]);
type(["modifyvm", name, "--memory", "512"]);
type([
  "storagectl",
  name,
  "--name",
  "IDE",
  "--add",
  "ide",
  "--controller",
  "PIIX4",
  "--portcount",
  "2",
  "--bootable",
  "on",
]);
type(["storageattach", name, "--storagectl", "IDE", "--port", "0", "--device", "0", "--type", "hdd", "--medium", disk]);
type([
  "storageattach",
  name,
  "--storagectl",
  "IDE",
  "--port",
  "1",
  "--device",
  "0",
  "--type",
  "dvddrive",
  "--medium",
  iso,
]);
type(["modifyvm", name, "--nic1", "nat", "--nictype1", "Am79C973", "--cableconnected1", "on"]);
type(["startvm", name, "--type", "headless"]);

const uuid = /^UUID="([^"]+)"/m.exec(type(["showvminfo", name, "--machinereadable"], { isQuiet: true }))?.[1];
if (uuid === undefined) fail("showvminfo tells no UUID");
const client = await connectToMachine(socketPathOf(uuid));
const picture = join(folder, "screen.png");
const started = performance.now();
let isReached = false;
let lastLine = "";
while (performance.now() - started < PATIENCE_MS) {
  const screen = await client.request("textscreen", {});
  const lines = screen === null ? [] : screen.lines.map((line) => line.trim()).filter((line) => line !== "");
  const line = lines.at(-1) ?? "";
  if (line !== lastLine && line !== "")
    console.log(`  ${String(Math.round((performance.now() - started) / 1000)).padStart(3)} s  ${line.slice(0, 100)}`);
  lastLine = line;
  if (
    values.iso === undefined ? lines.some((l) => l.includes("Select a language")) : performance.now() - started > 60_000
  ) {
    isReached = true;
    break;
  }
  await new Promise((done) => setTimeout(done, 1000));
}
client.close();
type(["controlvm", name, "screenshotpng", picture], { isQuiet: true });
if (!isReached)
  fail(
    `the installer's language screen did not come within ${PATIENCE_MS / 60_000} minutes; the screen is in ${picture}`,
  );

const command = relative(process.cwd(), anneau) || anneau;
const shown = (path: string) => path.replace(homedir(), "~");
console.log(`
The machine '${name}' is running. Its screen: ${shown(picture)}

Next:
  ${command} controlvm ${name} keyboardputscancode 1c 9c        # Enter
  ${command} controlvm ${name} screenshotpng /tmp/screen.png    # look at it
  ${command} controlvm ${name} poweroff
  ${command} startvm ${name}
  ${command} unregistervm ${name} --delete`);
