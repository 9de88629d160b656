/**
 * The layer check of the gate: imports go down, never sideways between folders of layer 2; a device folder imports no
 * other device folder; only devices/catalogue.ts imports all devices and only machine/ imports the catalogue; cpu/ and
 * devices/ never import node:*. Prints each violation and exits 1.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";

const layers: Record<string, number> = {
  base: 0,
  spec: 1,
  "device-api": 1,
  "backend-api": 1,
  "device-parts": 1.5,
  cpu: 2,
  devices: 2,
  disk: 2,
  net: 2,
  display: 2,
  audio: 2,
  firmware: 2,
  machine: 3,
  config: 4,
  control: 4,
  web: 4,
  vm: 5,
  cli: 5,
  cluster: 6,
};
/** Contracts of layer 1 that may refer to one another. */
const contractFolders = new Set(["spec", "device-api", "backend-api"]);
const browserFolders = new Set([
  "base",
  "spec",
  "device-api",
  "backend-api",
  "device-parts",
  "cpu",
  "devices",
  "net",
  "firmware",
  "machine",
]);
const forbidden: [from: string, to: string][] = [
  ["cli", "machine"],
  ["cli", "devices"],
  ["cli", "cpu"],
];
/** Files that may import one file sideways or up: `anneau run` is a machine in the command line's own process. */
const exceptions: [file: string, target: string][] = [["cli/run.ts", "vm/foreground.ts"]];

const root = resolve(import.meta.dirname, "../src");

function* sources(folder: string): Generator<string> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* sources(path);
    else if (name.endsWith(".ts")) yield path;
  }
}

const violations: string[] = [];
for (const file of sources(root)) {
  const parts = relative(root, file).split(sep);
  const from = parts[0];
  const isTest = file.endsWith(".test.ts");
  const text = readFileSync(file, "utf8");
  const specifiers = [
    ...text.matchAll(/^\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|import\(\s*"([^"]+)"\s*\)|^import\s+"([^"]+)"/gm),
  ];
  for (const match of specifiers) {
    const specifier = match[1] ?? match[2] ?? match[3];
    const say = (why: string) => violations.push(`${relative(root, file)}: imports ${specifier}: ${why}`);
    if (!specifier.startsWith(".")) {
      if (specifier.startsWith("node:") && browserFolders.has(from) && !isTest) say(`${from}/ must run in a browser`);
      continue;
    }
    const target = relative(root, resolve(dirname(file), specifier)).split(sep);
    const to = target[0];
    if (to === from) {
      const sideways = parts.length > 2 && target.length > 2 && parts[1] !== target[1];
      if (from === "devices" && sideways) say("a device folder imports no other device folder");
      if (from === "devices" && parts.length > 2 && target[1] === "catalogue.ts")
        say("only machine/ imports the catalogue");
      continue;
    }
    const isException = exceptions.some(([file, allowed]) => file === parts.join("/") && allowed === target.join("/"));
    if (isException) continue;
    if (layers[to] === undefined || layers[from] === undefined) say("unknown folder");
    else if (contractFolders.has(from) && contractFolders.has(to)) continue;
    else if (layers[to] >= layers[from]) say(`layer ${layers[from]} may not import layer ${layers[to]}`);
    else if (forbidden.some(([a, b]) => a === from && b === to)) say(`${from}/ never imports ${to}/`);
    else if (to === "devices" && from === "machine" && target[1] !== "catalogue.ts")
      say("machine/ takes devices from the catalogue");
    else if (to === "devices" && from !== "machine") say("only machine/ imports the catalogue");
  }
}
if (violations.length > 0) {
  console.error(violations.join("\n"));
  process.exit(1);
}
console.log("layers: ok");
