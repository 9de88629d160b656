/** Plug of a parallel port: four ports at `ioBase`, one ISA interrupt, a byte stream for what the guest prints. */
import type { CharBackend } from "../../backend-api/char.ts";
import type { Device } from "../../device-api/device.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { ParallelPort } from "./parallel-port.ts";
import { REGISTERS } from "./registers.ts";

const kind = "parallel-port";

export interface ParallelPortConfig {
  /** 1 or 2: names the device "parallel-1" … */
  readonly number: number;
  readonly ioBase: number;
  readonly irq: number;
  /** Takes what is printed. Without one, or while it is not connected, no printer is there. */
  readonly backend?: CharBackend;
}

export function createParallelPort(config: ParallelPortConfig): Device {
  let port: ParallelPort;
  return {
    id: `parallel-${config.number}`,
    attach(context) {
      port = new ParallelPort(context.clock, context.isaIrq(config.irq), config.backend);
      context.claimPorts(config.ioBase, REGISTERS, byteWindow(port));
    },
    reset: () => port.reset(),
    resume: () => port.hostEvent(),
    save: () => ({ kind, version: 1, data: port.save() }),
    load: (leaf) => port.load(StateReader.open(leaf, kind, 1)),
  };
}
