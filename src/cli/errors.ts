/** Errors of the command line and how they are printed: VirtualBox's shape, which clients match on stderr. */
import { AnneauError } from "../base/errors.ts";
import { ResultError } from "../config/result-codes.ts";

export const exitCodes = { success: 0, failure: 1, syntax: 2, initialisation: 3 } as const;

/** The command was typed wrongly: the usage is printed and the exit code is 2. */
export class UsageError extends AnneauError {
  override name = "UsageError";
}

/** A refusal without a result code: one line, exit code 1 (or the given one). */
export class CommandError extends AnneauError {
  override name = "CommandError";
  readonly exitCode: number;
  constructor(message: string, exitCode: number = exitCodes.failure) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The error's lines without the program's name in front. `doing` names our own call, for the Context line. */
export function errorLines(error: unknown, doing: string): string[] {
  if (error instanceof ResultError) return [error.message, error.details, `Context: "${doing}"`];
  if (error instanceof AnneauError) return [error.message];
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== undefined && typeof code === "string") return [`${message}`];
  return [`Internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
}
