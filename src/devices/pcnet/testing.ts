/** A driver for the PCnet in unit tests: rings, initialisation block and register accesses as operating systems make them. */
import { FakeContext, type FakePciFunction } from "../../device-api/testing.ts";
import { FakeNet, macBytes } from "../../device-api/testing-net.ts";
import { createPcnet, type PcnetModel } from "./index.ts";
import * as R from "./registers.ts";

export const OWN_MAC = "08:00:27:12:34:56";
const INIT_BLOCK = 0x1000;
export const RX_RING = 0x2000;
export const TX_RING = 0x3000;
export const RX_BUFFERS = 0x10000;
export const TX_BUFFERS = 0x20000;

export interface PcnetGuestOptions {
  readonly model?: PcnetModel;
  readonly style?: 0 | 1 | 2 | 3;
  readonly mode?: number;
  readonly logRings?: number;
  readonly bufferBytes?: number;
  readonly ladrf?: readonly number[];
  readonly isDword?: boolean;
  readonly isCableConnected?: boolean;
}

export class PcnetGuest {
  readonly net = new FakeNet();
  readonly context = new FakeContext({ ramBytes: 0x80000 });
  readonly card;
  readonly pci: FakePciFunction;
  readonly style: number;
  readonly ringLength: number;
  readonly bufferBytes: number;
  readonly #options: PcnetGuestOptions;
  rx = 0;
  tx = 0;

  constructor(options: PcnetGuestOptions = {}) {
    this.#options = options;
    this.style = options.style ?? 2;
    this.ringLength = 1 << (options.logRings ?? 2);
    this.bufferBytes = options.bufferBytes ?? 1544;
    this.card = createPcnet({
      number: 1,
      pciSlot: 3,
      model: options.model ?? "Am79C973",
      macAddress: macBytes(OWN_MAC),
      isCableConnected: options.isCableConnected ?? true,
      backend: this.net,
    });
    this.card.attach(this.context);
    this.card.reset("power-on");
    this.pci = this.context.pci(3, 0);
    this.pci.guestWrite(4, 2, 7);
    if (options.isDword) this.pci.barWrite(0, R.RDP, 4, 0);
  }

  get memory() {
    return this.context.memory;
  }
  get line(): boolean {
    return this.pci.intx.level;
  }

  readCsr(n: number): number {
    return this.#read(n, R.RDP, R.RDP);
  }
  writeCsr(n: number, value: number): void {
    this.#write(n, R.RDP, R.RDP, value);
  }
  readBcr(n: number): number {
    return this.#read(n, R.WIO_BDP, R.DWIO_BDP);
  }
  writeBcr(n: number, value: number): void {
    this.#write(n, R.WIO_BDP, R.DWIO_BDP, value);
  }
  #read(n: number, word: number, dword: number): number {
    const size = this.#options.isDword ? 4 : 2;
    this.pci.barWrite(0, size === 4 ? R.DWIO_RAP : R.WIO_RAP, size, n);
    return this.pci.barRead(0, size === 4 ? dword : word, size);
  }
  #write(n: number, word: number, dword: number, value: number): void {
    const size = this.#options.isDword ? 4 : 2;
    this.pci.barWrite(0, size === 4 ? R.DWIO_RAP : R.WIO_RAP, size, n);
    this.pci.barWrite(0, size === 4 ? dword : word, size, value);
  }

  /** Initialises and starts the chip with all receive buffers given. */
  start(csr0 = R.CSR0_STRT | R.CSR0_IENA): void {
    const { memory, style, ringLength } = this;
    const log = Math.log2(ringLength);
    const { mode = 0, ladrf = [0, 0, 0, 0] } = this.#options;
    this.writeBcr(20, style);
    const mac = macBytes(OWN_MAC);
    if (style === 0) {
      memory.write16(INIT_BLOCK, mode);
      memory.write(INIT_BLOCK + 2, mac);
      ladrf.forEach((word, i) => {
        memory.write16(INIT_BLOCK + 8 + 2 * i, word);
      });
      memory.write32(INIT_BLOCK + 16, RX_RING | (log << 29));
      memory.write32(INIT_BLOCK + 20, TX_RING | (log << 29));
    } else {
      memory.write32(INIT_BLOCK, ((log << 28) | (log << 20) | mode) >>> 0);
      memory.write(INIT_BLOCK + 4, mac);
      ladrf.forEach((word, i) => {
        memory.write16(INIT_BLOCK + 12 + 2 * i, word);
      });
      memory.write32(INIT_BLOCK + 20, RX_RING);
      memory.write32(INIT_BLOCK + 24, TX_RING);
    }
    for (let i = 0; i < ringLength; i++) {
      this.giveReceiveBuffer(i);
      this.#clearTransmit(i);
    }
    this.rx = 0;
    this.tx = 0;
    this.writeCsr(1, INIT_BLOCK & 0xffff);
    this.writeCsr(2, INIT_BLOCK >>> 16);
    this.writeCsr(4, 0x0915);
    this.writeCsr(0, R.CSR0_INIT);
    if ((this.readCsr(0) & R.CSR0_IDON) === 0) throw new Error("the chip did not initialise");
    this.writeCsr(0, csr0 | R.CSR0_IDON);
  }

  #descriptor(ring: number, i: number): number {
    return ring + (i % this.ringLength) * (this.style === 0 ? 8 : 16);
  }
  #put(gpa: number, address: number, bytes: number, status: number): void {
    const { memory, style } = this;
    const negative = (0xf000 | (-bytes & 0xfff)) >>> 0;
    if (style === 0) {
      memory.write16(gpa, address & 0xffff);
      memory.write16(gpa + 4, negative);
      memory.write16(gpa + 6, 0);
      memory.write16(gpa + 2, ((address >>> 16) & 0xff) | (status & 0xff00));
    } else {
      memory.write32(style === 3 ? gpa + 8 : gpa, address);
      memory.write32(style === 3 ? gpa : gpa + 8, 0);
      memory.write32(gpa + 4, (negative | (status << 16)) >>> 0);
    }
  }
  status(ring: number, i: number): number {
    const gpa = this.#descriptor(ring, i);
    return this.style === 0 ? this.memory.read16(gpa + 2) & 0xff00 : this.memory.read16(gpa + 6);
  }
  messageBytes(i: number): number {
    const gpa = this.#descriptor(RX_RING, i);
    if (this.style === 0) return this.memory.read16(gpa + 6);
    return this.memory.read32(this.style === 3 ? gpa : gpa + 8);
  }
  transmitErrors(i: number): number {
    const gpa = this.#descriptor(TX_RING, i);
    if (this.style === 0) return this.memory.read16(gpa + 6);
    return this.memory.read32(this.style === 3 ? gpa : gpa + 8) >>> 16;
  }

  giveReceiveBuffer(i: number, status = R.OWN): void {
    const slot = i % this.ringLength;
    this.#put(this.#descriptor(RX_RING, i), RX_BUFFERS + slot * 0x1000, this.bufferBytes, status);
  }
  #clearTransmit(i: number): void {
    this.#put(this.#descriptor(TX_RING, i), 0, 0, 0);
  }

  /** Puts `parts` into the ring as one frame, first descriptor last, and asks for transmission. */
  send(parts: readonly Uint8Array[], extra = 0, demand = true): void {
    const first = this.tx;
    const places = parts.map((part, k) => {
      const gpa = TX_BUFFERS + ((first + k) % this.ringLength) * 0x1000;
      this.memory.write(gpa, part);
      const start = k === 0 ? R.STP : 0;
      const end = k === parts.length - 1 ? R.ENP : 0;
      return { i: first + k, gpa, bytes: part.length, status: R.OWN | start | end | extra };
    });
    for (const { i, gpa, bytes, status } of places.reverse())
      this.#put(this.#descriptor(TX_RING, i), gpa, bytes, status);
    this.tx += parts.length;
    if (demand) this.writeCsr(0, R.CSR0_TDMD | R.CSR0_IENA);
  }

  /** Takes the next frame out of the receive ring and gives its buffers back; undefined if there is none. */
  receive(): { readonly frame: Uint8Array; readonly status: number } | undefined {
    const parts: Uint8Array[] = [];
    let status = this.status(RX_RING, this.rx);
    if (status & R.OWN) return undefined;
    for (;;) {
      const slot = this.rx % this.ringLength;
      status = this.status(RX_RING, this.rx);
      if (status & R.OWN) throw new Error("a frame without end in the receive ring");
      const isLast = (status & R.ENP) !== 0;
      const before = parts.reduce((sum, part) => sum + part.length, 0);
      const bytes = isLast ? this.messageBytes(this.rx) - before : this.bufferBytes;
      const part = new Uint8Array(bytes);
      this.memory.read(RX_BUFFERS + slot * 0x1000, part);
      parts.push(part);
      this.giveReceiveBuffer(this.rx);
      this.rx++;
      if (isLast) break;
    }
    const frame = Uint8Array.from(parts.flatMap((part) => [...part]));
    return { frame, status };
  }
}
