/** The value of `--trace`: channels of the machine's trace, separated by commas. */
import { traceChannels } from "../base/logger.ts";
import { UsageError } from "./errors.ts";

/** The channels' names; UsageError for one that there is not. */
export function parseTrace(text: string | undefined): string[] {
  const names = (text ?? "").split(",").filter((name) => name !== "");
  const known: readonly string[] = traceChannels;
  const unknown = names.find((name) => name !== "all" && !known.includes(name));
  if (unknown === undefined) return names;
  throw new UsageError(`Invalid trace channel '${unknown}' (there are ${known.join(", ")}, all)`);
}
