/**
 * A 16450, 16550A or 16750 (National PC16550D, TI TL16C750): all registers, both FIFOs with trigger levels and character
 * time-out, interrupt priorities, loopback, modem lines. A character takes `characterNs` on the wire whatever divisor is
 * programmed: long enough that a driver's interrupt handler gets ahead of the transmitter, short enough not to wait for. With the
 * transmitter's interrupt switched off it takes none: kernels that write their messages so wait for each character.
 * Bytes from the host are handed over only when there is room, so the guest never sees an overrun from outside.
 * Not modelled: parity, framing and break errors (the stream carries bytes only), baud rate, 16750 auto flow control.
 *
 * The interrupt output is a level gated by OUT2, as on a PC's adapter.
 */
import type { CharBackend } from "../../backend-api/char.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { ByteRegisters } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { ByteFifo } from "./byte-fifo.ts";
import * as R from "./registers.ts";

export type UartType = "16450" | "16550A" | "16750";

/** Time of one character on the wire. */
export const characterNs = 20_000;
/** Data in the receive FIFO that nobody fetches interrupts after four character times. */
const timeoutNs = 4 * characterNs;
/** How soon a byte that the host side refused is offered again if no event comes first. */
const retryNs = 2_000_000;

export class Uart implements ByteRegisters {
  readonly #type: UartType;
  readonly #irq: IrqLine;
  readonly #backend: CharBackend | undefined;
  readonly #transmitTimer: Timer;
  readonly #receiveTimer: Timer;
  readonly #timeoutTimer: Timer;

  readonly #rx = new ByteFifo();
  readonly #tx = new ByteFifo();
  /** The transmitter shift register: the byte on the wire, or -1. */
  #shifting = -1;
  /** The host side refused that byte: it waits for room. */
  #isRefused = false;
  #divisor = 12;
  #ier = 0;
  #fcr = 0;
  #lcr = 0;
  #mcr = 0;
  #scr = 0;
  #overrun = false;
  /** MSR bits 7–4 as last seen, and the deltas in bits 3–0. */
  #msr = 0;
  #thrEmptyPending = false;
  #timeoutPending = false;

  constructor(type: UartType, clock: Clock, irq: IrqLine, backend: CharBackend | undefined) {
    this.#type = type;
    this.#irq = irq;
    this.#backend = backend;
    this.#transmitTimer = clock.createTimer("uart transmit", () => this.#transmitted());
    this.#receiveTimer = clock.createTimer("uart receive", () => this.#receive());
    this.#timeoutTimer = clock.createTimer("uart timeout", () => {
      this.#timeoutPending = this.#rx.length > 0;
      this.#updateIrq();
    });
    backend?.onEvent(() => this.hostEvent());
  }

  reset(): void {
    this.#divisor = 12;
    this.#ier = 0;
    this.#fcr = 0;
    this.#lcr = 0;
    this.#mcr = 0;
    this.#scr = 0;
    this.#overrun = false;
    this.#setCapacities();
    this.#shifting = -1;
    this.#isRefused = false;
    this.#thrEmptyPending = false;
    this.#transmitTimer.cancel();
    this.#receiveTimer.cancel();
    this.#msr = this.#modemInputs();
    this.#updateIrq();
    this.#pumpReceive();
  }

  readByte(offset: number): number {
    switch (offset) {
      case R.RBR_THR_DLL:
        return (this.#lcr & R.LCR_DLAB) !== 0 ? this.#divisor & 0xff : this.#readReceiver();
      case R.IER_DLM:
        return (this.#lcr & R.LCR_DLAB) !== 0 ? this.#divisor >>> 8 : this.#ier;
      case R.IIR_FCR:
        return this.#readIir();
      case R.LCR:
        return this.#lcr;
      case R.MCR:
        return this.#mcr;
      case R.LSR:
        return this.#readLsr();
      case R.MSR:
        return this.#readMsr();
      default:
        return this.#scr;
    }
  }

  writeByte(offset: number, value: number): void {
    switch (offset) {
      case R.RBR_THR_DLL:
        if ((this.#lcr & R.LCR_DLAB) !== 0) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#writeTransmitter(value);
        return;
      case R.IER_DLM:
        if ((this.#lcr & R.LCR_DLAB) !== 0) this.#divisor = (this.#divisor & 0xff) | (value << 8);
        else this.#writeIer(value);
        return;
      case R.IIR_FCR:
        this.#writeFcr(value);
        return;
      case R.LCR:
        this.#lcr = value;
        return;
      case R.MCR:
        this.#mcr = value & (this.#type === "16750" ? R.MCR_WRITABLE_16750 : R.MCR_WRITABLE);
        this.#updateModemStatus();
        this.#pumpReceive();
        this.#updateIrq();
        return;
      case R.SCR:
        this.#scr = value;
        return;
      default:
      // LSR and MSR are read-only here: the factory test writes of the data sheet do nothing.
    }
  }

  get #hasFifos(): boolean {
    return (this.#fcr & R.FCR_ENABLE) !== 0;
  }
  get #isLoopback(): boolean {
    return (this.#mcr & R.MCR_LOOP) !== 0;
  }

  #writeIer(value: number): void {
    const before = this.#ier;
    this.#ier = value & (this.#type === "16750" ? R.IER_WRITABLE_16750 : R.IER_WRITABLE);
    // Enabling the interrupt while the holding register is empty asks at once: drivers start transmitting this way.
    if ((this.#ier & ~before & R.IER_ETBEI) !== 0 && this.#tx.length === 0) this.#thrEmptyPending = true;
    this.#updateIrq();
  }

  #writeFcr(value: number): void {
    if (this.#type === "16450") return;
    let changed = this.#fcr ^ value;
    if (this.#type !== "16750" || (this.#lcr & R.LCR_DLAB) === 0) {
      // The 64-byte bit can only be changed behind DLAB, and only the 16750 has it.
      value = (value & ~R.FCR_64_BYTE) | (this.#fcr & R.FCR_64_BYTE);
      changed &= ~R.FCR_64_BYTE;
    }
    if ((value & R.FCR_ENABLE) === 0) value = 0;
    this.#fcr = value & ~(R.FCR_CLEAR_RX | R.FCR_CLEAR_TX);
    if ((changed & (R.FCR_ENABLE | R.FCR_64_BYTE)) !== 0) {
      this.#setCapacities();
    } else {
      if ((value & R.FCR_CLEAR_RX) !== 0) this.#clearReceiver();
      if ((value & R.FCR_CLEAR_TX) !== 0) this.#clearTransmitter();
    }
    this.#pumpReceive();
    this.#updateIrq();
  }

  #setCapacities(): void {
    const capacity = !this.#hasFifos ? 1 : (this.#fcr & R.FCR_64_BYTE) !== 0 ? 64 : 16;
    this.#clearReceiver();
    this.#clearTransmitter();
    this.#rx.capacity = capacity;
    this.#tx.capacity = capacity;
  }
  #clearReceiver(): void {
    this.#rx.clear();
    this.#timeoutPending = false;
    this.#timeoutTimer.cancel();
  }
  #clearTransmitter(): void {
    if (this.#tx.length > 0) this.#thrEmptyPending = true;
    this.#tx.clear();
  }

  #writeTransmitter(value: number): void {
    this.#thrEmptyPending = false;
    this.#updateIrq();
    if (this.#tx.isFull) this.#tx.replaceLast(value);
    else this.#tx.push(value);
    if (this.#shifting < 0) this.#startShifting();
    this.#updateIrq();
  }

  /** The next byte goes from the FIFO (or holding register) onto the wire. */
  #startShifting(): void {
    this.#shifting = this.#tx.shift();
    if (this.#tx.length === 0) this.#thrEmptyPending = true;
    if (this.#isPolled) this.#transmitted();
    else this.#transmitTimer.armAfter(characterNs);
  }

  /** Nobody is interrupted when the transmitter is empty: a driver that waits for it would only lose time. */
  get #isPolled(): boolean {
    return (this.#ier & R.IER_ETBEI) === 0 && !this.#isLoopback;
  }

  #transmitted(): void {
    if (this.#shifting < 0) return;
    if (this.#isLoopback) {
      this.#accept(this.#shifting);
    } else if (this.#backend !== undefined && !this.#backend.write(this.#shifting)) {
      this.#isRefused = true;
      this.#transmitTimer.armAfter(retryNs);
      return;
    }
    this.#isRefused = false;
    this.#shifting = -1;
    if (this.#tx.length > 0) this.#startShifting();
    this.#updateIrq();
  }

  /** A character has come in from the wire. */
  #accept(byte: number): void {
    if (this.#rx.isFull) {
      this.#overrun = true;
      if (!this.#hasFifos) this.#rx.replaceLast(byte);
    } else {
      this.#rx.push(byte);
    }
    this.#restartTimeout();
  }

  #restartTimeout(): void {
    if (this.#hasFifos && this.#rx.length > 0) this.#timeoutTimer.armAfter(timeoutNs);
    else this.#timeoutTimer.cancel();
  }

  #readReceiver(): number {
    if (this.#rx.length === 0) return 0;
    const byte = this.#rx.shift();
    this.#timeoutPending = false;
    this.#restartTimeout();
    this.#pumpReceive();
    this.#updateIrq();
    return byte;
  }

  /** Sees to it that what the host has is fetched, one character time from now. */
  #pumpReceive(): void {
    if (this.#receiveTimer.armed || this.#backend === undefined || this.#isLoopback) return;
    if (!this.#rx.isFull && this.#backend.readable) this.#receiveTimer.armAfter(characterNs);
  }

  #receive(): void {
    const backend = this.#backend;
    if (backend === undefined || this.#isLoopback || this.#rx.isFull || !backend.readable) return;
    const byte = backend.read();
    if (byte < 0) return;
    this.#accept(byte & 0xff);
    this.#pumpReceive();
    this.#updateIrq();
  }

  /** Something changed on the host side: bytes, room or the connection. */
  hostEvent(): void {
    this.#updateModemStatus();
    this.#pumpReceive();
    if (this.#isRefused) this.#transmitTimer.armAfter(0);
    this.#updateIrq();
  }

  #readLsr(): number {
    let lsr = 0;
    if (this.#rx.length > 0) lsr |= R.LSR_DR;
    if (this.#overrun) lsr |= R.LSR_OE;
    if (this.#tx.length === 0) lsr |= this.#shifting < 0 ? R.LSR_THRE | R.LSR_TEMT : R.LSR_THRE;
    this.#overrun = false;
    this.#updateIrq();
    return lsr;
  }

  #readMsr(): number {
    const msr = this.#msr;
    this.#msr &= 0xf0;
    this.#updateIrq();
    return msr;
  }

  /** Levels in MSR bits 7–4: the outputs in loopback, else a cable that is plugged in or not. */
  #modemInputs(): number {
    if (!this.#isLoopback) return this.#backend?.connected ? R.MSR_CTS | R.MSR_DSR | R.MSR_DCD : 0;
    const mcr = this.#mcr;
    return (
      ((mcr & R.MCR_RTS) !== 0 ? R.MSR_CTS : 0) |
      ((mcr & R.MCR_DTR) !== 0 ? R.MSR_DSR : 0) |
      ((mcr & R.MCR_OUT1) !== 0 ? R.MSR_RI : 0) |
      ((mcr & R.MCR_OUT2) !== 0 ? R.MSR_DCD : 0)
    );
  }

  #updateModemStatus(): void {
    const inputs = this.#modemInputs();
    const changed = (this.#msr ^ inputs) & 0xf0;
    let deltas = this.#msr & 0x0f;
    if ((changed & R.MSR_CTS) !== 0) deltas |= R.MSR_DCTS;
    if ((changed & R.MSR_DSR) !== 0) deltas |= R.MSR_DDSR;
    if ((changed & R.MSR_DCD) !== 0) deltas |= R.MSR_DDCD;
    if ((changed & this.#msr & R.MSR_RI) !== 0) deltas |= R.MSR_TERI;
    this.#msr = inputs | deltas;
  }

  /** The interrupt of highest priority, as IIR bits 3–0. */
  #interrupt(): number {
    const ier = this.#ier;
    if (this.#overrun && (ier & R.IER_ELSI) !== 0) return R.IIR_LINE_STATUS;
    if ((ier & R.IER_ERBFI) !== 0) {
      if (this.#rx.length >= this.#trigger()) return R.IIR_RECEIVED_DATA;
      if (this.#timeoutPending) return R.IIR_TIMEOUT;
    }
    if (this.#thrEmptyPending && (ier & R.IER_ETBEI) !== 0) return R.IIR_THR_EMPTY;
    if ((this.#msr & 0x0f) !== 0 && (ier & R.IER_EDSSI) !== 0) return R.IIR_MODEM_STATUS;
    return R.IIR_NO_INTERRUPT;
  }

  #trigger(): number {
    if (!this.#hasFifos) return 1;
    const levels = (this.#fcr & R.FCR_64_BYTE) !== 0 ? R.RX_TRIGGER_64 : R.RX_TRIGGER;
    return levels[this.#fcr >>> R.FCR_TRIGGER_SHIFT];
  }

  #readIir(): number {
    const interrupt = this.#interrupt();
    // Reading takes back the transmitter's interrupt if it is the one reported, and no other.
    if (interrupt === R.IIR_THR_EMPTY) {
      this.#thrEmptyPending = false;
      this.#updateIrq();
    }
    if (!this.#hasFifos) return interrupt;
    return interrupt | R.IIR_FIFOS_ENABLED | ((this.#fcr & R.FCR_64_BYTE) !== 0 ? R.IIR_64_BYTE : 0);
  }

  #updateIrq(): void {
    if (this.#interrupt() !== R.IIR_NO_INTERRUPT && (this.#mcr & R.MCR_OUT2) !== 0) this.#irq.raise();
    else this.#irq.lower();
  }

  save(): { readonly [key: string]: SavedValue } {
    const deadline = (timer: Timer) => (timer.armed ? timer.deadlineNs : -1);
    return {
      type: this.#type,
      rx: this.#rx.toArray(),
      tx: this.#tx.toArray(),
      shifting: this.#shifting,
      isRefused: this.#isRefused,
      divisor: this.#divisor,
      ier: this.#ier,
      fcr: this.#fcr,
      lcr: this.#lcr,
      mcr: this.#mcr,
      scr: this.#scr,
      overrun: this.#overrun,
      msr: this.#msr,
      thrEmptyPending: this.#thrEmptyPending,
      timeoutPending: this.#timeoutPending,
      transmitNs: deadline(this.#transmitTimer),
      receiveNs: deadline(this.#receiveTimer),
      timeoutNs: deadline(this.#timeoutTimer),
    };
  }

  load(state: StateReader): void {
    state.literal("type", this.#type);
    const rx = state.integers("rx", 0, 64, 0, 0xff);
    const tx = state.integers("tx", 0, 64, 0, 0xff);
    this.#shifting = state.integer("shifting", -1, 0xff);
    this.#isRefused = state.boolean("isRefused");
    this.#divisor = state.integer("divisor", 0, 0xffff);
    this.#ier = state.byte("ier");
    this.#fcr = state.byte("fcr");
    this.#lcr = state.byte("lcr");
    this.#mcr = state.byte("mcr");
    this.#scr = state.byte("scr");
    this.#overrun = state.boolean("overrun");
    this.#msr = state.byte("msr");
    this.#setCapacities();
    this.#rx.fill(rx.slice(0, this.#rx.capacity));
    this.#tx.fill(tx.slice(0, this.#tx.capacity));
    this.#thrEmptyPending = state.boolean("thrEmptyPending");
    this.#timeoutPending = state.boolean("timeoutPending");
    const arm = (timer: Timer, deadlineNs: number) => (deadlineNs >= 0 ? timer.armAt(deadlineNs) : timer.cancel());
    arm(this.#transmitTimer, state.number("transmitNs"));
    arm(this.#receiveTimer, state.number("receiveNs"));
    arm(this.#timeoutTimer, state.number("timeoutNs"));
    state.end();
  }
}
