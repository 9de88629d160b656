/**
 * The small ports of a PC's chipset (82371SB, order 290550): port 61h (speaker gate, refresh toggle, timer 2), 92h (gate
 * A20, processor reset), 80h (POST code), B2h/B3h (power management control and status as plain bytes: there is no SMM),
 * F0h/F1h (coprocessor error), CF9h (reset control). Not modelled: parity and IOCHK NMIs (never pending).
 */
import type { AudioBackend } from "../../backend-api/audio.ts";
import type { Clock } from "../../device-api/clock.ts";
import type { Wire } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";
import { Speaker } from "./speaker.ts";

/**
 * "cpu": the INIT pin, nothing but the processor starts over (the way back from protected mode: shutdown code in CMOS 0Fh).
 * "system": the reset line of everything.
 */
export type ResetRequest = "cpu" | "system";

export interface SystemPortsConfig {
  readonly timer2: {
    readonly gate: { set(level: boolean): void };
    readonly out: { readonly level: boolean };
    /** OUT at a guest time that is not in the future; wanted with a speaker. */
    outAt?(ns: number): boolean;
  };
  /** What hears the loudspeaker. */
  readonly speaker?: AudioBackend;
  /** Gate A20, shared with the keyboard controller: true lets address bit 20 through. Takes effect at once. */
  readonly a20: Wire;
  /** Asked for from inside a port access; carried out after the instruction. */
  requestReset(request: ResetRequest): void;
  /** Writes to F0h: the FPU's error line is released and IRQ 13 with it. */
  clearFpuError?(): void;
  /** Told each POST code (port 80h). */
  onPostCode?(code: number): void;
}

export class SystemPorts {
  readonly #config: SystemPortsConfig;
  readonly #clock: Clock;
  readonly #speaker: Speaker | undefined;
  #nmisc = 0;
  #postCode = 0;
  #apmControl = 0;
  #apmStatus = 0;
  #resetControl = 0;

  constructor(config: SystemPortsConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    const { speaker, timer2 } = config;
    if (speaker) this.#speaker = new Speaker(clock, (ns) => timer2.outAt?.(ns) ?? false, speaker);
  }

  reset(): void {
    this.#nmisc = 0;
    this.#postCode = 0;
    this.#apmControl = 0;
    this.#apmStatus = 0;
    this.#resetControl = 0;
    this.#config.timer2.gate.set(false);
    this.#speaker?.reset();
  }

  /** Counter 2 is about to be written. */
  settleSpeaker(): void {
    this.#speaker?.settle();
  }

  readNmisc(): number {
    const isRefresh = Math.floor(this.#clock.nowNs() / R.REFRESH_NS) % 2 === 1;
    const isOut = this.#config.timer2.out.level;
    return this.#nmisc | (isRefresh ? R.NMISC_REFRESH : 0) | (isOut ? R.NMISC_TIMER2_OUT : 0);
  }
  writeNmisc(value: number): void {
    this.#speaker?.settle();
    this.#nmisc = value & R.NMISC_WRITABLE;
    this.#config.timer2.gate.set((value & R.NMISC_TIMER2_GATE) !== 0);
    this.#speaker?.setData((value & R.NMISC_SPEAKER_DATA) !== 0);
  }

  readPostCode(): number {
    return this.#postCode;
  }
  writePostCode(value: number): void {
    this.#postCode = value;
    this.#config.onPostCode?.(value);
  }

  readPort92(): number {
    return this.#config.a20.level ? R.PORT92_FAST_A20 : 0;
  }
  writePort92(value: number): void {
    this.#config.a20.set((value & R.PORT92_FAST_A20) !== 0);
    // The bit reads back as 0, so every write of it is the rising edge that resets.
    if ((value & R.PORT92_FAST_INIT) !== 0) this.#config.requestReset("cpu");
  }

  readApm(offset: number): number {
    return offset === 0 ? this.#apmControl : this.#apmStatus;
  }
  writeApm(offset: number, value: number): void {
    if (offset === 0) this.#apmControl = value;
    else this.#apmStatus = value;
  }

  writeCoprocessor(offset: number): void {
    if (offset === 0) this.#config.clearFpuError?.();
  }

  readResetControl(): number {
    return this.#resetControl;
  }
  writeResetControl(value: number): void {
    const isRising = (value & ~this.#resetControl & R.RC_CPU) !== 0;
    this.#resetControl = value & (R.RC_SYSTEM | R.RC_CPU);
    if (!isRising) return;
    // The bit clears itself with the reset it causes.
    this.#resetControl &= ~R.RC_CPU;
    this.#config.requestReset((value & R.RC_SYSTEM) !== 0 ? "system" : "cpu");
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      nmisc: this.#nmisc,
      postCode: this.#postCode,
      apmControl: this.#apmControl,
      apmStatus: this.#apmStatus,
      resetControl: this.#resetControl,
    };
  }

  load(state: StateReader): void {
    this.#nmisc = state.integer("nmisc", 0, R.NMISC_WRITABLE);
    this.#speaker?.reset();
    this.#speaker?.setData((this.#nmisc & R.NMISC_SPEAKER_DATA) !== 0);
    this.#postCode = state.byte("postCode");
    this.#apmControl = state.byte("apmControl");
    this.#apmStatus = state.byte("apmStatus");
    this.#resetControl = state.byte("resetControl") & R.RC_SYSTEM;
    state.end();
  }
}
