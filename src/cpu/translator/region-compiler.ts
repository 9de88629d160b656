/**
 * Compiles regions: statements of every block from the semantics functions, structure from the control-flow graph, code from
 * both. Several regions share a module, which imports the memory and the library functions they use.
 */
import type { Variant } from "../decode/variants.ts";
import type { LibrarySignature } from "../interpreter/imports.ts";
import type { Statement } from "../ir/node.ts";
import * as L from "../layout.ts";
import { guardUnit } from "../semantics/guard.ts";
import { EMPTY, op } from "../wasm/opcodes.ts";
import { I32, ModuleWriter, pushSigned, pushUnsigned, type WasmType } from "../wasm/writer.ts";
import { type BlockFacts, RegionBuilder } from "./region-builder.ts";
import {
  DISPATCH,
  EIP,
  FIXED_LOCALS,
  FLAGS_CARRY_LOCAL,
  FLAGS_RESULT_LOCAL,
  GPR_LOCAL,
  type Label,
  PAGE,
  REGION_PARAMETERS,
  RegionLowering,
} from "./region-lowering.ts";
import type { Block, Shape } from "./region-shape.ts";
import { SHADOW_STORE, ShadowLowering, shadowStoreSignature } from "./shadow-lowering.ts";
import { Structure } from "./structure.ts";
import type { VariantTable } from "./variant-table.ts";

/** How far apart the accesses may be that are looked up together: what reaches into another page leaves the region. */
const MAX_SPAN_BYTES = 128;
/** Jump targets inside a region that control may begin at. */
const MAX_ENTRIES = 12;

/** What is to be compiled, as plain data. */
export interface RegionJob {
  readonly shape: Shape;
  readonly head: number;
  /** Each access looks its page up by itself. */
  readonly isSeparate: boolean;
  /** Decode maps of the pages that the shape lies in, by page relative to the head's. */
  readonly maps: ReadonlyMap<number, number>;
}

export interface RegionEntry {
  readonly offset: number;
  /** Dispatch number to call the function with. */
  readonly number: number;
}

/** A region of a compiled module; its function is exported as `r` and its index among the jobs. */
export interface CompiledRegion {
  readonly entries: readonly RegionEntry[];
  readonly instructions: number;
}

export interface CompiledModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Library functions it imports. */
  readonly libraries: readonly string[];
  readonly regions: readonly CompiledRegion[];
}

interface Body {
  readonly statements: Statement[];
  readonly count: number;
  readonly facts: BlockFacts;
}

export class RegionCompiler {
  readonly #variants: VariantTable;
  readonly #memoryPages: number;
  readonly #libraries: ReadonlyMap<string, LibrarySignature>;
  readonly #isShadowed: boolean;

  /** `isShadowed`: for shadow mode, regions tell of their stores. */
  constructor(
    variants: VariantTable,
    memoryPages: number,
    libraries: ReadonlyMap<string, LibrarySignature>,
    isShadowed = false,
  ) {
    this.#variants = variants;
    this.#memoryPages = memoryPages;
    this.#libraries = isShadowed ? new Map([...libraries, [SHADOW_STORE, shadowStoreSignature]]) : libraries;
    this.#isShadowed = isShadowed;
  }

  compile(jobs: readonly RegionJob[]): CompiledModule {
    const libraries = new Set<string>(this.#isShadowed ? [SHADOW_STORE] : []);
    const planned = jobs.map((job) => {
      const plan = planRegion(this.#variants, job.shape, job.head);
      const bodies = buildBodies(this.#variants, job.shape, plan);
      for (const { facts } of bodies) for (const name of facts.libraries) libraries.add(name);
      return { job, plan, bodies };
    });
    const writer = new ModuleWriter(this.#memoryPages);
    const indices = new Map<string, number>();
    for (const name of libraries) {
      const signature = this.#libraries.get(name);
      if (signature === undefined) throw new Error(`no library function named ${name}`);
      indices.set(name, writer.importFunction(name, signature.parameters, [signature.result]));
    }
    const libraryIndex = (name: string) => indices.get(name) as number;
    // In shadow mode each run of a region is looked at for itself.
    const regionType = this.#isShadowed ? undefined : writer.type(REGION_PARAMETERS, [I32]);
    if (!this.#isShadowed) writer.importTable();
    const regions = planned.map(({ job, plan, bodies }, index) => {
      const run = writer.reserve(REGION_PARAMETERS, [I32]);
      writer.exportFunction(`r${index}`, run);
      return emitRegion(
        writer,
        run,
        job,
        plan,
        bodies,
        libraryIndex,
        regionType,
        this.#isShadowed ? ShadowLowering : RegionLowering,
      );
    });
    return { bytes: writer.finish(), libraries: [...libraries], regions };
  }
}

/** What is known of a region before its statements are. */
interface Plan {
  readonly edges: readonly Edges[];
  /** Blocks that control may begin at, the head first. */
  readonly entries: readonly number[];
  readonly isReachable: readonly boolean[];
  /** For each block, whether somebody behind it may need the flags as it leaves them. */
  readonly isFlagsLive: readonly boolean[];
}

function planRegion(variants: VariantTable, shape: Shape, headOffset: number): Plan {
  const { blocks } = shape;
  const starts = new Map(blocks.map((block, n) => [block.start, n]));
  const edges = blocks.map((block) => blockEdges(variants, block, starts));
  const head = starts.get(headOffset) as number;
  const entries = chooseEntries(shape, edges, head);
  const isReachable = reachable(edges, entries);
  // Edges on which the region may be left without its last instruction having asked for it.
  const leaves = edges.map((edge) => edge.leaves);
  const structure: Structure<number> = new Structure<number>(
    edges.map((edge) => edge.inside),
    entries,
    {
      openBlock: () => 0,
      openLoop: () => 0,
      close: () => {},
      dispatch: () => {},
      node: (n) => {
        for (const to of edges[n].inside) {
          const isOtherPage = blocks[to].pages.some((page) => !blocks[n].pages.includes(page));
          if (structure.edge(to).isRetreating || isOtherPage) leaves[n] = true;
        }
      },
    },
  );
  structure.emit();
  return { edges, entries, isReachable, isFlagsLive: liveFlags(variants, shape, edges, leaves) };
}

function reachable(edges: readonly Edges[], entries: readonly number[]): boolean[] {
  const found = edges.map(() => false);
  const work = [...entries];
  for (let block = work.pop(); block !== undefined; block = work.pop()) {
    if (found[block]) continue;
    found[block] = true;
    work.push(...edges[block].inside);
  }
  return found;
}

/** Statements of every block. */
function buildBodies(variants: VariantTable, shape: Shape, plan: Plan): Body[] {
  return shape.blocks.map((block, n) => {
    const b = new RegionBuilder();
    const last = block.instructions[block.instructions.length - 1];
    if (!plan.isReachable[n]) return { statements: [], count: 0, facts: b.facts };
    const isLive = plan.isFlagsLive[n];
    for (const decoded of block.instructions) {
      const { row, instruction } = variants.variant(decoded.number) as Variant;
      b.begin(decoded);
      b.changesFlagsConditionally = variants.traits(decoded.number).changesFlagsConditionally;
      const isTransfer = row.options.ends === true || row.options.branches === true;
      if (instruction.repeat !== 0) b.settleFlags();
      else if (decoded === last && isTransfer) {
        // The comparison in front is used as one; the flag words are for whoever comes behind.
        const { pending } = b;
        if (isLive) b.settleFlags();
        b.pending = pending;
      }
      guardUnit(b, row, b.availableUnits);
      row.semantics(b, instruction);
      if (decoded === last && isTransfer) b.pending = undefined;
    }
    if (isLive) b.settleFlags();
    return { statements: b.statements, count: b.instructions, facts: b.facts };
  });
}

interface Edges {
  readonly inside: readonly number[];
  /** It may leave the region behind its last instruction. */
  readonly leaves: boolean;
}

function blockEdges(variants: VariantTable, block: Block, starts: ReadonlyMap<number, number>): Edges {
  const inside: number[] = [];
  let leaves = false;
  const to = (offset: number): void => {
    const target = starts.get(offset);
    if (target === undefined) leaves = true;
    else if (!inside.includes(target)) inside.push(target);
  };
  const last = block.instructions[block.instructions.length - 1];
  const { row, instruction } = variants.variant(last.number) as Variant;
  const next = last.offset + last.length;
  if (instruction.repeat !== 0) to(last.offset);
  if (row.operands[0]?.[0] === "J") {
    const bits = row.operands[0] === "Jb" ? 8 : 32;
    if (instruction.width === 32) to(next + ((last.immediate << (32 - bits)) >> (32 - bits)));
    else leaves = true;
  } else if (row.options.ends) {
    leaves = true;
    for (const offset of block.targets) to(offset);
  }
  if (block.fallsThrough) to(block.end);
  return { inside, leaves };
}

function liveFlags(
  variants: VariantTable,
  shape: Shape,
  edges: readonly Edges[],
  leaves: readonly boolean[],
): boolean[] {
  // What a block does to flags that are live behind it: reads or may leave before it overwrites, overwrites, or passes on.
  const needs = shape.blocks.map((block) => {
    for (const { number } of block.instructions) {
      const traits = variants.traits(number);
      if (traits.readsFlags || traits.mayLeave) return true;
      if (traits.writesFlags) return false;
    }
    return undefined;
  });
  const live = [...leaves];
  for (let changed = true; changed; ) {
    changed = false;
    for (let n = live.length - 1; n >= 0; n--) {
      if (live[n] || !edges[n].inside.some((to) => needs[to] ?? live[to])) continue;
      live[n] = true;
      changed = true;
    }
  }
  return live;
}

function emitRegion(
  writer: ModuleWriter,
  run: number,
  { shape, head, maps, isSeparate }: RegionJob,
  plan: Plan,
  bodies: readonly Body[],
  libraryIndex: (name: string) => number,
  regionType: number | undefined,
  LoweringOfKind: typeof RegionLowering,
): CompiledRegion {
  const { blocks } = shape;
  const starts = new Map(blocks.map((block, n) => [block.start, n]));
  let dirty = 0;
  let used = 0;
  let writesFlags = false;
  for (const { facts } of bodies) {
    dirty |= facts.writtenRegisters;
    used |= facts.readRegisters;
    writesFlags ||= facts.writesFlags;
  }
  const entryBlocks = plan.entries;
  const locals: WasmType[] = [...FIXED_LOCALS];
  const pools = new Map<WasmType, { indices: number[]; used: number }>();
  const takeLocal = (type: WasmType): number => {
    let pool = pools.get(type);
    if (pool === undefined) {
      pool = { indices: [], used: 0 };
      pools.set(type, pool);
    }
    if (pool.used === pool.indices.length) {
      pool.indices.push(REGION_PARAMETERS.length + locals.length);
      locals.push(type);
    }
    return pool.indices[pool.used++];
  };
  const code: number[] = [];
  for (let n = 0; n < 8; n++) {
    if (((dirty | used) & (1 << n)) !== 0) load(code, op.i32Load, L.GPR + n * 8, GPR_LOCAL + n);
  }
  load(code, op.i32Load, L.FLAGS_CARRY, FLAGS_CARRY_LOCAL);
  load(code, op.i64Load, L.FLAGS_RESULT, FLAGS_RESULT_LOCAL);
  // PAGE = EIP − offset of the entry.
  const setPage = (offset: number) => {
    code.push(op.localGet, EIP, op.i32Const);
    pushSigned(code, offset);
    code.push(op.i32Sub, op.localSet, PAGE);
  };
  setPage(head);
  if (entryBlocks.length > 1) {
    code.push(op.localGet, DISPATCH, op.if, EMPTY);
    entryBlocks.slice(1).forEach((block, n) => {
      code.push(op.localGet, DISPATCH, op.i32Const);
      pushSigned(code, n + 1);
      code.push(op.i32Eq, op.if, EMPTY);
      setPage(blocks[block].start);
      code.push(op.end);
    });
    code.push(op.end);
  }
  let structure: Structure<Label>;
  const lowering = new LoweringOfKind(
    code,
    takeLocal,
    {
      blockAt: (offset) => starts.get(offset) ?? -1,
      plan: (block) => structure.edge(block),
      pagesOf: (block) => blocks[block].pages,
      mapOf: (page) => maps.get(page) as number,
      targetsOf: (block) => blocks[block].targets,
      maxSpanBytes: isSeparate ? 0 : MAX_SPAN_BYTES,
    },
    libraryIndex,
  );
  structure = new Structure<Label>(
    plan.edges.map((edge) => edge.inside),
    entryBlocks,
    {
      openBlock: () => lowering.openBlock(),
      openLoop: () => lowering.openLoop(),
      close: () => lowering.close(),
      dispatch: (labels, otherwise) => lowering.dispatch(labels, otherwise),
      node: (n, dispatchNumber) => {
        for (const pool of pools.values()) pool.used = 0;
        const body = bodies[n];
        if (!plan.isReachable[n]) {
          code.push(op.unreachable);
          return;
        }
        if (dispatchNumber !== 0) lowering.setDispatch(0);
        lowering.startBlock(n, body.count);
        lowering.lower(body.statements);
        if (blocks[n].fallsThrough) lowering.endBlock(blocks[n].end);
      },
    },
  );
  lowering.openExits();
  structure.emit();
  code.push(op.unreachable);
  lowering.closeExits(dirty, writesFlags, regionType);
  writer.define(run, locals, code);
  return {
    entries: entryBlocks.map((block, number) => ({ offset: blocks[block].start, number })),
    instructions: bodies.reduce((sum, body) => sum + body.count, 0),
  };
}

/** The head; then the heads of loops and where calls to code outside come back to. */
function chooseEntries(shape: Shape, edges: readonly Edges[], head: number): number[] {
  const entries = [head];
  const add = (block: number): void => {
    if (entries.length >= MAX_ENTRIES || entries.includes(block) || shape.blocks[block].pages.length > 1) return;
    entries.push(block);
  };
  const state = shape.blocks.map(() => 0);
  const visit = (block: number): void => {
    state[block] = 1;
    for (const to of edges[block].inside) {
      if (state[to] === 1) add(to);
      else if (state[to] === 0) visit(to);
    }
    state[block] = 2;
  };
  visit(head);
  for (const offset of shape.outerContinuations) add(shape.blocks.findIndex((block) => block.start === offset));
  for (let n = 0; n < shape.blocks.length; n++) if (state[n] === 0) visit(n);
  return entries;
}

function load(code: number[], opcode: number, offset: number, local: number): void {
  code.push(op.i32Const, 0, opcode, 0);
  pushUnsigned(code, offset);
  code.push(op.localSet);
  pushUnsigned(code, local);
}
