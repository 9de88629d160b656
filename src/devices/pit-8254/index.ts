/** Plug of the interval timer: ports 40h–43h, IRQ 0; counter 2's gate and OUT for the system ports. */
import type { Device } from "../../device-api/device.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { Pit8254 } from "./pit.ts";
import { PIT_BASE } from "./registers.ts";

const kind = "pit-8254";

export interface PitDevice extends Device {
  /** Gate of counter 2 (port 61h bit 0). Valid after `attach`. */
  readonly gate2: { set(level: boolean): void };
  /** OUT of counter 2 (port 61h bit 5). Valid after `attach`. */
  readonly out2: { readonly level: boolean; at(ns: number): boolean };
  /** Called before counter 2 is written. */
  onCounter2?: () => void;
}

/** Takes IRQ 0 from its context. */
export function createPit(): PitDevice {
  let pit: Pit8254;
  const device: PitDevice = {
    id: kind,
    attach(context) {
      pit = new Pit8254(context.clock, context.isaIrq(0), () => device.onCounter2?.());
      context.claimPorts(PIT_BASE, 4, byteWindow(pit));
    },
    reset: () => pit.reset(),
    gate2: { set: (level) => pit.setGate2(level) },
    out2: {
      get level() {
        return pit.out2();
      },
      at: (ns) => pit.out2At(ns),
    },
    save: () => ({ kind, version: 1, data: pit.save() }),
    load: (leaf) => pit.load(StateReader.open(leaf, kind, 1)),
  };
  return device;
}
