/**
 * INT 05h: prints the text screen through INT 10h and INT 17h (IBM PC Technical Reference). Directed, in real mode only:
 * its calls need the call block in the EBDA.
 */
import { BDA_BASE, bda } from "../bios-data-area.ts";
import { callInterrupt } from "../boot/guest-calls.ts";
import type { Directed, ServiceMemory } from "../directed.ts";

const STATUS = BDA_BASE + bda.printScreenStatus;
const PRINTING = 1;
const FAILED = 0xff;
const PRINTER_TROUBLE = 0x29;

export function* printScreen(memory: ServiceMemory, isRealMode: boolean): Directed {
  if (!isRealMode || memory.read8(STATUS) === PRINTING) return;
  memory.write8(STATUS, PRINTING);
  const mode = yield* callInterrupt(memory, 0x10, { eax: 0x0f00 });
  const columns = (mode.eax >> 8) & 0xff;
  const page = mode.ebx & 0xff00;
  const cursor = yield* callInterrupt(memory, 0x10, { eax: 0x0300, ebx: page });
  const rows = memory.read8(BDA_BASE + bda.videoRows) + 1;
  let isFine = yield* printBytes(memory, [0x0d, 0x0a]);
  for (let row = 0; row < rows && isFine; row++) {
    const line: number[] = [];
    for (let column = 0; column < columns; column++) {
      yield* callInterrupt(memory, 0x10, { eax: 0x0200, ebx: page, edx: (row << 8) | column });
      const { eax } = yield* callInterrupt(memory, 0x10, { eax: 0x0800, ebx: page });
      line.push(eax & 0xff || 0x20);
    }
    isFine = yield* printBytes(memory, [...line, 0x0d, 0x0a]);
  }
  yield* callInterrupt(memory, 0x10, { eax: 0x0200, ebx: page, edx: cursor.edx & 0xffff });
  memory.write8(STATUS, isFine ? 0 : FAILED);
}

function* printBytes(memory: ServiceMemory, bytes: readonly number[]): Directed<boolean> {
  for (const byte of bytes) {
    const { eax } = yield* callInterrupt(memory, 0x17, { eax: byte });
    if (((eax >> 8) & PRINTER_TROUBLE) !== 0) return false;
  }
  return true;
}
