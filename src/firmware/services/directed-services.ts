/**
 * The slower INT 15h functions, as directed services: AH = 86h waits, AH = C2h talks to the PS/2 mouse. The mouse
 * exchange polls the 8042 with its interrupts off, so that the interrupt handlers do not take the replies.
 */
import { FrameCaller } from "../caller.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import { ebda } from "../ebda.ts";
import { EBDA_BASE } from "../memory-map.ts";
import { command8042, readData8042, readReply8042, writeData8042 } from "./controller-8042.ts";

const INVALID_FUNCTION = 0x01;
const INVALID_INPUT = 0x02;
const INTERFACE_ERROR = 0x03;
const NO_HANDLER = 0x05;
const HANDLER_INSTALLED = 0x80;
const ENABLED = 0x80;
const ACK = 0xfa;

export function* int15Directed(memory: ServiceMemory, frame: number, isRealMode: boolean): Directed {
  const caller = new FrameCaller(memory, frame);
  if (caller.ah === 0x86) yield* wait(memory, caller, isRealMode);
  else caller.finish(yield* mouse(memory, caller));
  caller.enableInterrupts();
  caller.commit();
}

/** A timer tick and a little: the longest that a sleep until any interrupt takes. */
const TICK_NS = 56_000_000;
const MOST_READS = 0xffff;

/**
 * CX:DX microseconds, at most an hour and a bit by the register's size. Sleeps from tick to tick where it can; the rest is
 * spent in loops whose length follows from how long the last one took.
 */
function* wait(memory: ServiceMemory, caller: FrameCaller, isRealMode: boolean): Directed {
  let now = memory.nowNs();
  const endNs = now + ((caller.cx << 16) >>> 0) * 1000 + caller.dx * 1000;
  for (let reads = 16; now < endNs; ) {
    const before = now;
    if (isRealMode && endNs - now > TICK_NS) yield { kind: "halt" };
    else yield { kind: "delay", reads };
    now = memory.nowNs();
    const readNs = Math.max(1, (now - before) / reads);
    reads = Math.max(1, Math.min(MOST_READS, reads * 8, Math.floor((endNs - now) / readNs)));
  }
  caller.carry = false;
}

function* mouse(memory: ServiceMemory, caller: FrameCaller): Directed<number> {
  const state = EBDA_BASE + ebda.mouseState;
  const size = EBDA_BASE + ebda.mouseSize;
  switch (caller.al) {
    case 0x00:
      if (caller.bh > 1) return INVALID_INPUT;
      if (caller.bh === 1 && (memory.read8(state) & HANDLER_INSTALLED) === 0) return NO_HANDLER;
      memory.write8(state, memory.read8(state) & HANDLER_INSTALLED);
      memory.write8(size, (memory.read8(size) & ~ENABLED) | (caller.bh === 1 ? ENABLED : 0));
      return (yield* exchange(memory, [caller.bh === 1 ? 0xf4 : 0xf5], 0)) === undefined ? INTERFACE_ERROR : 0;
    case 0x01:
      return yield* resetMouse(memory, caller);
    case 0x02: {
      const rate = [10, 20, 40, 60, 80, 100, 200][caller.bh];
      if (rate === undefined) return INVALID_INPUT;
      return (yield* exchange(memory, [0xf3, rate], 0)) === undefined ? INTERFACE_ERROR : 0;
    }
    case 0x03:
      if (caller.bh > 3) return INVALID_INPUT;
      return (yield* exchange(memory, [0xe8, caller.bh], 0)) === undefined ? INTERFACE_ERROR : 0;
    case 0x04: {
      const reply = yield* exchange(memory, [0xf2], 1);
      if (reply === undefined) return INTERFACE_ERROR;
      caller.bh = reply[0];
      return 0;
    }
    case 0x05: {
      if (caller.bh < 1 || caller.bh > 8) return INVALID_INPUT;
      const status = yield* resetMouse(memory, caller, false);
      memory.write8(size, (caller.bh - 1) & 7);
      return status;
    }
    case 0x06:
      return yield* extended(memory, caller);
    case 0x07:
      memory.write16(EBDA_BASE + ebda.mouseHandler, caller.bx);
      memory.write16(EBDA_BASE + ebda.mouseHandler + 2, caller.es);
      memory.write8(state, caller.bx === 0 && caller.es === 0 ? 0 : HANDLER_INSTALLED);
      return 0;
    default:
      return INVALID_FUNCTION;
  }
}

function* resetMouse(memory: ServiceMemory, caller: FrameCaller, tellsId = true): Directed<number> {
  const reply = yield* exchange(memory, [0xff], 2);
  if (reply === undefined) return INTERFACE_ERROR;
  const size = EBDA_BASE + ebda.mouseSize;
  memory.write8(size, memory.read8(size) & ~ENABLED);
  if (tellsId) {
    caller.bl = reply[0];
    caller.bh = reply[1];
  }
  return 0;
}

function* extended(memory: ServiceMemory, caller: FrameCaller): Directed<number> {
  switch (caller.bh) {
    case 0x00: {
      const reply = yield* exchange(memory, [0xe9], 3);
      if (reply === undefined) return INTERFACE_ERROR;
      [caller.bl, caller.cl, caller.dl] = reply;
      return 0;
    }
    case 0x01:
    case 0x02:
      return (yield* exchange(memory, [caller.bh === 1 ? 0xe6 : 0xe7], 0)) === undefined ? INTERFACE_ERROR : 0;
    default:
      return INVALID_INPUT;
  }
}

const PIC1_MASK = 0x21;
const PIC2_MASK = 0xa1;
const KEYBOARD_IRQ = 0x02;
const MOUSE_IRQ = 0x10;

/**
 * Sends bytes to the mouse, each acknowledged, then reads `replies` bytes. Undefined if it does not answer. The controller
 * raises IRQ1 for its own replies too, so both interrupts are masked, not only switched off in the controller.
 */
function* exchange(
  memory: ServiceMemory,
  bytes: readonly number[],
  replies: number,
): Directed<readonly number[] | undefined> {
  const mask1 = yield { kind: "in8", port: PIC1_MASK };
  const mask2 = yield { kind: "in8", port: PIC2_MASK };
  yield { kind: "out8", port: PIC1_MASK, value: mask1 | KEYBOARD_IRQ };
  yield { kind: "out8", port: PIC2_MASK, value: mask2 | MOUSE_IRQ };
  const answer = yield* exchangeMasked(memory, bytes, replies);
  yield { kind: "out8", port: PIC1_MASK, value: mask1 };
  yield { kind: "out8", port: PIC2_MASK, value: mask2 & ~MOUSE_IRQ };
  return answer;
}

function* exchangeMasked(
  memory: ServiceMemory,
  bytes: readonly number[],
  replies: number,
): Directed<readonly number[] | undefined> {
  yield* command8042(0x20);
  const commandByte = (yield* readData8042()) ?? 0x47;
  // Both interrupts and the keyboard off; the clock of the mouse on, and left on afterwards.
  yield* command8042(0x60);
  yield* writeData8042((commandByte & ~0x23) | 0x10);
  let answer: number[] | undefined = [];
  for (const byte of bytes) {
    yield* command8042(0xd4);
    yield* writeData8042(byte);
    if ((yield* readReply8042(memory, true)) !== ACK) {
      answer = undefined;
      break;
    }
  }
  for (let i = 0; i < replies && answer !== undefined; i++) {
    const reply = yield* readReply8042(memory, true);
    if (reply === undefined) answer = undefined;
    else answer.push(reply);
  }
  yield* command8042(0x60);
  yield* writeData8042((commandByte & ~0x30) | 0x03);
  return answer;
}
