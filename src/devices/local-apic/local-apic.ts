/**
 * The local APIC of the one processor (Intel SDM volume 3, chapter 10): pending, in-service and trigger-mode bits, task and
 * processor priority, interprocessor interrupts (which can only go to itself), local vector table, timer, error register.
 * While IA32_APIC_BASE's enable bit is clear it is not there: LINT0 is the processor's INTR pin, LINT1 its NMI pin.
 * Guest memory accesses to the page are frequent (end of interrupt, task priority): nothing here allocates.
 *
 * Not modelled: SMI delivery (there is no SMM), start-up messages (nobody else to start), thermal and performance sources.
 */
import type { Clock } from "../../device-api/clock.ts";
import type { AccessSize } from "../../device-api/io-window.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";
import { ApicTimer } from "./timer.ts";
import { VectorSet } from "./vector-set.ts";
import { isX2Readable, isX2Writable } from "./x2apic.ts";

const { delivery } = R;
const TIMER = 0;
const LINT0 = 3;
const LINT1 = 4;
const ERROR = 5;

export interface LocalApicWires {
  /** The processor's interrupt request: a level. */
  setIntr(level: boolean): void;
  /** An edge on the processor's NMI. */
  raiseNmi(): void;
  /** An INIT message: the processor starts over. */
  requestInit(): void;
  /** The 8259 pair's INTA cycle. */
  acknowledgeExternal(): number;
  /** A level-triggered vector was ended. */
  endOfInterrupt(vector: number): void;
  /** What the APIC accepts has changed: an I/O APIC with something undelivered tries again. */
  destinationChanged(): void;
}

export class LocalApic {
  readonly #wires: LocalApicWires;
  readonly #timer: ApicTimer;
  readonly #requested = new VectorSet();
  readonly #inService = new VectorSet();
  /** Vectors that came by a level-triggered message. */
  readonly #levelTriggered = new VectorSet();
  readonly #lvt = new Int32Array(R.LVT_COUNT);
  /** Enabled by IA32_APIC_BASE. */
  #isThere = true;
  #isX2 = false;
  #id = 0;
  #taskPriority = 0;
  #logicalDestination = 0;
  #destinationFormat = 0;
  #spurious = 0;
  #commandLow = 0;
  #commandHigh = 0;
  #errors = 0;
  /** Errors since the last write to ESR. */
  #newErrors = 0;
  #lint0 = false;
  #lint1 = false;
  /** An ExtINT message waits for its INTA cycle. */
  #isExternalRequested = false;

  constructor(clock: Clock, wires: LocalApicWires) {
    this.#wires = wires;
    this.#timer = new ApicTimer(clock, () => this.#local(TIMER));
  }

  /** Power-up, INIT, or switching on by IA32_APIC_BASE: everything but the levels of the two pins. */
  reset(): void {
    this.#requested.clear();
    this.#inService.clear();
    this.#levelTriggered.clear();
    this.#lvt.fill(R.LVT_MASKED);
    this.#timer.reset();
    this.#taskPriority = 0;
    this.#logicalDestination = 0;
    this.#destinationFormat = R.DFR_FLAT | 0;
    this.#spurious = R.SVR_RESET;
    this.#commandLow = 0;
    this.#commandHigh = 0;
    this.#errors = 0;
    this.#newErrors = 0;
    this.#isExternalRequested = false;
    this.#update();
  }

  /** The mode that IA32_APIC_BASE asks for. Switching off forgets everything. */
  setMode(isThere: boolean, isX2: boolean): void {
    const wasThere = this.#isThere;
    this.#isX2 = isThere && isX2;
    this.#isThere = isThere;
    if (wasThere !== isThere) {
      this.#id = 0;
      this.reset();
    }
  }

  // ---- pins and messages ---------------------------------------------------------------------------------------------

  /** The 8259 pair's request. */
  setLint0(level: boolean): void {
    if (level === this.#lint0) return;
    this.#lint0 = level;
    if (level && this.#isThere && (this.#lvt[LINT0] & R.LVT_MODE) >> 8 !== delivery.extInt) this.#local(LINT0);
    this.#update();
  }

  /** The board's NMI request. */
  setLint1(level: boolean): void {
    if (level === this.#lint1) return;
    this.#lint1 = level;
    if (!level) return;
    if (this.#isThere) this.#local(LINT1);
    else this.#wires.raiseNmi();
    this.#update();
  }

  /**
   * A message of an I/O APIC: `mode` is one of `delivery`. False: not addressed to this processor, or it takes no
   * interrupts now.
   */
  accept(destination: number, isLogical: boolean, mode: number, vector: number, isLevel: boolean): boolean {
    if (!this.#isThere || !this.#isAddressed(destination, isLogical)) return false;
    return this.#take(mode, vector, isLevel);
  }

  #take(mode: number, vector: number, isLevel: boolean): boolean {
    switch (mode) {
      case delivery.fixed:
      case delivery.lowestPriority:
        if ((this.#spurious & R.SVR_ENABLE) === 0) return false;
        if (vector < R.FIRST_VECTOR) {
          this.#error(R.ESR_RECEIVED_ILLEGAL_VECTOR);
          return true;
        }
        this.#request(vector, isLevel);
        return true;
      case delivery.nmi:
        this.#wires.raiseNmi();
        return true;
      case delivery.init:
        this.#wires.requestInit();
        return true;
      case delivery.extInt:
        this.#isExternalRequested = true;
        this.#update();
        return true;
      default:
        // SMI: there is no system management mode. Start-up: this processor runs already.
        return true;
    }
  }

  #isAddressed(destination: number, isLogical: boolean): boolean {
    if (destination === 0xff || destination === 0xffffffff) return true;
    if (this.#isX2 && isLogical)
      return destination >>> 16 === this.#id >>> 4 && (destination & (1 << (this.#id & 15))) !== 0;
    if (!isLogical) return destination === this.#id;
    const own = this.#logicalDestination >>> 24;
    if (this.#destinationFormat >>> 28 === 0x0f) return (own & destination) !== 0;
    const cluster = destination >> 4;
    return (cluster === 0x0f || cluster === own >> 4) && (own & destination & 0x0f) !== 0;
  }

  #request(vector: number, isLevel: boolean): void {
    this.#requested.add(vector);
    if (isLevel) this.#levelTriggered.add(vector);
    else this.#levelTriggered.delete(vector);
    this.#update();
  }

  /** A local source: what its table entry says. */
  #local(entry: number): void {
    const value = this.#lvt[entry];
    if ((value & R.LVT_MASKED) !== 0) return;
    const mode = entry === TIMER || entry === ERROR ? delivery.fixed : (value & R.LVT_MODE) >> 8;
    const isPin = entry === LINT0 || entry === LINT1;
    const isLevel = isPin && mode === delivery.fixed && (value & R.LVT_LEVEL) !== 0;
    if (isLevel) {
      if ((value & R.LVT_REMOTE_IRR) !== 0) return;
      this.#lvt[entry] |= R.LVT_REMOTE_IRR;
    }
    this.#take(mode, value & R.LVT_VECTOR, isLevel);
  }

  #error(bit: number): void {
    if ((this.#newErrors & bit) !== 0) return;
    this.#newErrors |= bit;
    // An error in the delivery of the error interrupt is not one more.
    if ((this.#lvt[ERROR] & R.LVT_VECTOR) >= R.FIRST_VECTOR) this.#local(ERROR);
  }

  // ---- the processor's side ------------------------------------------------------------------------------------------

  /** The processor takes an interrupt: its vector. */
  acknowledge(): number {
    if (!this.#isThere) return this.#wires.acknowledgeExternal();
    if (this.#isExternalRequested || this.#isLint0External()) {
      this.#isExternalRequested = false;
      const vector = this.#wires.acknowledgeExternal();
      this.#update();
      return vector;
    }
    const vector = this.#requested.highest();
    if (vector < 0 || vector >> 4 <= this.#processorPriority() >> 4) return this.#spurious & 0xff;
    this.#requested.delete(vector);
    this.#inService.add(vector);
    this.#update();
    return vector;
  }

  #isLint0External(): boolean {
    const entry = this.#lvt[LINT0];
    return this.#lint0 && (entry & R.LVT_MASKED) === 0 && (entry & R.LVT_MODE) >> 8 === delivery.extInt;
  }

  #processorPriority(): number {
    const served = this.#inService.highest();
    const task = this.#taskPriority;
    return task >> 4 >= served >> 4 ? task : served & 0xf0;
  }

  #update(): void {
    if (!this.#isThere) {
      this.#wires.setIntr(this.#lint0);
      return;
    }
    const vector = this.#requested.highest();
    this.#wires.setIntr(
      (vector >= 0 && vector >> 4 > this.#processorPriority() >> 4) ||
        this.#isExternalRequested ||
        this.#isLint0External(),
    );
  }

  #endOfInterrupt(): void {
    const vector = this.#inService.highest();
    if (vector < 0) return;
    this.#inService.delete(vector);
    if (this.#levelTriggered.has(vector)) {
      this.#endLocal(LINT0, vector, this.#lint0);
      this.#endLocal(LINT1, vector, this.#lint1);
      this.#wires.endOfInterrupt(vector);
    }
    this.#update();
  }

  /** A level pin that is still high asks again. */
  #endLocal(entry: number, vector: number, level: boolean): void {
    const value = this.#lvt[entry];
    if ((value & R.LVT_REMOTE_IRR) === 0 || (value & R.LVT_VECTOR) !== vector) return;
    this.#lvt[entry] = value & ~R.LVT_REMOTE_IRR;
    if (level) this.#local(entry);
  }

  // ---- registers -----------------------------------------------------------------------------------------------------

  /** Memory accesses. Parts of a register can be read; in x2APIC mode the page does not answer. */
  readMemory(offset: number, size: AccessSize): number {
    const place = offset & 0x0f;
    if (this.#isX2 || place >= 4) return 0;
    const value = this.#read(offset & 0xff0) >>> (place * 8);
    return size === 4 ? value : size === 2 ? value & 0xffff : value & 0xff;
  }

  writeMemory(offset: number, size: AccessSize, value: number): void {
    const place = offset & 0x0f;
    if (this.#isX2 || place >= 4) return;
    const register = offset & 0xff0;
    if (size === 4) {
      this.#write(register, value | 0);
      return;
    }
    const mask = (size === 2 ? 0xffff : 0xff) << (place * 8);
    const rest = register === R.EOI ? 0 : this.#read(register) & ~mask;
    this.#write(register, rest | ((value << (place * 8)) & mask));
  }

  /** x2APIC mode, RDMSR of 800h + `index`: the low half, or -1 for what faults. The high half is `commandHigh` for ICR, else 0. */
  readX2(index: number): number {
    const register = index << 4;
    if (!this.#isX2 || !isX2Readable(register)) return -1;
    if (register === R.LDR) return (((this.#id >>> 4) << 16) | (1 << (this.#id & 15))) >>> 0;
    return this.#read(register);
  }
  get commandHigh(): number {
    return this.#commandHigh >>> 0;
  }

  /** x2APIC mode, WRMSR of 800h + `index`; false for what faults. */
  writeX2(index: number, low: number, high: number): boolean {
    const register = index << 4;
    if (!this.#isX2 || !isX2Writable(register, low, high)) return false;
    if (register === R.SELF_IPI) {
      const vector = low & 0xff;
      if (vector < R.FIRST_VECTOR) this.#error(R.ESR_SEND_ILLEGAL_VECTOR);
      else this.#take(delivery.fixed, vector, false);
      return true;
    }
    if (register === R.ICR_LOW) this.#commandHigh = high;
    this.#write(register, low);
    return true;
  }

  /** A register by its offset, unsigned. */
  #read(register: number): number {
    if (register >= R.ISR && register < R.VECTORS_END) {
      const word = (register >> 4) & 7;
      if (register < R.TMR) return this.#inService.words[word];
      return register < R.IRR ? this.#levelTriggered.words[word] : this.#requested.words[word];
    }
    if (register >= R.LVT_TIMER && register <= R.LVT_ERROR) return this.#lvt[(register - R.LVT_TIMER) >> 4] >>> 0;
    switch (register) {
      case R.ID:
        return this.#isX2 ? this.#id : (this.#id << 24) >>> 0;
      case R.VERSION:
        return R.VERSION_VALUE;
      case R.TPR:
        return this.#taskPriority;
      case R.APR:
      case R.RRD:
      case R.EOI:
        return 0;
      case R.PPR:
        return this.#processorPriority();
      case R.LDR:
        return this.#logicalDestination >>> 0;
      case R.DFR:
        return this.#destinationFormat >>> 0;
      case R.SVR:
        return this.#spurious;
      case R.ESR:
        return this.#errors;
      case R.ICR_LOW:
        return this.#commandLow >>> 0;
      case R.ICR_HIGH:
        return this.#commandHigh >>> 0;
      case R.TIMER_INITIAL:
        return this.#timer.initial;
      case R.TIMER_CURRENT:
        return this.#timer.current();
      case R.TIMER_DIVIDE:
        return this.#timer.divideRegister;
      default:
        this.#error(R.ESR_ILLEGAL_REGISTER);
        return 0;
    }
  }

  #write(register: number, value: number): void {
    switch (register) {
      case R.EOI:
        this.#endOfInterrupt();
        return;
      case R.TPR:
        this.#taskPriority = value & 0xff;
        this.#update();
        return;
      case R.ICR_LOW:
        this.#commandLow = value & R.ICR_WRITABLE;
        this.#send();
        return;
      case R.ICR_HIGH:
        this.#commandHigh = value & 0xff000000;
        return;
      case R.TIMER_INITIAL:
        this.#timer.setInitial(value >>> 0);
        return;
      case R.TIMER_DIVIDE:
        this.#timer.setDivide(value);
        return;
      case R.ESR:
        this.#errors = this.#newErrors;
        this.#newErrors = 0;
        return;
      case R.ID:
        this.#id = value >>> 24;
        this.#wires.destinationChanged();
        return;
      case R.LDR:
        this.#logicalDestination = value & 0xff000000;
        this.#wires.destinationChanged();
        return;
      case R.DFR:
        this.#destinationFormat = value | R.DFR_FIXED;
        this.#wires.destinationChanged();
        return;
      case R.SVR:
        this.#writeSpurious(value & R.SVR_WRITABLE);
        return;
      case R.VERSION:
      case R.APR:
      case R.PPR:
      case R.RRD:
      case R.TIMER_CURRENT:
        return;
      default:
        if (register >= R.LVT_TIMER && register <= R.LVT_ERROR) this.#writeLvt((register - R.LVT_TIMER) >> 4, value);
        else if (register < R.ISR || register >= R.VECTORS_END) this.#error(R.ESR_ILLEGAL_REGISTER);
    }
  }

  /** Switched off by software, all local sources are masked; what is pending or in service stays. */
  #writeSpurious(value: number): void {
    this.#spurious = value;
    if ((value & R.SVR_ENABLE) === 0) {
      for (let entry = 0; entry < R.LVT_COUNT; entry++) this.#lvt[entry] |= R.LVT_MASKED;
      this.#followTimerEntry();
    }
    this.#update();
    this.#wires.destinationChanged();
  }

  #writeLvt(entry: number, value: number): void {
    const readOnly = this.#lvt[entry] & R.LVT_REMOTE_IRR;
    let next = (value & R.LVT_WRITABLE[entry]) | readOnly;
    if ((this.#spurious & R.SVR_ENABLE) === 0) next |= R.LVT_MASKED;
    if ((next & R.LVT_LEVEL) === 0) next &= ~R.LVT_REMOTE_IRR;
    this.#lvt[entry] = next;
    if (entry === TIMER) this.#followTimerEntry();
    // A level pin that is high already.
    const isLevel = (next & (R.LVT_LEVEL | R.LVT_MODE)) === R.LVT_LEVEL;
    if ((entry === LINT0 && this.#lint0) || (entry === LINT1 && this.#lint1)) if (isLevel) this.#local(entry);
    this.#update();
  }

  #followTimerEntry(): void {
    const entry = this.#lvt[TIMER];
    this.#timer.setMode((entry & R.LVT_PERIODIC) !== 0, (entry & R.LVT_MASKED) !== 0);
  }

  /** The interrupt command register was written: a message, which at once is where it goes. */
  #send(): void {
    const command = this.#commandLow;
    const mode = (command >> 8) & 7;
    const vector = command & 0xff;
    const shorthand = (command >> 18) & 3;
    const isFixed = mode === delivery.fixed || mode === delivery.lowestPriority;
    if (isFixed && vector < R.FIRST_VECTOR) {
      this.#error(R.ESR_SEND_ILLEGAL_VECTOR);
      return;
    }
    // The de-assert message of old synchronises arbitration and does nothing else.
    if ((command & R.ICR_LEVEL) !== 0 && (command & R.ICR_ASSERT) === 0) return;
    if (shorthand === R.SHORTHAND_OTHERS) return;
    const destination = this.#isX2 ? this.#commandHigh >>> 0 : this.#commandHigh >>> 24;
    if (shorthand === 0 && !this.#isAddressed(destination, (command & R.ICR_LOGICAL) !== 0)) return;
    if (shorthand !== 0 && !isFixed && mode !== delivery.nmi) return;
    this.#take(mode, vector, false);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      requested: [...this.#requested.words],
      inService: [...this.#inService.words],
      levelTriggered: [...this.#levelTriggered.words],
      lvt: [...this.#lvt],
      timer: this.#timer.save(),
      isThere: this.#isThere,
      isX2: this.#isX2,
      id: this.#id,
      taskPriority: this.#taskPriority,
      logicalDestination: this.#logicalDestination >>> 24,
      destinationFormat: this.#destinationFormat >>> 28,
      spurious: this.#spurious,
      commandLow: this.#commandLow,
      commandHigh: this.#commandHigh >>> 0,
      errors: this.#errors,
      newErrors: this.#newErrors,
      lint0: this.#lint0,
      lint1: this.#lint1,
      isExternalRequested: this.#isExternalRequested,
    };
  }

  /** Tells the processor its level; no message is made. */
  load(state: StateReader): void {
    this.#requested.words.set(state.integers("requested", 8, 8, 0, 0xffffffff));
    this.#inService.words.set(state.integers("inService", 8, 8, 0, 0xffffffff));
    this.#levelTriggered.words.set(state.integers("levelTriggered", 8, 8, 0, 0xffffffff));
    const all = R.LVT_COUNT;
    state.integers("lvt", all, all, 0, 0x3ffff).forEach((value, entry) => {
      this.#lvt[entry] = value & (R.LVT_WRITABLE[entry] | R.LVT_REMOTE_IRR);
    });
    this.#timer.load(state.child("timer"));
    this.#isThere = state.boolean("isThere");
    this.#isX2 = state.boolean("isX2");
    this.#id = state.byte("id");
    this.#taskPriority = state.byte("taskPriority");
    this.#logicalDestination = state.byte("logicalDestination") << 24;
    this.#destinationFormat = (state.integer("destinationFormat", 0, 15) << 28) | R.DFR_FIXED;
    this.#spurious = state.integer("spurious", 0, R.SVR_WRITABLE);
    this.#commandLow = state.integer("commandLow", 0, 0xfffff) & R.ICR_WRITABLE;
    this.#commandHigh = state.integer("commandHigh", 0, 0xffffffff) | 0;
    this.#errors = state.byte("errors");
    this.#newErrors = state.byte("newErrors");
    this.#lint0 = state.boolean("lint0");
    this.#lint1 = state.boolean("lint1");
    this.#isExternalRequested = state.boolean("isExternalRequested");
    state.end();
    this.#update();
  }
}
