/**
 * The second native oracle, for general-purpose and system instructions: any segments of a local descriptor table (modify_ldt),
 * 16-bit and 32-bit code and stacks, code and data at the edges of pages and segments. No x87 or SSE state (that is case-format.ts).
 *
 *   segmented-runner.c     executes cases natively: each is entered by a signal return and ends with a signal
 *   segmented-native.ts    builds and calls it
 *   segmented-engine.ts    executes the same cases in the software engine, at privilege level 3 with the same selectors
 *   segmented-compare.ts   differences, and cases as text
 *   instruction-forms.ts   encodings of an opcode-table row: all addressing forms, prefixes, immediates
 *   undefined-flags.ts     which flags an instruction leaves undefined
 *
 * Memory is the same on both sides: a read-only code window of 64 KiB filled with INT3, and three data pages that hold BACKGROUND when a
 * case begins, except for its patches. Everything else that a case can reach is not present, but for one read-only page.
 * This file has the binary layout of cases and outcomes, shared with segmented-runner.c.
 */
import { createRandom, integers } from "./values.ts";

export const CODE_WINDOW = 0x20000000;
export const CODE_BYTES = 0x10000;
export const DATA = 0x30000000;
/** Linear addresses of the data pages; the first two touch, before and behind the groups nothing is present. */
export const DATA_PAGES: readonly number[] = [DATA, DATA + 0x1000, DATA + 0x10000];
export const DATA_BYTES = DATA_PAGES.length * 4096;
/** Present, not writable. */
export const READ_ONLY_PAGE = DATA + 0x3000;

export const CASE_BYTES = 256;
const PATCHES = 80;
export const OUTCOME_BYTES = 128;
/** Bytes of changed memory that an outcome shows. */
export const SHOWN_BYTES = 48;

/** Order of segment registers in cases and outcomes, as instructions encode them. */
export const segment = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;
export const SEGMENT_NAMES: readonly string[] = ["es", "cs", "ss", "ds", "fs", "gs"];

/** Selectors that Linux gives every 32-bit program on a 64-bit kernel. */
export const CS_FLAT = 0x23;
export const DS_FLAT = 0x2b;
export const NULL_SELECTOR = 0;

/** What modify_ldt takes, and a segment that cases may use. */
export interface LdtEntry {
  readonly name: string;
  readonly base: number;
  readonly limit: number;
  readonly is32: boolean;
  /** 0 data, 1 expand-down data, 2 code. */
  readonly contents: 0 | 1 | 2;
  /** Not writable, or not readable. */
  readonly isRestricted: boolean;
  readonly isInPages: boolean;
  readonly isAbsent: boolean;
  /** AVL. */
  readonly isUseable: boolean;
}

function entry(name: string, base: number, limit: number, kind: string): LdtEntry {
  return {
    name,
    base: base >>> 0,
    limit,
    is32: kind.includes("32"),
    contents: kind.includes("code") ? 2 : kind.includes("down") ? 1 : 0,
    isRestricted: kind.includes("restricted"),
    isInPages: kind.includes("pages"),
    isAbsent: kind.includes("absent"),
    isUseable: kind.includes("useable"),
  };
}

/** The local descriptor table; `undefined`: an empty descriptor. */
export const LDT: readonly (LdtEntry | undefined)[] = [
  entry("code32", CODE_WINDOW, 0xffff, "code 32"),
  entry("code16", CODE_WINDOW, 0xffff, "code 16"),
  entry("data32", DATA, 0x1fff, "data 32"),
  entry("data16", DATA, 0x1fff, "data 16"),
  entry("readOnly", DATA, 0x1fff, "data 32 restricted"),
  entry("down32", DATA, 0xfff, "down 32"),
  entry("down16", DATA, 0xfff, "down 16"),
  entry("high16", DATA - 0x8000, 0xffff, "data 16 useable"),
  // Both ends of these 64 KiB are present: the middle is not.
  entry("wrap16", DATA + 0x1000, 0xffff, "data 16"),
  entry("executeOnly", CODE_WINDOW, 0xffff, "code 32 restricted"),
  undefined,
  entry("absentData", DATA, 0xffff, "data 32 absent"),
  entry("absentCode", CODE_WINDOW, 0xffff, "code 32 absent"),
  entry("pages32", DATA, 1, "data 32 pages"),
  entry("tiny", DATA + 0x400, 0x10, "data 32"),
  // Linear addresses wrap at 4 GiB.
  entry("wrap32", 0xf0000000, 0xfffff, "data 32 pages"),
  entry("codeShort", CODE_WINDOW, 0xfff, "code 32"),
  entry("code16Pages", CODE_WINDOW, 15, "code 16 pages useable"),
  entry("flat16", 0, 0xfffff, "data 16 pages"),
  entry("flatCode32", 0, 0xfffff, "code 32 pages"),
];

export const LDT_LIMIT = LDT.length * 8 - 1;

export function selectorOf(name: string): number {
  const index = LDT.findIndex((item) => item?.name === name);
  if (index < 0) throw new Error(`no LDT entry ${name}`);
  return index * 8 + 7;
}

/** Base of a selector that data can be addressed through. */
export function baseOf(selector: number): number {
  if (selector === CS_FLAT || selector === DS_FLAT) return 0;
  return LDT[selector >> 3]?.base ?? 0;
}

export function entryOf(selector: number): LdtEntry | undefined {
  return (selector & 4) !== 0 ? LDT[selector >> 3] : undefined;
}

/** Descriptor as two dwords, as Linux builds it from user_desc. */
export function descriptorOf(item: LdtEntry | undefined): [number, number] {
  if (item === undefined) return [0, 0];
  const type = (item.isRestricted ? 0 : 2) | (item.contents << 2) | 1;
  const access = type | 0x10 | 0x60 | (item.isAbsent ? 0 : 0x80);
  const flags = (item.isInPages ? 8 : 0) | (item.is32 ? 4 : 0) | (item.isUseable ? 1 : 0);
  return [
    ((item.limit & 0xffff) | (item.base << 16)) >>> 0,
    (((item.base >>> 16) & 0xff) |
      (access << 8) |
      (item.limit & 0xf0000) |
      (flags << 20) |
      (item.base & 0xff000000)) >>>
      0,
  ];
}

/**
 * The data pages when a case begins, then the read-only page: edge values and random bytes. The latter, which cases cannot
 * replace, holds nothing that leads a branch anywhere but to pages that are not present.
 */
export const BACKGROUND: Uint8Array = (() => {
  const random = createRandom(0x5eed);
  const words = new Uint32Array((DATA_BYTES + 4096) / 4);
  for (let n = 0; n < words.length; n++)
    words[n] =
      n >= DATA_BYTES / 4
        ? (random() & 0x3f3f3f3f) | 0x40404040
        : random() % 3 === 0
          ? integers[random() % integers.length]
          : random() % 3 === 0
            ? 0
            : random();
  return new Uint8Array(words.buffer);
})();

/** Offset in the data pages (and in BACKGROUND) of a linear address, or -1. */
export function dataOffset(linear: number): number {
  for (let page = 0; page < DATA_PAGES.length; page++) {
    const offset = linear - DATA_PAGES[page];
    if (offset >= 0 && offset < 4096) return page * 4096 + offset;
  }
  return -1;
}

/** A growing list of cases in the runner's format. */
export class SegmentedCases {
  #bytes = new Uint8Array(CASE_BYTES * 64);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  /** Adds a case whose code stands at `offset` of the code window, all segments flat; answers its writer. */
  add(code: readonly number[], offset = 0x800): SegmentedCaseWriter {
    if (code.length > 16) throw new Error("code too long");
    const at = this.length * CASE_BYTES;
    if (at + CASE_BYTES > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.length++;
    const view = this.#view;
    view.setUint32(at, code.length, true);
    view.setUint32(at + 4, offset, true);
    this.#bytes.set(code, at + 8);
    const writer = new SegmentedCaseWriter(this.#bytes, view, at);
    writer.setEflags(0x202);
    for (const name of ["es", "ss", "ds"] as const) writer.setSegment(segment[name], DS_FLAT);
    writer.setSegment(segment.cs, CS_FLAT);
    return writer;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length * CASE_BYTES);
  }

  case(index: number): SegmentedCaseReader {
    return new SegmentedCaseReader(this.#bytes, this.#view, index * CASE_BYTES);
  }
}

/** Valid until the next `add`. */
export class SegmentedCaseWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: number;
  constructor(bytes: Uint8Array, view: DataView, at: number) {
    this.#bytes = bytes;
    this.#view = view;
    this.#at = at;
  }
  setGpr(index: number, value: number): void {
    this.#view.setUint32(this.#at + 24 + index * 4, value, true);
  }
  gpr(index: number): number {
    return this.#view.getUint32(this.#at + 24 + index * 4, true);
  }
  setEflags(value: number): void {
    this.#view.setUint32(this.#at + 56, value, true);
  }
  get eflags(): number {
    return this.#view.getUint32(this.#at + 56, true);
  }
  /** For CS, EIP follows: the code stands where it was placed. */
  setSegment(index: number, selector: number): void {
    this.#view.setUint16(this.#at + 64 + index * 2, selector, true);
    if (index === segment.cs) {
      const offset = this.#view.getUint32(this.#at + 4, true);
      this.#view.setUint32(this.#at + 60, CODE_WINDOW + offset - baseOf(selector), true);
    }
  }
  segment(index: number): number {
    return this.#view.getUint16(this.#at + 64 + index * 2, true);
  }
  /** Bytes at a linear address of the data pages; false if they do not all lie there or there is no room. */
  patch(linear: number, bytes: Uint8Array): boolean {
    const offset = dataOffset(linear);
    const last = dataOffset(linear + bytes.length - 1);
    if (offset < 0 || last !== offset + bytes.length - 1) return false;
    const used = this.#view.getUint32(this.#at + 76, true);
    if (PATCHES + used + 4 + bytes.length > CASE_BYTES) return false;
    const to = this.#at + PATCHES + used;
    this.#view.setUint16(to, offset, true);
    this.#view.setUint16(to + 2, bytes.length, true);
    this.#bytes.set(bytes, to + 4);
    this.#view.setUint32(this.#at + 76, used + 4 + bytes.length, true);
    return true;
  }
}

export class SegmentedCaseReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: number;
  constructor(bytes: Uint8Array, view: DataView, at: number) {
    this.#bytes = bytes;
    this.#view = view;
    this.#at = at;
  }
  get code(): Uint8Array {
    return this.#bytes.subarray(this.#at + 8, this.#at + 8 + this.#view.getUint32(this.#at, true));
  }
  /** In the code window. */
  get codeOffset(): number {
    return this.#view.getUint32(this.#at + 4, true);
  }
  gpr(index: number): number {
    return this.#view.getUint32(this.#at + 24 + index * 4, true);
  }
  get eflags(): number {
    return this.#view.getUint32(this.#at + 56, true);
  }
  get eip(): number {
    return this.#view.getUint32(this.#at + 60, true);
  }
  segment(index: number): number {
    return this.#view.getUint16(this.#at + 64 + index * 2, true);
  }
  /** Calls `apply` with data offset and bytes of each patch. */
  forEachPatch(apply: (offset: number, bytes: Uint8Array) => void): void {
    const end = this.#view.getUint32(this.#at + 76, true);
    for (let at = 0; at < end; ) {
      const from = this.#at + PATCHES + at;
      const length = this.#view.getUint16(from + 2, true);
      apply(this.#view.getUint16(from, true), this.#bytes.subarray(from + 4, from + 4 + length));
      at += 4 + length;
    }
  }
}

/** Outcomes of a list, in its order. Each ended with an exception; behind a plain instruction that is the INT3 there. */
export class SegmentedOutcomes {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  static empty(count: number): SegmentedOutcomes {
    return new SegmentedOutcomes(new Uint8Array(count * OUTCOME_BYTES));
  }
  get(index: number, offset: number): number {
    return this.#view.getUint32(index * OUTCOME_BYTES + offset, true);
  }
  set(index: number, offset: number, value: number): void {
    this.#view.setUint32(index * OUTCOME_BYTES + offset, value, true);
  }
  vector(index: number): number {
    return this.get(index, outcome.vector);
  }
  gpr(index: number, register: number): number {
    return this.get(index, outcome.gpr + register * 4);
  }
  segment(index: number, number: number): number {
    return this.#view.getUint16(index * OUTCOME_BYTES + outcome.segments + number * 2, true);
  }
  setSegment(index: number, number: number, selector: number): void {
    this.#view.setUint16(index * OUTCOME_BYTES + outcome.segments + number * 2, selector, true);
  }
  /** The first bytes of the changed range of memory. */
  shown(index: number): Uint8Array {
    const length = Math.min(this.get(index, outcome.end) - this.get(index, outcome.first), SHOWN_BYTES);
    const at = index * OUTCOME_BYTES + outcome.shown;
    return this.bytes.subarray(at, at + length);
  }
  /**
   * Where the data pages differ from BACKGROUND: first offset, end, a hash of what stands there (FNV-1a over bytes) and its
   * beginning.
   */
  setMemory(index: number, first: number, end: number, memory: Uint8Array): void {
    this.set(index, outcome.first, first);
    this.set(index, outcome.end, end);
    let hash = 0x811c9dc5;
    for (let n = first; n < end; n++) hash = Math.imul(hash ^ memory[n], 0x01000193);
    this.set(index, outcome.hash, hash);
    this.bytes.set(memory.subarray(first, Math.min(end, first + SHOWN_BYTES)), index * OUTCOME_BYTES + outcome.shown);
  }
}

/** Byte offsets in an outcome. */
export const outcome = {
  vector: 0,
  error: 4,
  cr2: 8,
  eip: 12,
  gpr: 16,
  eflags: 48,
  segments: 52,
  first: 64,
  end: 68,
  hash: 72,
  shown: 76,
} as const;
