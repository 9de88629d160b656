/**
 * The PIIX3's interrupt steering (order 290550, section 3.7.5): four active PIRQ inputs, each led by its route control
 * register to one of eleven ISA interrupts. Inputs are shared: each driver is combined with the others of its PIRQ, and
 * PIRQs that are routed to the same ISA interrupt are combined there. A change of routing moves the level at once.
 */
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

export class PirqRouter {
  /** Route control registers A–D. */
  readonly #routes = new Uint8Array(R.PIRQ_COUNT).fill(R.PIRQRC_DISABLED);
  readonly #drivers: boolean[][] = Array.from({ length: R.PIRQ_COUNT }, () => []);
  #outputs: readonly (IrqLine | undefined)[] = [];
  /** Bit per ISA interrupt: the level driven now. */
  #driven = 0;

  /** `outputs[irq]`: one line for each routable ISA interrupt. */
  connect(outputs: readonly (IrqLine | undefined)[]): void {
    this.#outputs = outputs;
  }

  /** A new driver of PIRQ `pirq` (0 A … 3 D); only while the machine is assembled. */
  input(pirq: number): IrqLine {
    const drivers = this.#drivers[pirq];
    if (drivers === undefined) throw new RangeError(`there is no PIRQ ${pirq}`);
    const index = drivers.push(false) - 1;
    const set = (level: boolean) => {
      if (drivers[index] === level) return;
      drivers[index] = level;
      this.#update();
    };
    return { raise: () => set(true), lower: () => set(false) };
  }

  route(pirq: number): number {
    return this.#routes[pirq];
  }
  setRoute(pirq: number, value: number): void {
    this.#routes[pirq] = value & R.PIRQRC_WRITABLE;
    this.#update();
  }

  /** Routing is off after reset; the inputs are their drivers'. */
  reset(): void {
    this.#routes.fill(R.PIRQRC_DISABLED);
    this.#update();
  }

  #update(): void {
    let levels = 0;
    for (let pirq = 0; pirq < R.PIRQ_COUNT; pirq++) {
      const route = this.#routes[pirq];
      if ((route & R.PIRQRC_DISABLED) !== 0 || !this.#drivers[pirq].includes(true)) continue;
      levels |= (1 << (route & R.PIRQRC_IRQ)) & R.ROUTABLE_IRQS;
    }
    const changed = levels ^ this.#driven;
    if (changed === 0) return;
    this.#driven = levels;
    for (let irq = 0; irq < 16; irq++) {
      if ((changed & (1 << irq)) === 0) continue;
      if ((levels & (1 << irq)) !== 0) this.#outputs[irq]?.raise();
      else this.#outputs[irq]?.lower();
    }
  }

  save(): { readonly [key: string]: SavedValue } {
    return { routes: this.#routes.slice(), drivers: this.#drivers.map((levels) => [...levels]), driven: this.#driven };
  }

  /** The interrupt controller restores its own inputs: nothing is signalled here. */
  load(state: StateReader): void {
    this.#routes.set(state.bytes("routes", R.PIRQ_COUNT).map((value) => value & R.PIRQRC_WRITABLE));
    const lengths = this.#drivers.map((levels) => levels.length);
    state.booleanLists("drivers", lengths).forEach((levels, pirq) => {
      for (let i = 0; i < levels.length; i++) this.#drivers[pirq][i] = levels[i];
    });
    this.#driven = state.integer("driven", 0, 0xffff);
    state.end();
  }
}
