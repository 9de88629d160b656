/**
 * What a DVD drive remembers of its disc: tray, lock, and how a change of the medium is told to the guest. Windows XP
 * ignores event notifications and believes only TEST UNIT READY, so even a disc that was swapped in an instant is first
 * reported as absent (2/3A, twice), then as changed (6/28, once), then as good.
 */
import type { BlockBackend, MediumSlot } from "../../backend-api/block.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { SavedFields } from "./saved-fields.ts";
import { type Disc, MEDIUM_CHANGED, MEDIUM_NOT_PRESENT, MEDIUM_NOT_PRESENT_TRAY_OPEN, NO_SENSE } from "./scsi-codes.ts";

const sectorBytes = 2048;
/** TEST UNIT READY answers "absent" so often after a disc came. */
const absentTests = 2;
/** A guest that never tests sees so many other commands refused instead. */
const absentRefusals = 4;

/** Codes of media events (MMC-5 table 269). */
const EVENT_NONE = 0;
const EVENT_NEW_MEDIA = 2;
const EVENT_MEDIA_REMOVAL = 3;

export class MediumState implements Disc {
  isTrayOpen = false;
  readonly #slot: MediumSlot;
  #isLocked = false;
  #testsLeft = 0;
  #refusalsLeft = 0;
  #isChangePending = false;
  #hadMedium: boolean;
  #events: number[] = [];

  /** `onChange` runs after each change of the medium from outside. */
  constructor(slot: MediumSlot, onChange: () => void) {
    this.#slot = slot;
    this.#hadMedium = slot.medium !== undefined;
    slot.onChange(() => {
      this.#changed();
      onChange();
    });
  }

  get isTrayLocked(): boolean {
    return this.#isLocked;
  }

  lockTray(isLocked: boolean): void {
    if (isLocked === this.#isLocked) return;
    this.#isLocked = isLocked;
    this.#slot.setLocked?.(isLocked);
  }

  get medium(): BlockBackend | undefined {
    return this.isTrayOpen ? undefined : this.#slot.medium;
  }

  get hasMedium(): boolean {
    return this.medium !== undefined && this.#testsLeft === 0;
  }

  get totalSectors(): number {
    const medium = this.medium;
    return medium === undefined ? 0 : Math.floor(medium.sizeBytes / sectorBytes);
  }

  /** What a command that needs the disc answers first: a sense code, or none. */
  check(isTestUnitReady: boolean): number {
    if (this.medium === undefined) return this.isTrayOpen ? MEDIUM_NOT_PRESENT_TRAY_OPEN : MEDIUM_NOT_PRESENT;
    if (this.#testsLeft > 0) {
      if (isTestUnitReady) this.#testsLeft--;
      else this.#countRefusal();
      return MEDIUM_NOT_PRESENT;
    }
    return this.takeUnitAttention();
  }

  /** The news that the disc is another one, once, and not before it counts as present. */
  takeUnitAttention(): number {
    if (!this.#isChangePending || this.#testsLeft > 0) return NO_SENSE;
    this.#isChangePending = false;
    return MEDIUM_CHANGED;
  }

  /** The next media event for a guest that polls. */
  takeEvent(): number {
    if (this.#testsLeft > 0 && this.#events[0] === EVENT_NEW_MEDIA) {
      this.#countRefusal();
      return EVENT_NONE;
    }
    return this.#events.shift() ?? EVENT_NONE;
  }

  #countRefusal(): void {
    this.#refusalsLeft--;
    if (this.#refusalsLeft === 0) this.#testsLeft = 0;
  }

  /** Opens the tray; false if the host keeps the disc. */
  eject(): boolean {
    if (this.#slot.medium !== undefined && !this.#slot.eject()) return false;
    this.isTrayOpen = true;
    return true;
  }

  /** Closes the tray; a disc that still lies in it is new. */
  close(): void {
    if (!this.isTrayOpen) return;
    this.isTrayOpen = false;
    if (this.#slot.medium !== undefined) this.#changed();
  }

  #changed(): void {
    const hasMedium = this.#slot.medium !== undefined;
    this.#events = this.#hadMedium ? [EVENT_MEDIA_REMOVAL] : [];
    this.#hadMedium = hasMedium;
    this.lockTray(false);
    this.#isChangePending = hasMedium;
    this.#testsLeft = hasMedium ? absentTests : 0;
    this.#refusalsLeft = hasMedium ? absentRefusals : 0;
    if (!hasMedium) return;
    this.isTrayOpen = false;
    this.#events.push(EVENT_NEW_MEDIA);
  }

  /** Power-on or the reset line: what is in the drive is simply there. */
  reset(): void {
    this.isTrayOpen = false;
    this.lockTray(false);
    this.#testsLeft = 0;
    this.#refusalsLeft = 0;
    this.#isChangePending = false;
    this.#events = [];
  }

  save(): { [key: string]: SavedValue } {
    return {
      isTrayOpen: this.isTrayOpen,
      isTrayLocked: this.#isLocked,
      testsLeft: this.#testsLeft,
      refusalsLeft: this.#refusalsLeft,
      isChangePending: this.#isChangePending,
      hadMedium: this.#hadMedium,
      events: this.#events.slice(),
    };
  }

  /** A disc that came or went while the machine was saved counts as a change. */
  load(fields: SavedFields): void {
    this.isTrayOpen = fields.boolean("isTrayOpen");
    this.lockTray(fields.boolean("isTrayLocked"));
    this.#testsLeft = fields.number("testsLeft", 0, absentTests);
    this.#refusalsLeft = fields.number("refusalsLeft", 0, absentRefusals);
    this.#isChangePending = fields.boolean("isChangePending");
    this.#hadMedium = fields.boolean("hadMedium");
    this.#events = fields.numbers("events", 2, EVENT_NONE, EVENT_MEDIA_REMOVAL);
    fields.end();
    if (this.#hadMedium !== (this.#slot.medium !== undefined)) this.#changed();
  }
}
