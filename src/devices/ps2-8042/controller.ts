/**
 * The keyboard and auxiliary device controller (8042 with PS/2 firmware, IBM PS/2 Technical Reference): output buffer with
 * its source, command byte, all controller commands, translation of set 2 into set 1, A20 and reset outputs. Commands are
 * done at once (the input buffer is never full); device bytes take a serial frame's time each, so that an interrupt
 * handler that reads port 60h twice gets the same byte twice. Not modelled: password, inhibit switch, parity and time-out
 * errors, multiplexing.
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { IrqLine, Wire } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { ByteQueue } from "./byte-queue.ts";
import { Keyboard } from "./keyboard.ts";
import { Mouse } from "./mouse.ts";
import * as R from "./registers.ts";
import { BREAK_BIT, BREAK_PREFIX, translateToSet1 } from "./scan-codes.ts";

/** Time of a byte from the keyboard, about eleven bits at 15 kHz. */
export const keyboardByteNs = 600_000;
/** Mice are faster: four bytes at 1000 movements a second. */
export const mouseByteNs = 250_000;

export interface Ps2Wires {
  readonly keyboardIrq: IrqLine;
  readonly mouseIrq: IrqLine;
  /** Gate A20, shared with port 92h. */
  readonly a20: Wire;
  /** The reset pulse. */
  requestReset(): void;
}

export class Ps2Controller {
  readonly keyboard: Keyboard;
  readonly mouse: Mouse;
  readonly #wires: Ps2Wires;
  readonly #timer: Timer;
  /** Replies of the controller itself go straight into the output buffer, or wait for it to be read. */
  readonly #replies = new ByteQueue(8);
  readonly #ram = new Uint8Array(R.RAM_BYTES);
  #output = 0;
  #isFull = false;
  #isAux = false;
  #status = R.STATUS_UNLOCKED;
  /** The command whose byte comes next at port 60h, or 0. */
  #expects = 0;
  /** The translator has seen F0h. */
  #isBreak = false;

  constructor(clock: Clock, wires: Ps2Wires) {
    this.#wires = wires;
    this.#timer = clock.createTimer("ps2", () => this.#transfer());
    this.keyboard = new Keyboard(clock, () => this.#pump());
    this.mouse = new Mouse(clock, () => this.#pump());
  }

  reset(): void {
    this.keyboard.reset();
    this.mouse.reset();
    this.#timer.cancel();
    this.#replies.clear();
    this.#ram.fill(0);
    this.#ram[0] = R.CTR_TRANSLATE | R.CTR_AUX_DISABLED;
    this.#output = 0;
    this.#isFull = false;
    this.#isAux = false;
    this.#status = R.STATUS_UNLOCKED;
    this.#expects = 0;
    this.#isBreak = false;
    this.#updateIrqs();
  }

  readStatus(): number {
    const full = this.#isFull ? (this.#isAux ? R.STATUS_OBF | R.STATUS_AUX_OBF : R.STATUS_OBF) : 0;
    return this.#status | full | (this.#ram[0] & R.CTR_SYS);
  }

  readData(): number {
    if (this.#isFull) {
      this.#isFull = false;
      this.#updateIrqs();
      this.#pump();
    }
    // An empty buffer shows its last byte.
    return this.#output;
  }

  writeData(value: number): void {
    this.#status &= ~R.STATUS_COMMAND;
    const command = this.#expects;
    this.#expects = 0;
    if (command === 0) {
      // Sending to the keyboard opens its clock again.
      this.#ram[0] &= ~R.CTR_KBD_DISABLED;
      this.keyboard.receive(value);
    } else if (command === R.CMD_WRITE_OUTPUT_PORT) {
      this.#wires.a20.set((value & R.OUTPUT_A20) !== 0);
      if ((value & R.OUTPUT_NOT_RESET) === 0) this.#wires.requestReset();
    } else if (command === R.CMD_WRITE_KBD_BUFFER || command === R.CMD_WRITE_AUX_BUFFER) {
      this.#fill(value, command === R.CMD_WRITE_AUX_BUFFER);
    } else if (command === R.CMD_WRITE_AUX) {
      this.#ram[0] &= ~R.CTR_AUX_DISABLED;
      this.mouse.receive(value);
    } else {
      this.#ram[command - R.CMD_WRITE_RAM] = value;
      this.#ramChanged();
    }
  }

  writeCommand(value: number): void {
    this.#status |= R.STATUS_COMMAND;
    this.#expects = 0;
    if (value >= R.CMD_READ_RAM && value < R.CMD_READ_RAM + R.RAM_BYTES) {
      this.#reply(this.#ram[value - R.CMD_READ_RAM]);
      return;
    }
    if (value >= R.CMD_WRITE_RAM && value < R.CMD_WRITE_RAM + R.RAM_BYTES) {
      this.#expects = value;
      return;
    }
    if (value >= R.CMD_PULSE) {
      if ((value & R.OUTPUT_NOT_RESET) === 0) this.#wires.requestReset();
      return;
    }
    switch (value) {
      case R.CMD_PASSWORD_TEST:
        this.#reply(R.NO_PASSWORD);
        return;
      case R.CMD_DISABLE_AUX:
        this.#ram[0] |= R.CTR_AUX_DISABLED;
        return;
      case R.CMD_ENABLE_AUX:
        this.#ram[0] &= ~R.CTR_AUX_DISABLED;
        this.#pump();
        return;
      case R.CMD_DISABLE_KBD:
        this.#ram[0] |= R.CTR_KBD_DISABLED;
        return;
      case R.CMD_ENABLE_KBD:
        this.#ram[0] &= ~R.CTR_KBD_DISABLED;
        this.#pump();
        return;
      case R.CMD_SELF_TEST:
        this.#ram[0] |= R.CTR_SYS;
        this.#reply(R.SELF_TEST_PASSED);
        return;
      case R.CMD_TEST_AUX:
      case R.CMD_TEST_KBD:
      case R.CMD_READ_TEST_INPUTS:
        this.#reply(0);
        return;
      case R.CMD_READ_INPUT_PORT:
        this.#reply(R.INPUT_PORT);
        return;
      case R.CMD_READ_OUTPUT_PORT:
        this.#reply(this.#outputPort());
        return;
      case R.CMD_DISABLE_A20:
      case R.CMD_ENABLE_A20:
        this.#wires.a20.set(value === R.CMD_ENABLE_A20);
        return;
      case R.CMD_WRITE_OUTPUT_PORT:
      case R.CMD_WRITE_KBD_BUFFER:
      case R.CMD_WRITE_AUX_BUFFER:
      case R.CMD_WRITE_AUX:
        this.#expects = value;
    }
  }

  #outputPort(): number {
    const full = this.#isFull ? (this.#isAux ? R.OUTPUT_AUX_OBF : R.OUTPUT_KBD_OBF) : 0;
    return R.OUTPUT_IDLE | R.OUTPUT_NOT_RESET | full | (this.#wires.a20.level ? R.OUTPUT_A20 : 0);
  }

  #ramChanged(): void {
    this.#updateIrqs();
    this.#pump();
  }

  #reply(value: number): void {
    if (!this.#isFull) this.#fill(value, false);
    else this.#replies.push(value);
  }

  #fill(value: number, isAux: boolean): void {
    this.#output = value;
    this.#isFull = true;
    this.#isAux = isAux;
    this.#updateIrqs();
  }

  get #isKeyboardReady(): boolean {
    return (this.#ram[0] & R.CTR_KBD_DISABLED) === 0 && this.keyboard.hasByte;
  }
  get #isMouseReady(): boolean {
    return (this.#ram[0] & R.CTR_AUX_DISABLED) === 0 && this.mouse.hasByte;
  }

  /** Starts what comes next into an empty output buffer. */
  #pump(): void {
    if (this.#isFull) return;
    if (this.#replies.length > 0) this.#fill(this.#replies.shift(), false);
    else if (this.#timer.armed) return;
    else if (this.#isKeyboardReady) this.#timer.armAfter(keyboardByteNs);
    else if (this.#isMouseReady) this.#timer.armAfter(mouseByteNs);
  }

  /** A device's byte has come over the wire. */
  #transfer(): void {
    if (this.#isFull) return;
    if (this.#isKeyboardReady) {
      const byte = this.keyboard.takeByte();
      if ((this.#ram[0] & R.CTR_TRANSLATE) === 0) {
        this.#fill(byte, false);
      } else if (byte === BREAK_PREFIX) {
        this.#isBreak = true;
        this.#pump();
      } else {
        const isBreak = this.#isBreak;
        this.#isBreak = false;
        const set1 = translateToSet1(byte);
        this.#fill(isBreak ? set1 | BREAK_BIT : set1, false);
      }
    } else if (this.#isMouseReady) {
      this.#fill(this.mouse.takeByte(), true);
    }
  }

  #updateIrqs(): void {
    const ctr = this.#ram[0];
    if (this.#isFull && !this.#isAux && (ctr & R.CTR_KBD_INT) !== 0) this.#wires.keyboardIrq.raise();
    else this.#wires.keyboardIrq.lower();
    if (this.#isFull && this.#isAux && (ctr & R.CTR_AUX_INT) !== 0) this.#wires.mouseIrq.raise();
    else this.#wires.mouseIrq.lower();
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      keyboard: this.keyboard.save(),
      mouse: this.mouse.save(),
      replies: this.#replies.toArray(),
      ram: this.#ram.slice(),
      output: this.#output,
      isFull: this.#isFull,
      isAux: this.#isAux,
      status: this.#status,
      expects: this.#expects,
      isBreak: this.#isBreak,
      transferNs: this.#timer.armed ? this.#timer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    this.keyboard.load(state.child("keyboard"));
    this.mouse.load(state.child("mouse"));
    this.#replies.fill(state.integers("replies", 0, 8, 0, 0xff));
    this.#ram.set(state.bytes("ram", R.RAM_BYTES));
    this.#output = state.byte("output");
    this.#isFull = state.boolean("isFull");
    this.#isAux = state.boolean("isAux");
    this.#status = (state.byte("status") & R.STATUS_COMMAND) | R.STATUS_UNLOCKED;
    this.#expects = loadedCommand(state.byte("expects"));
    this.#isBreak = state.boolean("isBreak");
    const transferNs = state.number("transferNs");
    if (transferNs >= 0) this.#timer.armAt(transferNs);
    else this.#timer.cancel();
    state.end();
  }
}

/** Only commands that take a byte may wait for one. */
function loadedCommand(command: number): number {
  const isRam = command >= R.CMD_WRITE_RAM && command < R.CMD_WRITE_RAM + R.RAM_BYTES;
  return isRam || (command >= R.CMD_WRITE_OUTPUT_PORT && command <= R.CMD_WRITE_AUX) ? command : 0;
}
