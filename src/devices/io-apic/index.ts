/** Plug of the I/O APIC: one page at FEC00000h, 24 inputs, messages to the local APIC. */
import type { Device } from "../../device-api/device.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import { StateReader } from "../../device-api/state-reader.ts";
import { type DeliverMessage, IoApic } from "./io-apic.ts";
import { MEMORY_BASE, MEMORY_BYTES } from "./registers.ts";

const kind = "io-apic";

export interface IoApicConfig {
  /** Carries a message to the processors; false: none has taken it. */
  readonly deliver: DeliverMessage;
}

export interface IoApicDevice extends Device {
  /** A new driver of input 0–23; several drivers of one input are combined. Only while the machine is assembled. */
  input(pin: number): IrqLine;
  /** A processor has ended a level-triggered interrupt. */
  endOfInterrupt(vector: number): void;
  /** A processor may accept what it has refused before. */
  retry(): void;
}

export function createIoApic(config: IoApicConfig): IoApicDevice {
  const ioApic = new IoApic(config.deliver);
  return {
    id: kind,
    attach(context) {
      context.claimMemory(MEMORY_BASE, MEMORY_BYTES, {
        read: (offset, size) => ioApic.read(offset, size),
        write: (offset, size, value) => ioApic.write(offset, size, value),
      });
    },
    reset: () => ioApic.reset(),
    input: (pin) => ioApic.input(pin),
    endOfInterrupt: (vector) => ioApic.endOfInterrupt(vector),
    retry: () => ioApic.retry(),
    save: () => ({ kind, version: 1, data: ioApic.save() }),
    load: (leaf) => ioApic.load(StateReader.open(leaf, kind, 1)),
  };
}
