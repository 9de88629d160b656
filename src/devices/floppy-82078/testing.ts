/**
 * The other sides of the floppy controller, for its tests: a disk in memory that answers at once or when told, a DMA
 * channel, and a guest that drives the registers as a driver does, by interrupt and by polling. Only tests import this.
 */
import type { BlockBackend, BlockDone, MediumSlot } from "../../backend-api/block.ts";
import type { Device } from "../../device-api/device.ts";
import type { DmaChannel } from "../../device-api/dma-channel.ts";
import { FakeContext } from "../../device-api/testing.ts";
import { createFloppy } from "./index.ts";

/** A disk whose sectors all differ. With `isDeferred`, requests wait for `complete`. */
export class TestDisk implements BlockBackend {
  readonly bytes: Uint8Array;
  readOnly = false;
  isBroken = false;
  isDeferred = false;
  readonly waiting: (() => void)[] = [];

  constructor(sizeBytes: number, seed = 1) {
    this.bytes = new Uint8Array(sizeBytes);
    for (let i = 0; i < sizeBytes; i++) this.bytes[i] = Math.imul(i + seed * 7919, 0x9e3779b1) >>> 24;
  }
  get sizeBytes(): number {
    return this.bytes.length;
  }
  read(offsetBytes: number, target: Uint8Array, done: BlockDone): void {
    this.#run(offsetBytes, target, done, () => target.set(this.sectors(offsetBytes / 512, target.length / 512)));
  }
  write(offsetBytes: number, source: Uint8Array, done: BlockDone): void {
    this.#run(offsetBytes, source, done, () => this.bytes.set(source, offsetBytes));
  }
  flush(done: BlockDone): void {
    done(true);
  }
  close(): void {}

  sectors(lba: number, count = 1): Uint8Array {
    return this.bytes.slice(lba * 512, (lba + count) * 512);
  }
  /** Carries out the requests that wait. */
  complete(): void {
    for (const work of this.waiting.splice(0)) work();
  }
  #run(offsetBytes: number, buffer: Uint8Array, done: BlockDone, move: () => void): void {
    if (offsetBytes < 0 || offsetBytes + buffer.length > this.bytes.length) throw new Error("outside of the disk");
    const work = () => {
      if (!this.isBroken) move();
      done(!this.isBroken);
    };
    if (this.isDeferred) this.waiting.push(work);
    else work();
  }
}

export class TestSlot implements MediumSlot {
  medium: BlockBackend | undefined;
  #listener: () => void = () => {};

  constructor(medium?: BlockBackend) {
    this.medium = medium;
  }
  onChange(listener: () => void): void {
    this.#listener = listener;
  }
  eject(): boolean {
    return false;
  }
  /** What the user does. */
  insert(medium: BlockBackend | undefined): void {
    this.medium = medium;
    this.#listener();
  }
}

/** A DMA channel with a memory of its own. */
export class TestDma implements DmaChannel {
  memory: Uint8Array = new Uint8Array(0);
  at = 0;
  isMasked = true;
  reachedTerminalCount = false;
  #listener: () => void = () => {};

  get isReady(): boolean {
    return !this.isMasked && this.at < this.memory.length;
  }
  onReady(listener: () => void): void {
    this.#listener = listener;
  }
  /** Programmed and unmasked: `memory` is filled or emptied. */
  program(memory: Uint8Array): void {
    this.memory = memory;
    this.at = 0;
    this.unmask();
  }
  unmask(): void {
    this.isMasked = false;
    this.#listener();
  }
  transfer(direction: "to-memory" | "from-memory", bytes: Uint8Array): number {
    this.reachedTerminalCount = false;
    if (!this.isReady) return 0;
    const count = Math.min(bytes.length, this.memory.length - this.at);
    if (direction === "to-memory") this.memory.set(bytes.subarray(0, count), this.at);
    else bytes.set(this.memory.subarray(this.at, this.at + count));
    this.at += count;
    this.reachedTerminalCount = this.at === this.memory.length;
    if (this.reachedTerminalCount) this.isMasked = true;
    return count;
  }
}

export const READ = 0xe6;
export const WRITE = 0xc5;

/** Cylinder, head, sector of a transfer and the last sector of the track. */
export interface Place {
  readonly c: number;
  readonly h: number;
  readonly r: number;
  readonly eot: number;
}

/** A driver of a controller with drives 0 and 1. Nothing waits for ever: the clock is the test's. */
export class FloppyGuest {
  readonly context = new FakeContext();
  readonly dma = new TestDma();
  readonly slots: readonly [TestSlot, TestSlot];
  readonly floppy: Device;

  constructor(disks: readonly [BlockBackend?, BlockBackend?] = [], drives: readonly (0 | 1)[] = [0, 1]) {
    this.slots = [new TestSlot(disks[0]), new TestSlot(disks[1])];
    const { dma, slots } = this;
    this.floppy = createFloppy({ dma, drives: drives.map((drive) => ({ drive, slot: slots[drive] })) });
    this.floppy.attach(this.context);
    this.floppy.reset("power-on");
  }

  in(port: number): number {
    return this.context.in(port);
  }
  out(port: number, value: number): void {
    this.context.out(port, 1, value);
  }
  get msr(): number {
    return this.in(0x3f4);
  }
  get irq() {
    return this.context.irq[6];
  }

  /** Sends a command, looking at the main status before each byte. */
  command(...bytes: number[]): void {
    for (const byte of bytes) {
      if ((this.msr & 0xc0) !== 0x80) throw new Error(`not ready for a command byte: MSR ${this.msr.toString(16)}`);
      this.out(0x3f5, byte);
    }
  }
  /** Reads the whole result, as long as the controller offers more. */
  result(): number[] {
    const bytes: number[] = [];
    while ((this.msr & 0xd0) === 0xd0 && bytes.length < 20) bytes.push(this.in(0x3f5));
    return bytes;
  }
  /** Lets time pass until IRQ 6 is up. */
  waitIrq(maxNs = 500_000_000): void {
    for (let ns = 0; ns < maxNs && !this.irq.level; ns += 10_000) this.context.clock.advance(10_000);
    if (!this.irq.level) throw new Error(`no interrupt, MSR ${this.msr.toString(16)}`);
  }
  sense(): number[] {
    this.command(0x08);
    return this.result();
  }
  /** Out of reset, polled, SPECIFY with DMA, motor of `drive` on, 500 kbit/s. */
  start(drive = 0, rate = 0): void {
    this.out(0x3f2, 0x0c | drive | (0x10 << drive));
    this.waitIrq();
    for (let i = 0; i < 4; i++) this.sense();
    this.out(0x3f7, rate);
    this.command(0x03, 0xdf, 0x02);
  }
  recalibrate(unit = 0): number[] {
    this.command(0x07, unit);
    this.waitIrq();
    return this.sense();
  }
  seek(cylinder: number, unit = 0): number[] {
    this.command(0x0f, unit, cylinder);
    this.waitIrq();
    return this.sense();
  }
  /** Seeks, clears the change line on the way, and is on the cylinder. */
  calibrated(cylinder = 0, unit = 0): void {
    this.recalibrate(unit);
    this.seek(cylinder + 1, unit);
    this.seek(cylinder, unit);
  }
  /** The nine bytes of a transfer. */
  transferCommand(opcode: number, { c, h, r, eot }: Place, last = 0xff, unit = 0): void {
    this.command(opcode, (h << 2) | unit, c, h, r, 2, eot, 0x1b, last);
  }
  /** One transfer by DMA; the result bytes. */
  transfer(opcode: number, place: Place, memory: Uint8Array, unit = 0): number[] {
    this.dma.program(memory);
    this.transferCommand(opcode, place, 0xff, unit);
    this.waitIrq();
    return this.result();
  }
  read(place: Place, sectors: number, opcode = READ): { data: Uint8Array; result: number[] } {
    const data = new Uint8Array(sectors * 512);
    return { result: this.transfer(opcode, place, data), data };
  }
  /** A transfer without DMA: every byte through the FIFO, asked for by interrupt. Gives bytes moved and the result. */
  transferByFifo(opcode: number, place: Place, data: Uint8Array, bytesPerInterrupt = 16): [number, number[]] {
    this.transferCommand(opcode, place);
    for (let at = 0; ; ) {
      this.waitIrq();
      if ((this.msr & 0x20) === 0) return [at, this.result()];
      for (let i = 0; i < bytesPerInterrupt && (this.msr & 0xa0) === 0xa0; i++, at++) {
        if ((this.msr & 0x40) !== 0) data[at] = this.in(0x3f5);
        else this.out(0x3f5, data[at] ?? 0);
      }
    }
  }
}
