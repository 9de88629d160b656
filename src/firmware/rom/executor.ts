/**
 * The executor: the ROM loop that carries out the operations of a directed service (directed.ts). BP points to the frame,
 * the word below it is the service's slot number, BX the index of the operation; the other registers are its operands.
 */
import type { VirtualCpu } from "../../device-api/virtual-cpu.ts";
import type { Assembler } from "../assembler/assembler.ts";
import {
  AH,
  AL,
  AX,
  BH,
  BL,
  BP,
  BX,
  CH,
  CL,
  CS,
  CX,
  DI,
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
  m8,
  m16,
  m32,
  SI,
  SP,
  SS,
} from "../assembler/operands.ts";
import { CALL_BLOCK, callBlock } from "../call-block.ts";
import type { Operation } from "../directed.ts";
import { EBDA_SEGMENT } from "../memory-map.ts";
import { type ServiceName, trap } from "../trap.ts";

const operations: readonly Operation["kind"][] = [
  "done",
  "out8",
  "in8",
  "poll8",
  "out16",
  "in16",
  "in-blocks",
  "out-blocks",
  "in-words",
  "out-words",
  "skip-words",
  "wait-flag",
  "delay",
  "halt",
  "int",
  "call",
  "call-with-pointer",
  "jump",
  "resume-frame",
];

/** An interrupt handler that is a directed service: saves everything, starts the service, runs the executor. */
export function emitDirectedEntry(a: Assembler, label: string, service: ServiceName): void {
  a.label(label);
  a.sti();
  a.cld();
  a.pushad();
  a.push(DS);
  a.push(ES);
  emitBegin(a, service);
}

/** Starts a directed service whose frame is the current stack pointer. */
export function emitBegin(a: Assembler, service: ServiceName): void {
  a.mov(BP, SP);
  a.push(0);
  trap(a, service);
  a.jmp("executor");
}

export function emitExecutor(a: Assembler): void {
  a.label("stepped.byte");
  a.mov(AH, 0);
  a.label("stepped");
  trap(a, "step");
  a.label("executor");
  a.segment(CS);
  a.jmp(m16(BX, "operations"));

  a.label("op.done");
  a.mov(SP, BP);
  a.pop(ES);
  a.pop(DS);
  a.popad();
  a.iret();

  a.label("op.out8");
  a.out(DX, AL);
  a.jmp("stepped");

  a.label("op.in8");
  a.in(AL, DX);
  a.jmp("stepped.byte");

  a.label("op.poll8");
  a.mov(BX, DI);
  a.label("poll8.again");
  a.in(AL, DX);
  a.mov(BH, AL);
  a.and(BH, AH);
  a.cmp(BH, BL);
  a.j("e", "stepped.byte");
  a.loop("poll8.again");
  a.jmp("stepped.byte");

  a.label("op.out16");
  a.out(DX, AX);
  a.jmp("stepped");

  a.label("op.in16");
  a.in(AX, DX);
  a.jmp("stepped");

  a.label("op.skip-words");
  a.in(AX, DX);
  a.loop("op.skip-words");
  a.jmp("stepped");

  // BL counts blocks, BH is the block's words / 256; the register that has no part in the move holds the tries.
  for (const name of ["in-blocks", "out-blocks"]) {
    a.label(`op.${name}`);
    a.mov(BX, AX);
    a.label(`${name}.next`);
    a.mov(CX, name === "in-blocks" ? SI : DI);
    a.add(DX, 7);
    a.label(`${name}.poll`);
    a.in(AL, DX);
    a.test(AL, 0x80);
    a.j("z", `${name}.ready`);
    a.loop(`${name}.poll`);
    a.label(`${name}.ready`);
    a.sub(DX, 7);
    a.mov(AH, AL);
    a.and(AH, 0xa9);
    a.cmp(AH, 0x08);
    a.j("ne", `${name}.out`);
    a.mov(CH, BH);
    a.mov(CL, 0);
    a.rep();
    if (name === "in-blocks") a.insw();
    else a.outsw();
    a.dec(BL);
    a.j("nz", `${name}.next`);
    a.label(`${name}.out`);
    a.mov(AH, BL);
    a.jmp("stepped");
  }

  a.label("op.in-words");
  a.rep();
  a.insw();
  a.jmp("stepped");

  a.label("op.out-words");
  a.rep();
  a.outsw();
  a.jmp("stepped");

  // HLT is only for real mode: the service sets CX to the number of turns for a monitor that would not take it.
  a.label("op.wait-flag");
  a.mov(BX, 0x40);
  a.mov(DS, BX);
  a.jcxz("wait-flag.halt");
  a.label("wait-flag.spin");
  a.test(m8(SI), AH);
  a.j("nz", "stepped");
  a.loop("wait-flag.spin");
  a.jmp("stepped");
  a.label("wait-flag.halt");
  a.cli();
  a.test(m8(SI), AH);
  a.j("nz", "wait-flag.done");
  a.sti();
  a.hlt();
  a.label("wait-flag.done");
  a.sti();
  a.jmp("stepped");

  a.label("op.delay");
  a.in(AL, 0x61);
  a.loop("op.delay");
  a.jmp("stepped");

  a.label("op.halt");
  a.sti();
  a.hlt();
  a.jmp("stepped");

  // A call with registers of its own: the target goes onto the stack below a return address and RETF enters it.
  a.label("op.int");
  a.push(BP);
  a.push(2);
  a.popf();
  a.pushf();
  a.jmp("call.enter");
  a.label("op.call");
  a.push(BP);
  a.label("call.enter");
  a.push(CS);
  a.call("call.load");
  // The called code returns here.
  a.pushf();
  a.pushad();
  a.push(ES);
  a.push(DS);
  a.mov(AX, EBDA_SEGMENT);
  a.mov(DS, AX);
  a.pop(m16(CALL_BLOCK + callBlock.ds));
  a.pop(m16(CALL_BLOCK + callBlock.es));
  for (let offset = 0; offset < 32; offset += 4) a.pop(m32(CALL_BLOCK + offset));
  a.pop(m16(CALL_BLOCK + callBlock.flags));
  a.pop(BP);
  a.cld();
  a.jmp("stepped");

  a.label("op.call-with-pointer");
  a.push(BP);
  a.push(CX);
  a.push(SI);
  a.push(CS);
  a.call("call.load");
  a.add(SP, 4);
  a.pop(BP);
  a.cld();
  a.sti();
  a.jmp("stepped");

  a.label("op.jump");
  a.label("call.load");
  a.push(DX);
  a.push(DI);
  a.mov(AX, EBDA_SEGMENT);
  a.mov(DS, AX);
  for (const [register, name] of [
    [EAX, "eax"],
    [ECX, "ecx"],
    [EDX, "edx"],
    [EBX, "ebx"],
    [EBP, "ebp"],
    [ESI, "esi"],
    [EDI, "edi"],
  ] as const)
    a.mov(register, m32(CALL_BLOCK + callBlock[name]));
  a.mov(ES, m16(CALL_BLOCK + callBlock.es));
  a.push(m16(CALL_BLOCK + callBlock.flags));
  a.mov(DS, m16(CALL_BLOCK + callBlock.ds));
  a.popf();
  a.retf();

  a.label("op.resume-frame");
  a.mov(SS, DX);
  a.mov(SP, DI);
  a.pop(DS);
  a.pop(ES);
  a.popa();
  a.iret();

  a.align(2);
  a.label("operations");
  for (const kind of operations) a.dw(`op.${kind}`);
}

/** Puts the operands of `operation` into the registers, where the executor expects them. */
export function loadOperation(cpu: VirtualCpu, operation: Operation): void {
  cpu.setRegister("ebx", operations.indexOf(operation.kind) * 2);
  switch (operation.kind) {
    case "done":
    case "halt":
      return;
    case "out8":
      cpu.setRegister("edx", operation.port);
      cpu.setRegister("eax", operation.value & 0xff);
      return;
    case "in8":
    case "in16":
      cpu.setRegister("edx", operation.port);
      return;
    case "out16":
      cpu.setRegister("edx", operation.port);
      cpu.setRegister("eax", operation.value & 0xffff);
      return;
    case "skip-words":
      cpu.setRegister("edx", operation.port);
      cpu.setRegister("ecx", operation.words);
      return;
    case "poll8":
      cpu.setRegister("edx", operation.port);
      cpu.setRegister("eax", operation.mask << 8);
      cpu.setRegister("edi", operation.value);
      cpu.setRegister("ecx", operation.tries);
      return;
    case "in-blocks":
    case "out-blocks": {
      const isIn = operation.kind === "in-blocks";
      cpu.setRegister("edx", operation.port);
      cpu.setRegister("eax", ((operation.words >> 8) << 8) | operation.blocks);
      cpu.setSegment(isIn ? "es" : "ds", operation.segment);
      cpu.setRegister("edi", isIn ? operation.offset : operation.tries);
      cpu.setRegister("esi", isIn ? operation.tries : operation.offset);
      return;
    }
    case "in-words":
      cpu.setRegister("edx", operation.port);
      cpu.setRegister("ecx", operation.words);
      cpu.setSegment("es", operation.segment);
      cpu.setRegister("edi", operation.offset);
      return;
    case "out-words":
      cpu.setRegister("edx", operation.port);
      cpu.setRegister("ecx", operation.words);
      cpu.setSegment("ds", operation.segment);
      cpu.setRegister("esi", operation.offset);
      return;
    case "wait-flag":
      cpu.setRegister("esi", operation.offset);
      cpu.setRegister("eax", operation.mask << 8);
      cpu.setRegister("ecx", cpu.mode === "real" ? 0 : 0x4000);
      return;
    case "delay":
      cpu.setRegister("ecx", Math.max(1, Math.min(operation.reads, 0xffff)));
      return;
    case "int": {
      const vector = operation.vector * 4;
      cpu.setRegister("edi", cpu.readLinear(vector, 2));
      cpu.setRegister("edx", cpu.readLinear(vector + 2, 2));
      return;
    }
    case "call-with-pointer":
      cpu.setRegister("ecx", operation.pointerSegment);
      cpu.setRegister("esi", operation.pointerOffset);
      cpu.setRegister("edx", operation.segment);
      cpu.setRegister("edi", operation.offset);
      return;
    case "call":
    case "jump":
    case "resume-frame":
      cpu.setRegister("edx", operation.segment);
      cpu.setRegister("edi", operation.offset);
      return;
  }
}
