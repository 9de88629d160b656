/** The 8042 keyboard controller by guest instructions, polled: pieces of directed services. Every wait is bounded. */
import type { Directed, ServiceMemory } from "../directed.ts";

const STATUS = 0x64;
const DATA = 0x60;
const OUTPUT_FULL = 0x01;
const INPUT_FULL = 0x02;
const FROM_MOUSE = 0x20;
const TRIES = 0x2000;
/** A reset of keyboard or mouse may take half a second. */
const REPLY_NS = 1_000_000_000;

export function* command8042(command: number): Directed {
  yield { kind: "poll8", port: STATUS, mask: INPUT_FULL, value: 0, tries: TRIES };
  yield { kind: "out8", port: STATUS, value: command };
}

export function* writeData8042(value: number): Directed {
  yield { kind: "poll8", port: STATUS, mask: INPUT_FULL, value: 0, tries: TRIES };
  yield { kind: "out8", port: DATA, value };
}

/** A byte that the controller itself answers. */
export function* readData8042(): Directed<number | undefined> {
  const status = yield { kind: "poll8", port: STATUS, mask: OUTPUT_FULL, value: OUTPUT_FULL, tries: TRIES };
  return (status & OUTPUT_FULL) === 0 ? undefined : yield { kind: "in8", port: DATA };
}

/** A byte from the mouse or the keyboard; bytes of the other one that come in between are dropped. */
export function* readReply8042(memory: ServiceMemory, fromMouse: boolean): Directed<number | undefined> {
  const endNs = memory.nowNs() + REPLY_NS;
  for (let dropped = 0; dropped < 16; ) {
    const status = yield { kind: "poll8", port: STATUS, mask: OUTPUT_FULL, value: OUTPUT_FULL, tries: TRIES };
    if ((status & OUTPUT_FULL) !== 0) {
      const byte = yield { kind: "in8", port: DATA };
      if (((status & FROM_MOUSE) !== 0) === fromMouse) return byte;
      dropped++;
    } else if (memory.nowNs() > endNs) return undefined;
  }
  return undefined;
}

/** Empties the output buffer. */
export function* drain8042(): Directed {
  for (let i = 0; i < 32; i++) {
    const status = yield { kind: "in8", port: STATUS };
    if ((status & OUTPUT_FULL) === 0) return;
    yield { kind: "in8", port: DATA };
  }
}
