/**
 * The cascade of a PC: master inputs 0–7 are IRQ 0–7, the slave's INT drives master input 2, its inputs are IRQ 8–15.
 * INTA semantics of the pair: a request that went away answers vector 7 of the chip that lost it, without an in-service
 * bit there; for the slave's, the master's input 2 stays in service until the guest ends it.
 */
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { Pic8259 } from "./pic.ts";
import { CASCADE_INPUT, ELCR_WRITABLE } from "./registers.ts";

/** One driver of an input: several drivers of the same input are combined (wired OR). */
class SourceLine implements IrqLine {
  isHigh = false;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }
  raise(): void {
    if (this.isHigh) return;
    this.isHigh = true;
    this.#changed();
  }
  lower(): void {
    if (!this.isHigh) return;
    this.isHigh = false;
    this.#changed();
  }
}

export class PicPair {
  readonly #master = new Pic8259(true, ELCR_WRITABLE[0]);
  readonly #slave = new Pic8259(false, ELCR_WRITABLE[1]);
  readonly #sources: SourceLine[][] = Array.from({ length: 16 }, () => []);
  readonly #intr: { set(level: boolean): void };
  /** The master input that INT last stood for and that no INTA has taken: -1, or what a late INTA finds withdrawn. */
  #offeredInput = -1;

  /** `intr` is the CPU's INTR pin (a level). */
  constructor(intr: { set(level: boolean): void }) {
    this.#intr = intr;
  }

  /**
   * A new driver of input `irq` (0–15, not 2). Each call makes one more driver, and saved state keeps their levels in
   * the order of the calls: call it while the machine is assembled only.
   */
  irq(irq: number): IrqLine {
    const sources = this.#sources[irq];
    if (sources === undefined || irq === CASCADE_INPUT)
      throw new RangeError(`the interrupt controller has no IRQ ${irq}`);
    const source = new SourceLine(() => {
      let level = false;
      for (let i = 0; i < sources.length; i++) level ||= sources[i].isHigh;
      if (irq < 8) this.#master.setLine(irq, level);
      else this.#slave.setLine(irq - 8, level);
      this.#update();
    });
    sources.push(source);
    return source;
  }

  reset(): void {
    this.#master.reset();
    this.#slave.reset();
    this.#offeredInput = -1;
    this.#update();
  }

  /** INTA: the vector for the CPU. A CPU that sampled INTR just before the request went away gets 7 or 15. */
  acknowledge(): number {
    const master = this.#master;
    const slave = this.#slave;
    const input = master.pendingInput();
    const isFromSlave = input === CASCADE_INPUT || (input < 0 && this.#offeredInput === CASCADE_INPUT);
    this.#offeredInput = -1;
    let vector = master.vectorBase | 7;
    if (isFromSlave) {
      // The master answers the first INTA cycle, the slave the second: it may find that its request is gone.
      master.beginService(CASCADE_INPUT);
      const slaveInput = slave.pendingInput();
      if (slaveInput >= 0) slave.beginService(slaveInput);
      vector = slave.vectorBase | (slaveInput >= 0 ? slaveInput : 7);
      // The slave's INT falls during INTA: what it still has to say is a new edge.
      master.setLine(CASCADE_INPUT, false);
    } else if (input >= 0) {
      master.beginService(input);
      vector = master.vectorBase | input;
    }
    this.#update();
    return vector;
  }

  /** `chip` 0 master, 1 slave. */
  read(chip: number, offset: number): number {
    const value = (chip === 0 ? this.#master : this.#slave).read(offset);
    this.#update();
    return value;
  }
  write(chip: number, offset: number, value: number): void {
    (chip === 0 ? this.#master : this.#slave).write(offset, value);
    this.#update();
  }
  readElcr(chip: number): number {
    return chip === 0 ? this.#master.elcr : this.#slave.elcr;
  }
  writeElcr(chip: number, value: number): void {
    if (chip === 0) this.#master.elcr = value;
    else this.#slave.elcr = value;
    this.#update();
  }

  #update(): void {
    this.#master.setLine(CASCADE_INPUT, this.#slave.pendingInput() >= 0);
    const input = this.#master.pendingInput();
    if (input >= 0) this.#offeredInput = input;
    this.#intr.set(input >= 0);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      master: this.#master.save(),
      slave: this.#slave.save(),
      offeredInput: this.#offeredInput,
      sources: this.#sources.map((sources) => sources.map((source) => source.isHigh)),
    };
  }

  load(state: StateReader): void {
    this.#master.load(state.child("master"));
    this.#slave.load(state.child("slave"));
    this.#offeredInput = state.integer("offeredInput", -1, 7);
    const levels = state.booleanLists(
      "sources",
      this.#sources.map((sources) => sources.length),
    );
    this.#sources.forEach((sources, irq) => {
      sources.forEach((source, i) => {
        source.isHigh = levels[irq][i];
      });
    });
    state.end();
    this.#intr.set(this.#master.pendingInput() >= 0);
  }
}
