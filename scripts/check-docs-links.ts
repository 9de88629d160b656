/** Docs check of the gate: every relative link in Markdown files leads to a file that exists. Prints each that does not. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const skipped = new Set(["node_modules", "dist", "build", ".git"]);

function* pages(folder: string): Generator<string> {
  for (const name of readdirSync(folder)) {
    if (skipped.has(name)) continue;
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* pages(path);
    else if (name.endsWith(".md")) yield path;
  }
}

const broken: string[] = [];
for (const page of pages(root)) {
  const text = readFileSync(page, "utf8").replace(/```[\s\S]*?```/g, "");
  for (const match of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    const target = match[1].split("#")[0];
    if (target === "" || /^[a-z]+:/.test(target)) continue;
    if (!existsSync(resolve(dirname(page), target))) broken.push(`${relative(root, page)}: ${match[1]} does not exist`);
  }
}
if (broken.length > 0) {
  console.error(broken.join("\n"));
  process.exit(1);
}
console.log("docs links: ok");
