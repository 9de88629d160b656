import { beforeEach, describe, expect, test } from "vitest";
import { A20_MASK } from "../layout.ts";
import { CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, EFER_NXE } from "../state.ts";
import { faultOf, TestCpu } from "../system/testing.ts";
import { ACCESS_FETCH, ACCESS_USER, ACCESS_WRITE } from "./page-walk.ts";

const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const G = 0x100;
const DIRECTORY = 0x10000;
const TABLE = 0x11000;
const POINTERS = 0x12000;
const TARGET = 0x34000;
const LINEAR = 0x00403000;

const ACCESSES = [0, ACCESS_WRITE, ACCESS_USER, ACCESS_USER | ACCESS_WRITE, ACCESS_FETCH, ACCESS_FETCH | ACCESS_USER];

let cpu: TestCpu;
beforeEach(() => {
  cpu = new TestCpu();
  cpu.enterFlat();
});

/** Page faults in the words of the manual: what the error code must be, or undefined if the access is allowed. */
function expected(access: number, rights: number, isPresent: boolean, wp: boolean, nx: boolean, hasNx: boolean) {
  const isWrite = (access & ACCESS_WRITE) !== 0;
  const isUser = (access & ACCESS_USER) !== 0;
  const isFetch = (access & ACCESS_FETCH) !== 0;
  const base = (isWrite ? 2 : 0) + (isUser ? 4 : 0) + (isFetch && hasNx ? 16 : 0);
  if (!isPresent) return base;
  if (isUser && (rights & US) === 0) return base + 1;
  if (isWrite && (rights & RW) === 0 && (isUser || wp)) return base + 1;
  if (isFetch && nx) return base + 1;
  return undefined;
}

describe("32-bit paging", () => {
  beforeEach(() => cpu.enablePaging(DIRECTORY));

  test("every combination of rights, access and WP gives the manual's error code and A/D bits", () => {
    for (let pdeBits = 0; pdeBits < 8; pdeBits++) {
      for (let pteBits = 0; pteBits < 8; pteBits++) {
        for (const wp of [false, true]) {
          for (const access of ACCESSES) {
            cpu.state.cr0 = wp ? cpu.state.cr0 | CR0_WP : cpu.state.cr0 & ~CR0_WP;
            cpu.poke32(DIRECTORY + 4, TABLE | pdeBits);
            cpu.poke32(TABLE + 12, TARGET | pteBits);
            const isPresent = (pdeBits & pteBits & P) !== 0;
            const error = expected(access, pdeBits & pteBits, isPresent, wp, false, false);
            const where = `pde ${pdeBits} pte ${pteBits} wp ${wp} access ${access}`;
            const fault = faultOf(() => cpu.walker.walk(LINEAR + 0x123, access));
            if (error === undefined) {
              expect(fault, where).toBe("none");
              expect(cpu.walker.gpaPage, where).toBe(TARGET >> 12);
              expect(cpu.peek32(DIRECTORY + 4), where).toBe(TABLE | pdeBits | A);
              expect(cpu.peek32(TABLE + 12), where).toBe(TARGET | pteBits | A | (access & ACCESS_WRITE ? D : 0));
            } else {
              expect(fault, where).toBe(`14/${error.toString(16)} ${(LINEAR + 0x123).toString(16)}`);
              expect(cpu.peek32(DIRECTORY + 4), where).toBe(TABLE | pdeBits);
              expect(cpu.peek32(TABLE + 12), where).toBe(TARGET | pteBits);
            }
          }
        }
      }
    }
  });

  test("4 MiB pages need CR4.PSE; reserved bits fault; bits 16-13 address above 4 GiB", () => {
    cpu.poke32(DIRECTORY + 4, TABLE | P | RW | PS);
    cpu.poke32(TABLE + 12, TARGET | P | RW);
    cpu.walker.walk(LINEAR, 0);
    expect(cpu.walker.gpaPage).toBe(TARGET >> 12);

    cpu.state.cr4 |= CR4_PSE;
    cpu.poke32(DIRECTORY + 4, 0x00800000 | P | RW | PS);
    cpu.walker.walk(LINEAR, ACCESS_WRITE);
    expect(cpu.walker.gpaPage).toBe(0x803);
    expect(cpu.peek32(DIRECTORY + 4)).toBe(0x00800000 | P | RW | PS | A | D);

    cpu.poke32(DIRECTORY + 4, 0x0081e000 | P | PS);
    cpu.walker.walk(LINEAR, 0);
    expect(cpu.walker.gpaPage).toBe(0xf00803);
    cpu.poke32(DIRECTORY + 4, 0x00820000 | P | PS);
    expect(faultOf(() => cpu.walker.walk(LINEAR, 0))).toBe("14/9 403000");

    const plain = new TestCpu({ features: { pae: false, nx: false } });
    plain.enterFlat();
    plain.enablePaging(DIRECTORY);
    plain.state.cr4 |= CR4_PSE;
    plain.poke32(DIRECTORY + 4, 0x00802000 | P | PS | RW | US);
    expect(faultOf(() => plain.walker.walk(LINEAR, ACCESS_USER | ACCESS_WRITE))).toBe("14/f 403000");
  });

  test("global only with CR4.PGE; a write may be cached only when dirty and allowed", () => {
    cpu.poke32(DIRECTORY + 4, TABLE | P | RW | US);
    cpu.poke32(TABLE + 12, TARGET | P | US | G | D);
    cpu.walker.walk(LINEAR, 0);
    expect(cpu.walker.isGlobal).toBe(false);
    expect(cpu.walker.canCacheWrite).toBe(true);
    cpu.state.cr4 |= CR4_PGE;
    cpu.walker.walk(LINEAR, ACCESS_USER);
    expect(cpu.walker.isGlobal).toBe(true);
    expect(cpu.walker.canCacheWrite).toBe(false);
    cpu.poke32(TABLE + 12, TARGET | P | RW | US);
    cpu.walker.walk(LINEAR, ACCESS_USER);
    expect(cpu.walker.canCacheWrite).toBe(false);
    cpu.walker.walk(LINEAR, ACCESS_USER | ACCESS_WRITE);
    expect(cpu.walker.canCacheWrite).toBe(true);
  });

  test("the A20 mask applies to tables and target", () => {
    cpu.state.i32[A20_MASK >> 2] = 0xffefffff;
    cpu.state.cr3 = DIRECTORY | 0x100000;
    cpu.poke32(DIRECTORY + 4, TABLE | 0x100000 | P);
    cpu.poke32(TABLE + 12, TARGET | 0x100000 | P);
    cpu.walker.walk(LINEAR, 0);
    expect(cpu.walker.gpaPage).toBe(TARGET >> 12);
  });

  test("a directory that maps itself stays intact", () => {
    cpu.poke32(DIRECTORY + 1023 * 4, DIRECTORY | P | RW);
    cpu.walker.walk(0xfffff000, ACCESS_WRITE);
    expect(cpu.walker.gpaPage).toBe(DIRECTORY >> 12);
    expect(cpu.peek32(DIRECTORY + 1023 * 4)).toBe(DIRECTORY | P | RW | A | D);
  });
});

describe("PAE paging", () => {
  beforeEach(() => {
    cpu.state.cr4 |= CR4_PAE;
    cpu.poke32(POINTERS, DIRECTORY | P);
    cpu.walker.storePdptes(cpu.walker.readPdptes(POINTERS));
    cpu.enablePaging(POINTERS);
  });
  const PDE = DIRECTORY + 2 * 8;
  const PTE = TABLE + 3 * 8;

  test("rights, no-execute and error codes", () => {
    for (const hasNx of [false, true]) {
      cpu.state.efer = hasNx ? EFER_NXE : 0;
      for (let pdeBits = 0; pdeBits < 8; pdeBits++) {
        for (let pteBits = 0; pteBits < 8; pteBits++) {
          for (const nxAt of hasNx ? [0, 1, 2, 3] : [0]) {
            for (const access of ACCESSES) {
              cpu.poke32(PDE, TABLE | pdeBits);
              cpu.poke32(PDE + 4, nxAt & 1 ? 0x80000000 : 0);
              cpu.poke32(PTE, TARGET | pteBits);
              cpu.poke32(PTE + 4, nxAt & 2 ? 0x80000000 : 0);
              const isPresent = (pdeBits & pteBits & P) !== 0;
              const error = expected(access, pdeBits & pteBits, isPresent, false, nxAt !== 0, hasNx);
              const where = `pde ${pdeBits} pte ${pteBits} nx ${hasNx} ${nxAt} access ${access}`;
              const fault = faultOf(() => cpu.walker.walk(LINEAR, access));
              expect(fault, where).toBe(error === undefined ? "none" : `14/${error.toString(16)} 403000`);
            }
          }
        }
      }
    }
  });

  test("reserved bits: above 36, no-execute without NXE, in 2 MiB pages", () => {
    cpu.poke32(PDE, TABLE | P | RW);
    cpu.poke32(PTE, TARGET | P | RW);
    cpu.poke32(PTE + 4, 0x80000000);
    expect(faultOf(() => cpu.walker.walk(LINEAR, 0))).toBe("14/9 403000");
    cpu.poke32(PTE + 4, 0x10);
    expect(faultOf(() => cpu.walker.walk(LINEAR, ACCESS_WRITE))).toBe("14/b 403000");
    cpu.poke32(PTE + 4, 0xf);
    cpu.walker.walk(LINEAR, 0);
    expect(cpu.walker.gpaPage).toBe(0xf00034);
    cpu.poke32(PDE + 4, 0x40000000);
    expect(faultOf(() => cpu.walker.walk(LINEAR, ACCESS_USER))).toBe("14/d 403000");
    cpu.poke32(PDE + 4, 0);
    cpu.poke32(PDE, 0x00402000 | P | PS);
    expect(faultOf(() => cpu.walker.walk(LINEAR, 0))).toBe("14/9 403000");
    cpu.poke32(PDE, 0x00600000 | P | PS | RW);
    cpu.walker.walk(LINEAR, ACCESS_WRITE);
    expect(cpu.walker.gpaPage).toBe(0x603);
    expect(cpu.peek32(PDE)).toBe(0x00600000 | P | PS | RW | A | D);
  });

  test("directory pointers are registers: memory changes count after a CR3 load, which checks them", () => {
    cpu.poke32(PDE, TABLE | P);
    cpu.poke32(PTE, TARGET | P);
    cpu.poke32(POINTERS, 0);
    cpu.walker.walk(LINEAR, 0);
    cpu.system.writeControl(3, POINTERS);
    expect(faultOf(() => cpu.walker.walk(LINEAR, 0))).toBe("14/0 403000");
    cpu.poke32(POINTERS + 8, DIRECTORY | P | RW);
    expect(faultOf(() => cpu.system.writeControl(3, POINTERS))).toBe("13/0");
    cpu.poke32(POINTERS + 8, DIRECTORY | RW);
    expect(faultOf(() => cpu.system.writeControl(3, POINTERS))).toBe("none");
  });
});
