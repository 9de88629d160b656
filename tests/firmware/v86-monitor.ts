/**
 * A V86 monitor as small as those that operating systems call the BIOS through: paging on, IOPL 0, a private copy of the
 * first 640 KiB (vectors and data area copied, the rest zero), A0000h–FFFFFh as they are. It emulates CLI, STI, PUSHF, POPF,
 * INT n and IRET, and port accesses that its I/O bitmap catches (which it writes down); anything else ends the call.
 * The caller of bios-caller.ts runs inside.
 */
import { Assembler } from "../../src/firmware/assembler/assembler.ts";
import {
  AL,
  AX,
  CS,
  DS,
  DX,
  EAX,
  EBP,
  EBX,
  ECX,
  EDI,
  EDX,
  ES,
  ESI,
  ESP,
  FS,
  GS,
  m8,
  m16,
  m32,
  SS,
} from "../../src/firmware/assembler/operands.ts";
import { type BiosCaller, type CallRegisters, type CallResult, callerBootSector } from "./bios-caller.ts";

/** Guest-physical places. The low memory of the V86 program is at PRIVATE. */
const PRIVATE = 0x200000;
const MONITOR = 0x300000;
const TABLES = 0x310000;
const TSS = 0x320000;
const TRAMPOLINE = 0x8000;
const KERNEL = 0xc0000000;
const LOG_ENTRIES = 4096;
const CALLER = 0x7c00;
const BLOCK = 0x7e00;

const gate = { code: 0x08, data: 0x10, tss: 0x18 } as const;
/** The interrupted program's registers behind PUSHAD and the error code. */
const frame = {
  eax: 28,
  ecx: 24,
  edx: 20,
  esi: 4,
  edi: 0,
  eip: 36,
  cs: 40,
  eflags: 44,
  esp: 48,
  ss: 52,
  es: 56,
} as const;

interface Monitor {
  readonly bytes: Uint8Array;
  readonly labels: { readonly [label: string]: number };
}

function assembleMonitor(): Monitor {
  const a = new Assembler(KERNEL + MONITOR, 0);
  a.bits(32);
  a.label("enter");
  a.mov(AX, gate.data);
  for (const segment of [DS, ES, SS]) a.mov(segment, AX);
  a.mov(ESP, KERNEL + MONITOR + 0xf000);
  a.mov(AX, gate.tss);
  a.db(0x0f, 0x00, 0xd8);
  for (let i = 0; i < 4; i++) a.push(0);
  // SS, ESP, EFLAGS (VM, interrupts off), CS, EIP of the caller.
  a.push(0);
  a.push(0x7000);
  a.db(0x68);
  a.dd(0x00020002);
  a.push(0);
  a.push(CALLER);
  a.iret();

  a.label("fault");
  a.push(0);
  a.pushad();
  a.mov(AX, gate.data);
  a.mov(DS, AX);
  a.jmp("fail");

  a.label("protection");
  a.pushad();
  a.mov(EBP, ESP);
  a.mov(AX, gate.data);
  a.mov(DS, AX);
  a.mov(ES, AX);
  a.movzx(ESI, m16(EBP, frame.cs));
  a.shl(ESI, 4);
  a.add(ESI, m32(EBP, frame.eip));
  a.mov(EDI, ESI);
  // EBX: 1 with an operand-size prefix; ECX: 1 with REP.
  a.xor(EBX, EBX);
  a.xor(ECX, ECX);
  a.label("prefix");
  a.mov(AL, m8(ESI));
  a.inc(ESI);
  a.cmp(AL, 0x66);
  a.j("ne", "notSize");
  a.inc(EBX);
  a.jmp("prefix");
  a.label("notSize");
  a.cmp(AL, 0xf3);
  a.j("ne", "notRep");
  a.inc(ECX);
  a.jmp("prefix");
  a.label("notRep");
  const cases: readonly (readonly [opcode: number, label: string])[] = [
    [0xfa, "cli"],
    [0xfb, "sti"],
    [0x9c, "pushf"],
    [0x9d, "popf"],
    [0xcd, "int"],
    [0xcf, "iret"],
    [0xec, "inByte"],
    [0xee, "outByte"],
    [0xed, "inWord"],
    [0xef, "outWord"],
    [0x6d, "insWord"],
    [0x6f, "outsWord"],
  ];
  for (const [opcode, label] of cases) {
    a.cmp(AL, opcode);
    a.j("e", label);
  }
  a.mov(m8("failedOpcode"), AL);
  a.jmp("fail");

  a.label("cli");
  a.mov(m32("virtualIf"), 0);
  a.jmp("done");
  a.label("sti");
  a.mov(m32("virtualIf"), 0x200);
  a.jmp("done");

  // EAX = the program's flags with its virtual interrupt flag.
  a.label("virtualFlags");
  a.mov(EAX, m32(EBP, frame.eflags));
  a.and(EAX, 0xfffffdff | 0);
  a.or(EAX, m32("virtualIf"));
  a.and(EAX, 0xffcf);
  a.ret();
  // Pushes AX onto the program's stack; EDI is used.
  a.label("pushWord");
  a.sub(m16(EBP, frame.esp), 2);
  a.movzx(EDI, m16(EBP, frame.ss));
  a.shl(EDI, 4);
  a.movzx(EDX, m16(EBP, frame.esp));
  a.add(EDI, EDX);
  a.mov(m16(EDI), AX);
  a.ret();
  a.label("popWord");
  a.movzx(EDI, m16(EBP, frame.ss));
  a.shl(EDI, 4);
  a.movzx(EDX, m16(EBP, frame.esp));
  a.add(EDI, EDX);
  a.movzx(EAX, m16(EDI));
  a.add(m16(EBP, frame.esp), 2);
  a.ret();
  // Takes flags in EAX: keeps VM and IOPL as they are, real interrupts off.
  a.label("loadFlags");
  a.mov(EDX, EAX);
  a.and(EDX, 0x200);
  a.mov(m32("virtualIf"), EDX);
  a.and(EAX, 0x0dd5);
  a.or(EAX, 0x00020002);
  a.mov(m32(EBP, frame.eflags), EAX);
  a.ret();

  a.label("pushf");
  a.call("virtualFlags");
  a.test(EBX, EBX);
  a.j("z", "pushf.word");
  a.push(EAX);
  a.xor(EAX, EAX);
  a.call("pushWord");
  a.pop(EAX);
  a.label("pushf.word");
  a.call("pushWord");
  a.jmp("done");

  a.label("popf");
  a.call("popWord");
  a.call("loadFlags");
  a.test(EBX, EBX);
  a.j("z", "done");
  a.call("popWord");
  a.jmp("done");

  a.label("int");
  a.movzx(EBX, m8(ESI));
  a.inc(ESI);
  a.call("virtualFlags");
  a.call("pushWord");
  a.mov(AX, m16(EBP, frame.cs));
  a.call("pushWord");
  a.call("nextIp");
  a.call("pushWord");
  a.mov(m32("virtualIf"), 0);
  a.shl(EBX, 2);
  a.movzx(EAX, m16(EBX));
  a.mov(m32(EBP, frame.eip), EAX);
  a.movzx(EAX, m16(EBX, 2));
  a.mov(m32(EBP, frame.cs), EAX);
  a.jmp("return");

  a.label("iret");
  a.test(EBX, EBX);
  a.j("nz", "fail");
  a.call("popWord");
  a.mov(m32(EBP, frame.eip), EAX);
  a.call("popWord");
  a.mov(m32(EBP, frame.cs), EAX);
  a.call("popWord");
  a.call("loadFlags");
  a.jmp("return");

  // EAX = IP behind the instruction (ESI is its linear address).
  a.label("nextIp");
  a.movzx(EDX, m16(EBP, frame.cs));
  a.shl(EDX, 4);
  a.mov(EAX, ESI);
  a.sub(EAX, EDX);
  a.and(EAX, 0xffff);
  a.ret();

  // Writes the port in the program's DX down.
  a.label("note");
  a.push(EDI);
  a.mov(EDI, m32("logCount"));
  a.cmp(EDI, LOG_ENTRIES);
  a.j("ae", "note.full");
  a.inc(m32("logCount"));
  a.shl(EDI, 1);
  a.add(EDI, KERNEL + MONITOR + 0x8000);
  a.mov(AX, m16(EBP, frame.edx));
  a.mov(m16(EDI), AX);
  a.label("note.full");
  a.pop(EDI);
  a.mov(EDX, m32(EBP, frame.edx));
  a.ret();
  a.label("inByte");
  a.call("note");
  a.in(AL, DX);
  a.mov(m8(EBP, frame.eax), AL);
  a.jmp("done");
  a.label("outByte");
  a.call("note");
  a.mov(AL, m8(EBP, frame.eax));
  a.out(DX, AL);
  a.jmp("done");
  a.label("inWord");
  a.call("note");
  a.in(AX, DX);
  a.mov(m16(EBP, frame.eax), AX);
  a.jmp("done");
  a.label("outWord");
  a.call("note");
  a.mov(AX, m16(EBP, frame.eax));
  a.out(DX, AX);
  a.jmp("done");
  for (const [label, segment, index] of [
    ["insWord", frame.es, frame.edi],
    ["outsWord", frame.es + 4, frame.esi],
  ] as const) {
    a.label(label);
    a.call("note");
    a.test(ECX, ECX);
    a.j("z", "fail");
    a.label(`${label}.next`);
    a.cmp(m16(EBP, frame.ecx), 0);
    a.j("e", "done");
    a.movzx(EDI, m16(EBP, segment));
    a.shl(EDI, 4);
    a.movzx(EAX, m16(EBP, index));
    a.add(EDI, EAX);
    if (label === "insWord") {
      a.in(AX, DX);
      a.mov(m16(EDI), AX);
    } else {
      a.mov(AX, m16(EDI));
      a.out(DX, AX);
    }
    a.add(m16(EBP, index), 2);
    a.dec(m16(EBP, frame.ecx));
    a.jmp(`${label}.next`);
  }

  a.label("done");
  a.call("nextIp");
  a.mov(m32(EBP, frame.eip), EAX);
  a.label("return");
  a.popad();
  a.add(ESP, 4);
  a.iret();

  a.label("fail");
  a.mov(m32("failed"), 1);
  a.label("stopped");
  a.jmp("stopped");

  a.align(4);
  for (const word of ["virtualIf", "logCount", "failed", "failedOpcode"]) {
    a.label(word);
    a.dd(0);
  }
  return { bytes: a.finish(), labels: a.labels() };
}

function assembleTrampoline(enter: number): Uint8Array {
  const a = new Assembler(TRAMPOLINE, 0);
  a.cli();
  // With 32-bit operands: the bases have all their bits.
  a.db(0x66);
  a.lgdt(m16(CS, "gdtPointer"));
  a.db(0x66);
  a.lidt(m16(CS, "idtPointer"));
  a.mov(EAX, TABLES);
  a.db(0x0f, 0x22, 0xd8);
  a.movFromCr0(EAX);
  a.or(EAX, 0x80000001 | 0);
  a.movToCr0(EAX);
  a.jmpFar(gate.code, enter, 32);
  a.align(8);
  a.label("gdtPointer");
  a.dw(0x1f);
  a.dd(KERNEL + TABLES + 0x4000);
  a.label("idtPointer");
  a.dw(0x7ff);
  a.dd(KERNEL + TABLES + 0x5000);
  void [FS, GS];
  return a.finish();
}

export class V86Caller {
  readonly guest: BiosCaller;
  private readonly monitor: Monitor;

  private constructor(guest: BiosCaller, monitor: Monitor) {
    this.guest = guest;
    this.monitor = monitor;
  }

  /** Takes a booted guest into V86. Ports in `trapped` are caught by the I/O bitmap. */
  static enter(guest: BiosCaller, trapped: readonly number[] = []): V86Caller {
    const { memory } = guest;
    const monitor = assembleMonitor();
    const caller = new V86Caller(guest, monitor);
    // The private low memory: vectors and data area copied, the rest zero.
    memory.write(PRIVATE, new Uint8Array(0xa0000));
    memory.write(PRIVATE, guest.bytes(0, 0x1000));
    memory.write(PRIVATE + CALLER, callerBootSector());
    memory.write(MONITOR, monitor.bytes);
    const trampoline = assembleTrampoline(monitor.labels.enter);
    memory.write(TRAMPOLINE, trampoline);
    memory.write(PRIVATE + TRAMPOLINE, trampoline);
    caller.writeTables(trapped);
    const { cpu } = guest.pc.machine;
    cpu.setRegister("eflags", 2);
    cpu.setSegment("cs", 0);
    cpu.setRegister("eip", TRAMPOLINE);
    guest.pc.runUntil(() => memory.read16(PRIVATE + BLOCK + 2) === 0x4341, 1_000_000);
    if (memory.read16(PRIVATE + BLOCK + 2) !== 0x4341) throw new Error(`V86 did not start\n${guest.pc.describe()}`);
    return caller;
  }

  private writeTables(trapped: readonly number[]): void {
    const { memory } = this.guest;
    const lowTable = TABLES + 0x1000;
    const kernelTable = TABLES + 0x2000;
    memory.write(TABLES, new Uint8Array(0x7000));
    memory.write32(TABLES, lowTable | 7);
    memory.write32(TABLES + 768 * 4, kernelTable | 3);
    for (let page = 0; page < 256; page++) {
      const physical = page < 0xa0 ? PRIVATE + page * 0x1000 : page * 0x1000;
      memory.write32(lowTable + page * 4, physical | 7);
    }
    for (let page = 0; page < 1024; page++) memory.write32(kernelTable + page * 4, (page * 0x1000) | 3);
    const gdt = TABLES + 0x4000;
    const tss = (KERNEL + TSS) >>> 0;
    const descriptors: readonly (readonly [number, number])[] = [
      [0, 0],
      [0x0000ffff, 0x00cf9b00],
      [0x0000ffff, 0x00cf9300],
      [((tss & 0xffff) << 16) | 0x20ff, ((tss >>> 24) << 24) | 0x00008900 | ((tss >>> 16) & 0xff)],
    ];
    descriptors.forEach(([low, high], i) => {
      memory.write32(gdt + i * 8, low >>> 0);
      memory.write32(gdt + i * 8 + 4, high >>> 0);
    });
    const idt = TABLES + 0x5000;
    for (let vector = 0; vector < 256; vector++) {
      const target = vector === 13 ? this.monitor.labels.protection : this.monitor.labels.fault;
      memory.write32(idt + vector * 8, ((gate.code << 16) | (target & 0xffff)) >>> 0);
      memory.write32(idt + vector * 8 + 4, ((target & 0xffff0000) | 0x8e00) >>> 0);
    }
    const task = new Uint8Array(0x2100);
    const view = new DataView(task.buffer);
    view.setUint32(4, KERNEL + MONITOR + 0xe000, true);
    view.setUint16(8, gate.data, true);
    view.setUint16(0x66, 0x68, true);
    for (const port of trapped) task[0x68 + (port >> 3)] |= 1 << (port & 7);
    task.fill(0xff, 0x68 + 0x2000);
    memory.write(TSS, task);
  }

  private variable(name: string): number {
    return this.guest.memory.read32(this.monitor.labels[name] - KERNEL);
  }

  /** The program's low memory. */
  write(linear: number, bytes: Uint8Array): void {
    this.guest.memory.write(PRIVATE + linear, bytes);
  }
  bytes(linear: number, length: number): Uint8Array {
    return this.guest.bytes(PRIVATE + linear, length);
  }

  /** Ports whose accesses the monitor caught since the last call, in order. */
  get caughtPorts(): number[] {
    const count = this.variable("logCount");
    return Array.from({ length: count }, (_, i) => this.guest.memory.read16(MONITOR + 0x8000 + i * 2));
  }

  /**
   * Executes INT `vector` in V86. Throws if the monitor met an instruction that it does not know. `between` is called again and
   * again meanwhile: the place for what interrupt handlers would do.
   */
  call(
    vector: number,
    registers: CallRegisters = {},
    maxInstructions = 100_000_000,
    between: () => void = () => {},
  ): CallResult {
    const { guest } = this;
    guest.memory.write32(this.monitor.labels.logCount - KERNEL, 0);
    guest.withLowMemoryAt(PRIVATE, () => guest.begin(vector, registers));
    const isOver = () => {
      between();
      return this.variable("failed") !== 0 || guest.memory.read8(PRIVATE + BLOCK) === 0;
    };
    const isDone = guest.pc.runUntil(isOver, maxInstructions);
    if (this.variable("failed") !== 0)
      throw new Error(`V86: opcode ${this.variable("failedOpcode").toString(16)}h\n${guest.pc.describe()}`);
    if (!isDone) throw new Error(`INT ${vector.toString(16)}h did not return from V86\n${guest.pc.describe()}`);
    return guest.withLowMemoryAt(PRIVATE, () => guest.result());
  }
}
