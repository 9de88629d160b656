/** What a command is: its usage and the function that runs it. One file per command exports one `command`. */
import { UsageError } from "./errors.ts";

export interface Terminal {
  /** `anneau` or `VBoxManage`: how messages start. */
  readonly program: string;
  readonly isDetailedProgress: boolean;
  out(text: string): void;
  err(text: string): void;
  /** A warning line on stderr. */
  warn(text: string): void;
}

export interface Command {
  /** Lines of the usage, without the program's name. */
  readonly usage: readonly string[];
  /** One or two sentences for `help COMMAND`. */
  readonly about: string;
  run(args: readonly string[], terminal: Terminal): Promise<number | undefined> | number | undefined;
}

/** The one positional argument that names a VM, a file …; anything else is a syntax error. */
export function onlyOne(positionals: readonly string[], what: string): string {
  if (positionals.length === 0) throw new UsageError(`${what} not specified`);
  if (positionals.length > 1) throw new UsageError(`Invalid parameter '${positionals[1]}'`);
  return positionals[0];
}

export function noneLeft(positionals: readonly string[]): void {
  if (positionals.length > 0) throw new UsageError(`Invalid parameter '${positionals[0]}'`);
}
