/**
 * Generates the interpreter: one WebAssembly module made from the opcode table and the semantics functions. `run` is a
 * loop over predecoded records; common instructions stand inside it behind one br_table, the others are functions of
 * their own reached through the module's table. Measured reasons: docs/decisions/0001.
 */
import * as R from "../decode/records.ts";
import { handler, layoutRows, segmentedImmediate, type Variant, variantsOf } from "../decode/variants.ts";
import { Builder } from "../ir/builder.ts";
import * as L from "../layout.ts";
import { guardUnit } from "../semantics/guard.ts";
import type { Row } from "../table/row.ts";
import {
  REGION_CURRENT,
  REGION_ENTRIES,
  REGION_EXIT,
  REGION_INSTRUCTIONS,
  REGION_PARAMETERS,
  REGION_SITE_EXITS,
} from "../translator/region-lowering.ts";
import { EMPTY, op } from "../wasm/opcodes.ts";
import { F32, F64, I32, I64, ModuleWriter, pushSigned, pushUnsigned, V128, type WasmType } from "../wasm/writer.ts";
import { CoreImports } from "./imports.ts";
import { BUDGET, type Frame, HandlerLowering, REGION_RESERVE, SAMPLE_PERIOD, status } from "./lowering.ts";

/** Why `run` returned. EIP and BUDGET are stored in every case. */
export const exit = {
  budget: 0,
  /** No decode map or no record for EIP. */
  fetch: 1,
  fault: 2,
  leave: 3,
  stop: 4,
  crossing: 5,
  /** The counter of the instruction at EIP has run out: translate it. */
  hot: 6,
} as const;

export interface GeneratedInterpreter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Table-order handler number → number used in records. */
  readonly renumber: Uint16Array;
  readonly inlineCount: number;
  readonly handlerCount: number;
  /** First index of the module's table that regions may use. */
  readonly firstRegionSlot: number;
}

/** Adds library functions (floating point …) to the core module before handlers are generated. */
export type LibraryGenerator = (writer: ModuleWriter, imports: CoreImports) => void;

/** Semantics of one variant, with its unit's availability checks in front. */
export function buildVariant(variant: Variant): Builder {
  const b = new Builder();
  guardUnit(b, variant.row);
  variant.row.semantics(b, variant.instruction);
  return b;
}

/** Pool of temporaries by type behind a function's fixed locals. */
export class Locals {
  readonly types: WasmType[] = [];
  readonly #first: number;
  readonly #pools = new Map<WasmType, { indices: number[]; used: number }>();

  constructor(fixed: readonly WasmType[], parameters: number) {
    this.#first = parameters;
    this.types.push(...fixed);
    for (const type of [I32, I64, F32, F64, V128] as const) this.#pools.set(type, { indices: [], used: 0 });
  }

  take(type: WasmType): number {
    const pool = this.#pools.get(type) as { indices: number[]; used: number };
    if (pool.used === pool.indices.length) {
      pool.indices.push(this.#first + this.types.length);
      this.types.push(type);
    }
    return pool.indices[pool.used++];
  }

  releaseAll(): void {
    for (const pool of this.#pools.values()) pool.used = 0;
  }
}

/** How many regions may be in the table at a time. */
export const REGION_SLOTS = 16384;

const P_BUDGET = 0;
const P_ENTRY = 1;
const RECORD = 2;
const START = 3;
const PAGE = 4;
const EIP = 5;
const CS_BASE = 6;
const TLB_READ = 7;
const TLB_WRITE = 8;
const TLB_CODE = 9;
const LINEAR = 10;
const STATUS = 11;
const MAP = 12;
const AVOID = 13;
/** The fetch loop leaves when the budget is at or below this: 0 where a jump lands, lowest where records were merely cut. */
const BUDGET_FLOOR = 14;
const NO_FLOOR = -0x80000000;
/** `run`'s second parameter for going on where no jump has landed: the budget is not looked at first. */
export const ENTRY_BETWEEN = 1;

const ABORT_STATUS = [op.i32Const, status.fault, op.return];

export interface HandlerNumbers {
  readonly inline: readonly Variant[];
  readonly outOfLine: readonly Variant[];
  readonly handlerCount: number;
  /** Number in decoded records by number of the layout: special handlers, inline ones, the others. */
  readonly renumber: Uint16Array;
}

/** The handlers of a table and their numbers in records. */
export function numberHandlers(rows: readonly Row[]): HandlerNumbers {
  const { layouts, handlerCount } = layoutRows(rows);
  const variants = layouts.flatMap(variantsOf);
  const inline = variants.filter((v) => v.row.options.hot === true);
  const outOfLine = variants.filter((v) => v.row.options.hot !== true);
  const renumber = new Uint16Array(handlerCount);
  for (let n = 0; n < handler.first; n++) renumber[n] = n;
  inline.forEach((v, n) => {
    renumber[v.handler] = handler.first + n;
  });
  const inlineEnd = handler.first + inline.length;
  outOfLine.forEach((v, n) => {
    renumber[v.handler] = inlineEnd + n;
  });

  return { inline, outOfLine, handlerCount, renumber };
}

export interface InterpreterOptions {
  /** Regions may be entered: slots in the table, counters of jumps. */
  readonly hasRegions?: boolean;
  /** Only one of SAMPLE_PERIOD jumps is counted. */
  readonly samplesJumps?: boolean;
  /** False: every access goes through its helper. */
  readonly hasTlb?: boolean;
}

export function generateInterpreter(
  rows: readonly Row[],
  memoryPages: number,
  libraries: readonly LibraryGenerator[] = [],
  { hasRegions = false, samplesJumps = false, hasTlb = true }: InterpreterOptions = {},
): GeneratedInterpreter {
  const writer = new ModuleWriter(memoryPages);
  const imports = new CoreImports(writer);
  const globalRead = writer.global(I32, hasTlb ? L.TLB_READ_SUPERVISOR : L.NO_TLB);
  const globalWrite = writer.global(I32, hasTlb ? L.TLB_WRITE_SUPERVISOR : L.NO_TLB);
  /** Jumps until the next that is counted. */
  const globalSample = writer.global(I32, 1);
  for (const library of libraries) library(writer, imports);

  const { inline, outOfLine, handlerCount, renumber } = numberHandlers(rows);
  const inlineEnd = handler.first + inline.length;

  const functionType = writer.type([I32, I32], [I32]);
  const table = outOfLine.map((v) => {
    const index = writer.reserve([I32, I32], [I32]);
    const locals = new Locals([], 2);
    const code: number[] = [];
    lowerInto(v, imports, outOfLineFrame(code, locals, globalRead, globalWrite));
    code.push(op.i32Const, status.next);
    writer.define(index, locals.types, code);
    return index;
  });
  // Slots behind the handlers are for regions.
  writer.table(table, table.length + (hasRegions ? REGION_SLOTS : 0));
  writer.exportTable("table");
  const regionType = writer.type(REGION_PARAMETERS, [I32]);

  const run = writer.reserve([I32, I32], [I32]);
  const locals = new Locals(new Array<WasmType>(13).fill(I32), 2);
  const code: number[] = [];
  const get = (local: number) => {
    code.push(op.localGet);
    pushUnsigned(code, local);
  };
  const set = (local: number) => {
    code.push(op.localSet);
    pushUnsigned(code, local);
  };
  const constant = (value: number) => {
    code.push(op.i32Const);
    pushSigned(code, value);
  };
  const loadState = (offset: number) => {
    constant(0);
    code.push(op.i32Load, 0);
    pushUnsigned(code, offset);
  };
  const load = (opcode: number, offset: number) => {
    code.push(opcode, 0);
    pushUnsigned(code, offset);
  };
  const store = (offset: number) => {
    code.push(op.i32Store, 0);
    pushUnsigned(code, offset);
  };
  const branch = (depth: number) => {
    code.push(op.br);
    pushUnsigned(code, depth);
  };
  /** EIP := page + offset of the record, in local EIP. */
  const eipOfRecord = () => {
    get(PAGE);
    get(RECORD);
    load(op.i32Load16U, R.RECORD_OFFSET);
    code.push(op.i32Add);
    set(EIP);
  };
  /** What is left of the budget, the records since START counted. */
  const pushBudget = () => {
    get(P_BUDGET);
    get(RECORD);
    get(START);
    code.push(op.i32Sub, op.i32Const, 4, op.i32ShrU, op.i32Sub);
  };
  /** Counts the records since START, stores EIP and budget, returns the reason. */
  const leave = (reason: number) => {
    constant(0);
    get(EIP);
    store(L.EIP);
    constant(0);
    pushBudget();
    store(BUDGET);
    constant(reason);
    code.push(op.return);
  };
  const nextRecord = () => {
    get(RECORD);
    constant(R.RECORD_BYTES);
    code.push(op.i32Add);
    set(RECORD);
  };

  /** Adds what `push` pushes (an i32, taken as signed) to a 64-bit counter in the state block. */
  const addToCounter = (counter: number, push: () => void, operation: number = op.i64Add) => {
    constant(0);
    constant(0);
    load(op.i64Load, counter);
    push();
    code.push(op.i64ExtendI32S, operation, op.i64Store, 0);
    pushUnsigned(code, counter);
  };

  /** A region has left in front of the instruction whose record STATUS is. Uses AVOID, which has told so. */
  const countHandlerExit = () => {
    const handlerAt = (record: number) => {
      get(STATUS);
      load(op.i32Load16U, record + R.RECORD_HANDLER);
    };
    // The record behind one with an address is the instruction's.
    handlerAt(R.RECORD_BYTES);
    handlerAt(0);
    handlerAt(0);
    constant(handler.address);
    code.push(op.i32Sub);
    constant(handler.addressSegmented - handler.address);
    code.push(op.i32LeU, op.select, op.i32Const, 2, op.i32Shl, op.localTee, AVOID);
    get(AVOID);
    load(op.i32Load, L.HANDLER_EXITS);
    code.push(op.i32Const, 1, op.i32Add, op.i32Store, 0);
    pushUnsigned(code, L.HANDLER_EXITS);
  };

  /** Behind a record's look-up: an odd entry is a region to call, an even one counts down to becoming one. */
  const emitRegionEntry = () => {
    // An odd entry is a region.
    get(STATUS);
    code.push(op.i32Const, 1, op.i32And, op.if, EMPTY);
    get(AVOID);
    get(P_BUDGET);
    constant(REGION_RESERVE);
    code.push(op.i32LeS, op.i32Or, op.if, EMPTY);
    get(MAP);
    load(op.i32Load, L.MAP_ORIGINALS);
    set(STATUS);
    get(AVOID);
    code.push(op.if, EMPTY);
    countHandlerExit();
    code.push(op.end);
    code.push(op.else);
    addToCounter(REGION_ENTRIES, () => constant(1));
    constant(0);
    get(STATUS);
    store(REGION_CURRENT);
    addToCounter(REGION_INSTRUCTIONS, () => get(P_BUDGET));
    get(EIP);
    get(P_BUDGET);
    get(TLB_READ);
    get(STATUS);
    code.push(op.i32Const, 16, op.i32ShrU);
    get(TLB_CODE);
    get(STATUS);
    code.push(op.i32Const, 1, op.i32ShrU);
    constant(0x7fff);
    code.push(op.i32And, op.callIndirect);
    pushUnsigned(code, regionType);
    code.push(0);
    set(P_BUDGET);
    addToCounter(REGION_INSTRUCTIONS, () => get(P_BUDGET), op.i64Sub);
    loadState(L.EIP);
    set(EIP);
    loadState(REGION_EXIT);
    set(AVOID);
    addToCounter(REGION_SITE_EXITS, () => get(AVOID));
    // It left between two jumps: the budget is not looked at here.
    get(AVOID);
    code.push(op.if, EMPTY);
    constant(NO_FLOOR);
    set(BUDGET_FLOOR);
    // Slots stand shifted by one; the counters are words.
    loadState(REGION_CURRENT);
    constant(0xfffe);
    code.push(op.i32And, op.i32Const, 1, op.i32Shl, op.localTee, LINEAR);
    get(LINEAR);
    load(op.i32Load, L.REGION_EXITS);
    code.push(op.i32Const, 1, op.i32Add, op.i32Store, 0);
    pushUnsigned(code, L.REGION_EXITS);
    code.push(op.end);
    constant(0);
    constant(0);
    store(REGION_EXIT);
    branch(3); // fetch: else, odd, not an entry record
    code.push(op.end);
    code.push(op.else);
    get(AVOID);
    code.push(op.i32Eqz, op.if, EMPTY);
    if (samplesJumps) {
      // A counter is another cache line, which code that is seldom executed would wait for each time.
      code.push(op.globalGet, globalSample, op.i32Const, 1, op.i32Sub, op.localTee, AVOID, op.globalSet, globalSample);
      get(AVOID);
      code.push(op.i32Eqz, op.if, EMPTY);
      loadState(SAMPLE_PERIOD);
      code.push(op.globalSet, globalSample);
    }
    // Counters stand at half the distance of the records: u16 against u32.
    get(LINEAR);
    constant(4095);
    code.push(op.i32And, op.i32Const, 1, op.i32Shl);
    get(MAP);
    get(LINEAR);
    constant(4095);
    code.push(op.i32And, op.i32Const, 2, op.i32Shl, op.i32Sub, op.i32Add);
    code.push(op.localTee, AVOID);
    load(op.i32Load16U, L.MAP_COUNTERS);
    code.push(op.if, EMPTY);
    get(AVOID);
    get(AVOID);
    load(op.i32Load16U, L.MAP_COUNTERS);
    code.push(op.i32Const, 1, op.i32Sub);
    code.push(op.localTee, AVOID, op.i32Store16, 0);
    pushUnsigned(code, L.MAP_COUNTERS);
    get(AVOID);
    code.push(op.i32Eqz, op.if, EMPTY);
    leave(exit.hot);
    code.push(op.end);
    if (samplesJumps) code.push(op.end);
    code.push(op.end);
    code.push(op.else);
    countHandlerExit();
    code.push(op.end);
    code.push(op.end);
    constant(0);
    set(AVOID);
  };

  // ---- entry and fetch -------------------------------------------------------------------------------------------
  loadState(L.EIP);
  set(EIP);
  get(P_ENTRY);
  constant(ENTRY_BETWEEN);
  code.push(op.i32Eq, op.if, EMPTY);
  constant(0);
  set(P_ENTRY);
  constant(NO_FLOOR);
  set(BUDGET_FLOOR);
  code.push(op.end);
  code.push(op.block, EMPTY); // abort
  code.push(op.loop, EMPTY); // reload
  for (const [local, user, supervisor, global] of [
    [TLB_READ, L.TLB_READ_USER, L.TLB_READ_SUPERVISOR, globalRead],
    [TLB_WRITE, L.TLB_WRITE_USER, L.TLB_WRITE_SUPERVISOR, globalWrite],
    [TLB_CODE, L.TLB_CODE_USER, L.TLB_CODE_SUPERVISOR, -1],
  ] as const) {
    constant(hasTlb ? user : L.NO_TLB);
    constant(hasTlb ? supervisor : L.NO_TLB);
    loadState(L.MODE);
    constant(L.MODE_USER);
    code.push(op.i32And, op.select);
    set(local);
    if (global >= 0) {
      get(local);
      code.push(op.globalSet, global);
    }
  }
  loadState(L.SEG_BASE + L.SEG_CS * 8);
  set(CS_BASE);
  code.push(op.loop, EMPTY); // fetch
  pushBudget();
  set(P_BUDGET);
  get(P_ENTRY);
  code.push(op.if, EMPTY);
  get(P_ENTRY);
  set(RECORD);
  constant(0);
  set(P_ENTRY);
  get(EIP);
  get(RECORD);
  load(op.i32Load16U, R.RECORD_OFFSET);
  code.push(op.i32Sub);
  set(PAGE);
  code.push(op.else);
  // START = RECORD so that `leave` counts nothing twice.
  get(RECORD);
  set(START);
  get(P_BUDGET);
  get(BUDGET_FLOOR);
  code.push(op.i32LeS, op.if, EMPTY);
  leave(exit.budget);
  code.push(op.end);
  constant(0);
  set(BUDGET_FLOOR);
  get(EIP);
  get(CS_BASE);
  code.push(op.i32Add);
  set(LINEAR);
  get(LINEAR);
  code.push(op.i32Const, 10, op.i32ShrU);
  constant(0x3ffffc);
  code.push(op.i32And);
  get(TLB_CODE);
  code.push(op.i32Add);
  load(op.i32Load, 0);
  code.push(op.localTee, STATUS, op.i32Eqz, op.if, EMPTY);
  leave(exit.fetch);
  code.push(op.end);
  get(STATUS);
  set(MAP);
  get(LINEAR);
  constant(4095);
  code.push(op.i32And, op.i32Const, 2, op.i32Shl);
  get(MAP);
  code.push(op.i32Add);
  code.push(op.localTee, MAP);
  load(op.i32Load, 0);
  code.push(op.localTee, STATUS, op.i32Eqz, op.if, EMPTY);
  leave(exit.fetch);
  code.push(op.end);
  if (hasRegions) emitRegionEntry();
  get(STATUS);
  set(RECORD);
  get(EIP);
  get(LINEAR);
  constant(4095);
  code.push(op.i32And, op.i32Sub);
  set(PAGE);
  code.push(op.end);
  get(RECORD);
  set(START);

  // ---- dispatch --------------------------------------------------------------------------------------------------
  code.push(op.loop, EMPTY); // next
  code.push(op.block, EMPTY); // out of line
  const bodies = inlineEnd;
  for (let n = 0; n < bodies; n++) code.push(op.block, EMPTY);
  get(RECORD);
  load(op.i32Load16U, R.RECORD_HANDLER);
  code.push(op.brTable);
  pushUnsigned(code, bodies);
  for (let n = 0; n <= bodies; n++) pushUnsigned(code, n);

  for (let n = 0; n < bodies; n++) {
    code.push(op.end);
    // Blocks still open around this body, innermost first: bodies n+1…, out-of-line, next, fetch, reload, abort.
    const around = bodies - 1 - n;
    const toNext = around + 1;
    const toFetch = around + 2;
    const toAbort = around + 4;
    locals.releaseAll();
    const frame: Frame = {
      code,
      record: RECORD,
      page: PAGE,
      pushTlb: (isWrite) => get(isWrite ? TLB_WRITE : TLB_READ),
      takeLocal: (type) => locals.take(type),
      abort: (depth) => branch(toAbort + depth),
      jump: (depth) => {
        set(EIP);
        nextRecord();
        branch(toFetch + depth);
      },
      leaveWithStatus: () => {
        throw new Error("an instruction with an ending helper cannot be inline");
      },
      saveForHelper: () => {
        constant(0);
        get(PAGE);
        get(RECORD);
        load(op.i32Load16U, R.RECORD_OFFSET);
        code.push(op.i32Add);
        store(L.EIP);
        constant(0);
        pushBudget();
        store(BUDGET);
      },
      pushBudget,
    };
    switch (n) {
      case handler.none:
        code.push(op.unreachable);
        break;
      case handler.refetch:
        eipOfRecord();
        // Where a run of records ends depends on what had been decoded before; pages end for everybody.
        constant(0);
        constant(NO_FLOOR);
        get(RECORD);
        load(op.i32Load16U, R.RECORD_OFFSET);
        constant(4096);
        code.push(op.i32GeU, op.select);
        set(BUDGET_FLOOR);
        branch(toFetch);
        break;
      case handler.address:
      case handler.addressSegmented:
        emitAddress(n === handler.addressSegmented, frame, imports, locals);
        // This record is not an instruction of its own.
        get(START);
        constant(R.RECORD_BYTES);
        code.push(op.i32Add);
        set(START);
        nextRecord();
        branch(toNext);
        break;
      case handler.crossing:
        eipOfRecord();
        leave(exit.crossing);
        break;
      case handler.stop:
        eipOfRecord();
        leave(exit.stop);
        break;
      case handler.undefined:
      case handler.tooLong:
        constant(0);
        constant(n === handler.undefined ? 7 : 14);
        store(L.FAULT);
        constant(0);
        constant(n === handler.undefined ? -1 : 0);
        store(L.FAULT_ERROR);
        branch(toAbort);
        break;
      default:
        lowerInto(inline[n - handler.first], imports, frame);
        nextRecord();
        branch(toNext);
    }
  }
  code.push(op.end); // out of line
  constant(0);
  get(PAGE);
  get(RECORD);
  load(op.i32Load16U, R.RECORD_OFFSET);
  code.push(op.i32Add);
  store(L.EIP);
  constant(0);
  pushBudget();
  store(BUDGET);
  get(RECORD);
  get(PAGE);
  get(RECORD);
  load(op.i32Load16U, R.RECORD_HANDLER);
  constant(inlineEnd);
  code.push(op.i32Sub, op.callIndirect);
  pushUnsigned(code, functionType);
  code.push(0);
  code.push(op.localTee, STATUS, op.i32Eqz, op.if, EMPTY);
  nextRecord();
  branch(1); // next
  code.push(op.end);
  get(STATUS);
  constant(status.fault);
  code.push(op.i32Eq, op.brIf);
  pushUnsigned(code, 3); // abort: next, fetch, reload, abort
  nextRecord();
  loadState(L.EIP);
  set(EIP);
  get(STATUS);
  constant(status.leave);
  code.push(op.i32Eq, op.if, EMPTY);
  leave(exit.leave);
  code.push(op.end);
  // START and RECORD are settled by the fetch loop's head, which `reload` falls into.
  branch(2); // reload
  code.push(op.end, op.end, op.end); // next, fetch, reload
  code.push(op.unreachable);
  code.push(op.end); // abort
  eipOfRecord();
  leave(exit.fault);
  code.push(op.unreachable);
  writer.define(run, locals.types, code);
  writer.exportFunction("run", run);

  // Bulk clears: typed-array fill is several times slower on shared memory.
  const fill = writer.reserve([I32, I32], []);
  writer.define(fill, [], [op.localGet, 0, op.i32Const, 0, op.localGet, 1, 0xfc, 11, 0]);
  writer.exportFunction("fill", fill);
  // Regions call them too.
  if (hasRegions) for (const name of imports.libraries) writer.exportFunction(name, imports.library(name));
  return {
    bytes: writer.finish(),
    renumber,
    inlineCount: inline.length,
    handlerCount,
    firstRegionSlot: table.length,
  };
}

function lowerInto(variant: Variant, imports: CoreImports, frame: Frame): void {
  const built = buildVariant(variant);
  new HandlerLowering(frame, imports, variant.instruction).lower(built.statements);
}

function outOfLineFrame(code: number[], locals: Locals, globalRead: number, globalWrite: number): Frame {
  const temporary = locals.take(I32);
  return {
    code,
    record: 0,
    page: 1,
    pushTlb: (isWrite) => code.push(op.globalGet, isWrite ? globalWrite : globalRead),
    takeLocal: (type) => locals.take(type),
    abort: () => code.push(...ABORT_STATUS),
    jump: () => {
      code.push(op.localSet);
      pushUnsigned(code, temporary);
      code.push(op.i32Const, 0, op.localGet);
      pushUnsigned(code, temporary);
      code.push(op.i32Store, 0);
      pushUnsigned(code, L.EIP);
      code.push(op.i32Const, status.refetch, op.return);
    },
    leaveWithStatus: () => code.push(op.return),
    // `run` has stored EIP and the budget before the call.
    saveForHelper: () => {},
    pushBudget: () => {
      code.push(op.i32Const, 0, op.i32Load, 0);
      pushUnsigned(code, BUDGET);
    },
  };
}

/** The address records: SLOT_TEMPORARY = linear (or effective) address. */
function emitAddress(isSegmented: boolean, frame: Frame, imports: CoreImports, locals: Locals): void {
  const { code } = frame;
  const get = (local: number) => {
    code.push(op.localGet);
    pushUnsigned(code, local);
  };
  const set = (local: number) => {
    code.push(op.localSet);
    pushUnsigned(code, local);
  };
  const constant = (value: number) => {
    code.push(op.i32Const);
    pushSigned(code, value);
  };
  const byte = (offset: number) => {
    get(frame.record);
    code.push(op.i32Load8U, 0, offset);
  };
  const word = (offset: number) => {
    get(frame.record);
    code.push(op.i32Load, 0, offset);
  };
  const gpr = () => {
    code.push(op.i32Load, 0);
    pushUnsigned(code, L.GPR);
  };
  const address = locals.take(I32);
  byte(R.RECORD_RM);
  gpr();
  byte(R.RECORD_THIRD);
  gpr();
  word(R.RECORD_IMMEDIATE);
  if (isSegmented) code.push(op.i32Const, segmentedImmediate.scaleMask, op.i32And);
  code.push(op.i32Shl, op.i32Add);
  word(R.RECORD_DISPLACEMENT);
  code.push(op.i32Add);
  set(address);
  if (isSegmented) {
    const packed = locals.take(I32);
    const segment = locals.take(I32);
    const size = locals.take(I32);
    word(R.RECORD_IMMEDIATE);
    set(packed);
    get(packed);
    constant(segmentedImmediate.address16);
    code.push(op.i32And, op.if, EMPTY);
    get(address);
    constant(0xffff);
    code.push(op.i32And);
    set(address);
    code.push(op.end);
    get(packed);
    constant(segmentedImmediate.noSegment);
    code.push(op.i32And, op.i32Eqz, op.if, EMPTY);
    get(packed);
    code.push(op.i32Const, segmentedImmediate.segmentShift, op.i32ShrU, op.i32Const, 7, op.i32And);
    set(segment);
    get(packed);
    code.push(op.i32Const, segmentedImmediate.sizeShift, op.i32ShrU);
    constant(0xffff);
    code.push(op.i32And);
    set(size);
    // Fast when ea <u fast limit of the access kind, for accesses of up to 16 bytes.
    get(address);
    get(segment);
    code.push(op.i32Const, 2, op.i32Shl);
    constant(L.SEG_FAST_WRITE);
    constant(L.SEG_FAST_READ);
    get(packed);
    constant(segmentedImmediate.write);
    code.push(op.i32And, op.select, op.i32Add, op.i32Load, 0, 0);
    code.push(op.i32GeU);
    get(size);
    constant(16);
    code.push(op.i32GtU, op.i32Or, op.if, EMPTY);
    frame.saveForHelper();
    get(segment);
    get(address);
    get(size);
    get(packed);
    constant(24);
    code.push(op.i32ShrU, op.i32Const, 1, op.i32And, op.call);
    pushUnsigned(code, imports.helper("check-segment", 4));
    code.push(op.if, EMPTY);
    // Three blocks are open here: this one, the slow check, the segment part.
    frame.abort(3);
    code.push(op.end);
    code.push(op.end);
    get(address);
    get(segment);
    code.push(op.i32Const, 3, op.i32Shl, op.i32Load, 0);
    pushUnsigned(code, L.SEG_BASE);
    code.push(op.i32Add);
    set(address);
    code.push(op.end);
  }
  constant(0);
  get(address);
  code.push(op.i32Store, 0);
  pushUnsigned(code, L.GPR + R.SLOT_TEMPORARY);
}
