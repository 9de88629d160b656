/**
 * One of the controller's three bus-master engines (82801AA, section 13.2): walks a ring of 32 buffer descriptors at the
 * codec's rate. Where it is follows from the guest's time, so drivers that watch the position see it move; samples are
 * moved when time is looked at: at reads, at the end of a buffer and every few milliseconds.
 */
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

/** So long may samples wait before they are moved. */
const LONGEST_WAIT_NS = 10_000_000;
/** A host that was away for longer than this has missed what was to be played. */
const LONGEST_ABSENCE_NS = 500_000_000;
const PIECE_SAMPLES = 4096;

export interface EngineOptions {
  readonly name: string;
  /** Samples of a moment: two for stereo. */
  readonly channels: 1 | 2;
  readonly rateHz: () => number;
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly isBusMaster: () => boolean;
  /** Moves samples between the buffer and the world; true if the buffer was filled and goes to memory. */
  readonly transfer: (samples: Int16Array, rateHz: number) => boolean;
  /** Status or enables have changed. */
  readonly onInterrupt: () => void;
}

export class Engine {
  readonly #o: EngineOptions;
  readonly #timer: Timer;
  readonly #bytes = new Uint8Array(PIECE_SAMPLES * 2);
  readonly #samples = new Int16Array(this.#bytes.buffer);

  #bdbar = 0;
  #civ = 0;
  #lvi = 0;
  #sr = R.SR_DCH;
  /** Samples left in the current buffer. */
  #picb = 0;
  #piv = 0;
  #cr = 0;
  /** The current buffer's descriptor has been read. */
  #isLoaded = false;
  #address = 0;
  #control = 0;
  /** Guest time up to which samples have been moved. */
  #doneNs = 0;

  constructor(options: EngineOptions) {
    this.#o = options;
    this.#timer = options.clock.createTimer(`ac97 ${options.name}`, () => this.#onTimer());
  }

  get hasInterrupt(): boolean {
    const [sr, cr] = [this.#sr, this.#cr];
    return (
      ((sr & R.SR_LVBCI) !== 0 && (cr & R.CR_LVBIE) !== 0) ||
      ((sr & R.SR_BCIS) !== 0 && (cr & R.CR_IOCE) !== 0) ||
      ((sr & R.SR_FIFOE) !== 0 && (cr & R.CR_FEIE) !== 0)
    );
  }

  /** Registers of the engine, the interrupt enables apart (`isAll`: those too, as a reset of the whole controller). */
  reset(isAll: boolean): void {
    this.#bdbar = 0;
    this.#civ = 0;
    this.#lvi = 0;
    this.#sr = R.SR_DCH;
    this.#picb = 0;
    this.#piv = 0;
    this.#cr &= isAll ? 0 : R.CR_LVBIE | R.CR_FEIE | R.CR_IOCE;
    this.#isLoaded = false;
    this.#timer.cancel();
    this.#o.onInterrupt();
  }

  /** Brings the registers up to now. An access of several bytes sees one moment. */
  update(): void {
    this.#advance();
  }

  /** A byte as of the last `update`. */
  readByte(offset: number): number {
    switch (offset) {
      case R.CIV:
        return this.#civ;
      case R.LVI:
        return this.#lvi;
      case R.SR:
        return this.#sr;
      case R.PICB:
        return this.#picb & 0xff;
      case R.PICB + 1:
        return this.#picb >> 8;
      case R.PIV:
        return this.#piv;
      case R.CR:
        return this.#cr;
      default:
        return offset < 4 ? (this.#bdbar >>> (8 * offset)) & 0xff : 0;
    }
  }

  writeByte(offset: number, value: number): void {
    this.#advance();
    switch (offset) {
      case R.LVI:
        this.#writeLvi(value & 0x1f);
        break;
      case R.SR:
        this.#sr &= ~(value & R.SR_WRITE_CLEARS);
        this.#o.onInterrupt();
        break;
      case R.CR:
        this.#writeCr(value & R.CR_MASK);
        break;
      default:
        if (offset < 4) {
          const shift = 8 * offset;
          this.#bdbar = ((this.#bdbar & ~(0xff << shift)) | (value << shift)) & ~7;
        }
    }
  }

  #writeLvi(value: number): void {
    this.#lvi = value;
    if ((this.#sr & R.SR_CELV) === 0 || value === this.#civ) return;
    // It had come to the end of the list, and there is more now.
    this.#sr &= ~R.SR_CELV;
    this.#isLoaded = false;
    if ((this.#cr & R.CR_RPBM) !== 0) this.#run();
  }

  #writeCr(value: number): void {
    if ((value & R.CR_RR) !== 0) {
      this.#cr = value & ~(R.CR_RR | R.CR_RPBM);
      this.reset(false);
      return;
    }
    const wasRunning = (this.#cr & R.CR_RPBM) !== 0;
    this.#cr = value;
    if ((value & R.CR_RPBM) === 0) {
      this.#sr |= R.SR_DCH;
      this.#timer.cancel();
    } else if (!wasRunning && (this.#sr & R.SR_CELV) === 0) this.#run();
    this.#o.onInterrupt();
  }

  #run(): void {
    if (!this.#isLoaded) this.#nextBuffer();
    this.#sr &= ~R.SR_DCH;
    this.#doneNs = this.#o.clock.nowNs();
    this.#arm();
  }

  get #isRunning(): boolean {
    return (this.#cr & R.CR_RPBM) !== 0 && (this.#sr & R.SR_DCH) === 0;
  }

  #nextBuffer(): void {
    this.#civ = this.#piv;
    this.#piv = (this.#piv + 1) % R.BD_COUNT;
    const gpa = (this.#bdbar >>> 0) + this.#civ * R.BD_BYTES;
    this.#address = (this.#o.memory.read32(gpa) & ~1) >>> 0;
    this.#control = this.#o.memory.read32(gpa + 4) >>> 0;
    this.#picb = this.#control & 0xffff;
    this.#isLoaded = true;
  }

  /** Samples move up to now, buffers end, and the next ones begin. */
  #advance(): void {
    if (!this.#isRunning || !this.#o.isBusMaster()) return;
    const now = this.#o.clock.nowNs();
    const rate = this.#o.rateHz();
    if (now - this.#doneNs > LONGEST_ABSENCE_NS) this.#doneNs = now - LONGEST_ABSENCE_NS;
    let moments = Math.floor(((now - this.#doneNs) * rate) / 1e9);
    if (moments <= 0) return;
    this.#doneNs += (moments * 1e9) / rate;
    // A ring of empty buffers would have no end.
    for (let buffers = 0; buffers < 2 * R.BD_COUNT && moments > 0 && this.#isRunning; ) {
      const { channels } = this.#o;
      const count = Math.min(moments * channels, this.#picb, PIECE_SAMPLES);
      if (count > 0) this.#move(count, rate);
      moments -= Math.ceil(count / channels);
      if (this.#picb > 0) continue;
      buffers++;
      this.#endOfBuffer();
    }
  }

  #move(count: number, rate: number): void {
    const { memory, transfer } = this.#o;
    const done = (this.#control & 0xffff) - this.#picb;
    const gpa = this.#address + done * 2;
    const bytes = this.#bytes.subarray(0, count * 2);
    memory.read(gpa, bytes);
    if (transfer(this.#samples.subarray(0, count), rate)) memory.write(gpa, bytes);
    this.#picb -= count;
  }

  #endOfBuffer(): void {
    if ((this.#control & R.BD_IOC) !== 0) this.#sr |= R.SR_BCIS;
    if (this.#civ === this.#lvi) {
      this.#sr |= R.SR_LVBCI | R.SR_CELV | R.SR_DCH;
      this.#timer.cancel();
    } else this.#nextBuffer();
    this.#o.onInterrupt();
  }

  #arm(): void {
    const restNs = (Math.ceil(this.#picb / this.#o.channels) * 1e9) / this.#o.rateHz();
    this.#timer.armAt(this.#doneNs + Math.max(1000, Math.min(restNs, LONGEST_WAIT_NS)));
  }

  #onTimer(): void {
    if (!this.#isRunning) return;
    this.#advance();
    // A guest without bus mastering enabled lets time pass.
    if (!this.#o.isBusMaster()) this.#doneNs = this.#o.clock.nowNs();
    if (this.#isRunning) this.#arm();
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      bdbar: this.#bdbar >>> 0,
      civ: this.#civ,
      lvi: this.#lvi,
      sr: this.#sr,
      picb: this.#picb,
      piv: this.#piv,
      cr: this.#cr,
      isLoaded: this.#isLoaded,
      address: this.#address,
      control: this.#control,
      doneNs: this.#doneNs,
      timerNs: this.#timer.armed ? this.#timer.deadlineNs : -1,
    };
  }

  load(state: StateReader): void {
    this.#bdbar = state.integer("bdbar", 0, 0xffff_ffff) & ~7;
    this.#civ = state.integer("civ", 0, 31);
    this.#lvi = state.integer("lvi", 0, 31);
    this.#sr = state.integer("sr", 0, 0x1f);
    this.#picb = state.integer("picb", 0, 0xffff);
    this.#piv = state.integer("piv", 0, 31);
    this.#cr = state.integer("cr", 0, R.CR_MASK) & ~R.CR_RR;
    this.#isLoaded = state.boolean("isLoaded");
    this.#address = state.integer("address", 0, 0xffff_ffff);
    this.#control = state.integer("control", 0, 0xffff_ffff);
    this.#picb = Math.min(this.#picb, this.#control & 0xffff);
    this.#doneNs = state.number("doneNs");
    const timerNs = state.number("timerNs");
    state.end();
    if (timerNs >= 0) this.#timer.armAt(timerNs);
    else this.#timer.cancel();
  }
}
