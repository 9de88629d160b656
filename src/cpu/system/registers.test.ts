import { beforeEach, describe, expect, test } from "vitest";
import * as L from "../layout.ts";
import { CR0_PE, CR0_PG, CR0_WP, CR4_DE, CR4_TSD, EFER_NXE, FLAG_IF } from "../state.ts";
import { CODE0, CODE3, DATA0, DATA3, faultOf, TestCpu, TestTables, TSS, TSS_SELECTOR } from "./testing.ts";

let cpu: TestCpu;
let tables: TestTables;
beforeEach(() => {
  cpu = new TestCpu();
  tables = new TestTables(cpu);
});

function rdmsr(msr: number): [number, number] {
  cpu.state.setReg32(1, msr);
  cpu.system.rdmsr();
  return [cpu.state.reg32(2), cpu.state.reg32(0)];
}
function wrmsr(msr: number, high: number, low: number): void {
  cpu.state.setReg32(1, msr);
  cpu.state.setReg32(2, high);
  cpu.state.setReg32(0, low);
  cpu.system.wrmsr();
}
function leaf(eax: number): [number, number, number, number] {
  cpu.state.setReg32(0, eax);
  cpu.system.cpuid();
  return [cpu.state.reg32(0), cpu.state.reg32(3), cpu.state.reg32(1), cpu.state.reg32(2)];
}
const text = (...words: number[]) =>
  String.fromCharCode(...words.flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff)));

describe("control registers", () => {
  test("invalid combinations are #GP, unknown registers #UD, level 3 #GP", () => {
    const cr0 = cpu.state.cr0;
    const write = (index: number, value: number) => faultOf(() => cpu.system.writeControl(index, value));
    expect(write(0, 0x80000000)).toBe("13/0");
    expect(write(0, 0x20000001)).toBe("13/0");
    expect(write(4, 1)).toBe("13/0");
    expect(write(4, 0x80000000)).toBe("13/0");
    expect(write(1, 0)).toBe("6");
    expect(faultOf(() => cpu.system.readControl(5))).toBe("6");
    expect(cpu.state.cr0).toBe(cr0);
    tables.enter(3);
    expect([write(0, cr0), write(3, 0)]).toEqual(["13/0", "13/0"]);
    for (const body of [
      () => cpu.system.readControl(0),
      () => cpu.system.clts(),
      () => cpu.system.lmsw(0),
      () => cpu.system.invlpg(0),
      () => cpu.system.lgdt(0, 0),
      () => cpu.system.lidt(0, 0),
      () => cpu.system.rdmsr(),
      () => cpu.system.wrmsr(),
      () => cpu.system.readDebug(0),
      () => cpu.system.requireSupervisor(),
      () => cpu.system.rdpmc(),
    ])
      expect(faultOf(body)).toBe("13/0");
    expect(cpu.system.smsw() & 1).toBe(1);
  });

  test("LMSW sets PE but cannot clear it; ET stays", () => {
    cpu.system.lmsw(0xe);
    expect(cpu.state.cr0 & 0xf).toBe(0xf);
    cpu.system.writeControl(0, CR0_PE);
    expect(cpu.system.readControl(0)).toBe(0x11);
  });

  test("PAE exists only if the machine has it", () => {
    expect(faultOf(() => cpu.system.writeControl(4, 0x20))).toBe("none");
    cpu = new TestCpu({ features: { pae: false, nx: true } });
    expect(faultOf(() => cpu.system.writeControl(4, 0x20))).toBe("13/0");
    expect(leaf(1)[3] & 0x20040).toBe(0);
    expect(leaf(0x80000001)[3]).toBe(0);
    expect(faultOf(() => rdmsr(0xc0000080))).toBe("13/0");
  });

  test("turning paging on with PAE checks the directory pointers first", () => {
    cpu.system.writeControl(4, 0x20);
    cpu.poke32(0x20000, 0x21003);
    cpu.system.writeControl(3, 0x20000);
    expect(faultOf(() => cpu.system.writeControl(0, CR0_PE | CR0_PG))).toBe("13/0");
    expect(cpu.state.cr0 & CR0_PG).toBe(0);
    cpu.poke32(0x20000, 0x21001);
    expect(faultOf(() => cpu.system.writeControl(0, CR0_PE | CR0_PG))).toBe("none");
    expect(cpu.state.mode & L.MODE_PAGING).toBe(L.MODE_PAGING);
  });

  test("changes of PGE, PSE, CD and NW load the directory pointers anew under PAE", () => {
    cpu.poke32(0x20000, 0x21001);
    cpu.poke32(0x21000, 0x83);
    cpu.system.writeControl(4, 0x20);
    cpu.system.writeControl(3, 0x20000);
    const cr0 = cpu.state.cr0 | CR0_PG;
    cpu.system.writeControl(0, cr0);
    cpu.poke32(0x20008, 0x21003);
    const write = (index: number, value: number) => faultOf(() => cpu.system.writeControl(index, value));
    expect([write(4, 0xa0), write(4, 0x30), write(0, cr0 & ~0x60000000)]).toEqual(["13/0", "13/0", "13/0"]);
    // Others do not look.
    expect([write(4, 0x24), write(0, cr0 | CR0_WP)]).toEqual(["none", "none"]);
    cpu.poke32(0x20008, 0x21001);
    cpu.poke32(0x1000, 0x12345678);
    expect(faultOf(() => cpu.linear.read32(0x40001000, false))).toBe("14/0 40001000");
    cpu.system.writeControl(4, 0xa0);
    expect(cpu.linear.read32(0x40001000, false)).toBe(0x12345678);
  });

  test("a change of WP reaches supervisor writes at once", () => {
    cpu.poke32(0x20000, 0x21003);
    for (let page = 0; page < 0x100; page++) cpu.poke32(0x21000 + page * 4, (page << 12) | 1);
    cpu.enablePaging(0x20000);
    expect(faultOf(() => cpu.linear.write8(0x30000, 1, false))).toBe("none");
    cpu.system.writeControl(0, cpu.state.cr0 | CR0_WP);
    expect(faultOf(() => cpu.linear.write8(0x30000, 1, false))).toBe("14/3 30000");
  });
});

describe("debug registers", () => {
  test("aliases, fixed bits, general detect", () => {
    cpu.system.writeDebug(4, 0);
    cpu.system.writeDebug(5, 0xffffdfff);
    expect([cpu.system.readDebug(6), cpu.system.readDebug(7)]).toEqual([0xffff0ff0, 0xffff07ff]);
    cpu.system.writeControl(4, CR4_DE);
    expect(faultOf(() => cpu.system.readDebug(4))).toBe("6");
    cpu.system.writeDebug(7, 0x2000);
    expect(faultOf(() => cpu.system.readDebug(0))).toBe("1");
    expect(cpu.state.u32[(L.DR >> 2) + 12]).toBe(0xffff2ff0);
  });

  test("data breakpoints keep their page out of the TLB and report overlapping accesses", () => {
    const seen: number[] = [];
    cpu.linear.onWatchedAccess = (linear, size, isWrite) => seen.push(cpu.system.dataHits(linear, size, isWrite));
    cpu.system.writeDebug(0, 0x30004);
    cpu.system.writeDebug(1, 0x30010);
    // B0: writes, four bytes; B1: reads and writes, two bytes.
    cpu.system.writeDebug(7, 0x00000005 | (0xd << 16) | (0x7 << 20));
    cpu.linear.write32(0x30000, 1, false);
    cpu.linear.write8(0x30007, 1, false);
    cpu.linear.read8(0x30004, false);
    cpu.linear.read32(0x3000e, false);
    cpu.linear.read32(0x30012, false);
    expect(seen).toEqual([0, 1, 0, 2, 0]);
    cpu.system.writeDebug(7, 0);
    cpu.linear.read8(0x30004, false);
    cpu.linear.read8(0x30004, false);
    // The first access fills the TLB again and hits nothing.
    expect(seen.slice(5)).toEqual([0]);
  });

  test("breakpoints on ports need CR4.DE", () => {
    cpu.system.writeDebug(1, 0x3f9);
    cpu.system.writeDebug(2, 0x60);
    // B1: two bytes at 3F8h (the address is rounded); B2: one byte.
    cpu.system.writeDebug(7, 0x14 | (6 << 20) | (2 << 24));
    const hits = (port: number, size: number) => cpu.system.portHits(port, size);
    expect([hits(0x3f8, 1), hits(0x60, 1)]).toEqual([0, 0]);
    cpu.system.writeControl(4, CR4_DE);
    expect([hits(0x3f7, 1), hits(0x3f7, 2), hits(0x3f9, 1), hits(0x3fa, 4)]).toEqual([0, 2, 2, 0]);
    expect([hits(0x5e, 4), hits(0x61, 1)]).toEqual([4, 0]);
  });

  test("instruction breakpoints", () => {
    cpu.system.writeDebug(2, 0x1234);
    expect(cpu.system.hasInstructionBreakpoints()).toBe(false);
    cpu.system.writeDebug(7, 0x20);
    expect(cpu.system.hasInstructionBreakpoints()).toBe(true);
    expect([cpu.system.instructionHits(0x1234), cpu.system.instructionHits(0x1235)]).toEqual([4, 0]);
  });
});

describe("CPUID", () => {
  /** Leaf 1, EDX, from bit 0 on (SDM volume 2, CPUID). */
  const FEATURES = [
    ..."FPU VME DE PSE TSC MSR PAE MCE CX8 APIC 10 SEP MTRR PGE MCA CMOV PAT PSE36 PSN CLFSH 20 DS ACPI MMX".split(" "),
    ..."FXSR SSE SSE2 SS HTT TM 30 PBE".split(" "),
  ];
  const names = (edx: number): string[] => FEATURES.filter((_, bit) => ((edx >>> bit) & 1) !== 0);

  test("vendor, family, features, brand", () => {
    const [max, ebx, ecx, edx] = leaf(0);
    expect([max, text(ebx, edx, ecx)]).toEqual([2, "GenuineIntel"]);
    const one = leaf(1);
    expect([one[0], one[2]]).toEqual([0x6d8, 0]);
    // docs/decisions/0007 says why DE, PSE36 and CLFSH are among them.
    expect(names(one[3])).toEqual(
      "FPU DE PSE TSC MSR PAE CX8 SEP MTRR PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2".split(" "),
    );
    expect(leaf(2)[0] & 0xff).toBe(1);
    expect(leaf(0x12345)).toEqual(leaf(2));
    expect(leaf(0x80000005)).toEqual(leaf(2));
    expect(leaf(0x80000000)[0]).toBe(0x80000004);
    expect(leaf(0x80000001)).toEqual([0, 0, 0, 1 << 20]);
    const brand = [2, 3, 4].map((n) => text(...leaf(0x80000000 + n))).join("");
    expect(brand.length).toBe(48);
    expect(brand.endsWith("\0")).toBe(true);
  });

  test("a limit on leaves, a hidden no-execute", () => {
    wrmsr(0x1a0, 4, 0x1801);
    expect(leaf(0x80000001)[3]).toBe(0);
    cpu = new TestCpu({ features: { maxLeaf: 1 } });
    expect(leaf(0)[0]).toBe(1);
    expect(leaf(2)).toEqual(leaf(1));
  });
});

describe("MSRs", () => {
  test("what NT kernels read is there and can be written back", () => {
    const list = [
      0x10, 0x17, 0x1b, 0x2a, 0x79, 0x8b, 0xfe, 0x119, 0x174, 0x175, 0x176, 0x179, 0x1a0, 0x1d9, 0x277, 0x2ff,
    ];
    for (let n = 0x200; n < 0x210; n++) list.push(n);
    list.push(0x250, 0x258, 0x259);
    for (let n = 0x268; n < 0x270; n++) list.push(n);
    const readOnly = [0x17, 0xfe, 0x179];
    for (const msr of list) {
      const [high, low] = rdmsr(msr);
      expect(
        faultOf(() => wrmsr(msr, high, low)),
        msr.toString(16),
      ).toBe(readOnly.includes(msr) ? "13/0" : "none");
      if (msr !== 0x10) expect(rdmsr(msr), msr.toString(16)).toEqual([high, low]);
    }
    expect(cpu.said).toEqual([]);
  });

  test("unknown ones fault and are said once", () => {
    for (let i = 0; i < 3; i++) expect(faultOf(() => rdmsr(0x1234))).toBe("13/0");
    expect(faultOf(() => wrmsr(0x1234, 0, 0))).toBe("13/0");
    expect(cpu.said.length).toBe(2);
  });

  test("the time-stamp counter counts on from what is written, over 32 bits", () => {
    const [, first] = rdmsr(0x10);
    expect(rdmsr(0x10)[1]).toBe(first + 10);
    wrmsr(0x10, 0x12, 0xfffffffa);
    expect(rdmsr(0x10)).toEqual([0x13, 4]);
    wrmsr(0x10, 0, 0);
    expect(rdmsr(0x10)).toEqual([0, 10]);
    cpu.bus.tsc = 0x1_0000_0000 * 5;
    wrmsr(0x10, 0xffffffff, 0xfffffff0);
    expect(rdmsr(0x10)).toEqual([0xffffffff, 0xfffffffa]);
    cpu.system.rdtsc();
    expect([cpu.state.reg32(2), cpu.state.reg32(0)]).toEqual([0, 4]);
    cpu.system.writeControl(4, CR4_TSD);
    tables.enter(3);
    expect(faultOf(() => cpu.system.rdtsc())).toBe("13/0");
  });

  test("memory types are checked", () => {
    expect(faultOf(() => wrmsr(0x277, 0x00070406, 0x00070402))).toBe("13/0");
    expect(faultOf(() => wrmsr(0x250, 0x06060606, 0x06060607))).toBe("13/0");
    expect(faultOf(() => wrmsr(0x2ff, 0, 0xc06))).toBe("none");
    expect(faultOf(() => wrmsr(0x2ff, 0, 0xc02))).toBe("13/0");
    expect(faultOf(() => wrmsr(0x201, 0xf, 0xf0000800))).toBe("none");
    expect(faultOf(() => wrmsr(0x201, 0x10, 0xf0000800))).toBe("13/0");
    expect(rdmsr(0x201)).toEqual([0xf, 0xf0000800]);
  });

  test("EFER.NXE turns no-execute on at once; the APIC stays off", () => {
    expect(faultOf(() => wrmsr(0xc0000080, 0, 1))).toBe("13/0");
    wrmsr(0xc0000080, 0, EFER_NXE);
    expect(cpu.state.efer).toBe(EFER_NXE);
    wrmsr(0x1b, 0, 0xfee00900);
    expect(rdmsr(0x1b)).toEqual([0, 0xfee00100]);
    wrmsr(0x1b, 0, 0);
    expect(rdmsr(0x1b)).toEqual([0, 0x100]);
  });

  test("a local APIC answers for its MSRs and CPUID's bits", () => {
    let base = 0xfee00900;
    cpu.bus.localApic = {
      hasX2Apic: true,
      get base() {
        return base;
      },
      baseHigh: 0,
      get isEnabled() {
        return (base & 0x800) !== 0;
      },
      writeBase: (low, high) => {
        if (high !== 0) return false;
        base = low;
        return true;
      },
      readMsr: (msr) => (msr === 0x802 ? 0x12345678 : -1),
      readMsrHigh: () => 9,
      writeMsr: (msr) => msr === 0x80b,
    };
    expect(rdmsr(0x1b)).toEqual([0, 0xfee00900]);
    expect(leaf(1)[2] & (1 << 21)).not.toBe(0);
    expect(leaf(1)[3] & (1 << 9)).not.toBe(0);
    expect(faultOf(() => wrmsr(0x1b, 1, 0))).toBe("13/0");
    wrmsr(0x1b, 0, 0xfee00100);
    expect(leaf(1)[3] & (1 << 9)).toBe(0);
    expect(rdmsr(0x802)).toEqual([9, 0x12345678]);
    expect(faultOf(() => rdmsr(0x80e))).toBe("13/0");
    expect(faultOf(() => wrmsr(0x80b, 0, 0))).toBe("none");
    expect(faultOf(() => wrmsr(0x840, 0, 0))).toBe("13/0");
    tables.enter(3);
    expect(faultOf(() => rdmsr(0x802))).toBe("13/0");
  });

  test("all of it lies in the state block", () => {
    wrmsr(0x205, 3, 0xabc00800);
    const block = cpu.block();
    cpu.system.reset();
    expect(rdmsr(0x205)).toEqual([0, 0]);
    cpu.state.u8.set(block, L.STATE);
    cpu.system.stateReplaced();
    expect(rdmsr(0x205)).toEqual([3, 0xabc00800]);
  });
});

describe("SYSENTER and SYSEXIT", () => {
  test("flat segments, levels, flags", () => {
    wrmsr(0x174, 0, CODE0);
    wrmsr(0x175, 0, 0x7000);
    wrmsr(0x176, 0, 0xc0001000);
    tables.enter(3);
    cpu.state.eflags = 0x202;
    cpu.system.systemEnter();
    expect([cpu.cs, cpu.ss, cpu.state.eip, cpu.esp, cpu.state.cpl]).toEqual([CODE0, DATA0, 0xc0001000, 0x7000, 0]);
    expect(cpu.state.eflags & FLAG_IF).toBe(0);
    expect(cpu.state.mode & (L.MODE_CODE32 | L.MODE_STACK32 | L.MODE_USER)).toBe(L.MODE_CODE32 | L.MODE_STACK32);
    cpu.state.setReg32(1, 0x9000);
    cpu.state.setReg32(2, 0x1234);
    cpu.system.systemExit();
    expect([cpu.cs, cpu.ss, cpu.state.eip, cpu.esp, cpu.state.cpl]).toEqual([CODE3, DATA3, 0x1234, 0x9000, 3]);
    expect(faultOf(() => cpu.system.systemExit())).toBe("13/0");
  });

  test("#GP without a code selector and in real mode", () => {
    expect(faultOf(() => cpu.system.systemEnter())).toBe("13/0");
    wrmsr(0x174, 0, CODE0);
    cpu.system.writeControl(0, 0);
    expect(faultOf(() => cpu.system.systemEnter())).toBe("13/0");
  });
});

describe("ports and flags by IOPL", () => {
  const port = (number: number, size: number) => faultOf(() => cpu.system.checkPort(number, size));

  test("the permission bitmap decides above IOPL and always in V86 mode", () => {
    expect(port(0x60, 1)).toBe("none");
    cpu.poke16(TSS + 0x66, 0x68);
    tables.enter(3);
    expect(port(0x60, 1)).toBe("13/0");
    cpu.state.systemFlags |= 0x3000;
    expect(port(0x60, 4)).toBe("none");
    tables.enterV86(3);
    expect(port(0x60, 1)).toBe("13/0");
    tables.segment(TSS_SELECTOR, TSS, 0x67 + 0x20, 0x8b, 0);
    cpu.state.i32[(L.SEG_LIMIT >> 2) + L.SEG_TR] = 0x67 + 0x20;
    cpu.poke16(TSS + 0x66, 0x68);
    cpu.poke8(TSS + 0x68 + 0xc, 0b11110110);
    expect([port(0x60, 1), port(0x61, 1), port(0x62, 1), port(0x63, 1), port(0x60, 2)]).toEqual([
      "none",
      "13/0",
      "13/0",
      "none",
      "13/0",
    ]);
    cpu.poke8(TSS + 0x68 + 0xc, 0);
    cpu.poke8(TSS + 0x68 + 0xd, 1);
    expect([port(0x64, 4), port(0x65, 4), port(0x68, 1)]).toEqual(["none", "13/0", "13/0"]);
    // The byte after the last one is read too.
    expect([port(0xf7, 1), port(0xf8, 1), port(0xffff, 1)]).toEqual(["none", "13/0", "13/0"]);
  });

  test("CLI, STI, POPF, PUSHF", () => {
    const { system, state } = cpu;
    system.sti();
    expect([state.eflags & FLAG_IF, state.interruptShadow]).toEqual([FLAG_IF, 1]);
    state.interruptShadow = 0;
    system.sti();
    expect(state.interruptShadow).toBe(0);
    system.popf(0x00277fd7, 4);
    expect(state.eflags).toBe(0x00247fd7);
    tables.enter(3);
    state.eflags = 0x2;
    system.popf(0x00277fd7, 4);
    expect(state.eflags).toBe(0x00244dd7);
    expect([faultOf(() => system.cli()), faultOf(() => system.sti())]).toEqual(["13/0", "13/0"]);
    state.eflags = 0x3002;
    system.popf(0x0200, 2);
    expect(state.eflags).toBe(0x3202);
    tables.enterV86(2);
    for (const body of [() => system.cli(), () => system.pushf(), () => system.popf(0, 2)])
      expect(faultOf(body)).toBe("13/0");
    tables.enterV86(3);
    state.systemFlags |= 0x10000;
    expect(system.pushf()).toBe(0x3202);
    system.popf(0x0001, 2);
    expect(state.eflags).toBe(0x23003);
  });
});
