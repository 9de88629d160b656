/**
 * INT 1Ah: timer ticks, real-time clock, alarm; PCI BIOS calls (AH = B1h) are in pci-bios.ts. The clock is read through
 * its ports; while it updates (UIP) the stub asks again, so no half-updated time is given.
 */
import type { VirtualCpu } from "../../device-api/virtual-cpu.ts";
import { BDA_BASE, bda } from "../bios-data-area.ts";
import type { Caller } from "../caller.ts";
import type { PortAccess } from "../index.ts";
import { cmos, readCmos, writeCmos } from "../post/chipset.ts";

const SECONDS = 0x00;
const SECONDS_ALARM = 0x01;
const MINUTES = 0x02;
const MINUTES_ALARM = 0x03;
const HOURS = 0x04;
const HOURS_ALARM = 0x05;
const DAY = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
const CENTURY = 0x32;
const A_UPDATE_IN_PROGRESS = 0x80;
const B_SET = 0x80;
const B_ALARM_ENABLE = 0x20;
const B_DAYLIGHT = 0x01;
const PIC2_MASK = 0xa1;

/** AH = 00h–07h. Returns true when the clock is updating and the stub shall ask again. Others: carry set. */
export function int1a(cpu: VirtualCpu, ports: PortAccess, caller: Caller): boolean {
  const isClockRead = caller.ah >= 0x02 && caller.ah <= 0x06;
  if (isClockRead && (readCmos(ports, cmos.statusA) & A_UPDATE_IN_PROGRESS) !== 0) return true;
  switch (caller.ah) {
    case 0x00: {
      const ticks = cpu.readLinear(BDA_BASE + bda.ticks, 4);
      caller.al = cpu.readLinear(BDA_BASE + bda.midnight, 1);
      caller.ah = 0;
      caller.cx = ticks >>> 16;
      caller.dx = ticks & 0xffff;
      cpu.writeLinear(BDA_BASE + bda.midnight, 1, 0);
      caller.carry = false;
      return false;
    }
    case 0x01:
      cpu.writeLinear(BDA_BASE + bda.ticks, 4, ((caller.cx << 16) | caller.dx) >>> 0);
      cpu.writeLinear(BDA_BASE + bda.midnight, 1, 0);
      caller.finish(0);
      return false;
    case 0x02:
      caller.ch = readCmos(ports, HOURS);
      caller.cl = readCmos(ports, MINUTES);
      caller.dh = readCmos(ports, SECONDS);
      caller.dl = readCmos(ports, cmos.statusB) & B_DAYLIGHT;
      caller.al = caller.ch;
      caller.finish(0);
      return false;
    case 0x03: {
      const statusB = readCmos(ports, cmos.statusB);
      writeCmos(ports, cmos.statusB, statusB | B_SET);
      writeCmos(ports, SECONDS, caller.dh);
      writeCmos(ports, MINUTES, caller.cl);
      writeCmos(ports, HOURS, caller.ch);
      const running = (statusB & ~(B_SET | B_DAYLIGHT)) | (caller.dl & B_DAYLIGHT);
      writeCmos(ports, cmos.statusB, running);
      caller.al = running;
      caller.finish(0);
      return false;
    }
    case 0x04:
      caller.ch = readCmos(ports, CENTURY);
      caller.cl = readCmos(ports, YEAR);
      caller.dh = readCmos(ports, MONTH);
      caller.dl = readCmos(ports, DAY);
      caller.al = caller.ch;
      caller.finish(0);
      return false;
    case 0x05: {
      const statusB = readCmos(ports, cmos.statusB);
      writeCmos(ports, cmos.statusB, statusB | B_SET);
      writeCmos(ports, CENTURY, caller.ch);
      writeCmos(ports, YEAR, caller.cl);
      writeCmos(ports, MONTH, caller.dh);
      writeCmos(ports, DAY, caller.dl);
      writeCmos(ports, cmos.statusB, statusB & ~B_SET);
      caller.al = statusB & ~B_SET;
      caller.finish(0);
      return false;
    }
    case 0x06: {
      const statusB = readCmos(ports, cmos.statusB);
      if ((statusB & B_ALARM_ENABLE) !== 0) {
        caller.carry = true;
        return false;
      }
      writeCmos(ports, SECONDS_ALARM, caller.dh);
      writeCmos(ports, MINUTES_ALARM, caller.cl);
      writeCmos(ports, HOURS_ALARM, caller.ch);
      openClockInterrupt(ports);
      writeCmos(ports, cmos.statusB, (statusB & ~B_SET) | B_ALARM_ENABLE);
      caller.finish(0);
      return false;
    }
    case 0x07: {
      const statusB = readCmos(ports, cmos.statusB);
      writeCmos(ports, cmos.statusB, statusB & ~(B_ALARM_ENABLE | B_SET));
      caller.al = statusB;
      caller.finish(0);
      return false;
    }
    default:
      caller.carry = true;
      return false;
  }
}

/** Unmasks IRQ8 at the second interrupt controller. */
export function openClockInterrupt(ports: PortAccess): void {
  ports.writePort(PIC2_MASK, 1, ports.readPort(PIC2_MASK, 1) & ~0x01);
}
