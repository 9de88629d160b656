/** Banner, usage and help texts: our own words. Loaded only when somebody needs them. */
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";
import { ownVersion } from "./version.ts";

export function banner(): string {
  return `Anneau ${ownVersion()}: virtual machines behind VBoxManage's command line\n\n`;
}

/** Every command that works, with one line each. */
export function overview(program: string): string {
  const lines = [
    "Usage:",
    "",
    `  ${program} [-q | --nologo] [-d | --detailed-progress] [@FILE] COMMAND [ARGUMENTS]`,
    `  ${program} help [COMMAND]`,
    `  ${program} --version`,
    "",
    "Commands:",
    "",
  ];
  for (const [name, { summary, isAlias }] of Object.entries(commands)) {
    if (!isAlias) lines.push(`  ${name.padEnd(16)}${summary}`);
  }
  return `${lines.join("\n")}\n`;
}

export function usage(program: string, name: string, command: Command): string {
  return ["Usage:", "", ...command.usage.map((line) => `  ${program} ${name} ${line}`.trimEnd()), ""].join("\n");
}

export function commandHelp(program: string, name: string, command: Command): string {
  return `${banner()}${usage(program, name, command)}\n${command.about}\n`;
}
