/** A virtio driver for the network card in unit tests: negotiation and split queues, by the legacy or the modern interface. */
import { FakeContext, type FakePciFunction } from "../../device-api/testing.ts";
import { FakeNet, macBytes } from "../../device-api/testing-net.ts";
import { F_EVENT_IDX, F_VERSION_1 } from "../../device-parts/virtio/pci-transport.ts";
import { createVirtioNet } from "./index.ts";
import * as R from "./registers.ts";

export const OWN_MAC = "08:00:27:12:34:56";
const RING_BASE = 0x10000;
const RING_BYTES = 0x4000;
const BUFFERS = 0x40000;
const BUFFER_BYTES = 0x1000;
export const QUEUE_SIZE = 256;

export interface VirtioGuestOptions {
  readonly isLegacy?: boolean;
  /** Feature bits to accept, beside what the interface needs. */
  readonly features?: readonly number[];
  readonly isCableConnected?: boolean;
}

export interface Segment {
  readonly gpa: number;
  readonly length: number;
  readonly isWritable: boolean;
}

/** The driver's side of one queue. */
export class DriverQueue {
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  #nextDescriptor = 0;
  #availIndex = 0;
  #usedIndex = 0;
  readonly #memory;

  constructor(memory: FakeContext["memory"], index: number) {
    this.#memory = memory;
    this.desc = RING_BASE + index * RING_BYTES;
    this.avail = this.desc + 16 * QUEUE_SIZE;
    this.used = this.desc + 0x2000;
  }

  /** Makes a chain available; its head. */
  add(segments: readonly Segment[]): number {
    const head = this.#nextDescriptor % QUEUE_SIZE;
    segments.forEach(({ gpa, length, isWritable }, i) => {
      const index = this.#nextDescriptor % QUEUE_SIZE;
      const at = this.desc + index * 16;
      const isLast = i === segments.length - 1;
      this.#memory.write32(at, gpa);
      this.#memory.write32(at + 4, 0);
      this.#memory.write32(at + 8, length);
      this.#memory.write16(at + 12, (isWritable ? 2 : 0) | (isLast ? 0 : 1));
      this.#memory.write16(at + 14, (index + 1) % QUEUE_SIZE);
      this.#nextDescriptor++;
    });
    this.#memory.write16(this.avail + 4 + 2 * (this.#availIndex % QUEUE_SIZE), head);
    this.#availIndex = (this.#availIndex + 1) & 0xffff;
    this.#memory.write16(this.avail + 2, this.#availIndex);
    return head;
  }

  /** The next used chain: head and bytes written. */
  take(): { readonly head: number; readonly length: number } | undefined {
    if (this.#memory.read16(this.used + 2) === this.#usedIndex) return undefined;
    const at = this.used + 4 + 8 * (this.#usedIndex % QUEUE_SIZE);
    this.#usedIndex = (this.#usedIndex + 1) & 0xffff;
    // "Tell me at the next one", for drivers with event indices.
    this.#memory.write16(this.avail + 4 + 2 * QUEUE_SIZE, this.#usedIndex);
    return { head: this.#memory.read32(at), length: this.#memory.read32(at + 4) };
  }
}

export class VirtioGuest {
  readonly net = new FakeNet();
  readonly context = new FakeContext({ ramBytes: 0x200000 });
  readonly card;
  readonly pci: FakePciFunction;
  readonly queues: DriverQueue[];
  readonly isLegacy: boolean;
  readonly headerBytes: number;
  readonly #features: readonly number[];
  #nextBuffer = 0;

  constructor(options: VirtioGuestOptions = {}) {
    this.isLegacy = options.isLegacy ?? false;
    const features = options.features ?? [
      R.F_MAC,
      R.F_STATUS,
      R.F_MRG_RXBUF,
      R.F_CSUM,
      R.F_CTRL_VQ,
      R.F_CTRL_RX,
      F_EVENT_IDX,
    ];
    this.#features = this.isLegacy ? features : [...features, F_VERSION_1];
    this.headerBytes = !this.isLegacy || features.includes(R.F_MRG_RXBUF) ? R.HDR_BYTES : R.HDR_BYTES_LEGACY;
    this.card = createVirtioNet({
      number: 1,
      pciSlot: 3,
      macAddress: macBytes(OWN_MAC),
      isCableConnected: options.isCableConnected ?? true,
      backend: this.net,
    });
    this.card.attach(this.context);
    this.card.reset("power-on");
    this.pci = this.context.pci(3, 0);
    this.pci.guestWrite(4, 2, 7);
    this.queues = [0, 1, 2].map((i) => new DriverQueue(this.memory, i));
  }

  get memory() {
    return this.context.memory;
  }
  get line(): boolean {
    return this.pci.intx.level;
  }
  /** Reads and clears the cause. */
  isr(): number {
    return this.isLegacy ? this.pci.barRead(0, 19, 1) : this.pci.barRead(4, 0x1000, 1);
  }
  get status(): number {
    return this.isLegacy ? this.pci.barRead(0, 18, 1) : this.pci.barRead(4, 20, 1);
  }
  set status(value: number) {
    if (this.isLegacy) this.pci.barWrite(0, 18, 1, value);
    else this.pci.barWrite(4, 20, 1, value);
  }
  config(offset: number, size: 1 | 2 | 4): number {
    return this.isLegacy ? this.pci.barRead(0, 20 + offset, size) : this.pci.barRead(4, 0x2000 + offset, size);
  }

  /** The whole negotiation up to DRIVER_OK. */
  start(): void {
    const words = [0, 0];
    for (const bit of this.#features) words[bit >>> 5] = (words[bit >>> 5] | (1 << (bit & 31))) >>> 0;
    this.status = 0;
    this.status = 1;
    this.status = 3;
    if (this.isLegacy) this.pci.barWrite(0, 4, 4, words[0]);
    else {
      for (const word of [0, 1]) {
        this.pci.barWrite(4, 8, 4, word);
        this.pci.barWrite(4, 12, 4, words[word]);
      }
      this.status = 11;
      if ((this.status & 8) === 0) throw new Error("the card does not want these features");
    }
    this.queues.forEach(({ desc, avail, used }, i) => {
      if (this.isLegacy) {
        this.pci.barWrite(0, 14, 2, i);
        if (this.pci.barRead(0, 12, 2) !== (i === 2 ? 64 : QUEUE_SIZE)) throw new Error("another queue size");
        if (i < 2) this.pci.barWrite(0, 8, 4, desc / 4096);
        return;
      }
      this.pci.barWrite(4, 22, 2, i);
      if (i === 2) return;
      for (const [at, gpa] of [
        [32, desc],
        [40, avail],
        [48, used],
      ]) {
        this.pci.barWrite(4, at, 4, gpa);
        this.pci.barWrite(4, at + 4, 4, 0);
      }
      this.pci.barWrite(4, 28, 2, 1);
    });
    this.status = this.isLegacy ? 7 : 15;
  }

  notify(queue: number): void {
    if (this.isLegacy) this.pci.barWrite(0, 16, 2, queue);
    else this.pci.barWrite(4, 0x3000 + 4 * queue, 2, queue);
  }

  buffer(bytes: Uint8Array | number): number {
    const gpa = BUFFERS + (this.#nextBuffer++ % 256) * BUFFER_BYTES;
    if (typeof bytes !== "number") this.memory.write(gpa, bytes);
    return gpa;
  }

  /** Gives receive buffers of so many bytes; their addresses by head. */
  readonly receiveBuffers = new Map<number, number>();
  giveBuffers(count: number, length = 1536): void {
    for (let i = 0; i < count; i++) {
      const gpa = this.buffer(length);
      this.receiveBuffers.set(this.queues[0].add([{ gpa, length, isWritable: true }]), gpa);
    }
    this.notify(0);
  }

  /** The next received frame with its header, put together from its buffers. */
  receive(): { readonly header: Uint8Array; readonly frame: Uint8Array } | undefined {
    let bytes: number[] = [];
    for (let left = 1, isFirst = true; left > 0; left--) {
      const used = this.queues[0].take();
      if (used === undefined) return undefined;
      const part = new Uint8Array(used.length);
      this.memory.read(this.receiveBuffers.get(used.head) ?? 0, part);
      if (isFirst && this.headerBytes === R.HDR_BYTES) left = part[R.HDR_NUM_BUFFERS];
      isFirst = false;
      bytes = [...bytes, ...part];
    }
    return {
      header: Uint8Array.from(bytes.slice(0, this.headerBytes)),
      frame: Uint8Array.from(bytes.slice(this.headerBytes)),
    };
  }

  /** Sends one packet; `header` fills in the fields of the header. */
  send(packet: Uint8Array, header: readonly (readonly [at: number, value: number])[] = []): void {
    const bytes = new Uint8Array(this.headerBytes);
    for (const [at, value] of header) {
      bytes[at] = value;
      if (value > 255) bytes[at + 1] = value >>> 8;
    }
    const head = this.buffer(bytes);
    const parts: Segment[] = [{ gpa: head, length: bytes.length, isWritable: false }];
    for (let at = 0; at < packet.length; at += BUFFER_BYTES) {
      const part = packet.slice(at, at + BUFFER_BYTES);
      parts.push({ gpa: this.buffer(part), length: part.length, isWritable: false });
    }
    this.queues[1].add(parts);
    this.notify(1);
  }
}
