/** Makes the software engine: generates (or takes) the core module, compiles it and ties it to the engine. */
import { type Core, type EngineTuning, SoftwareEngine } from "./engine.ts";
import { coreLibraries } from "./fpu/libraries.ts";
import { type GeneratedInterpreter, generateInterpreter, REGION_SLOTS } from "./interpreter/generate.ts";
import type { Helpers } from "./interpreter/helpers.ts";
import type { SoftwareCpu, SoftwareCpuOptions } from "./software-cpu.ts";
import type { Row } from "./table/row.ts";
import { opcodeTable } from "./table/table.ts";
import { JobCompiler, SynchronousCompileService } from "./translator/compile-service.ts";
import type { JumpSampling } from "./translator/region-requests.ts";
import { ShapeReader } from "./translator/region-shape.ts";
import { Regions } from "./translator/regions.ts";
import { type RegionFunction, Shadow } from "./translator/shadow.ts";
import { SHADOW_STORE } from "./translator/shadow-lowering.ts";
import { VariantTable } from "./translator/variant-table.ts";

/** Jumps to an instruction before its region is compiled: compiling costs as much as some hundred thousand instructions. */
const HOT_THRESHOLD = 10000;
/** The same in shadow mode, where compiling is the least. */
const SHADOW_THRESHOLD = 64;
/** With thresholds from here on, one jump of so many is counted (a prime number, so that none of a loop's jumps is always missed). */
const SAMPLED_FROM = 4000;
const JUMP_SAMPLING: JumpSampling = { period: 61, wokenPeriod: 3 };
/** Pages of a TLB for systems that forget to invalidate: of the size that processors had in their time. */
const SMALL_TLB_PAGES = 256;

/** As `createSoftwareCpu`, with switches for tests and another opcode table. */
export async function createEngine(
  options: SoftwareCpuOptions,
  givenTuning: EngineTuning = {},
  rows: readonly Row[] = opcodeTable,
): Promise<SoftwareEngine> {
  const pages = options.memory.buffer.byteLength / 65536;
  const hasRegions = givenTuning.hotThreshold !== undefined;
  const { hotThreshold = 0 } = givenTuning;
  const samplesJumps = hotThreshold >= SAMPLED_FROM;
  const tuning: EngineTuning = samplesJumps
    ? { ...givenTuning, hotThreshold: Math.ceil(hotThreshold / JUMP_SAMPLING.period), jumpSampling: JUMP_SAMPLING }
    : givenTuning;
  const generated: GeneratedInterpreter = generateInterpreter(rows, pages, coreLibraries, { hasRegions, samplesJumps });
  const engine = new SoftwareEngine(options, rows, generated.renumber, tuning);
  const module = await WebAssembly.compile(generated.bytes);
  const instance = new WebAssembly.Instance(module, { env: { memory: options.memory, ...engine.helpers } });
  let regions: Regions | undefined;
  let shadow: Shadow | undefined;
  if (hasRegions) {
    if (tuning.shadow !== undefined) shadow = await Shadow.create(options, engine.state, rows, tuning.shadow);
    const variants = new VariantTable(rows);
    regions = new Regions({
      reader: new ShapeReader(variants, options.memory),
      service:
        options.compileService ?? new SynchronousCompileService(new JobCompiler(variants, pages, shadow !== undefined)),
      memory: options.memory,
      table: instance.exports.table,
      firstSlot: generated.firstRegionSlot,
      slots: REGION_SLOTS,
      library: (name) =>
        name === SHADOW_STORE ? shadow?.noteStore : (instance.exports[name] ?? engine.helpers[name as keyof Helpers]),
      wrap: (run) => (shadow === undefined ? run : shadow.wrap(run as RegionFunction)),
      mnemonic: (number) => variants.variant(number)?.row.mnemonic,
      owner: engine.regionRequests,
      limits: tuning.regions,
    });
  }
  engine.attachCore(instance.exports as unknown as Core, regions, shadow?.statistics);
  return engine;
}

export async function createSoftwareCpu(options: SoftwareCpuOptions): Promise<SoftwareCpu> {
  const tlb: EngineTuning = options.hasSmallTlb === true ? { tlbPages: SMALL_TLB_PAGES, isForgiving: true } : {};
  if (options.engine === "shadow") return createEngine(options, { ...tlb, hotThreshold: SHADOW_THRESHOLD, shadow: {} });
  return createEngine(options, options.engine === "translator" ? { ...tlb, hotThreshold: HOT_THRESHOLD } : tlb);
}
