/** Options of the programs in bench/ and scripts/: what is wrong with them is said in one line, with exit code 2. */
import { type ParseArgsConfig, parseArgs } from "node:util";

/** A mistake of whoever called the program: its message is all there is to say. */
export class OptionError extends Error {}

/** `parseArgs` of node:util. */
export function readOptions<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    return refuse((error as Error).message);
  }
}

/** The number that an option gives. */
export function positive(name: string, text: string): number {
  const number = Number(text);
  return number > 0 && number < Number.POSITIVE_INFINITY
    ? number
    : refuse(`--${name} ${text}: a number above 0 is needed`);
}

/** The whole number, from `least` on, that an option gives. */
export function whole(name: string, text: string, least = 1): number {
  const number = Number(text);
  return text.trim() !== "" && Number.isSafeInteger(number) && number >= least
    ? number
    : refuse(`--${name} ${text}: a whole number from ${least} is needed`);
}

/** Runs a program that may throw an `OptionError`. */
export async function runProgram(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    refuse(error.message);
  }
}

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}
