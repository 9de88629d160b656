/**
 * INT 14h (serial ports) and INT 17h (printers), as directed services that drive the UART and the printer port by guest
 * instructions, with the time-outs of the BIOS data area (16550A data sheet; IBM PC/AT Technical Reference).
 */
import { BDA_BASE, bda } from "../bios-data-area.ts";
import { FrameCaller } from "../caller.ts";
import type { Directed, ServiceMemory } from "../directed.ts";

const THR = 0;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const LSR_DR = 0x01;
const LSR_THRE = 0x20;
const TIMED_OUT = 0x80;
/** Divisors of 110, 150, 300, 600, 1200, 2400, 4800, 9600, 19200 baud. */
const divisors = [1047, 768, 384, 192, 96, 48, 24, 12, 6];
/** One unit of a time-out in the BIOS data area. */
const TIMEOUT_UNIT_NS = 500_000_000;

export function* int14(memory: ServiceMemory, frame: number): Directed {
  const caller = new FrameCaller(memory, frame);
  if (caller.dx < 4) {
    const base = memory.read16(BDA_BASE + bda.comPorts + caller.dx * 2);
    const endNs = memory.nowNs() + memory.read8(BDA_BASE + bda.comTimeouts + caller.dx) * TIMEOUT_UNIT_NS;
    if (base !== 0) yield* serial(memory, caller, base, endNs);
  }
  caller.commit();
}

function* serial(memory: ServiceMemory, caller: FrameCaller, base: number, endNs: number): Directed {
  switch (caller.ah) {
    case 0x00: {
      const parameters = caller.al;
      yield* setLine(base, divisors[parameters >> 5], parameters & 0x1f);
      yield* status(caller, base);
      return;
    }
    case 0x01: {
      yield { kind: "out8", port: base + MCR, value: 0x03 };
      const line = yield* until(memory, base + LSR, LSR_THRE, endNs);
      if (line === undefined) {
        caller.ah = TIMED_OUT | (yield { kind: "in8", port: base + LSR });
        return;
      }
      yield { kind: "out8", port: base + THR, value: caller.al };
      caller.ah = line;
      return;
    }
    case 0x02: {
      yield { kind: "out8", port: base + MCR, value: 0x01 };
      const line = yield* until(memory, base + LSR, LSR_DR, endNs);
      if (line === undefined) {
        caller.ah = TIMED_OUT | (yield { kind: "in8", port: base + LSR });
        return;
      }
      caller.al = yield { kind: "in8", port: base + THR };
      caller.ah = line & 0x1e;
      return;
    }
    case 0x03:
      yield* status(caller, base);
      return;
    case 0x04: {
      // AL break, BH parity, BL stop bits, CH data bits − 5, CL baud rate.
      const parity = [0x00, 0x08, 0x18, 0x28, 0x38][caller.bh] ?? 0;
      const line = parity | ((caller.bl & 1) << 2) | (caller.ch & 3) | (caller.al === 1 ? 0x40 : 0);
      yield* setLine(base, divisors[caller.cl] ?? 12, line);
      yield* status(caller, base);
      return;
    }
    case 0x05:
      if (caller.al === 1) yield { kind: "out8", port: base + MCR, value: caller.bl };
      else caller.bl = yield { kind: "in8", port: base + MCR };
      yield* status(caller, base);
  }
}

function* setLine(base: number, divisor: number, line: number): Directed {
  yield { kind: "out8", port: base + LCR, value: 0x80 };
  yield { kind: "out8", port: base, value: divisor & 0xff };
  yield { kind: "out8", port: base + 1, value: divisor >> 8 };
  yield { kind: "out8", port: base + LCR, value: line & 0x7f };
  yield { kind: "out8", port: base + 1, value: 0 };
}

function* status(caller: FrameCaller, base: number): Directed {
  caller.ah = yield { kind: "in8", port: base + LSR };
  caller.al = yield { kind: "in8", port: base + MSR };
}

/** Polls until a bit of `mask` is set; the byte, or undefined when time is up. */
function* until(memory: ServiceMemory, port: number, mask: number, endNs: number): Directed<number | undefined> {
  for (;;) {
    const value = yield { kind: "poll8", port, mask, value: mask, tries: 256 };
    if ((value & mask) === mask) return value;
    if (memory.nowNs() >= endNs) return undefined;
  }
}

const PRINTER_STATUS = 1;
const PRINTER_CONTROL = 2;
const NOT_BUSY = 0x80;

export function* int17(memory: ServiceMemory, frame: number): Directed {
  const caller = new FrameCaller(memory, frame);
  const base = caller.dx < 3 ? memory.read16(BDA_BASE + bda.lptPorts + caller.dx * 2) : 0;
  if (base !== 0 && caller.ah <= 2) {
    let timedOut = 0;
    if (caller.ah === 0) {
      const endNs = memory.nowNs() + memory.read8(BDA_BASE + bda.lptTimeouts + caller.dx) * TIMEOUT_UNIT_NS;
      yield { kind: "out8", port: base, value: caller.al };
      if ((yield* until(memory, base + PRINTER_STATUS, NOT_BUSY, endNs)) === undefined) timedOut = 1;
      else {
        yield { kind: "out8", port: base + PRINTER_CONTROL, value: 0x0d };
        yield { kind: "out8", port: base + PRINTER_CONTROL, value: 0x0c };
      }
    } else if (caller.ah === 1) {
      yield { kind: "out8", port: base + PRINTER_CONTROL, value: 0x08 };
      yield { kind: "delay", reads: 64 };
      yield { kind: "out8", port: base + PRINTER_CONTROL, value: 0x0c };
    }
    const lines = yield { kind: "in8", port: base + PRINTER_STATUS };
    // Acknowledge and error are inverted on the way.
    caller.ah = ((lines ^ 0x48) & 0xf8) | timedOut;
  }
  caller.commit();
}
