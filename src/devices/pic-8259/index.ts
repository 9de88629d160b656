/** Plug of the interrupt controller pair: ports 20h–21h, A0h–A1h, ELCR 4D0h–4D1h. */
import type { Device } from "../../device-api/device.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { PicPair } from "./pair.ts";
import { ELCR_BASE, MASTER_BASE, SLAVE_BASE } from "./registers.ts";

const kind = "pic-8259";

export interface PicConfig {
  /** The CPU's INTR pin: told its level whenever it may have changed. */
  readonly intr: { set(level: boolean): void };
}

export interface PicDevice extends Device {
  /**
   * A new driver of ISA interrupt input `irq` (0–15 without 2); several drivers of one input are combined. Only while the
   * machine is assembled: saved state keeps the drivers' levels in the order of the calls.
   */
  irq(irq: number): IrqLine;
  /** The CPU's INTA cycle: the vector, spurious 7 or 15 if the request went away. */
  acknowledge(): number;
}

export function createPic(config: PicConfig): PicDevice {
  const pair = new PicPair(config.intr);
  return {
    id: kind,
    attach(context) {
      for (const [chip, base] of [MASTER_BASE, SLAVE_BASE].entries()) {
        const readByte = (offset: number) => pair.read(chip, offset);
        const writeByte = (offset: number, value: number) => pair.write(chip, offset, value);
        context.claimPorts(base, 2, byteWindow({ readByte, writeByte }));
      }
      const readByte = (offset: number) => pair.readElcr(offset);
      const writeByte = (offset: number, value: number) => pair.writeElcr(offset, value);
      context.claimPorts(ELCR_BASE, 2, byteWindow({ readByte, writeByte }));
    },
    reset: () => pair.reset(),
    irq: (irq) => pair.irq(irq),
    acknowledge: () => pair.acknowledge(),
    save: () => ({ kind, version: 1, data: pair.save() }),
    load: (leaf) => pair.load(StateReader.open(leaf, kind, 1)),
  };
}
