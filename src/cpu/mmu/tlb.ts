/**
 * Fills and flushes the direct TLB tables of layout.ts. The tables themselves have no tags and no capacity misses, so
 * what is valid is known from lists of live pages: a flush costs what was filled since the last one. A list has a bounded
 * capacity (the oldest page goes first), which is how profiles for systems that miss invalidations get a small TLB.
 *
 * Pages of one guest-physical frame are chained, so that all entries of a frame are found without a search: write
 * entries go when the frame becomes code, all of them when the physical map changes under it.
 *
 * A page holds translations to one frame at a time: filling another frame drops what was there.
 */
import {
  PHYSICAL_CODE,
  PHYSICAL_MAP,
  PHYSICAL_WRITABLE,
  TLB_BIAS,
  TLB_CODE_SUPERVISOR,
  TLB_CODE_USER,
  TLB_READ_SUPERVISOR,
  TLB_READ_USER,
  TLB_WRITE_SUPERVISOR,
  TLB_WRITE_USER,
} from "../layout.ts";
import type { CpuState } from "../state.ts";
import { ACCESS_USER, ACCESS_WRITE } from "./page-walk.ts";
import { SparseArrays } from "./sparse-arrays.ts";

const PAGES = 1 << 20;

/** Bits of a page's info word: which tables hold an entry… */
const READ_SUPERVISOR = 1;
const WRITE_SUPERVISOR = 2;
const READ_USER = 4;
const WRITE_USER = 8;
const CODE_SUPERVISOR = 16;
const CODE_USER = 32;
const ANY_ENTRY = 63;
/** …and where the page is known. */
const GLOBAL = 64;
const IN_LOCAL_LIST = 128;
const IN_GLOBAL_LIST = 256;
const IN_FRAME_CHAIN = 512;
const IN_CODE_LIST_SUPERVISOR = 1024;
const IN_CODE_LIST_USER = 2048;

/** Translations whose data the tables may not reach (MMIO, ROM and code writes, watched pages) are remembered here. */
const SLOW_SLOTS = 64;

/** First-in first-out list of linear pages. */
class PageList {
  readonly pages: Uint32Array;
  head = 0;
  count = 0;

  constructor(capacity: number) {
    this.pages = new Uint32Array(capacity);
  }
  get isFull(): boolean {
    return this.count === this.pages.length;
  }
  push(page: number): void {
    let at = this.head + this.count++;
    if (at >= this.pages.length) at -= this.pages.length;
    this.pages[at] = page;
  }
  shift(): number {
    const page = this.pages[this.head];
    if (++this.head === this.pages.length) this.head = 0;
    this.count--;
    return page;
  }
}

export interface TlbOptions {
  /** Pages kept in each of the two sets (global and not). Default 16,384; 4 in the coherence tests; some hundred for Windows 9x. */
  readonly capacityPages?: number;
  /**
   * For Windows 9x, which misses invalidations that small TLBs hid: CR3 loads drop global pages too, and switches of task
   * and in and out of V86 mode drop everything.
   */
  readonly isForgiving?: boolean;
  /** Called at every load of CR3 (tests: everything that is remembered goes with the address space). */
  readonly onAddressSpace?: () => void;
}

/** Index of the word that leads from a linear page to its decode map, 0 if none. */
export function codeWord(linearPage: number, isUser: boolean): number {
  return ((isUser ? TLB_CODE_USER : TLB_CODE_SUPERVISOR) >> 2) + linearPage;
}

export class Tlb {
  readonly #i32: Int32Array;
  readonly #arrays = new SparseArrays(PAGES * 18);
  readonly #info = this.#arrays.uint16(PAGES);
  readonly #local: PageList;
  readonly #global: PageList;
  readonly #codeSupervisor: PageList;
  readonly #codeUser: PageList;
  /** Frame chains: page + 1, 0 = end. */
  readonly #frameHead = this.#arrays.int32(PAGES);
  readonly #next = this.#arrays.int32(PAGES);
  readonly #previous = this.#arrays.int32(PAGES);
  readonly #frameOf = this.#arrays.int32(PAGES);
  readonly #slowPage = new Int32Array(SLOW_SLOTS).fill(-1);
  readonly #slowGpaPage = new Int32Array(SLOW_SLOTS);
  readonly #slowAccess = new Int32Array(SLOW_SLOTS);
  readonly #isForgiving: boolean;
  readonly #onAddressSpace: (() => void) | undefined;
  /** Linear pages with data breakpoints: never valid in the tables. */
  #watched: readonly number[] = [];

  constructor(state: CpuState, options: TlbOptions = {}) {
    const capacity = Math.max(1, options.capacityPages ?? 16384);
    this.#i32 = state.i32;
    this.#isForgiving = options.isForgiving ?? false;
    this.#onAddressSpace = options.onAddressSpace;
    this.#local = new PageList(capacity);
    this.#global = new PageList(capacity);
    this.#codeSupervisor = new PageList(Math.min(capacity, 4096));
    this.#codeUser = new PageList(Math.min(capacity, 4096));
  }

  /**
   * Enters the translation of a successful data access or fetch: `access` is that of the walk (sum of ACCESS_*),
   * `canCacheWrite` and `isGlobal` its results. Fills what the physical map allows; the rest is remembered for
   * `lookupSlow`.
   */
  insert(linearPage: number, gpaPage: number, access: number, canCacheWrite: boolean, isGlobal: boolean): void {
    const entry = gpaPage < PAGES ? this.#i32[(PHYSICAL_MAP >> 2) + gpaPage] : 0;
    if (entry === 0 || (this.#watched.length !== 0 && this.#watched.includes(linearPage))) {
      this.#insertSlow(linearPage, gpaPage, access);
      return;
    }
    this.#claim(linearPage, isGlobal, gpaPage);
    const delta = ((entry & 0xfffff000) - (linearPage << 12) - TLB_BIAS) | 0;
    let kinds: number;
    const canWrite = canCacheWrite && (entry & (PHYSICAL_WRITABLE | PHYSICAL_CODE)) === PHYSICAL_WRITABLE;
    if ((access & ACCESS_USER) !== 0) {
      this.#i32[(TLB_READ_USER >> 2) + linearPage] = delta;
      kinds = READ_USER;
      if (canWrite) {
        this.#i32[(TLB_WRITE_USER >> 2) + linearPage] = delta;
        kinds |= WRITE_USER;
      }
    } else {
      this.#i32[(TLB_READ_SUPERVISOR >> 2) + linearPage] = delta;
      kinds = READ_SUPERVISOR;
      if (canWrite) {
        this.#i32[(TLB_WRITE_SUPERVISOR >> 2) + linearPage] = delta;
        kinds |= WRITE_SUPERVISOR;
      }
    }
    this.#info[linearPage] |= kinds;
    if ((access & ACCESS_WRITE) !== 0 && !canWrite) this.#insertSlow(linearPage, gpaPage, access);
  }

  /**
   * Enters a decode map for instruction fetches from a linear page at a privilege. The page must have been translated by
   * `LinearMemory.fetchPage` just before.
   */
  setCode(linearPage: number, mapPointer: number, user: boolean): void {
    const info = this.#info[linearPage];
    if ((info & (IN_LOCAL_LIST | IN_GLOBAL_LIST)) === 0) this.#claim(linearPage, false, -1);
    const bit = user ? IN_CODE_LIST_USER : IN_CODE_LIST_SUPERVISOR;
    if ((this.#info[linearPage] & bit) === 0) {
      const list = user ? this.#codeUser : this.#codeSupervisor;
      if (list.isFull) this.flushCode(user);
      list.push(linearPage);
    }
    this.#i32[((user ? TLB_CODE_USER : TLB_CODE_SUPERVISOR) >> 2) + linearPage] = mapPointer;
    this.#info[linearPage] |= bit | (user ? CODE_USER : CODE_SUPERVISOR);
  }

  /** Drops the code entries of one page: the code segment ends in it, or no longer does. */
  dropCode(linearPage: number): void {
    this.#i32[(TLB_CODE_SUPERVISOR >> 2) + linearPage] = 0;
    this.#i32[(TLB_CODE_USER >> 2) + linearPage] = 0;
    this.#info[linearPage] &= ~(CODE_SUPERVISOR | CODE_USER);
  }

  /** Drops all code entries of a privilege (the code size changed, or decode maps went away). */
  flushCode(user: boolean): void {
    const list = user ? this.#codeUser : this.#codeSupervisor;
    const table = (user ? TLB_CODE_USER : TLB_CODE_SUPERVISOR) >> 2;
    const keep = user ? ~(CODE_USER | IN_CODE_LIST_USER) : ~(CODE_SUPERVISOR | IN_CODE_LIST_SUPERVISOR);
    while (list.count > 0) {
      const page = list.shift();
      this.#i32[table + page] = 0;
      this.#info[page] &= keep;
    }
  }

  /**
   * Guest-physical page of an access that the tables do not serve, if it is remembered; -1 otherwise. Never answers for
   * what the tables could serve by now, so that those get their entry.
   */
  lookupSlow(linearPage: number, access: number): number {
    const slot = linearPage & (SLOW_SLOTS - 1);
    if (this.#slowPage[slot] !== linearPage) return -1;
    if (((this.#slowAccess[slot] >> accessIndex(access)) & 1) === 0) return -1;
    const gpaPage = this.#slowGpaPage[slot];
    if (this.#watched.length === 0) {
      const entry = gpaPage < PAGES ? this.#i32[(PHYSICAL_MAP >> 2) + gpaPage] : 0;
      if ((access & ACCESS_WRITE) === 0) {
        if (entry !== 0) return -1;
      } else if ((entry & (PHYSICAL_WRITABLE | PHYSICAL_CODE)) === PHYSICAL_WRITABLE) return -1;
    }
    return gpaPage;
  }

  /** Drops everything, or (`keepGlobal`, a CR3 load) everything but global pages. */
  flushAll(keepGlobal: boolean): void {
    const keep = keepGlobal && !this.#isForgiving;
    this.#slowPage.fill(-1);
    this.#flushList(this.#local, IN_LOCAL_LIST, keep);
    if (!keep) this.#flushList(this.#global, IN_GLOBAL_LIST, false);
    if (keepGlobal) this.#onAddressSpace?.();
  }

  /** A switch of task, or in or out of V86 mode. */
  modeSwitched(): void {
    if (this.#isForgiving) this.flushAll(false);
  }

  /** INVLPG: drops the page that contains the linear address, global or not. */
  flushPage(linear: number): void {
    const page = linear >>> 12;
    const slot = page & (SLOW_SLOTS - 1);
    if (this.#slowPage[slot] === page) this.#slowPage[slot] = -1;
    if ((this.#info[page] & ANY_ENTRY) !== 0) this.#drop(page);
  }

  /** Drops every entry that leads to the frames (the physical map is about to change there). */
  flushPhysical(gpaPage: number, pages: number): void {
    this.#slowPage.fill(-1);
    this.flushCode(false);
    this.flushCode(true);
    if (pages > 256) {
      this.flushAll(false);
      return;
    }
    for (let frame = gpaPage; frame < gpaPage + pages && frame < PAGES; frame++) {
      while (this.#frameHead[frame] !== 0) this.#drop(this.#frameHead[frame] - 1);
    }
  }

  /** Drops the write entries of every page that leads to the frame: it holds decoded code from now on. */
  protectPhysicalPage(gpaPage: number): void {
    for (let link = this.#frameHead[gpaPage]; link !== 0; link = this.#next[link - 1]) {
      const page = link - 1;
      const info = this.#info[page];
      if ((info & WRITE_SUPERVISOR) !== 0) this.#i32[(TLB_WRITE_SUPERVISOR >> 2) + page] = 0;
      if ((info & WRITE_USER) !== 0) this.#i32[(TLB_WRITE_USER >> 2) + page] = 0;
      this.#info[page] = info & ~(WRITE_SUPERVISOR | WRITE_USER);
    }
  }

  /** Linear pages that data breakpoints watch (at most a few): their accesses take the slow path from now on. */
  setWatchedPages(linearPages: readonly number[]): void {
    this.#watched = linearPages;
    this.#slowPage.fill(-1);
    for (const page of linearPages) this.flushPage(page << 12);
  }

  /** Pages with live entries, for tests and statistics. */
  get livePages(): number {
    return this.#local.count + this.#global.count;
  }

  #insertSlow(linearPage: number, gpaPage: number, access: number): void {
    const slot = linearPage & (SLOW_SLOTS - 1);
    if (this.#slowPage[slot] !== linearPage || this.#slowGpaPage[slot] !== gpaPage) {
      this.#slowPage[slot] = linearPage;
      this.#slowGpaPage[slot] = gpaPage;
      this.#slowAccess[slot] = 0;
    }
    this.#slowAccess[slot] |= 1 << accessIndex(access);
  }

  /** Makes the page listed, chained to its frame and free of entries for another frame or globality. */
  #claim(page: number, isGlobal: boolean, gpaPage: number): void {
    const info = this.#info[page];
    if (
      (info & (ANY_ENTRY | IN_FRAME_CHAIN)) !== 0 &&
      (this.#frameOf[page] !== gpaPage || ((info & GLOBAL) !== 0) !== isGlobal)
    )
      this.#drop(page);
    const bit = isGlobal ? IN_GLOBAL_LIST : IN_LOCAL_LIST;
    if ((info & bit) === 0) {
      const list = isGlobal ? this.#global : this.#local;
      if (list.isFull) this.#evict(list, bit);
      list.push(page);
      this.#info[page] |= bit;
    }
    if (isGlobal) this.#info[page] |= GLOBAL;
    else this.#info[page] &= ~GLOBAL;
    if ((this.#info[page] & IN_FRAME_CHAIN) === 0) {
      this.#frameOf[page] = gpaPage;
      if (gpaPage >= 0) {
        const head = this.#frameHead[gpaPage];
        this.#next[page] = head;
        this.#previous[page] = 0;
        if (head !== 0) this.#previous[head - 1] = page + 1;
        this.#frameHead[gpaPage] = page + 1;
        this.#info[page] |= IN_FRAME_CHAIN;
      }
    }
  }

  #evict(list: PageList, bit: number): void {
    const page = list.shift();
    this.#info[page] &= ~bit;
    // A page whose globality changed may sit in the other list too; its entries belong to that one.
    if (((this.#info[page] & GLOBAL) !== 0) === (bit === IN_GLOBAL_LIST)) this.#drop(page);
  }

  #flushList(list: PageList, bit: number, keepGlobal: boolean): void {
    while (list.count > 0) {
      const page = list.shift();
      const info = (this.#info[page] &= ~bit);
      if ((info & (ANY_ENTRY | IN_FRAME_CHAIN)) !== 0 && !(keepGlobal && (info & GLOBAL) !== 0)) this.#drop(page);
    }
  }

  /** Clears the page's entries in all tables and takes it out of its frame's chain; lists keep it until they are flushed. */
  #drop(page: number): void {
    const info = this.#info[page];
    if ((info & READ_SUPERVISOR) !== 0) this.#i32[(TLB_READ_SUPERVISOR >> 2) + page] = 0;
    if ((info & WRITE_SUPERVISOR) !== 0) this.#i32[(TLB_WRITE_SUPERVISOR >> 2) + page] = 0;
    if ((info & READ_USER) !== 0) this.#i32[(TLB_READ_USER >> 2) + page] = 0;
    if ((info & WRITE_USER) !== 0) this.#i32[(TLB_WRITE_USER >> 2) + page] = 0;
    if ((info & CODE_SUPERVISOR) !== 0) this.#i32[(TLB_CODE_SUPERVISOR >> 2) + page] = 0;
    if ((info & CODE_USER) !== 0) this.#i32[(TLB_CODE_USER >> 2) + page] = 0;
    if ((info & IN_FRAME_CHAIN) !== 0) {
      const next = this.#next[page];
      const previous = this.#previous[page];
      if (previous !== 0) this.#next[previous - 1] = next;
      else this.#frameHead[this.#frameOf[page]] = next;
      if (next !== 0) this.#previous[next - 1] = previous;
    }
    this.#info[page] = info & ~(ANY_ENTRY | IN_FRAME_CHAIN);
  }
}

/** 0 supervisor read, 1 supervisor write, 2 user read, 3 user write. */
function accessIndex(access: number): number {
  return (access >> 1) & 3;
}
