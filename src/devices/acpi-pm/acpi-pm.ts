/**
 * ACPI fixed hardware of the PIIX4 (order 290562; ACPI 1.0b and 2.0, 4.7): PM1 events and control, 32-bit PM timer, one
 * byte of general events, SMI command port, reset register, power and sleep button. S5 powers off; other sleep types wake
 * up at once. Not modelled: SMM (the ACPI enable command is carried out by the part itself), C2/C3, throttling, sources of
 * general events, RTC wake-up.
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { ByteRegisters } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

/** The timer's most significant bit changes this often. */
const TOGGLE_TICKS = 2 ** 31;

export interface AcpiPmEvents {
  /** The guest has entered S5. Carried out after the access. */
  requestPowerOff(): void;
  requestReset(request: "system"): void;
}

export class AcpiPm implements ByteRegisters {
  readonly #clock: Clock;
  readonly #sci: IrqLine;
  readonly #events: AcpiPmEvents;
  readonly #toggleTimer: Timer;
  #pm1Status = 0;
  #pm1Enable = 0;
  #pm1Control = 0;
  #gpeStatus = 0;
  #gpeEnable = 0;

  constructor(clock: Clock, sci: IrqLine, events: AcpiPmEvents) {
    this.#clock = clock;
    this.#sci = sci;
    this.#events = events;
    this.#toggleTimer = clock.createTimer("acpi pm timer", () => {
      this.#pm1Status |= R.TMR_STS;
      this.#armToggle();
      this.#updateSci();
    });
  }

  reset(): void {
    this.#pm1Status = 0;
    this.#pm1Enable = 0;
    this.#pm1Control = 0;
    this.#gpeStatus = 0;
    this.#gpeEnable = 0;
    this.#armToggle();
    this.#updateSci();
  }

  /** The operating system has switched to ACPI mode. */
  get isInAcpiMode(): boolean {
    return (this.#pm1Control & R.SCI_EN) !== 0;
  }
  /** The guest has taken note of the last press of the power button. */
  get isPowerButtonHandled(): boolean {
    return (this.#pm1Status & R.PWRBTN_STS) === 0;
  }
  pressPowerButton(): void {
    this.#pm1Status |= R.PWRBTN_STS;
    this.#updateSci();
  }
  pressSleepButton(): void {
    this.#pm1Status |= R.SLPBTN_STS;
    this.#updateSci();
  }

  /** All 32 bits of the timer in one read. */
  readTimer(): number {
    return this.#ticks() % 2 ** 32;
  }

  #ticks(): number {
    const ns = this.#clock.nowNs();
    const units = Math.floor(ns / R.UNIT_NS);
    return units * R.TICKS_PER_UNIT + Math.floor(((ns - units * R.UNIT_NS) * R.TICKS_PER_UNIT) / R.UNIT_NS);
  }

  #armToggle(): void {
    const next = (Math.floor(this.#ticks() / TOGGLE_TICKS) + 1) * TOGGLE_TICKS;
    this.#toggleTimer.armAt(Math.ceil(next / R.TICKS_PER_UNIT) * R.UNIT_NS);
  }

  readByte(offset: number): number {
    switch (offset) {
      case R.PM1_STS:
        return this.#pm1Status & 0xff;
      case R.PM1_STS + 1:
        return this.#pm1Status >>> 8;
      case R.PM1_EN:
        return this.#pm1Enable & 0xff;
      case R.PM1_EN + 1:
        return this.#pm1Enable >>> 8;
      case R.PM1_CNT:
        return this.#pm1Control & 0xff;
      case R.PM1_CNT + 1:
        return this.#pm1Control >>> 8;
      case R.PM_TMR:
      case R.PM_TMR + 1:
      case R.PM_TMR + 2:
      case R.PM_TMR + 3:
        return (this.readTimer() >>> (8 * (offset - R.PM_TMR))) & 0xff;
      case R.GPE0_STS:
        return this.#gpeStatus;
      case R.GPE0_EN:
        return this.#gpeEnable;
      default:
        return 0;
    }
  }

  writeByte(offset: number, value: number): void {
    switch (offset) {
      case R.PM1_STS:
        this.#pm1Status &= ~value;
        break;
      case R.PM1_STS + 1:
        this.#pm1Status &= ~(value << 8);
        break;
      case R.PM1_EN:
        this.#pm1Enable = ((this.#pm1Enable & 0xff00) | value) & R.PM1_EN_MASK;
        break;
      case R.PM1_EN + 1:
        this.#pm1Enable = ((this.#pm1Enable & 0xff) | (value << 8)) & R.PM1_EN_MASK;
        break;
      case R.PM1_CNT:
        this.#pm1Control = ((this.#pm1Control & 0xff00) | value) & R.PM1_CNT_HELD;
        break;
      case R.PM1_CNT + 1:
        this.#pm1Control = ((this.#pm1Control & 0xff) | (value << 8)) & R.PM1_CNT_HELD;
        if (((value << 8) & R.SLP_EN) !== 0) this.#sleep();
        break;
      case R.GPE0_STS:
        this.#gpeStatus &= ~value;
        break;
      case R.GPE0_EN:
        this.#gpeEnable = value;
        break;
      case R.RESET_REGISTER:
        if (value === R.RESET_VALUE) this.#events.requestReset("system");
        return;
      default:
        return;
    }
    this.#updateSci();
  }

  /** SMI_CMD: what SMM code would do happens at once. */
  writeSmiCommand(value: number): void {
    if (value === R.ACPI_ENABLE) this.#pm1Control |= R.SCI_EN;
    else if (value === R.ACPI_DISABLE) this.#pm1Control &= ~R.SCI_EN;
    this.#updateSci();
  }

  #sleep(): void {
    const type = (this.#pm1Control >>> R.SLP_TYP_SHIFT) & R.SLP_TYP_MASK;
    if (type === R.SLP_TYP_SOFT_OFF) this.#events.requestPowerOff();
    else this.#pm1Status |= R.WAK_STS;
  }

  #updateSci(): void {
    const isRequested = (this.#pm1Status & this.#pm1Enable) !== 0 || (this.#gpeStatus & this.#gpeEnable) !== 0;
    if (isRequested && this.isInAcpiMode) this.#sci.raise();
    else this.#sci.lower();
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      pm1Status: this.#pm1Status,
      pm1Enable: this.#pm1Enable,
      pm1Control: this.#pm1Control,
      gpeStatus: this.#gpeStatus,
      gpeEnable: this.#gpeEnable,
    };
  }

  load(state: StateReader): void {
    this.#pm1Status = state.integer("pm1Status", 0, 0xffff) & R.PM1_STS_MASK;
    this.#pm1Enable = state.integer("pm1Enable", 0, 0xffff) & R.PM1_EN_MASK;
    this.#pm1Control = state.integer("pm1Control", 0, 0xffff) & R.PM1_CNT_HELD;
    this.#gpeStatus = state.byte("gpeStatus");
    this.#gpeEnable = state.byte("gpeEnable");
    state.end();
    this.#armToggle();
  }
}
