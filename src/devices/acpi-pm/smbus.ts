/**
 * The PIIX4's SMBus host (Intel 82371AB, chapter 11.3) on a bus without devices: every transaction ends as one that nobody
 * acknowledges. Not modelled: interrupts, the slave side's events, alerts.
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";

export const SMBUS_BYTES = 16;
const SMBHSTSTS = 0;
const SMBHSTCNT = 2;
const SMBBLKDAT = 7;
const SMBSLVCNT = 8;
/** Registers from here on belong to the slave side and read 0. */
const FIRST_SLAVE_DATA = 9;

const HOST_BUSY = 0x01;
const DEV_ERR = 0x04;
const FAILED = 0x10;
/** Bits that are cleared by writing ones. */
const STATUS_CAUSES = 0x1e;
const INTEREN = 0x01;
const KILL = 0x02;
const PROTOCOL = 0x1c;
const START = 0x40;
const BLOCK_BYTES = 32;
/** An address that nobody acknowledges: start, eight bits and the missing acknowledge at 16 kHz. */
const ADDRESS_NS = 600_000;

export class Smbus {
  readonly #timer: Timer;
  #status = 0;
  /** Registers 2 to 8 as written. */
  readonly #registers = new Uint8Array(SMBUS_BYTES);
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #blockIndex = 0;

  constructor(clock: Clock) {
    this.#timer = clock.createTimer("smbus", () => this.#end(DEV_ERR));
  }

  reset(): void {
    this.#timer.cancel();
    this.#status = 0;
    this.#registers.fill(0);
    this.#block.fill(0);
    this.#blockIndex = 0;
  }

  readByte(offset: number): number {
    if (offset === SMBHSTSTS) return this.#status;
    // Reading the control register rewinds the block buffer.
    if (offset === SMBHSTCNT) this.#blockIndex = 0;
    if (offset === SMBBLKDAT) return this.#block[this.#nextBlockIndex()];
    return this.#registers[offset];
  }

  writeByte(offset: number, value: number): void {
    if (offset === SMBHSTSTS) this.#status &= ~(value & STATUS_CAUSES);
    else if (offset === SMBHSTCNT) this.#control(value);
    else if (offset === SMBBLKDAT) this.#block[this.#nextBlockIndex()] = value;
    else if (offset > SMBHSTCNT && offset < FIRST_SLAVE_DATA)
      this.#registers[offset] = value & (offset === SMBSLVCNT ? 0x0f : 0xff);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      status: this.#status,
      registers: [...this.#registers],
      block: [...this.#block],
      blockIndex: this.#blockIndex,
      deadlineNs: this.#timer.armed ? this.#timer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    this.#status = state.integer("status", 0, STATUS_CAUSES | HOST_BUSY);
    this.#registers.set(state.integers("registers", SMBUS_BYTES, SMBUS_BYTES, 0, 0xff));
    this.#block.set(state.integers("block", BLOCK_BYTES, BLOCK_BYTES, 0, 0xff));
    this.#blockIndex = state.integer("blockIndex", 0, BLOCK_BYTES - 1);
    const deadlineNs = state.integer("deadlineNs", -1, Number.MAX_SAFE_INTEGER);
    state.end();
    if (deadlineNs >= 0) this.#timer.armAt(deadlineNs);
    else {
      this.#timer.cancel();
      this.#status &= ~HOST_BUSY;
    }
  }

  #nextBlockIndex(): number {
    const index = this.#blockIndex;
    this.#blockIndex = (index + 1) % BLOCK_BYTES;
    return index;
  }

  #control(value: number): void {
    this.#registers[SMBHSTCNT] = value & (PROTOCOL | KILL | INTEREN);
    if ((value & KILL) !== 0) {
      if ((this.#status & HOST_BUSY) !== 0) this.#end(FAILED);
    } else if ((value & START) !== 0 && (this.#status & HOST_BUSY) === 0) {
      this.#status |= HOST_BUSY;
      this.#timer.armAfter(ADDRESS_NS);
    }
  }

  #end(cause: number): void {
    this.#timer.cancel();
    this.#status = (this.#status & ~HOST_BUSY) | cause;
  }
}
