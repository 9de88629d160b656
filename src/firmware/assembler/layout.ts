/**
 * Laying out ROM code: bytes, labels, references to labels and branches whose form depends on the distance. The base class
 * of the assembler (assembler.ts), which adds the instructions.
 */
import { InternalError } from "../../base/errors.ts";
import type { Immediate } from "./operands.ts";

type Item =
  | { readonly kind: "bytes"; readonly bytes: number[] }
  | { readonly kind: "label"; readonly name: string }
  | {
      readonly kind: "reference";
      readonly label: string;
      /** Subtracted, if given. */
      readonly base?: string;
      readonly addend: number;
      readonly sizeBytes: 1 | 2 | 4;
    }
  | {
      readonly kind: "branch";
      readonly label: string;
      /** Short opcode (2-byte form), near opcode bytes; one may be missing. */
      readonly short?: number;
      readonly near?: readonly number[];
      readonly bits: 16 | 32;
      isNear: boolean;
    }
  | { readonly kind: "origin"; readonly address: number }
  | { readonly kind: "align"; readonly alignment: number };

/** One segment of code and data: addresses are offsets in it, from `base` on. */
export class CodeLayout {
  private readonly items: Item[] = [];
  private readonly base: number;
  private readonly fill: number;
  protected bitsNow: 16 | 32 = 16;
  private addresses = new Map<string, number>();

  constructor(base: number, fill = 0xff) {
    this.base = base;
    this.fill = fill;
  }

  // Layout

  label(name: string): void {
    this.items.push({ kind: "label", name });
  }

  /** Continues at `address`, which must not lie before the current position. */
  origin(address: number): void {
    this.items.push({ kind: "origin", address });
  }

  align(alignment: number): void {
    this.items.push({ kind: "align", alignment });
  }

  /** Code that follows runs with this default operand and address size. */
  bits(bits: 16 | 32): void {
    this.bitsNow = bits;
  }

  db(...values: (number | string)[]): void {
    for (const value of values) {
      if (typeof value === "number") this.emit(value);
      else for (const char of value) this.emit(char.charCodeAt(0));
    }
  }

  bytes(values: Iterable<number>): void {
    for (const value of values) this.emit(value);
  }

  dw(...values: Immediate[]): void {
    for (const value of values) this.immediate(value, 2);
  }

  dd(...values: Immediate[]): void {
    for (const value of values) this.immediate(value, 4);
  }

  /** A word: the distance from `base` to `label`. */
  dwDifference(label: string, base: string): void {
    this.items.push({ kind: "reference", label, base, addend: 0, sizeBytes: 2 });
  }

  /** A double word: the label's offset plus `addend` (a physical address when `addend` is the segment's base). */
  addressPlus(label: string, addend: number): void {
    this.items.push({ kind: "reference", label, addend, sizeBytes: 4 });
  }

  // What instructions are made of

  protected emit(...bytes: number[]): void {
    const last = this.items[this.items.length - 1];
    const target = last?.kind === "bytes" ? last.bytes : [];
    for (const byte of bytes) target.push(byte & 0xff);
    if (last?.kind !== "bytes") this.items.push({ kind: "bytes", bytes: target });
  }

  protected immediate(value: Immediate, sizeBytes: 1 | 2 | 4): void {
    if (typeof value === "string") this.reference(value, 0, sizeBytes);
    else for (let i = 0; i < sizeBytes; i++) this.emit(value >>> (8 * i));
  }

  protected reference(label: string, addend: number, sizeBytes: 1 | 2 | 4): void {
    this.items.push({ kind: "reference", label, addend, sizeBytes });
  }

  protected branch(label: string, short: number | undefined, near: readonly number[] | undefined): void {
    this.items.push({ kind: "branch", label, short, near, bits: this.bitsNow, isNear: short === undefined });
  }

  /** The offset of a label, after `finish`. */
  addressOf(label: string): number {
    const address = this.addresses.get(label);
    if (address === undefined) throw new InternalError(`assembler: unknown label ${label}`);
    return address;
  }

  /** All labels with their offsets, after `finish`. */
  labels(): { readonly [label: string]: number } {
    return Object.fromEntries(this.addresses);
  }

  /** Lays out and returns the bytes from `base` to the end of what was emitted. */
  finish(): Uint8Array {
    // Branches start short and only ever grow, so this ends.
    for (let changed = true; changed; ) {
      changed = false;
      this.layOut();
      let at = this.base;
      for (const item of this.items) {
        const start = at;
        at = this.end(item, at);
        if (item.kind !== "branch" || item.isNear) continue;
        const distance = this.addressOf(item.label) - (start + 2);
        if (distance < -128 || distance > 127) {
          if (!item.near) throw new InternalError(`assembler: ${item.label} is out of a short branch's reach`);
          item.isNear = true;
          changed = true;
        }
      }
    }
    return this.write();
  }

  private layOut(): void {
    this.addresses = new Map();
    let at = this.base;
    for (const item of this.items) {
      if (item.kind === "label") {
        if (this.addresses.has(item.name)) throw new InternalError(`assembler: label ${item.name} defined twice`);
        this.addresses.set(item.name, at);
      }
      at = this.end(item, at);
    }
  }

  private end(item: Item, at: number): number {
    switch (item.kind) {
      case "bytes":
        return at + item.bytes.length;
      case "label":
        return at;
      case "reference":
        return at + item.sizeBytes;
      case "branch":
        return at + (item.isNear ? item.near!.length + item.bits / 8 : 2);
      case "origin":
        if (item.address < at)
          throw new InternalError(`assembler: origin ${item.address.toString(16)} is behind ${at.toString(16)}`);
        return item.address;
      case "align":
        return Math.ceil(at / item.alignment) * item.alignment;
    }
  }

  private write(): Uint8Array {
    let at = this.base;
    for (const item of this.items) at = this.end(item, at);
    const out = new Uint8Array(at - this.base).fill(this.fill);
    at = this.base;
    for (const item of this.items) {
      const start = at - this.base;
      at = this.end(item, at);
      if (item.kind === "bytes") out.set(item.bytes, start);
      else if (item.kind === "reference") {
        const value =
          this.addressOf(item.label) + item.addend - (item.base === undefined ? 0 : this.addressOf(item.base));
        for (let i = 0; i < item.sizeBytes; i++) out[start + i] = value >>> (8 * i);
      } else if (item.kind === "branch") {
        const distance = this.addressOf(item.label) - at;
        if (!item.isNear) out.set([item.short!, distance & 0xff], start);
        else {
          out.set(item.near!, start);
          const field = start + item.near!.length;
          for (let i = 0; i < item.bits / 8; i++) out[field + i] = distance >>> (8 * i);
        }
      }
    }
    return out;
  }
}
