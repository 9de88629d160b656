/**
 * x87 instructions in the modes that a program of the host cannot enter: availability checks by CR0, errors by FERR#, the
 * environment's real-mode formats. Everything else: tests/cpu/x87.test.ts.
 */
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CpuBus } from "../../device-api/virtual-cpu.ts";
import { createEngine } from "../create.ts";
import type { SoftwareEngine } from "../engine.ts";
import * as L from "../layout.ts";
import { CR0_PE, deriveAll } from "../state.ts";

const RAM_BYTES = 1 << 20;
const CODE = 0x8000;
const DATA = 0x20000;
const VECTORS = 0x600;
const CR0_MP = 2;
const CR0_EM = 4;
const CR0_TS = 8;
const CR0_NE = 0x20;

let engine: SoftwareEngine;
let u8: Uint8Array;
let view: DataView;
let fpuErrors = 0;

const bus: CpuBus = {
  readPort: () => 0,
  writePort: () => {},
  readPortBulk: () => 0,
  writePortBulk: () => 0,
  readMmio: () => 0,
  writeMmio: () => {},
  acknowledgeInterrupt: () => 0,
  readTsc: () => 0,
};

beforeAll(async () => {
  const pages = L.memoryPages(RAM_BYTES, 0);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  engine = await createEngine({ memory, bus, features: { pae: false, nx: false } });
  engine.onFpuError = () => {
    fpuErrors++;
  };
  engine.physicalMap.map(0, RAM_BYTES, L.RAM, true);
  ({ u8, view } = engine.state);
});

beforeEach(() => {
  fpuErrors = 0;
  u8.fill(0, L.RAM, L.RAM + RAM_BYTES);
  engine.reset();
});

/** Real mode: CS 0800h, DS 2000h, SS 0; each vector leads to a HLT of its own. */
function enterRealMode(cr0 = CR0_NE): void {
  const { state } = engine;
  state.cr0 = cr0;
  state.setSegment(L.SEG_CS, CODE >> 4, CODE, 0xffff, 0x9b | L.ATTRIBUTE_USABLE);
  state.setSegment(L.SEG_DS, DATA >> 4, DATA, 0xffff, 0x93 | L.ATTRIBUTE_USABLE);
  state.setSegment(L.SEG_ES, DATA >> 4, DATA, 0xffff, 0x93 | L.ATTRIBUTE_USABLE);
  state.setSegment(L.SEG_SS, 0, 0, 0xffff, 0x93 | L.ATTRIBUTE_USABLE);
  state.setReg32(4, 0x5000);
  state.eflags = 2;
  deriveAll(state);
  for (let vector = 0; vector < 32; vector++) {
    view.setUint32(L.RAM + vector * 4, VECTORS + vector, true);
    u8[L.RAM + VECTORS + vector] = 0xf4;
  }
}

/** Runs code from offset `ip` up to its HLT (put behind it); answers the vector that ended it, −1 for none. */
function run(code: readonly number[], ip = 0x100): number {
  const at = CODE + ip;
  u8.set([...code, 0xf4], L.RAM + at);
  engine.invalidateCode(at, code.length + 1);
  engine.state.eip = ip;
  engine.state.i32[L.HALTED >> 2] = 0;
  expect(engine.run(1000)).toBe("halt");
  const { eip } = engine.state;
  return engine.state.segmentBase(L.SEG_CS) === 0 ? eip - 1 - VECTORS : -1;
}

const FNINIT = [0xdb, 0xe3];
const FLD1 = [0xd9, 0xe8];
const FWAIT = [0x9b];

describe("availability", () => {
  test.each([
    ["EM", CR0_EM, FLD1, 7],
    ["EM, a control instruction", CR0_EM, FNINIT, 7],
    ["TS", CR0_TS, FLD1, 7],
    ["neither", 0, FLD1, -1],
    ["WAIT with EM alone", CR0_EM, FWAIT, -1],
    ["WAIT with TS alone", CR0_TS, FWAIT, -1],
    ["WAIT with MP and TS", CR0_TS | CR0_MP, FWAIT, 7],
  ])("%s", (_, cr0, code, vector) => {
    enterRealMode(cr0);
    expect(run(code)).toBe(vector);
  });
});

/** 1/0 with division by zero unmasked, then `next`. */
const failing = (next: readonly number[]) => [...FNINIT, 0xd9, 0x2e, 0, 0, ...FLD1, 0xd9, 0xee, 0xd8, 0xf9, ...next];
const allowDivision = () => view.setUint16(L.RAM + DATA, 0x37b, true);

describe("errors", () => {
  test("with CR0.NE the next waiting instruction raises #MF and changes nothing", () => {
    enterRealMode();
    allowDivision();
    expect(run(failing([0xd9, 0xe8]))).toBe(16);
    // ST(0) = 0 is still there, under no third value.
    expect(engine.state.i32[L.FPU_TOP >> 2]).toBe(6);
    expect(engine.state.i32[L.FPU_STATUS >> 2]).toBe(0x8084);
  });

  test("instructions that do not wait go on", () => {
    enterRealMode();
    allowDivision();
    expect(run(failing([0xdf, 0xe0, 0xdb, 0xe2]))).toBe(-1);
    expect(engine.state.reg16(0)).toBe(0xb084);
    expect(engine.state.i32[L.FPU_STATUS >> 2] & 0x80ff).toBe(0);
  });

  test("without CR0.NE the error goes out on FERR#", () => {
    enterRealMode(0);
    allowDivision();
    expect(run(failing(FWAIT))).toBe(-1);
    expect(fpuErrors).toBeGreaterThan(0);
  });
});

/** FLD m64 from DS:0040, at offset 0200. */
const load = [0xdd, 0x06, 0x40, 0x00];
const IP = 0x200;
const LINEAR_IP = CODE + IP;
const LINEAR_DP = DATA + 0x40;

function words(offset: number, count: number, size: 2 | 4): number[] {
  return Array.from({ length: count }, (_, n) =>
    size === 2
      ? view.getUint16(L.RAM + DATA + offset + n * 2, true)
      : view.getUint32(L.RAM + DATA + offset + n * 4, true),
  );
}

describe("environment", () => {
  test("real mode, 16 bits: linear addresses of 20 bits and the opcode", () => {
    enterRealMode();
    engine.state.i32[L.FPU_TAGS >> 2] = 0;
    engine.state.i32[L.FPU_TOP >> 2] = 0;
    // FNSTENV DS:0100
    run([...load, 0xd9, 0x36, 0x00, 0x01], IP);
    const [, status, tags, ip, opcode, dp, high] = words(0x100, 7, 2);
    expect(status).toBe(0x3800);
    // ST(7) holds zero.
    expect(tags).toBe(0x7fff);
    expect(ip).toBe(LINEAR_IP & 0xffff);
    expect(opcode).toBe(((LINEAR_IP >> 16) << 12) | 0x506);
    expect(dp).toBe(LINEAR_DP & 0xffff);
    expect(high).toBe((LINEAR_DP >> 16) << 12);
  });

  test("real mode, 32 bits", () => {
    enterRealMode();
    engine.state.i32[L.FPU_TAGS >> 2] = 0;
    run([...load, 0x66, 0xd9, 0x36, 0x00, 0x01], IP);
    const [control, , , ip, opcode, dp, high] = words(0x100, 7, 4);
    expect(control >>> 16).toBe(0xffff);
    expect(ip & 0xffff).toBe(LINEAR_IP & 0xffff);
    expect(opcode).toBe(((LINEAR_IP >> 16) << 12) | 0x506);
    expect(dp & 0xffff).toBe(LINEAR_DP & 0xffff);
    expect(high).toBe((LINEAR_DP >> 16) << 12);
  });

  test("protected mode, 16 bits: selectors", () => {
    enterRealMode(CR0_NE | CR0_PE);
    engine.state.i32[L.FPU_TAGS >> 2] = 0;
    // Segment registers keep what real mode left in them.
    run([...load, 0xd9, 0x36, 0x00, 0x01], IP);
    expect(words(0x106, 4, 2)).toEqual([IP, CODE >> 4, 0x40, DATA >> 4]);
  });

  test("FSAVE and FRSTOR bring everything back", () => {
    enterRealMode();
    run([...FNINIT, ...FLD1, 0xd9, 0xeb, 0xd9, 0xe0], IP);
    const before = u8.slice(L.X87, L.FPU_OPCODE);
    // FNSAVE DS:0100 leaves FNINIT's state.
    run([0xdd, 0x36, 0x00, 0x01], 0x300);
    expect(engine.state.i32[L.FPU_TAGS >> 2]).toBe(0);
    expect(engine.state.i32[L.FPU_CONTROL >> 2]).toBe(0x37f);
    run([0xdd, 0x26, 0x00, 0x01], 0x400);
    expect(u8.slice(L.X87, L.FPU_OPCODE)).toEqual(before);
  });

  test("a store over the segment's end faults before anything is written", () => {
    enterRealMode();
    u8.fill(0xaa, L.RAM + DATA + 0xffe0, L.RAM + DATA + 0x10000);
    // FNSAVE DS:FFE0
    expect(run([...FNINIT, ...FLD1, 0xdd, 0x36, 0xe0, 0xff])).toBe(13);
    expect(engine.state.i32[L.FPU_TOP >> 2]).toBe(7);
    expect(u8[L.RAM + DATA + 0xffe0]).toBe(0xaa);
  });
});
