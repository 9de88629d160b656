/**
 * A split virtqueue (Virtual I/O Device 1.2, section 2.7) as a device sees it: descriptor table, available ring of the driver,
 * used ring of the device, all in guest memory. Everything in there is the guest's: a chain that loops, leaves the table
 * or nests indirect tables makes the queue broken, and a broken queue is left alone until it is reset.
 */
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";

const DESC_NEXT = 1;
const DESC_WRITE = 2;
const DESC_INDIRECT = 4;
const DESC_BYTES = 16;
const AVAIL_NO_INTERRUPT = 1;
const USED_ELEMENT_BYTES = 8;
/** Descriptors of one chain, indirect ones included. */
const MAX_CHAIN = 1024;

/** A chain of buffers: first those that the device reads, then those that it writes. Reused: no allocation per chain. */
export class Chain {
  /** Index of the first descriptor: what the used ring names. */
  head = 0;
  readonly gpas: number[] = [];
  readonly lengths: number[] = [];
  count = 0;
  /** How many of them, from the first, the device reads. */
  readable = 0;
  readableBytes = 0;
  writableBytes = 0;

  clear(head: number): void {
    this.head = head;
    this.count = 0;
    this.readable = 0;
    this.readableBytes = 0;
    this.writableBytes = 0;
  }

  add(gpa: number, length: number, isWritable: boolean): boolean {
    if (this.count === MAX_CHAIN || (!isWritable && this.count > this.readable)) return false;
    this.gpas[this.count] = gpa;
    this.lengths[this.count] = length;
    this.count++;
    if (isWritable) this.writableBytes += length;
    else {
      this.readable++;
      this.readableBytes += length;
    }
    return true;
  }

  /** Copies readable bytes from `offset` on into `target`; how many there were. */
  read(memory: GuestMemory, offset: number, target: Uint8Array): number {
    return this.#copy(0, this.readable, offset, target, (gpa, part) => memory.read(gpa, part));
  }

  /** Copies `source` to the writable bytes from `offset` on; how many fitted. */
  write(memory: GuestMemory, offset: number, source: Uint8Array): number {
    return this.#copy(this.readable, this.count, offset, source, (gpa, part) => memory.write(gpa, part));
  }

  #copy(
    from: number,
    to: number,
    offset: number,
    bytes: Uint8Array,
    move: (gpa: number, part: Uint8Array) => void,
  ): number {
    let skip = offset;
    let done = 0;
    for (let i = from; i < to && done < bytes.length; i++) {
      const length = this.lengths[i];
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const part = Math.min(length - skip, bytes.length - done);
      move(this.gpas[i] + skip, bytes.subarray(done, done + part));
      done += part;
      skip = 0;
    }
    return done;
  }
}

export class Virtqueue {
  readonly #memory: GuestMemory;
  readonly maxSize: number;
  size: number;
  isEnabled = false;
  isBroken = false;
  /** Set by negotiation: both sides name the index at which they want to hear of the other. */
  hasEventIndex = false;
  descriptorTable = 0;
  availableRing = 0;
  usedRing = 0;
  #nextAvailable = 0;
  #nextUsed = 0;
  /** Used index when the driver was last told. */
  #signalled = 0;
  #hasSignalled = false;

  constructor(memory: GuestMemory, maxSize: number) {
    this.#memory = memory;
    this.maxSize = maxSize;
    this.size = maxSize;
  }

  reset(): void {
    this.size = this.maxSize;
    this.isEnabled = false;
    this.isBroken = false;
    this.hasEventIndex = false;
    this.descriptorTable = 0;
    this.availableRing = 0;
    this.usedRing = 0;
    this.#nextAvailable = 0;
    this.#nextUsed = 0;
    this.#signalled = 0;
    this.#hasSignalled = false;
  }

  /** Chains that the driver has made available and the device has not taken. */
  get available(): number {
    if (!this.isEnabled || this.isBroken) return 0;
    const count = (this.#memory.read16(this.availableRing + 2) - this.#nextAvailable) & 0xffff;
    if (count > this.size) {
      this.isBroken = true;
      return 0;
    }
    return count;
  }

  /** Reads the available chain `ahead` places from the next into `chain`. False: there is none, or it makes no sense. */
  peek(chain: Chain, ahead = 0): boolean {
    if (ahead >= this.available) return false;
    const slot = (this.#nextAvailable + ahead) & (this.size - 1);
    const head = this.#memory.read16(this.availableRing + 4 + 2 * slot);
    chain.clear(head);
    if (this.#walk(chain, this.descriptorTable, this.size, head, true)) return true;
    this.isBroken = true;
    return false;
  }

  #walk(chain: Chain, table: number, size: number, first: number, mayNest: boolean): boolean {
    const memory = this.#memory;
    let index = first;
    for (let steps = 0; steps < size && index < size; steps++) {
      const gpa = table + index * DESC_BYTES;
      const address = memory.read32(gpa + 4) * 0x1_0000_0000 + memory.read32(gpa);
      const length = memory.read32(gpa + 8);
      const flags = memory.read16(gpa + 12);
      if ((flags & DESC_INDIRECT) !== 0) {
        const entries = length / DESC_BYTES;
        if (!mayNest || !Number.isInteger(entries) || entries === 0 || (flags & DESC_NEXT) !== 0) return false;
        return this.#walk(chain, address, Math.min(entries, MAX_CHAIN), 0, false);
      }
      if (!chain.add(address, length, (flags & DESC_WRITE) !== 0)) return false;
      if ((flags & DESC_NEXT) === 0) return true;
      index = memory.read16(gpa + 14);
    }
    return false;
  }

  /** The next `count` chains are the device's; the driver hears of further ones. */
  take(count = 1): void {
    this.#nextAvailable = (this.#nextAvailable + count) & 0xffff;
    if (this.hasEventIndex)
      this.#memory.write16(this.usedRing + 4 + USED_ELEMENT_BYTES * this.size, this.#nextAvailable);
  }

  /** What is available is not enough: the driver's next chain is to be announced. */
  askForMore(): void {
    if (!this.hasEventIndex || !this.isEnabled) return;
    const index = (this.#nextAvailable + this.available) & 0xffff;
    this.#memory.write16(this.usedRing + 4 + USED_ELEMENT_BYTES * this.size, index);
  }

  /** Puts a chain into the used ring, not yet visible to the driver. */
  putUsed(head: number, writtenBytes: number): void {
    const gpa = this.usedRing + 4 + USED_ELEMENT_BYTES * (this.#nextUsed & (this.size - 1));
    this.#memory.write32(gpa, head);
    this.#memory.write32(gpa + 4, writtenBytes);
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
  }

  /** Shows the driver what was put. True: it wants an interrupt. */
  publish(): boolean {
    const memory = this.#memory;
    memory.write16(this.usedRing + 2, this.#nextUsed);
    if (!this.hasEventIndex) return (memory.read16(this.availableRing) & AVAIL_NO_INTERRUPT) === 0;
    const event = memory.read16(this.availableRing + 4 + 2 * this.size);
    const since = (this.#nextUsed - this.#signalled) & 0xffff;
    const isWanted = !this.#hasSignalled || ((this.#nextUsed - event - 1) & 0xffff) < since;
    this.#signalled = this.#nextUsed;
    this.#hasSignalled = true;
    return isWanted;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      size: this.size,
      isEnabled: this.isEnabled,
      isBroken: this.isBroken,
      hasEventIndex: this.hasEventIndex,
      descriptorTable: this.descriptorTable,
      availableRing: this.availableRing,
      usedRing: this.usedRing,
      nextAvailable: this.#nextAvailable,
      nextUsed: this.#nextUsed,
      signalled: this.#signalled,
      hasSignalled: this.#hasSignalled,
    };
  }

  load(state: StateReader): void {
    this.size = state.integer("size", 1, this.maxSize);
    this.isEnabled = state.boolean("isEnabled");
    this.isBroken = state.boolean("isBroken");
    this.hasEventIndex = state.boolean("hasEventIndex");
    this.descriptorTable = state.integer("descriptorTable", 0, Number.MAX_SAFE_INTEGER);
    this.availableRing = state.integer("availableRing", 0, Number.MAX_SAFE_INTEGER);
    this.usedRing = state.integer("usedRing", 0, Number.MAX_SAFE_INTEGER);
    this.#nextAvailable = state.integer("nextAvailable", 0, 0xffff);
    this.#nextUsed = state.integer("nextUsed", 0, 0xffff);
    this.#signalled = state.integer("signalled", 0, 0xffff);
    this.#hasSignalled = state.boolean("hasSignalled");
    state.end();
  }
}
