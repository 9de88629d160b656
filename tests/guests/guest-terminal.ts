/**
 * A guest's serial terminal: waiting for what it says, typing commands at its shell. Waiting ends as soon as the guest says
 * something from which there is no way back, so that a broken guest costs seconds and not the whole patience.
 */

/** Nothing that a guest here does takes this long, even on a machine that is busy with something else. */
const PATIENCE_MS = 400_000;
/** Whole lines, so that the report tells all that the guest had to say. */
const hopeless =
  /-- System halted|(Kernel panic|Oops:|BUG: |invalid opcode|general protection fault|checksum error)[^\n]*\n/;

export abstract class GuestTerminal {
  /** Everything from the serial port, as Latin-1. */
  said = "";
  /** Everything from standard error: warnings, statistics. */
  errors = "";
  #from = 0;
  #hasExited = false;
  #markers = 0;
  #wake = () => {};

  abstract type(text: string): void;

  protected heard(bytes: Uint8Array): void {
    this.said += Buffer.from(bytes).toString("latin1");
    this.#wake();
  }
  protected ended(): void {
    this.#hasExited = true;
    this.#wake();
  }

  /** Waits until the guest says it, behind what an earlier call waited for; what it said up to there. */
  async says(what: string | RegExp, patienceMs = PATIENCE_MS): Promise<string> {
    const end = Date.now() + patienceMs;
    for (;;) {
      const rest = this.said.slice(this.#from);
      const match = typeof what === "string" ? rest.indexOf(what) : rest.search(what);
      if (match >= 0) {
        const length = typeof what === "string" ? what.length : what.exec(rest)![0].length;
        this.#from += match + length;
        return rest.slice(0, match);
      }
      const why = hopeless.test(rest)
        ? "gave up"
        : this.#hasExited
          ? "ended"
          : Date.now() > end
            ? "took too long"
            : undefined;
      if (why !== undefined)
        throw new Error(`the guest ${why} and did not say ${what}, but: ${rest.slice(-1500)}\n${this.errors}`);
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          wake();
        };
      });
    }
  }

  /** Types a command at a shell's prompt: what it printed, and how it ended. */
  async command(line: string): Promise<{ readonly printed: string; readonly status: number }> {
    // The quotes keep the echo of what is typed from looking like the answer.
    const marker = `mark${++this.#markers}`;
    this.type(`echo begin''-${marker}; ${line}; echo end''-${marker}=$?.\n`);
    await this.says(`begin-${marker}\r\n`);
    const printed = await this.says(`end-${marker}=`);
    const status = Number(await this.says("."));
    return { printed: printed.replaceAll("\r\n", "\n"), status };
  }

  /** Types a command that has to succeed: what it printed. */
  async shell(line: string): Promise<string> {
    const { printed, status } = await this.command(line);
    if (status !== 0) throw new Error(`'${line}' ended with ${status}: ${printed}`);
    return printed;
  }
}
