/**
 * Plug of the high precision event timer: FED00000h, I/O APIC inputs 20–23, IRQ 0 and 8 in the places of the 8254 and the clock
 * when the guest wants that.
 */
import type { Device } from "../../device-api/device.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { Hpet } from "./hpet.ts";
import { MEMORY_BASE, MEMORY_BYTES } from "./registers.ts";

const kind = "hpet";

export interface HpetConfig {
  /** I/O APIC inputs that timers may be routed to; without an I/O APIC their lines are undefined. */
  readonly inputs: readonly { readonly pin: number; readonly line: IrqLine | undefined }[];
}

export interface HpetDevice extends Device {
  /** The wire of somebody (8254, clock) who loses his interrupt in legacy replacement mode. While the machine is assembled. */
  replaceable(line: IrqLine): IrqLine;
}

/** Lets a wire through unless it is cut. */
class Gate implements IrqLine {
  isHigh = false;
  readonly #line: IrqLine;
  readonly #isCut: () => boolean;

  constructor(line: IrqLine, isCut: () => boolean) {
    this.#line = line;
    this.#isCut = isCut;
  }
  raise(): void {
    this.isHigh = true;
    if (!this.#isCut()) this.#line.raise();
  }
  lower(): void {
    this.isHigh = false;
    this.#line.lower();
  }
  follow(): void {
    if (this.isHigh && !this.#isCut()) this.#line.raise();
    else this.#line.lower();
  }
}

export function createHpet(config: HpetConfig): HpetDevice {
  let hpet: Hpet;
  let isCut = false;
  const gates: Gate[] = [];
  return {
    id: kind,
    attach(context) {
      const inputs: (IrqLine | undefined)[] = new Array(32).fill(undefined);
      for (const { pin, line } of config.inputs) inputs[pin] = line;
      hpet = new Hpet(context.clock, {
        legacy: [context.isaIrq(0), context.isaIrq(8)],
        inputs,
        setLegacy(isReplaced) {
          isCut = isReplaced;
          for (const gate of gates) gate.follow();
        },
      });
      context.claimMemory(MEMORY_BASE, MEMORY_BYTES, {
        read: (offset, size) => hpet.read(offset, size),
        write: (offset, size, value) => hpet.write(offset, size, value),
      });
    },
    replaceable(line) {
      const gate = new Gate(line, () => isCut);
      gates.push(gate);
      return gate;
    },
    reset: () => hpet.reset(),
    save: () => ({ kind, version: 1, data: { registers: hpet.save(), gates: gates.map((gate) => gate.isHigh) } }),
    load(leaf) {
      const state = StateReader.open(leaf, kind, 1);
      hpet.load(state.child("registers"));
      state.booleans("gates", gates.length).forEach((level, i) => {
        gates[i].isHigh = level;
      });
      state.end();
      isCut = hpet.isLegacyReplaced;
    },
  };
}
