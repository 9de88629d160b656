/** What a device's plug gets from this machine: the buses, the clock, lines and logs behind the DeviceContext contract. */
import type { Logger, TraceChannel, TraceChannelName } from "../base/logger.ts";
import type { Clock } from "../device-api/clock.ts";
import type { ClaimedMemory, DeviceContext, MovableMemory, MovablePorts } from "../device-api/device.ts";
import type { GuestMemory } from "../device-api/guest-memory.ts";
import type { IoWindow } from "../device-api/io-window.ts";
import type { IrqLine } from "../device-api/irq-line.ts";
import type { PciFunctionConfig, PciFunctionHandle } from "../device-api/pci-function.ts";
import type { MemoryBus } from "./memory-bus.ts";
import type { PciBus } from "./pci-bus.ts";
import type { PortBus } from "./port-bus.ts";

export interface ContextParts {
  readonly clock: Clock;
  readonly memory: GuestMemory;
  readonly log: Logger;
  readonly trace: (channel: TraceChannelName) => TraceChannel;
  readonly ports: PortBus;
  readonly memoryBus: MemoryBus;
  readonly pci: PciBus;
  /** A new driver of an ISA interrupt input. */
  readonly isaIrq: (irq: number) => IrqLine;
}

export class MachineDeviceContext implements DeviceContext {
  readonly clock: Clock;
  readonly memory: GuestMemory;
  readonly log: Logger;
  readonly #parts: ContextParts;
  readonly #deviceId: string;

  constructor(parts: ContextParts, deviceId: string) {
    this.clock = parts.clock;
    this.memory = parts.memory;
    this.log = parts.log;
    this.#parts = parts;
    this.#deviceId = deviceId;
  }

  trace(channel: TraceChannelName): TraceChannel {
    return this.#parts.trace(channel);
  }
  claimPorts(base: number, length: number, window: IoWindow): void {
    this.#parts.ports.claim(base, length, window, this.#deviceId);
  }
  claimMovablePorts(length: number, window: IoWindow): MovablePorts {
    return this.#parts.ports.addMovable(length, window);
  }
  claimMemory(base: number, length: number, window: IoWindow): ClaimedMemory {
    return this.#parts.memoryBus.claim(base, length, window, this.#deviceId);
  }
  claimMovableMemory(length: number, window: IoWindow): MovableMemory {
    return this.#parts.memoryBus.addOverlay(this.#deviceId, length, { kind: "window", window });
  }
  isaIrq(irq: number): IrqLine {
    return this.#parts.isaIrq(irq);
  }
  addPciFunction(slot: number, fn: number, config: PciFunctionConfig): PciFunctionHandle {
    return this.#parts.pci.addFunction(slot, fn, config);
  }
}
