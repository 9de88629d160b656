/** A driver for the 8254x in unit tests: rings and register accesses as operating systems make them. */
import { FakeContext, type FakePciFunction } from "../../device-api/testing.ts";
import { FakeNet, macBytes } from "../../device-api/testing-net.ts";
import { createE1000, type E1000Model } from "./index.ts";
import * as R from "./registers.ts";

export const OWN_MAC = "08:00:27:12:34:56";
export const RX_RING = 0x2000;
export const TX_RING = 0x3000;
const RX_BUFFERS = 0x10000;
const TX_BUFFERS = 0x40000;
const TX_BUFFER_BYTES = 0x4000;

export interface E1000GuestOptions {
  readonly model?: E1000Model;
  readonly rctl?: number;
  readonly rxcsum?: number;
  /** Descriptors per ring, a multiple of 8. */
  readonly ringLength?: number;
  readonly bufferBytes?: number;
  readonly isCableConnected?: boolean;
}

export interface Received {
  readonly frame: Uint8Array;
  readonly status: number;
  readonly errors: number;
  readonly special: number;
}

export class E1000Guest {
  readonly net = new FakeNet();
  readonly context = new FakeContext({ ramBytes: 0x100000 });
  readonly card;
  readonly pci: FakePciFunction;
  readonly ringLength: number;
  readonly bufferBytes: number;
  readonly #options: E1000GuestOptions;
  rx = 0;
  tx = 0;

  constructor(options: E1000GuestOptions = {}) {
    this.#options = options;
    this.ringLength = options.ringLength ?? 8;
    this.bufferBytes = options.bufferBytes ?? 2048;
    this.card = createE1000({
      number: 1,
      pciSlot: 3,
      model: options.model ?? "82540EM",
      macAddress: macBytes(OWN_MAC),
      isCableConnected: options.isCableConnected ?? true,
      backend: this.net,
    });
    this.card.attach(this.context);
    this.card.reset("power-on");
    this.pci = this.context.pci(3, 0);
    this.pci.guestWrite(4, 2, 7);
  }

  get memory() {
    return this.context.memory;
  }
  get line(): boolean {
    return this.pci.intx.level;
  }
  get(register: number): number {
    return this.pci.barRead(0, register, 4);
  }
  set(register: number, value: number): void {
    this.pci.barWrite(0, register, 4, value >>> 0);
  }

  /** Rings in place, receive buffers given, receiver and transmitter on, interrupts as Linux enables them. */
  start(): void {
    const { ringLength } = this;
    this.set(R.RDBAL, RX_RING);
    this.set(R.RDLEN, ringLength * 16);
    this.set(R.TDBAL, TX_RING);
    this.set(R.TDLEN, ringLength * 16);
    for (let i = 0; i < ringLength; i++) this.giveReceiveBuffer(i);
    for (const register of [R.RDH, R.TDH, R.TDT]) this.set(register, 0);
    this.rx = 0;
    this.tx = 0;
    this.set(R.RXCSUM, this.#options.rxcsum ?? 0);
    this.set(R.TCTL, R.TCTL_EN | R.TCTL_PSP);
    const size = { 2048: 0, 1024: 1, 512: 2, 256: 3 }[this.bufferBytes] ?? 0;
    this.set(R.RCTL, R.RCTL_EN | R.RCTL_BAM | R.RCTL_SECRC | (size << 16) | (this.#options.rctl ?? 0));
    this.set(R.IMS, R.ICR_RXT0 | R.ICR_TXDW | R.ICR_RXDMT0 | R.ICR_LSC | R.ICR_RXO);
    this.get(R.ICR);
    // One stays back: head and tail equal is an empty ring.
    this.set(R.RDT, ringLength - 1);
  }

  giveReceiveBuffer(i: number): void {
    const slot = i % this.ringLength;
    const gpa = RX_RING + slot * 16;
    this.memory.write32(gpa, RX_BUFFERS + slot * this.bufferBytes);
    this.memory.write32(gpa + 4, 0);
    this.memory.write32(gpa + 8, 0);
    this.memory.write32(gpa + 12, 0);
  }

  /** Puts one descriptor at the tail; `kick` moves the tail register. */
  descriptor(low: number, high: number, command: number, options: number, kick = true): number {
    const i = this.tx % this.ringLength;
    const gpa = TX_RING + i * 16;
    [low, high, command >>> 0, options >>> 0].forEach((word, k) => {
      this.memory.write32(gpa + 4 * k, word);
    });
    this.tx++;
    if (kick) this.set(R.TDT, this.tx % this.ringLength);
    return gpa;
  }

  /** Bytes at a buffer of their own; its address. */
  buffer(bytes: Uint8Array): number {
    const gpa = TX_BUFFERS + (this.tx % this.ringLength) * TX_BUFFER_BYTES;
    this.memory.write(gpa, bytes);
    return gpa;
  }

  /** Sends `parts` as one packet of legacy descriptors. The last one's address. */
  send(parts: readonly Uint8Array[], extra = 0, options = 0): number {
    let gpa = 0;
    parts.forEach((part, i) => {
      const isLast = i === parts.length - 1;
      const flags = R.TXD_CMD_IFCS | R.TXD_CMD_RS | (isLast ? R.TXD_CMD_EOP : 0);
      gpa = this.descriptor(this.buffer(part), 0, part.length | flags | extra, options, isLast);
    });
    return gpa;
  }

  receive(): Received | undefined {
    const parts: number[] = [];
    for (;;) {
      const slot = this.rx % this.ringLength;
      const gpa = RX_RING + slot * 16;
      const word = this.memory.read32(gpa + 12);
      if ((word & R.RXD_STAT_DD) === 0) {
        if (parts.length > 0) throw new Error("a frame without end in the receive ring");
        return undefined;
      }
      const bytes = new Uint8Array(this.memory.read16(gpa + 8));
      this.memory.read(RX_BUFFERS + slot * this.bufferBytes, bytes);
      parts.push(...bytes);
      this.giveReceiveBuffer(this.rx);
      const tail = this.rx % this.ringLength;
      this.rx++;
      this.set(R.RDT, tail);
      if (word & R.RXD_STAT_EOP)
        return {
          frame: Uint8Array.from(parts),
          status: word & 0xff,
          errors: (word >>> 8) & 0xff,
          special: word >>> 16,
        };
    }
  }
}
