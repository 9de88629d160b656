/**
 * INT 15h: memory sizes and map, A20, block move, event wait, configuration; APM is in apm.ts, the PS/2 mouse and the
 * timed wait are directed services (they need guest time). What nobody serves returns carry and AH = 86h with everything
 * else untouched, because operating systems probe widely.
 */

import { BDA_BASE, bda } from "../bios-data-area.ts";
import type { Caller } from "../caller.ts";
import { acpiDataBase, buildMemoryMap, EBDA_SEGMENT, encodeMemoryRange } from "../memory-map.ts";
import { cmos, readCmos, writeCmos } from "../post/chipset.ts";
import { ROM_SEGMENT } from "../rom/system-rom.ts";
import type { ServiceContext } from "../service-context.ts";
import { apm } from "./apm.ts";
import { openClockInterrupt } from "./time.ts";

const UNSUPPORTED = 0x86;
const SMAP = 0x534d4150;
const PORT_92 = 0x92;
const A20_ENABLED = 0x02;
const KIB = 1024;
const MIB = 1024 * KIB;
/** More than this many KiB upsets programs that think in 16 bits. */
const MOST_EXTENDED_KIB = 0xffc0;
const BELOW_16M_KIB = 0x3c00;
const PERIODIC_ENABLE = 0x40;

/** "directed": the stub goes on to the directed part (wait, mouse). */
export function int15(context: ServiceContext, caller: Caller): "done" | "directed" {
  const { ah } = caller;
  // These four are called from inside interrupt handlers; every other function returns with interrupts on.
  if (ah !== 0x4f && ah !== 0x85 && ah !== 0x90 && ah !== 0x91) caller.enableInterrupts();
  switch (ah) {
    case 0x24:
      gateA20(context, caller);
      return "done";
    case 0x4f:
      caller.carry = true;
      return "done";
    case 0x53:
      apm(context, caller, "real");
      return "done";
    case 0x52:
    case 0x80:
    case 0x81:
    case 0x82:
    case 0x85:
    case 0x90:
    case 0x91:
      caller.finish(0);
      return "done";
    case 0x83:
      eventWait(context, caller);
      return "done";
    case 0x86:
    case 0xc2:
      return "directed";
    case 0x87:
      moveBlock(context, caller);
      return "done";
    case 0x88:
      caller.ax = Math.min(extendedKib(context), MOST_EXTENDED_KIB);
      caller.carry = false;
      return "done";
    case 0xc0:
      caller.es = ROM_SEGMENT;
      caller.bx = context.rom.labels.configurationTable;
      caller.finish(0);
      return "done";
    case 0xc1:
      caller.es = EBDA_SEGMENT;
      caller.carry = false;
      return "done";
    case 0xe8:
      memorySizes(context, caller);
      return "done";
    default:
      caller.finish(UNSUPPORTED);
      return "done";
  }
}

/** RAM above 1 MiB that an operating system may use. */
function extendedKib(context: ServiceContext): number {
  return (acpiDataBase(context.memory.ramBytes) - MIB) / KIB;
}

function gateA20(context: ServiceContext, caller: Caller): void {
  const { ports } = context;
  const value = ports.readPort(PORT_92, 1);
  switch (caller.al) {
    case 0x00:
      ports.writePort(PORT_92, 1, value & ~(A20_ENABLED | 1));
      caller.finish(0);
      return;
    case 0x01:
      ports.writePort(PORT_92, 1, (value | A20_ENABLED) & ~1);
      caller.finish(0);
      return;
    case 0x02:
      caller.al = (value & A20_ENABLED) !== 0 ? 1 : 0;
      caller.finish(0);
      return;
    case 0x03:
      // By the keyboard controller and by port 92h.
      caller.bx = 0x0003;
      caller.finish(0);
      return;
    default:
      caller.finish(UNSUPPORTED);
  }
}

function memorySizes(context: ServiceContext, caller: Caller): void {
  const kib = extendedKib(context);
  const belowKib = Math.min(kib, BELOW_16M_KIB);
  const above = Math.max(0, Math.floor((kib - BELOW_16M_KIB) / 64));
  switch (caller.al) {
    case 0x01:
      caller.ax = caller.cx = belowKib;
      caller.bx = caller.dx = above;
      caller.carry = false;
      return;
    case 0x81:
      caller.eax = caller.ecx = belowKib;
      caller.ebx = caller.edx = above;
      caller.carry = false;
      return;
    case 0x20:
      memoryMapEntry(context, caller);
      return;
    default:
      caller.finish(UNSUPPORTED);
  }
}

function memoryMapEntry(context: ServiceContext, caller: Caller): void {
  const map = buildMemoryMap(context.memory.ramBytes);
  const index = caller.ebx;
  if (caller.edx !== SMAP || caller.ecx < 20 || index >= map.length) {
    caller.finish(UNSUPPORTED);
    return;
  }
  context.cpu.writeLinearBytes((caller.esBase + caller.di) >>> 0, encodeMemoryRange(map[index]));
  caller.eax = SMAP;
  caller.ecx = 20;
  caller.ebx = index + 1 < map.length ? index + 1 : 0;
  caller.carry = false;
}

/** AH = 83h: sets bit 7 of ES:BX after CX:DX microseconds, by the clock's periodic interrupt. */
function eventWait(context: ServiceContext, caller: Caller): void {
  const { cpu, ports } = context;
  const at = (offset: number) => BDA_BASE + offset;
  if (caller.al === 1) {
    cpu.writeLinear(at(bda.waitActive), 1, 0);
    writeCmos(ports, cmos.statusB, readCmos(ports, cmos.statusB) & ~PERIODIC_ENABLE);
    caller.finish(0);
    return;
  }
  if (caller.al !== 0) {
    caller.finish(UNSUPPORTED);
    return;
  }
  if ((cpu.readLinear(at(bda.waitActive), 1) & 1) !== 0) {
    caller.carry = true;
    return;
  }
  cpu.writeLinear(at(bda.waitFlagPointer), 2, caller.bx);
  cpu.writeLinear(at(bda.waitFlagPointer + 2), 2, caller.es);
  cpu.writeLinear(at(bda.waitMicroseconds), 4, ((caller.cx << 16) | caller.dx) >>> 0);
  cpu.writeLinear(at(bda.waitActive), 1, 1);
  openClockInterrupt(ports);
  writeCmos(ports, cmos.statusB, readCmos(ports, cmos.statusB) | PERIODIC_ENABLE);
  caller.finish(0);
}

/**
 * AH = 87h: copies CX words between the 24- or 32-bit physical addresses of the descriptors at ES:SI+10h and +18h. Only
 * in real mode: in V86 the monitor serves this function, and the first megabyte is not what it seems.
 */
function moveBlock(context: ServiceContext, caller: Caller): void {
  const { cpu, memory, ports } = context;
  if (cpu.mode !== "real") {
    caller.finish(UNSUPPORTED);
    return;
  }
  const words = caller.cx;
  if (words > 0x8000) {
    caller.finish(0x02);
    return;
  }
  const base = (descriptor: number) => {
    const at = (caller.esBase + caller.si + descriptor) >>> 0;
    const low = cpu.readLinear(at + 2, 4);
    return ((low & 0xffffff) | (cpu.readLinear(at + 7, 1) << 24)) >>> 0;
  };
  const from = base(0x10);
  const to = base(0x18);
  const bytes = new Uint8Array(words * 2);
  // RAM directly, because A20 may be off; ROM and video memory through the CPU, with A20 on for the moment.
  const isRam = (gpa: number) => gpa + bytes.length <= memory.ramBytes && (gpa + bytes.length <= 0xa0000 || gpa >= MIB);
  const gate = ports.readPort(PORT_92, 1);
  const needsGate = (!isRam(from) || !isRam(to)) && (gate & A20_ENABLED) === 0;
  if (needsGate) ports.writePort(PORT_92, 1, (gate | A20_ENABLED) & ~1);
  if (isRam(from)) memory.read(from, bytes);
  else cpu.readLinearBytes(from, bytes);
  if (isRam(to)) memory.write(to, bytes);
  else cpu.writeLinearBytes(to, bytes);
  if (needsGate) ports.writePort(PORT_92, 1, gate & ~1);
  caller.finish(0);
  caller.zero = true;
}
