/**
 * What a guest asked for that this machine does not have: unclaimed ports and addresses, unknown MSRs, unsupported
 * commands. Each distinct place is said once, the first 256 of a kind; everything is counted. A first attempt with a new
 * guest leaves a log that names the missing thing.
 */
import type { Logger } from "../base/logger.ts";

const LIMIT_PER_KIND = 256;

export class DemandLog {
  readonly #log: Logger;
  readonly #seen = new Map<string, Set<number | string>>();
  readonly #counts = new Map<string, number>();
  /** Where the guest is ("0008:C0101234"), set by the machine once a CPU exists. */
  where: () => string = () => "?";

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Counts one demand; the first time for this `place` of this `kind`, logs `describe()`. Hot when a guest probes in a
   * loop, so nothing is allocated for a place already seen.
   */
  note(kind: string, place: number | string, describe: (place: number | string) => string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    let seen = this.#seen.get(kind);
    if (seen === undefined) this.#seen.set(kind, (seen = new Set()));
    if (seen.has(place) || seen.size >= LIMIT_PER_KIND) return;
    seen.add(place);
    this.#log.info(`demand: ${describe(place)} at ${this.where()}`);
    if (seen.size === LIMIT_PER_KIND) this.#log.info(`demand: no more lines about ${kind} from here on`);
  }

  /** How often each kind was asked for. */
  counts(): { readonly [kind: string]: number } {
    return Object.fromEntries(this.#counts);
  }
}
