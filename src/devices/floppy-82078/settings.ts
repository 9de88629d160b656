/**
 * What drivers set by command and keep: CONFIGURE, SPECIFY, LOCK, PERPENDICULAR MODE, DRIVE SPECIFICATION. Read back by
 * DUMPREG. Only the FIFO's, implied seek's and polling's switches and the non-DMA bit do something; timings, gaps and
 * precompensation are kept.
 */
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import * as R from "./registers.ts";

const UNITS = 4;

export class FdcSettings {
  /** Sectors per track of the last format, or EOT of the last transfer, for DUMPREG. */
  lastSector = 0;
  isLocked = false;
  #config = R.CONFIG_DEFAULT;
  #precompensationTrack = 0;
  #perpendicular = 0;
  readonly #specify = new Uint8Array(2);
  readonly #driveSpec = new Uint8Array(UNITS);

  /** The reset line. */
  hardReset(): void {
    this.lastSector = 0;
    this.isLocked = false;
    this.#perpendicular = 0;
    this.#specify.fill(0);
    this.#driveSpec.fill(0);
    this.softReset();
  }

  /** Resets by DOR and DSR leave what is locked, and SPECIFY's values. */
  softReset(): void {
    this.#perpendicular &= ~R.PERPENDICULAR_GAP_WGATE;
    this.#config = this.isLocked ? this.#config & (R.CONFIG_EFIFO | R.CONFIG_FIFOTHR) : R.CONFIG_DEFAULT;
    if (!this.isLocked) this.#precompensationTrack = 0;
  }

  get isNonDma(): boolean {
    return (this.#specify[1] & R.SPECIFY_ND) !== 0;
  }
  get isFifoEnabled(): boolean {
    return (this.#config & R.CONFIG_EFIFO) === 0;
  }
  get hasImpliedSeek(): boolean {
    return (this.#config & R.CONFIG_EIS) !== 0;
  }
  get isPolling(): boolean {
    return (this.#config & R.CONFIG_POLL) === 0;
  }

  /** The command's bytes, the first included. */
  specify(bytes: Uint8Array): void {
    this.#specify.set(bytes.subarray(1, 3));
  }
  configure(bytes: Uint8Array): void {
    this.#config = bytes[2] & 0x7f;
    this.#precompensationTrack = bytes[3];
  }
  setPerpendicular(value: number): void {
    const drives = (value & R.PERPENDICULAR_OW) !== 0 ? value : this.#perpendicular;
    this.#perpendicular = (drives & R.PERPENDICULAR_DRIVES) | (value & R.PERPENDICULAR_GAP_WGATE);
  }
  specifyDrive(value: number): void {
    this.#driveSpec[(value >>> R.DRIVE_SPEC_UNIT_SHIFT) & R.DS] = value & R.DRIVE_SPEC_VALUE;
  }
  get driveSpecifications(): readonly number[] {
    return [...this.#driveSpec];
  }

  /** The results of DUMPREG behind the cylinder numbers. */
  dump(): readonly number[] {
    const lock = this.isLocked ? R.DUMPREG_LOCK : 0;
    return [...this.#specify, this.lastSector, lock | this.#perpendicular, this.#config, this.#precompensationTrack];
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      lastSector: this.lastSector,
      isLocked: this.isLocked,
      config: this.#config,
      precompensationTrack: this.#precompensationTrack,
      perpendicular: this.#perpendicular,
      specify: this.#specify.slice(),
      driveSpec: this.#driveSpec.slice(),
    };
  }

  load(state: StateReader): void {
    this.lastSector = state.byte("lastSector");
    this.isLocked = state.boolean("isLocked");
    this.#config = state.integer("config", 0, 0x7f);
    this.#precompensationTrack = state.byte("precompensationTrack");
    this.#perpendicular = state.integer("perpendicular", 0, R.PERPENDICULAR_DRIVES | R.PERPENDICULAR_GAP_WGATE);
    this.#specify.set(state.bytes("specify", 2));
    this.#driveSpec.set(state.bytes("driveSpec", UNITS));
    state.end();
  }
}
