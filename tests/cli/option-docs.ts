/** The table of modifyvm's options in docs/vboxmanage.md, made from the table that the program itself uses. */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { ModifyOption } from "../../src/cli/modifyvm/option.ts";
import { modifyOptions } from "../../src/cli/modifyvm/table.ts";

const begin = "<!-- options: begin (written by `node tests/cli/option-docs.ts`) -->";
const end = "<!-- options: end -->";
export const docsPath = resolve(import.meta.dirname, "../../docs/vboxmanage.md");

/** One row per option: spelling with example, other spellings, status, note. */
export function optionTables(): string {
  const groups = [...new Set(modifyOptions.map(({ group }) => group))];
  return groups
    .map((group) => {
      const rows = modifyOptions.filter((one) => one.group === group).map(optionRow);
      return `### ${group}\n\n| option | also | status | note |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`;
    })
    .join("\n");
}

function optionRow({ names, slots, example, status, note }: ModifyOption): string {
  const suffix = slots ? "N" : "";
  const spelled = [`--${names[0]}${suffix}`, ...example.map((word) => (/[ "]/.test(word) ? `"${word}"` : word))].join(
    " ",
  );
  const others = names.slice(1).map((name) => `\`--${name}${suffix}\``);
  return `| \`${spelled}\` | ${others.join(" ")} | ${status} | ${(note ?? "").replaceAll("|", "\\|")} |`;
}

/** The page with its tables brought up to date. */
export function updatedPage(page: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${docsPath} has lost its marks`);
  return `${page.slice(0, from + begin.length)}\n\n${optionTables()}\n${page.slice(to)}`;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(docsPath, updatedPage(readFileSync(docsPath, "utf8")));
}
