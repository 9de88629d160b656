/**
 * Fills the interrupt vectors, the BIOS data area and the EBDA, as the PC/AT's POST leaves them. Vectors point into the
 * system ROM at F000h; the video BIOS takes INT 10h and its tables over when it is initialised.
 */
import { BDA_BASE, bda } from "../bios-data-area.ts";
import type { ServiceMemory } from "../directed.ts";
import { ebda } from "../ebda.ts";
import { CONVENTIONAL_KIB, EBDA_BASE, EBDA_SEGMENT } from "../memory-map.ts";
import { ROM_SEGMENT, type SystemRomLabels, vectorLabels } from "../rom/system-rom.ts";

export interface LowMemoryContents {
  readonly equipment: number;
  readonly comPorts: readonly number[];
  readonly lptPorts: readonly number[];
  readonly diskCount: number;
  /** Ticks since midnight at 18.2 Hz. */
  readonly ticks: number;
}

export function fillLowMemory(memory: ServiceMemory, labels: SystemRomLabels, contents: LowMemoryContents): void {
  const low = new Uint8Array(0x500);
  const view = new DataView(low.buffer);
  const setVector = (vector: number, offset: number) => {
    view.setUint16(vector * 4, offset, true);
    view.setUint16(vector * 4 + 2, ROM_SEGMENT, true);
  };
  for (let vector = 0; vector < 0x78; vector++) {
    if (vector >= 0x60 && vector <= 0x67) continue;
    setVector(vector, labels.iret);
  }
  for (const [vector, label] of vectorLabels) setVector(vector, labels[label]);

  const word = (offset: number, value: number) => view.setUint16(BDA_BASE + offset, value, true);
  const byte = (offset: number, value: number) => {
    low[BDA_BASE + offset] = value;
  };
  contents.comPorts.forEach((port, i) => {
    word(bda.comPorts + i * 2, port);
  });
  contents.lptPorts.forEach((port, i) => {
    word(bda.lptPorts + i * 2, port);
  });
  word(bda.ebdaSegment, EBDA_SEGMENT);
  word(bda.equipment, contents.equipment);
  word(bda.memoryKib, CONVENTIONAL_KIB);
  word(bda.keyboardHead, bda.keyboardBuffer);
  word(bda.keyboardTail, bda.keyboardBuffer);
  word(bda.keyboardBufferStart, bda.keyboardBuffer);
  word(bda.keyboardBufferLimit, bda.keyboardBufferEnd);
  word(bda.crtcPort, 0x3d4);
  view.setUint32(BDA_BASE + bda.ticks, contents.ticks, true);
  byte(bda.diskCount, contents.diskCount);
  for (let i = 0; i < 4; i++) {
    byte(bda.lptTimeouts + i, 0x14);
    byte(bda.comTimeouts + i, 0x01);
  }
  // An enhanced (101/102 key) keyboard.
  byte(bda.keyboardMode, 0x10);
  memory.writeBytes(0, low);

  const extended = new Uint8Array(1024);
  extended[ebda.sizeKib] = 1;
  memory.writeBytes(EBDA_BASE, extended);
}
