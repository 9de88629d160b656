/**
 * The PC/AT's DMA: two 8237A, channels 0–3 for bytes, 5–7 for words, channel 4 the cascade, and the page registers that
 * give address bits 16–23. A channel hands guest memory to a device in runs; addresses wrap inside the channel's page
 * (64 KiB, 128 KiB for words) as the counter does. The cascade's own mask does not stop channels 0–3.
 */
import type { DmaChannel } from "../../device-api/dma-channel.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { Dma8237 } from "./controller.ts";
import * as R from "./registers.ts";

const CASCADE_CHANNEL = 4;

class Channel implements DmaChannel {
  reachedTerminalCount = false;
  listener: () => void = () => {};
  readonly #dma: Dma;
  readonly #controller: Dma8237;
  readonly #number: number;

  constructor(dma: Dma, controller: Dma8237, number: number) {
    this.#dma = dma;
    this.#controller = controller;
    this.#number = number;
  }

  get isReady(): boolean {
    return this.#controller.isReady(this.#number & 3);
  }
  onReady(listener: () => void): void {
    this.listener = listener;
  }

  transfer(direction: "to-memory" | "from-memory", bytes: Uint8Array): number {
    this.reachedTerminalCount = false;
    const controller = this.#controller;
    const index = this.#number & 3;
    if (!controller.isReady(index)) return 0;
    const unitBytes = this.#number >= CASCADE_CHANNEL ? 2 : 1;
    const units = Math.min(Math.floor(bytes.length / unitBytes), controller.unitsLeft(index));
    if (units === 0) return 0;
    const isToMemory = direction === "to-memory";
    const type = controller.transferType(index);
    if (type === (isToMemory ? R.MODE_WRITE : R.MODE_READ)) this.#move(isToMemory, bytes, units, unitBytes);
    else if (!isToMemory) bytes.fill(0xff, 0, units * unitBytes);
    this.reachedTerminalCount = controller.advance(index, units);
    return units * unitBytes;
  }

  /** In runs that neither wrap nor turn: one unit each where the address counts down. */
  #move(isToMemory: boolean, bytes: Uint8Array, units: number, unitBytes: number): void {
    const { memory } = this.#dma;
    const index = this.#number & 3;
    const isDown = this.#controller.isDecrementing(index);
    const page = this.#dma.page(this.#number);
    const pageBase = unitBytes === 2 ? (page & 0xfe) * 0x10000 : page * 0x10000;
    let address = this.#controller.address(index);
    for (let done = 0; done < units; ) {
      const run = isDown ? 1 : Math.min(units - done, 0x10000 - address);
      const part = bytes.subarray(done * unitBytes, (done + run) * unitBytes);
      const gpa = pageBase + address * unitBytes;
      if (isToMemory) memory.write(gpa, part);
      else memory.read(gpa, part);
      done += run;
      address = (address + (isDown ? -1 : run)) & 0xffff;
    }
  }
}

export class Dma {
  readonly #controllers: readonly [Dma8237, Dma8237];
  readonly #channels: readonly Channel[];
  /** Ports 81h–8Fh. */
  readonly #pages = new Uint8Array(R.PAGE_PORTS);
  #memory: GuestMemory | undefined;

  constructor() {
    const ready = (first: number) => (channel: number) => this.#channels[first + channel].listener();
    this.#controllers = [new Dma8237(ready(0)), new Dma8237(ready(4))];
    this.#channels = Array.from({ length: 8 }, (_, n) => new Channel(this, this.#controllers[n >>> 2], n));
  }

  /** Channels are handed out before the machine's memory exists; nothing is transferred until then. */
  connect(memory: GuestMemory): void {
    this.#memory = memory;
  }
  get memory(): GuestMemory {
    if (this.#memory === undefined) throw new Error("the DMA controller is not attached");
    return this.#memory;
  }

  channel(channel: number): DmaChannel {
    const found = this.#channels[channel];
    if (found === undefined || channel === CASCADE_CHANNEL) throw new RangeError(`there is no DMA channel ${channel}`);
    return found;
  }

  reset(): void {
    for (const controller of this.#controllers) controller.reset();
    this.#pages.fill(0);
  }

  page(channel: number): number {
    return this.#pages[R.PAGE_PORT[channel] - R.PAGE_BASE];
  }
  readPage(offset: number): number {
    return this.#pages[offset];
  }
  writePage(offset: number, value: number): void {
    this.#pages[offset] = value;
  }

  /** `controller` 0 or 1, `register` 0–15. */
  read(controller: number, register: number): number {
    return this.#controllers[controller].read(register);
  }
  write(controller: number, register: number, value: number): void {
    this.#controllers[controller].write(register, value);
  }

  save(): { readonly [key: string]: SavedValue } {
    return { controllers: this.#controllers.map((controller) => controller.save()), pages: this.#pages.slice() };
  }

  load(state: StateReader): void {
    const controllers = state.children("controllers", 2);
    this.#controllers.forEach((controller, i) => {
      controller.load(controllers[i]);
    });
    this.#pages.set(state.bytes("pages", R.PAGE_PORTS));
    state.end();
  }
}
