/**
 * One channel of the IDE bus master (Programming Interface for Bus Master IDE Controller 1.0, sections 1 and 2): the
 * command, status and table registers, and the walk over the table of physical region descriptors. The table is read
 * when the drive starts to move data and is bounded: at most 8,192 descriptors (the 64 KiB the specification allows), a
 * byte count of 0 meaning 64 KiB. Regions may be split anywhere, even inside a sector. Not modelled: the direction bit
 * (the drive's command decides), wrapping of a region or of the table at 64 KiB borders.
 */
import { FormatError } from "../../base/errors.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import {
  BMIC,
  BMIC_START,
  BMIC_TO_MEMORY,
  BMIDTP,
  BMIS,
  BMIS_ACTIVE,
  BMIS_DRIVE0_DMA,
  BMIS_DRIVE1_DMA,
  BMIS_ERROR,
  BMIS_INTERRUPT,
} from "./registers.ts";
import type { SavedFields } from "./saved-fields.ts";

const maxDescriptors = 8192;
const descriptorBytes = 8;
const END_OF_TABLE = 0x8000_0000;

export class BusMasterChannel {
  command = 0;
  status = 0;
  tableAddress = 0;
  /** The walked list: regions in guest-physical memory, adjacent ones merged. */
  readonly regionGpa: number[] = [];
  readonly regionBytes: number[] = [];
  /** Bytes in the walked list (never more than `prepare` was asked for). */
  listBytes = 0;
  readonly #memory: GuestMemory;
  readonly #onStart: () => void;
  readonly #isMasterEnabled: () => boolean;
  #region = 0;
  #regionPosition = 0;

  /** `onStart` runs when the guest sets the start bit, inside its access. */
  constructor(memory: GuestMemory, isMasterEnabled: () => boolean, onStart: () => void) {
    this.#memory = memory;
    this.#isMasterEnabled = isMasterEnabled;
    this.#onStart = onStart;
  }

  /** The guest has started the engine and PCI lets it work. */
  get isReady(): boolean {
    return (this.status & BMIS_ACTIVE) !== 0 && this.#isMasterEnabled();
  }

  reset(hasDrive0: boolean, hasDrive1: boolean): void {
    this.command = 0;
    this.tableAddress = 0;
    // As a BIOS leaves it: drivers that find the capability bits clear fall back to PIO.
    this.status = (hasDrive0 ? BMIS_DRIVE0_DMA : 0) | (hasDrive1 ? BMIS_DRIVE1_DMA : 0);
    this.#forgetList();
  }

  readByte(offset: number): number {
    if (offset === BMIC) return this.command;
    if (offset === BMIS) return this.status;
    if (offset >= BMIDTP) return (this.tableAddress >>> (8 * (offset - BMIDTP))) & 0xff;
    return 0;
  }

  writeByte(offset: number, value: number): void {
    if (offset === BMIC) this.#writeCommand(value);
    else if (offset === BMIS) {
      const capable = BMIS_DRIVE0_DMA | BMIS_DRIVE1_DMA;
      const writeOneToClear = value & (BMIS_ERROR | BMIS_INTERRUPT);
      this.status = (value & capable) | (this.status & ~capable & ~writeOneToClear);
    } else if (offset >= BMIDTP) {
      const shift = 8 * (offset - BMIDTP);
      this.tableAddress = ((this.tableAddress & ~(0xff << shift)) | (value << shift)) >>> 0;
      this.tableAddress = (this.tableAddress & ~3) >>> 0;
    }
  }

  #writeCommand(value: number): void {
    const wasStarted = (this.command & BMIC_START) !== 0;
    const isStarted = (value & BMIC_START) !== 0;
    this.command = value & (BMIC_START | BMIC_TO_MEMORY);
    if (isStarted && !wasStarted) {
      this.status |= BMIS_ACTIVE;
      this.#onStart();
    } else if (!isStarted) {
      this.status &= ~BMIS_ACTIVE;
      this.#forgetList();
    }
  }

  /** A rising edge of the channel's INTRQ. */
  noteInterrupt(): void {
    this.status |= BMIS_INTERRUPT;
  }

  /** The drive has moved all it had, or has given up: the engine stops. */
  finish(): void {
    this.status &= ~BMIS_ACTIVE;
    this.#forgetList();
  }

  /**
   * Walks the table for a transfer of at most `neededBytes`. False: the table itself lies outside RAM; the engine has
   * stopped with its error bit set.
   */
  prepare(neededBytes: number): boolean {
    this.#forgetList();
    let lastEnd = -1;
    for (let i = 0; i < maxDescriptors && this.listBytes < neededBytes; i++) {
      const gpa = this.tableAddress + i * descriptorBytes;
      if (gpa + descriptorBytes > this.#memory.ramBytes) {
        this.status |= BMIS_ERROR;
        this.finish();
        return false;
      }
      const base = (this.#memory.read32(gpa) & ~1) >>> 0;
      const word1 = this.#memory.read32(gpa + 4);
      const size = Math.min(word1 & 0xfffe || 0x10000, neededBytes - this.listBytes);
      if (base === lastEnd) this.regionBytes[this.regionBytes.length - 1] += size;
      else {
        this.regionGpa.push(base);
        this.regionBytes.push(size);
      }
      lastEnd = base + size;
      this.listBytes += size;
      if (word1 >= END_OF_TABLE) break;
    }
    return true;
  }

  /** Copies bytes of `source` to memory where the list stands; returns how many fitted. */
  scatter(source: Uint8Array, start: number, lengthBytes: number): number {
    return this.#walk(lengthBytes, (gpa, done, bytes) =>
      this.#memory.write(gpa, source.subarray(start + done, start + done + bytes)),
    );
  }

  /** Copies memory where the list stands into `target`; returns how many bytes there were. */
  gather(target: Uint8Array, start: number, lengthBytes: number): number {
    return this.#walk(lengthBytes, (gpa, done, bytes) =>
      this.#memory.read(gpa, target.subarray(start + done, start + done + bytes)),
    );
  }

  #walk(lengthBytes: number, move: (gpa: number, done: number, bytes: number) => void): number {
    let done = 0;
    while (done < lengthBytes && this.#region < this.regionGpa.length) {
      const left = this.regionBytes[this.#region] - this.#regionPosition;
      const bytes = Math.min(left, lengthBytes - done);
      move(this.regionGpa[this.#region] + this.#regionPosition, done, bytes);
      done += bytes;
      this.#regionPosition += bytes;
      if (bytes === left) {
        this.#region++;
        this.#regionPosition = 0;
      }
    }
    return done;
  }

  #forgetList(): void {
    this.regionGpa.length = 0;
    this.regionBytes.length = 0;
    this.listBytes = 0;
    this.#region = 0;
    this.#regionPosition = 0;
  }

  save(): { [key: string]: number } {
    return { command: this.command, status: this.status, tableAddress: this.tableAddress };
  }

  load(fields: SavedFields): void {
    this.command = fields.number("command", 0, 0xff);
    this.status = fields.number("status", 0, 0xff);
    this.tableAddress = fields.number("tableAddress", 0, 0xffff_ffff);
    if (this.command & ~(BMIC_START | BMIC_TO_MEMORY) || this.tableAddress % 4 !== 0) {
      throw new FormatError("saved IDE bus master: impossible register contents");
    }
    this.#forgetList();
    fields.end();
  }
}
