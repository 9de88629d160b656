/** Plug of a serial port: eight ports at `ioBase`, one ISA interrupt, a byte stream on the host side. */
import type { CharBackend } from "../../backend-api/char.ts";
import type { Device } from "../../device-api/device.ts";
import { byteWindow } from "../../device-api/io-window.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { Uart, type UartType } from "./uart.ts";

export type { UartType } from "./uart.ts";

const kind = "uart-16550";

export interface UartConfig {
  /** 1–4: COM1–COM4; names the device "uart-1" … */
  readonly number: number;
  readonly ioBase: number;
  readonly irq: number;
  readonly type: UartType;
  /** Without one nothing is plugged in: output vanishes, no modem line is active. */
  readonly backend?: CharBackend;
}

export function createUart(config: UartConfig): Device {
  let uart: Uart;
  return {
    id: `uart-${config.number}`,
    attach(context) {
      uart = new Uart(config.type, context.clock, context.isaIrq(config.irq), config.backend);
      context.claimPorts(config.ioBase, 8, byteWindow(uart));
    },
    reset: () => uart.reset(),
    // Bytes that came while nothing ran (or before a state was loaded) announce themselves to nobody.
    resume: () => uart.hostEvent(),
    save: () => ({ kind, version: 1, data: uart.save() }),
    load: (leaf) => uart.load(StateReader.open(leaf, kind, 1)),
  };
}
