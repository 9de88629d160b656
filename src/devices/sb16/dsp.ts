/**
 * The DSP 4.05 of the Sound Blaster 16: commands and data through ports, samples through DMA at the rate that a command has
 * set (Creative, Sound Blaster Series Hardware Programming Guide, chapters 3 and 6). How much has been played follows from
 * the guest's time; samples are moved at the end of each block and every few milliseconds.
 *
 * Not modelled: single samples without DMA (10h: there is no rate to play them at), ADPCM, MIDI, the signal processor (CSP)
 * and Creative's DMA identification (E2h): their commands take their parameters and do nothing.
 */
import type { AudioBackend } from "../../backend-api/audio.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { DmaChannel } from "../../device-api/dma-channel.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { type Mixer, UNITY } from "./mixer.ts";
import * as R from "./registers.ts";
import { idleTransfer, readTransfer, type Transfer } from "./transfer.ts";

/** Parameter bytes of the commands that have some. */
const parameters = new Map<number, number>([
  ...[0x04, 0x0f, 0x10, 0x38, 0x40, 0xe0, 0xe2, 0xe4].map((c) => [c, 1] as const),
  ...[0x05, 0x0e, 0x14, 0x16, 0x17, 0x24, 0x41, 0x42, 0x48, 0x74, 0x75, 0x76, 0x77, 0x80].map((c) => [c, 2] as const),
]);
const COPYRIGHT = "COPYRIGHT (C) CREATIVE TECHNOLOGY LTD, 1992.";
const LONGEST_WAIT_NS = 10_000_000;
const LONGEST_ABSENCE_NS = 500_000_000;
/**
 * From the command to the first sample. Drivers that start a block, pause it at once and go on when there is something to
 * play (Linux's) lose nothing.
 */
const START_UP_NS = 1_000_000;
const PIECE_BYTES = 8192;
const MOST_REPLIES = 64;

export interface DspOptions {
  readonly backend: AudioBackend;
  readonly clock: Clock;
  readonly mixer: Mixer;
  /** The channel of that number. */
  readonly dma: (channel: number) => DmaChannel | undefined;
  /** `mixer.irqStatus` has changed. */
  readonly onInterrupt: () => void;
}

export class Dsp {
  readonly #o: DspOptions;
  readonly #timer: Timer;
  readonly #bytes = new Uint8Array(PIECE_BYTES);
  readonly #samples = new Int16Array(PIECE_BYTES * 2);

  #command = -1;
  #arguments: number[] = [];
  #replies: number[] = [];
  #lastReply = 0;
  #isResetting = false;
  #isSpeakerOn = false;
  #testRegister = 0;
  #rateHz = 11_025;
  /** Bytes less one of an automatic block of the old commands. */
  #blockSize = 0x7ff;
  #transfer: Transfer = idleTransfer();

  constructor(options: DspOptions) {
    this.#o = options;
    this.#timer = options.clock.createTimer("sb16", () => this.#onTimer());
  }

  reset(): void {
    this.#command = -1;
    this.#arguments = [];
    this.#replies = [];
    this.#isResetting = false;
    this.#isSpeakerOn = false;
    this.#rateHz = 11_025;
    this.#blockSize = 0x7ff;
    this.#transfer = idleTransfer();
    this.#timer.cancel();
    this.#o.mixer.irqStatus = 0;
    this.#o.onInterrupt();
  }

  /** Port 6: a one, then a zero. */
  writeReset(value: number): void {
    if ((value & 1) !== 0) this.#isResetting = true;
    else if (this.#isResetting) {
      this.reset();
      this.#reply(R.DSP_READY);
    }
  }

  readData(): number {
    this.#lastReply = this.#replies.shift() ?? this.#lastReply;
    return this.#lastReply;
  }
  /** Port Eh acknowledges an 8-bit interrupt, Fh one of 16 bits. */
  readStatus(isWide: boolean): number {
    const bit = isWide ? R.IRQ_STATUS_16 : R.IRQ_STATUS_8;
    if ((this.#o.mixer.irqStatus & bit) !== 0) {
      this.#o.mixer.irqStatus &= ~bit;
      this.#o.onInterrupt();
    }
    return this.#replies.length > 0 ? 0xff : 0x7f;
  }
  /** Bit 7 is clear: it takes a byte at any time. */
  readWriteStatus(): number {
    return 0x7f;
  }

  write(value: number): void {
    if (this.#command < 0) {
      this.#command = value;
      this.#arguments = [];
    } else this.#arguments.push(value);
    const isNew = this.#command >= 0xb0 && this.#command <= 0xcf;
    if (this.#arguments.length < (isNew ? 3 : (parameters.get(this.#command) ?? 0))) return;
    const command = this.#command;
    this.#command = -1;
    this.#execute(command, this.#arguments);
  }

  #reply(...bytes: number[]): void {
    this.#replies.push(...bytes);
    if (this.#replies.length > MOST_REPLIES) this.#replies.length = MOST_REPLIES;
  }

  #execute(command: number, [first = 0, second = 0, third = 0]: readonly number[]): void {
    if (command >= 0xb0 && command <= 0xcf) {
      this.#startNew(command, first, (second | (third << 8)) + 1);
      return;
    }
    const count = (first | (second << 8)) + 1;
    switch (command) {
      case 0x14:
        this.#startOld(count, false, true);
        break;
      case 0x1c:
      case 0x90:
        this.#startOld(this.#blockSize + 1, true, true);
        break;
      case 0x91:
        this.#startOld(this.#blockSize + 1, false, true);
        break;
      case 0x20:
        this.#reply(0x80);
        break;
      case 0x24:
        this.#startOld(count, false, false);
        break;
      case 0x2c:
      case 0x98:
        this.#startOld(this.#blockSize + 1, true, false);
        break;
      case 0x99:
        this.#startOld(this.#blockSize + 1, false, false);
        break;
      case 0x40:
        this.#setRate(1_000_000 / (256 - first) / (this.#o.mixer.isStereo ? 2 : 1));
        break;
      case 0x41:
      case 0x42:
        this.#setRate((first << 8) | second);
        break;
      case 0x48:
        this.#blockSize = count - 1;
        break;
      case 0x80:
        this.#start({ ...idleTransfer(), isSilence: true, isRunning: true, blockUnits: count, leftUnits: count });
        break;
      case 0xd0:
      case 0xd5:
        this.#pause(command === 0xd5);
        break;
      case 0xd1:
        this.#isSpeakerOn = true;
        break;
      case 0xd3:
        this.#isSpeakerOn = false;
        break;
      case 0xd4:
      case 0xd6:
        this.#continue(command === 0xd6);
        break;
      case 0xd8:
        this.#reply(this.#isSpeakerOn ? 0xff : 0x00);
        break;
      case 0xd9:
      case 0xda:
        // The block that is being played is the last one.
        if (this.#transfer.isWide === (command === 0xd9)) this.#transfer.isAutomatic = false;
        break;
      case 0x0f:
        this.#reply(0);
        break;
      case 0xe0:
        this.#reply(~first & 0xff);
        break;
      case 0xe1:
        this.#reply(...R.VERSION);
        break;
      case 0xe3:
        this.#reply(...Array.from(COPYRIGHT, (c) => c.charCodeAt(0)), 0);
        break;
      case 0xe4:
        this.#testRegister = first;
        break;
      case 0xe8:
        this.#reply(this.#testRegister);
        break;
      case 0xf2:
        this.#interrupt(R.IRQ_STATUS_8);
        break;
      case 0xf3:
        this.#interrupt(R.IRQ_STATUS_16);
        break;
    }
  }

  #setRate(rateHz: number): void {
    this.#advance();
    this.#rateHz = Math.round(Math.max(R.MIN_RATE_HZ, Math.min(R.MAX_RATE_HZ, rateHz)));
    if (this.#transfer.isRunning) this.#arm();
  }

  /** Commands Bxh (16 bits) and Cxh (8 bits): bit 3 records, bit 2 repeats; mode bit 5 stereo, bit 4 signed. */
  #startNew(command: number, mode: number, units: number): void {
    this.#start({
      ...idleTransfer(),
      isRunning: true,
      isWide: (command & 0xf0) === 0xb0,
      isRecording: (command & 8) !== 0,
      isAutomatic: (command & 4) !== 0,
      isStereo: (mode & 0x20) !== 0,
      isSigned: (mode & 0x10) !== 0,
      blockUnits: units,
      leftUnits: units,
    });
  }

  #startOld(units: number, isAutomatic: boolean, isPlaying: boolean): void {
    this.#start({
      ...idleTransfer(),
      isRunning: true,
      isRecording: !isPlaying,
      isAutomatic,
      isStereo: this.#o.mixer.isStereo,
      blockUnits: units,
      leftUnits: units,
    });
  }

  #start(transfer: Transfer): void {
    this.#advance();
    this.#transfer = { ...transfer, doneNs: this.#o.clock.nowNs() + START_UP_NS };
    this.#arm();
  }

  #pause(isWide: boolean): void {
    this.#advance();
    if (this.#transfer.isWide !== isWide) return;
    this.#transfer.isRunning = false;
    this.#timer.cancel();
  }

  #continue(isWide: boolean): void {
    const transfer = this.#transfer;
    if (transfer.isWide !== isWide || transfer.isRunning || transfer.leftUnits === 0) return;
    transfer.isRunning = true;
    transfer.doneNs = this.#o.clock.nowNs();
    this.#arm();
  }

  #interrupt(bit: number): void {
    this.#o.mixer.irqStatus |= bit;
    this.#o.onInterrupt();
  }

  /** The channel has become ready: what waited goes on from here. */
  onDmaReady(): void {
    const transfer = this.#transfer;
    if (!transfer.isRunning || !transfer.isStalled) return;
    transfer.isStalled = false;
    transfer.doneNs = this.#o.clock.nowNs();
    this.#arm();
  }

  #channel(): DmaChannel | undefined {
    const { mixer, dma } = this.#o;
    const number = this.#transfer.isWide ? mixer.dma16 : mixer.dma8;
    return number < 0 ? undefined : dma(number);
  }

  #advance(): void {
    const transfer = this.#transfer;
    if (!transfer.isRunning) return;
    const now = this.#o.clock.nowNs();
    if (now - transfer.doneNs > LONGEST_ABSENCE_NS) transfer.doneNs = now - LONGEST_ABSENCE_NS;
    let units = Math.floor(((now - transfer.doneNs) * this.#rateHz) / 1e9) * (transfer.isStereo ? 2 : 1);
    if (units <= 0) return;
    transfer.doneNs += (units / (transfer.isStereo ? 2 : 1)) * (1e9 / this.#rateHz);
    while (units > 0 && transfer.isRunning) {
      const wanted = Math.min(units, transfer.leftUnits);
      const moved = transfer.isSilence ? wanted : this.#move(wanted);
      transfer.isStalled = moved === 0;
      if (moved === 0) {
        transfer.doneNs = now;
        return;
      }
      units -= moved;
      transfer.leftUnits -= moved;
      if (transfer.leftUnits === 0) this.#endOfBlock();
    }
  }

  /** Moves up to `units` samples; how many it were, 0 while the channel is not ready. */
  #move(units: number): number {
    const { isWide, isRecording } = this.#transfer;
    const channel = this.#channel();
    if (channel === undefined || !channel.isReady) return 0;
    const unitBytes = isWide ? 2 : 1;
    const bytes = this.#bytes.subarray(0, Math.min(units * unitBytes, PIECE_BYTES));
    if (isRecording) bytes.fill(this.#transfer.isSigned || isWide ? 0 : 0x80);
    const moved = channel.transfer(isRecording ? "to-memory" : "from-memory", bytes);
    if (!isRecording) this.#play(bytes.subarray(0, moved));
    return Math.floor(moved / unitBytes);
  }

  #play(bytes: Uint8Array): void {
    const { isWide, isSigned, isStereo } = this.#transfer;
    const count = isWide ? bytes.length >> 1 : bytes.length;
    const { leftGain, rightGain } = this.#o.mixer;
    const samples = this.#samples;
    let out = 0;
    for (let i = 0; i < count; i++) {
      let value = isWide ? bytes[i * 2] | (bytes[i * 2 + 1] << 8) : bytes[i] << 8;
      // Unsigned samples are centred on half.
      if (!isSigned) value ^= 0x8000;
      value = (value << 16) >> 16;
      if (!isStereo || (i & 1) === 0) samples[out++] = scaled(value, leftGain);
      if (!isStereo || (i & 1) !== 0) samples[out++] = scaled(value, rightGain);
    }
    this.#o.backend.play(samples.subarray(0, out), this.#rateHz);
  }

  #endOfBlock(): void {
    const transfer = this.#transfer;
    if (transfer.isAutomatic) transfer.leftUnits = transfer.blockUnits;
    else {
      transfer.isRunning = false;
      this.#timer.cancel();
    }
    this.#interrupt(transfer.isWide ? R.IRQ_STATUS_16 : R.IRQ_STATUS_8);
  }

  #arm(): void {
    const { leftUnits, isStereo, doneNs } = this.#transfer;
    const restNs = (Math.ceil(leftUnits / (isStereo ? 2 : 1)) * 1e9) / this.#rateHz;
    this.#timer.armAt(doneNs + Math.max(1000, Math.min(restNs, LONGEST_WAIT_NS)));
  }

  #onTimer(): void {
    if (!this.#transfer.isRunning) return;
    this.#advance();
    if (this.#transfer.isRunning) this.#arm();
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      command: this.#command,
      arguments: [...this.#arguments],
      replies: [...this.#replies],
      lastReply: this.#lastReply,
      isResetting: this.#isResetting,
      isSpeakerOn: this.#isSpeakerOn,
      testRegister: this.#testRegister,
      rateHz: this.#rateHz,
      blockSize: this.#blockSize,
      transfer: { ...this.#transfer },
      timerNs: this.#timer.armed ? this.#timer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    this.#command = state.integer("command", -1, 0xff);
    this.#arguments = state.integers("arguments", 0, 2, 0, 0xff);
    this.#replies = state.integers("replies", 0, MOST_REPLIES, 0, 0xff);
    this.#lastReply = state.byte("lastReply");
    this.#isResetting = state.boolean("isResetting");
    this.#isSpeakerOn = state.boolean("isSpeakerOn");
    this.#testRegister = state.byte("testRegister");
    this.#rateHz = state.integer("rateHz", R.MIN_RATE_HZ, R.MAX_RATE_HZ);
    this.#blockSize = state.integer("blockSize", 0, 0xffff);
    this.#transfer = readTransfer(state.child("transfer"));
    const timerNs = state.number("timerNs");
    state.end();
    if (timerNs >= 0) this.#timer.armAt(timerNs);
    else this.#timer.cancel();
  }
}

function scaled(value: number, gain: number): number {
  if (gain === UNITY) return value;
  return Math.max(-0x8000, Math.min(0x7fff, Math.round((value * gain) / UNITY)));
}
