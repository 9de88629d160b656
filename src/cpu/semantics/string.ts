/**
 * String instructions. Each iteration commits SI, DI and the count, so a fault in the middle of a repetition restarts
 * exactly there. REPE/REPNE CMPS and SCAS set the flags at their end only: after a fault or trap they are those of before
 * (SDM volume 2, REP). A repetition runs until its count is a multiple of CHUNK (one element, if TF or breakpoints ask for
 * traps), then goes round through its own EIP so that interrupts and timers are seen: that counts as an instruction, at the same
 * places whoever executes it and wherever it was resumed. Within a page and with DF = 0, REP MOVS and STOS move blocks.
 */
import type { Instruction, Operand } from "../decode/operand.ts";
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/node.ts";
import * as L from "../layout.ts";
import type { Semantics } from "../table/row.ts";

const CHUNK = 1024;
const FLAG_TF = 0x100;
const FLAG_DF = 0x400;
const DR7 = L.DR + 7 * 8;
const DR7_ENABLED = 0xff;
const ECX = 1;
const ESI = 6;
const EDI = 7;

const sized = (i: Instruction, index: number): Operand => ({ kind: "fixed", width: i.addressWidth, index });
const element = (i: Instruction): number => i.operands[0].width / 8;

/** +size or −size by DF. */
function step(b: Builder, size: number): Node {
  const down = b.and(b.shrU(b.state(L.EFLAGS_SYSTEM), b.i32(10)), b.i32(1));
  return b.sub(b.i32(size), b.mul(down, b.i32(size * 2)));
}

function advance(b: Builder, i: Instruction, index: number, by: Node): void {
  b.write(sized(i, index), b.add(b.read(sized(i, index)), by));
}

function source(b: Builder, i: Instruction, size: number): Node {
  return b.linear(-1, b.read(sized(i, ESI)), size, false);
}

function destination(b: Builder, i: Instruction, size: number, isWrite: boolean): Node {
  return b.linear(L.SEG_ES, b.read(sized(i, EDI)), size, isWrite);
}

/** What an iteration of CMPS or SCAS has compared. */
interface Compared {
  readonly x: Node;
  readonly y: Node;
}

/**
 * Wraps one iteration in the repeat prefix. `iteration` may return a comparison: it sets the flags, and may end the
 * repetition. `block`, if given, tries to do many at once and returns how many it did (0: none).
 */
function repeated(
  b: Builder,
  i: Instruction,
  iteration: () => Compared | undefined,
  block?: (count: Node) => Node,
): void {
  const width = i.operands[0].width;
  if (i.repeat === 0) {
    const compared = iteration();
    if (compared) b.flagsSub(width, compared.x, compared.y, b.sub(compared.x, compared.y));
    return;
  }
  const counter = sized(i, ECX);
  b.if(b.nez(b.read(counter)), () => {
    const isTraced = b.and(b.state(L.EFLAGS_SYSTEM), b.i32(FLAG_TF));
    const isStepping = b.or(isTraced, b.and(b.state(DR7), b.i32(DR7_ENABLED)));
    const rest = b.add(b.and(b.sub(b.read(counter), b.i32(1)), b.i32(CHUNK - 1)), b.i32(1));
    const budget = b.variable(b.select(isStepping, b.i32(1), rest));
    const x = b.variable(b.i32(0));
    const y = b.variable(b.i32(0));
    let hasFlags = false;
    b.loop(() => {
      b.commit();
      const count = b.read(counter);
      const stop = b.variable(b.i32(0));
      if (block) {
        const done = b.variable(block(minimum(b, count, b.get(budget))));
        b.commit();
        b.if(b.eqz(b.get(done)), () => {
          iteration();
          b.set(done, b.i32(1));
        });
        b.write(counter, b.sub(count, b.get(done)));
        b.set(budget, b.sub(b.get(budget), b.get(done)));
      } else {
        const compared = iteration();
        b.write(counter, b.sub(count, b.i32(1)));
        if (compared) {
          hasFlags = true;
          b.set(x, compared.x);
          b.set(y, compared.y);
          b.set(stop, i.repeat === 0xf3 ? b.ne(compared.x, compared.y) : b.eq(compared.x, compared.y));
        }
        b.set(budget, b.sub(b.get(budget), b.i32(1)));
      }
      const more = b.and(b.nez(b.read(counter)), b.eqz(b.get(stop)));
      b.commit();
      b.if(b.and(more, b.eqz(b.get(budget))), () => b.jump(b.thisEip()));
      return more;
    });
    if (hasFlags) b.flagsSub(width, b.get(x), b.get(y), b.sub(b.get(x), b.get(y)));
  });
}

const minimum = (b: Builder, x: Node, y: Node): Node => b.select(b.ltU(x, y), x, y);

/** Bytes from `linear` to the end of its page. */
function pageRest(b: Builder, linear: Node): Node {
  return b.sub(b.i32(4096), b.and(linear, b.i32(4095)));
}

const isBulk = (i: Instruction): boolean => i.isFlat && i.addressWidth === 32;
/** Upwards, and without a trap after each element. */
const isUp = (b: Builder): Node => b.eqz(b.and(b.state(L.EFLAGS_SYSTEM), b.i32(FLAG_DF | FLAG_TF)));
const log2 = (size: number): number => (size === 4 ? 2 : size === 2 ? 1 : 0);

export const movs: Semantics = (b, i) => {
  const size = element(i);
  const one = () => {
    const from = source(b, i, size);
    const value = b.load(from, size);
    const to = destination(b, i, size, true);
    b.store(to, size, value);
    const by = step(b, size);
    advance(b, i, ESI, by);
    advance(b, i, EDI, by);
    return undefined;
  };
  const block = (count: Node) => {
    const done = b.variable(b.i32(0));
    b.if(b.and(isUp(b), b.gtU(count, b.i32(3))), () => {
      const from = b.gpr(ESI);
      const to = b.gpr(EDI);
      const rest = b.shrU(minimum(b, pageRest(b, from), pageRest(b, to)), b.i32(log2(size)));
      const elements = minimum(b, count, rest);
      const bytes = b.shl(elements, b.i32(log2(size)));
      // A destination a little above the source repeats a pattern: element by element.
      const isPattern = b.ltU(b.sub(b.sub(to, from), b.i32(1)), bytes);
      b.if(b.and(b.nez(elements), b.eqz(isPattern)), () => {
        const hostFrom = b.hostAddress(from, false);
        const hostTo = b.hostAddress(to, true);
        const overlap = b.ltU(b.sub(b.sub(hostTo, hostFrom), b.i32(1)), bytes);
        b.if(b.and(b.and(b.nez(hostFrom), b.nez(hostTo)), b.eqz(overlap)), () => {
          b.memoryCopy(hostTo, hostFrom, bytes);
          b.setGpr(ESI, b.add(from, bytes));
          b.setGpr(EDI, b.add(to, bytes));
          b.set(done, elements);
        });
      });
    });
    return b.get(done);
  };
  repeated(b, i, one, isBulk(i) ? block : undefined);
};

export const stos: Semantics = (b, i) => {
  const size = element(i);
  const one = () => {
    const to = destination(b, i, size, true);
    b.store(to, size, b.read({ kind: "fixed", width: size * 8, index: 0 }));
    advance(b, i, EDI, step(b, size));
    return undefined;
  };
  const block = (count: Node) => {
    const done = b.variable(b.i32(0));
    const value = b.read({ kind: "fixed", width: size * 8, index: 0 });
    const byte = b.and(value, b.i32(0xff));
    const uniform =
      size === 1 ? b.i32(1) : b.eq(value, size === 2 ? b.mul(byte, b.i32(0x0101)) : b.mul(byte, b.i32(0x01010101)));
    b.if(b.and(b.and(isUp(b), uniform), b.gtU(count, b.i32(3))), () => {
      const to = b.gpr(EDI);
      const elements = minimum(b, count, b.shrU(pageRest(b, to), b.i32(log2(size))));
      const bytes = b.shl(elements, b.i32(log2(size)));
      b.if(b.nez(elements), () => {
        const host = b.hostAddress(to, true);
        b.if(b.nez(host), () => {
          b.memoryFill(host, byte, bytes);
          b.setGpr(EDI, b.add(to, bytes));
          b.set(done, elements);
        });
      });
    });
    return b.get(done);
  };
  repeated(b, i, one, isBulk(i) ? block : undefined);
};

export const lods: Semantics = (b, i) => {
  const size = element(i);
  repeated(b, i, () => {
    const value = b.load(source(b, i, size), size);
    b.write({ kind: "fixed", width: size * 8, index: 0 }, value);
    advance(b, i, ESI, step(b, size));
    return undefined;
  });
};

export const cmps: Semantics = (b, i) => {
  const size = element(i);
  repeated(b, i, () => {
    const y = b.load(destination(b, i, size, false), size);
    const x = b.load(source(b, i, size), size);
    const by = step(b, size);
    advance(b, i, ESI, by);
    advance(b, i, EDI, by);
    return { x, y };
  });
};

export const scas: Semantics = (b, i) => {
  const size = element(i);
  repeated(b, i, () => {
    const x = b.read({ kind: "fixed", width: size * 8, index: 0 });
    const y = b.load(destination(b, i, size, false), size);
    advance(b, i, EDI, step(b, size));
    return { x, y };
  });
};

/**
 * INS and OUTS go through the engine: permission, window and direction belong to port I/O. `parameter` is unused; the
 * helper repeats within bounds and comes back through EIP. Arguments: size, address width, repeat, segment operand.
 */
export const ins: Semantics = (b, i) => {
  b.helper("ins", [b.i32(element(i)), b.i32(i.addressWidth), b.i32(i.repeat), b.nextEip()], true);
};

export const outs: Semantics = (b, i) => {
  const packed = element(i) | (i.addressWidth << 8) | ((i.repeat === 0 ? 0 : 1) << 16);
  b.helper("outs", [b.i32(packed), b.segmentNumber(), b.nextEip()], true);
};
