/**
 * The other sides of the IDE controller, for its tests: media in memory that complete at once or when told and can fail,
 * a DVD slot, and a guest that drives the registers as a polling or interrupt-driven driver does. Only tests import this.
 */
import type { BlockBackend, BlockDone, Geometry, MediumSlot } from "../../backend-api/block.ts";
import { FakeContext, type FakeContextOptions, type FakePciFunction, seededRandom } from "../../device-api/testing.ts";
import { createIde, type IdeConfig, type IdeController } from "./index.ts";
import { BSY, DRQ, ERR } from "./registers.ts";

/** A medium in memory. With `isDeferred`, requests wait for `complete`. */
export class MemoryMedium implements BlockBackend {
  readonly bytes: Uint8Array;
  readonly uuid?: string;
  readOnly = false;
  logicalGeometry?: Geometry;
  isDeferred = false;
  readonly badSectors = new Set<number>();
  readonly waiting: (() => void)[] = [];
  readonly log: string[] = [];
  isFlushBroken = false;
  readonly #claimedBytes: number | undefined;

  /** Filled with seeded noise. `claimedBytes` may exceed what is really kept (reads beyond give zeros). */
  constructor(sizeBytes: number, options: { seed?: number; uuid?: string; claimedBytes?: number } = {}) {
    const random = seededRandom(options.seed ?? 1);
    this.bytes = Uint8Array.from({ length: sizeBytes }, () => random(256));
    this.uuid = options.uuid;
    this.#claimedBytes = options.claimedBytes;
  }
  get sizeBytes(): number {
    return this.#claimedBytes ?? this.bytes.length;
  }
  read(offsetBytes: number, target: Uint8Array, done: BlockDone): void {
    this.log.push(`read ${offsetBytes}+${target.length}`);
    this.#run(() => {
      const isGood = this.#isGood(offsetBytes, target.length);
      if (isGood) {
        target.fill(0);
        target.set(this.bytes.subarray(offsetBytes, offsetBytes + target.length));
      }
      done(isGood);
    });
  }
  write(offsetBytes: number, source: Uint8Array, done: BlockDone): void {
    this.log.push(`write ${offsetBytes}+${source.length}`);
    this.#run(() => {
      const isGood = this.#isGood(offsetBytes, source.length);
      if (isGood) this.bytes.set(source.subarray(0, Math.max(0, this.bytes.length - offsetBytes)), offsetBytes);
      done(isGood);
    });
  }
  flush(done: BlockDone): void {
    this.log.push("flush");
    this.#run(() => done(!this.isFlushBroken));
  }
  close(): void {}

  /** Carries out the requests that wait, those they cause included. */
  complete(): void {
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) next();
  }
  #run(work: () => void): void {
    if (this.isDeferred) this.waiting.push(work);
    else work();
  }
  #isGood(offsetBytes: number, lengthBytes: number): boolean {
    if (offsetBytes % 512 !== 0 || lengthBytes % 512 !== 0) throw new Error("request is not sector-aligned");
    if (offsetBytes + lengthBytes > this.sizeBytes) throw new Error("request leaves the medium");
    for (const sector of this.badSectors) {
      if (sector * 512 >= offsetBytes && sector * 512 < offsetBytes + lengthBytes) return false;
    }
    return true;
  }
}

/** A slot that a user and the guest may empty. */
export class MemorySlot implements MediumSlot {
  medium: BlockBackend | undefined;
  isEjectRefused = false;
  #listener: () => void = () => {};

  constructor(medium?: BlockBackend) {
    this.medium = medium;
  }
  onChange(listener: () => void): void {
    this.#listener = listener;
  }
  eject(): boolean {
    if (this.isEjectRefused) return false;
    this.insert(undefined);
    return true;
  }
  /** What the user does. */
  insert(medium: BlockBackend | undefined): void {
    this.medium = medium;
    this.#listener();
  }
}

/** A piece of a descriptor list. */
export type Region = readonly [gpa: number, bytes: number];

/** A guest that drives the controller. Everything advances the manual clock, so nothing waits for ever. */
export class IdeGuest {
  readonly context: FakeContext;
  readonly ide: IdeController;
  /** 1F0h or 170h. */
  base = 0x1f0;
  control = 0x3f6;
  busMaster = 0;
  irq = 14;

  constructor(config: IdeConfig, options: FakeContextOptions = {}) {
    this.context = new FakeContext(options);
    this.ide = createIde(config);
    this.ide.attach(this.context);
    this.ide.reset("power-on");
    this.pci.guestWrite(0x04, 2, 0x0005);
  }
  get pci(): FakePciFunction {
    return this.context.pci(1, 1);
  }
  useSecondary(): this {
    this.base = 0x170;
    this.control = 0x376;
    this.busMaster = 8;
    this.irq = 15;
    return this;
  }

  in(register: number): number {
    return this.context.in(this.base + register, 1);
  }
  out(register: number, value: number): void {
    this.context.out(this.base + register, 1, value);
  }
  get status(): number {
    return this.in(7);
  }
  get altStatus(): number {
    return this.context.in(this.control, 1);
  }
  get error(): number {
    return this.in(1);
  }
  get irqLevel(): boolean {
    return this.context.irq[this.irq].level;
  }
  get irqRises(): number {
    return this.context.irq[this.irq].rises;
  }
  bmIn(register: number, size: 1 | 2 | 4 = 1): number {
    return this.pci.barRead(4, this.busMaster + register, size);
  }
  bmOut(register: number, size: 1 | 2 | 4, value: number): void {
    this.pci.barWrite(4, this.busMaster + register, size, value);
  }
  get bmStatus(): number {
    return this.bmIn(2);
  }

  pass(ns = 1_000_000): void {
    this.context.clock.advance(ns);
  }
  /** Polls the alternate status until BSY is clear; throws after a second of guest time. */
  waitReady(): number {
    for (let i = 0; i < 100_000; i++) {
      const status = this.altStatus;
      if ((status & BSY) === 0) return status;
      this.pass(10_000);
    }
    throw new Error("the drive stays busy");
  }
  /** 3F6h is 2 for polling. */
  setControl(value: number): void {
    this.context.out(this.control, 1, value);
  }
  softReset(): void {
    this.setControl(0x04);
    this.pass(5_000);
    this.setControl(0x00);
    this.pass(2_000_000);
  }

  /** Writes LBA28 task file and command. `count` 256 as 0. */
  command28(code: number, lba: number, count: number, device: 0 | 1 = 0, features = 0): void {
    this.out(6, 0xe0 | (device << 4) | ((lba >>> 24) & 0x0f));
    this.out(1, features);
    this.out(2, count & 0xff);
    this.out(3, lba & 0xff);
    this.out(4, (lba >>> 8) & 0xff);
    this.out(5, (lba >>> 16) & 0xff);
    this.out(7, code);
  }
  command48(code: number, lba: number, count: number, device: 0 | 1 = 0): void {
    this.out(6, 0x40 | (device << 4));
    for (const [register, value] of [
      [2, count],
      [3, lba],
      [4, Math.floor(lba / 0x100)],
      [5, Math.floor(lba / 0x1_0000)],
    ] as const) {
      const upperShift = register === 2 ? 0x100 : 0x100_0000;
      this.out(register, Math.floor(value / upperShift) % 256);
      this.out(register, value % 256);
    }
    this.out(7, code);
  }
  /** A command without data: the final status. */
  simple(code: number, device: 0 | 1 = 0, registers: { features?: number; count?: number } = {}): number {
    this.out(6, 0xa0 | (device << 4));
    this.out(1, registers.features ?? 0);
    this.out(2, registers.count ?? 0);
    this.out(7, code);
    this.waitReady();
    return this.status;
  }

  readWords(words: number): Uint8Array {
    const bytes = new Uint8Array(words * 2);
    for (let i = 0; i < words; i++) {
      const word = this.context.in(this.base, 2);
      bytes[2 * i] = word & 0xff;
      bytes[2 * i + 1] = word >>> 8;
    }
    return bytes;
  }
  writeWords(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i += 2) {
      this.context.out(this.base, 2, bytes[i] | ((bytes[i + 1] ?? 0) << 8));
    }
  }
  /** PIO-in after a command was written: blocks of `blockBytes` until DRQ goes away. */
  pioIn(totalBytes: number, blockBytes: number): Uint8Array {
    const all = new Uint8Array(totalBytes);
    for (let at = 0; at < totalBytes; at += blockBytes) {
      const status = this.waitReady();
      if (status & ERR || (status & DRQ) === 0) throw new Error(`no data: status ${status.toString(16)}`);
      this.status;
      all.set(this.readWords(Math.min(blockBytes, totalBytes - at) / 2), at);
    }
    return all;
  }
  pioOut(bytes: Uint8Array, blockBytes: number): number {
    for (let at = 0; at < bytes.length; at += blockBytes) {
      const status = this.waitReady();
      if (status & ERR || (status & DRQ) === 0) throw new Error(`no data wanted: status ${status.toString(16)}`);
      this.status;
      this.writeWords(bytes.subarray(at, at + blockBytes));
    }
    this.waitReady();
    return this.status;
  }
  identify(device: 0 | 1 = 0, code = 0xec): Uint16Array {
    this.simple(code, device);
    const bytes = this.readWords(256);
    return Uint16Array.from({ length: 256 }, (_, i) => bytes[2 * i] | (bytes[2 * i + 1] << 8));
  }

  /** Writes a descriptor list to guest RAM and points the bus master at it. */
  setRegions(table: number, regions: readonly Region[]): void {
    regions.forEach(([gpa, bytes], i) => {
      this.context.memory.write32(table + i * 8, gpa);
      this.context.memory.write32(
        table + i * 8 + 4,
        ((bytes & 0xffff) | (i === regions.length - 1 ? 0x8000_0000 : 0)) >>> 0,
      );
    });
    this.bmOut(4, 4, table);
  }
  startBusMaster(isToMemory: boolean): void {
    this.bmOut(2, 1, 0x66);
    this.bmOut(0, 1, isToMemory ? 0x08 : 0x00);
    this.bmOut(0, 1, isToMemory ? 0x09 : 0x01);
  }
  /** The end of a DMA command as an interrupt handler sees it: bus master status and drive status. */
  finishDma(): { bm: number; status: number } {
    for (let i = 0; i < 10_000 && (this.bmStatus & 0x04) === 0; i++) this.pass(10_000);
    const bm = this.bmStatus;
    this.bmOut(0, 1, 0);
    const status = this.status;
    this.bmOut(2, 1, 0x66);
    return { bm, status };
  }

  /** Writes PACKET and the packet; stops where the drive answers. */
  startPacket(packet: readonly number[], byteCountLimit: number, device: 0 | 1 = 0, isDma = false): void {
    this.out(6, 0xa0 | (device << 4));
    this.out(1, isDma ? 1 : 0);
    this.out(4, byteCountLimit & 0xff);
    this.out(5, byteCountLimit >>> 8);
    this.out(7, 0xa0);
    const status = this.waitReady();
    if ((status & DRQ) === 0 || (this.in(2) & 3) !== 1) throw new Error("the drive does not ask for the packet");
    this.writeWords(Uint8Array.from({ length: 12 }, (_, i) => packet[i] ?? 0));
  }
  /** A packet command by PIO: what came, and how it ended. */
  packet(packet: readonly number[], options: { limit?: number; device?: 0 | 1; send?: Uint8Array } = {}): PacketResult {
    this.startPacket(packet, options.limit ?? 0xfffe, options.device ?? 0);
    const data: number[] = [];
    const blocks: number[] = [];
    let sent = 0;
    for (;;) {
      const status = this.waitReady();
      const reason = this.in(2) & 3;
      this.status;
      if ((status & DRQ) === 0) return { status, error: this.error, reason, blocks, data: Uint8Array.from(data) };
      const bytes = this.in(4) | (this.in(5) << 8);
      blocks.push(bytes);
      if (blocks.length > 100_000) throw new Error("a packet command without end");
      if (reason === 2) data.push(...this.readWords((bytes + 1) >> 1).subarray(0, bytes));
      else {
        const block = new Uint8Array(bytes + (bytes & 1));
        block.set((options.send ?? block).subarray(sent, sent + bytes));
        this.writeWords(block);
        sent += bytes;
      }
    }
  }
  /** REQUEST SENSE: key, code and qualifier as one number, as in scsi-codes.ts. */
  sense(device: 0 | 1 = 0): number {
    const { data } = this.packet([0x03, 0, 0, 0, 18], { device });
    return ((data[2] & 0x0f) << 16) | (data[12] << 8) | data[13];
  }
  testUnitReady(device: 0 | 1 = 0): number {
    return this.packet([0], { device }).status & ERR ? this.sense(device) : 0;
  }
}

export interface PacketResult {
  readonly status: number;
  readonly error: number;
  readonly reason: number;
  /** Byte counts of the blocks. */
  readonly blocks: number[];
  readonly data: Uint8Array;
}
