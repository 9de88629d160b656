/** The video BIOS ROM: 32 KiB for C0000h, entered by POST at offset 3. */
import { Assembler } from "../assembler/assembler.ts";

export const VIDEO_ROM_BYTES = 0x8000;

export function buildVideoRom(): Uint8Array {
  const a = new Assembler(0);
  a.db(0x55, 0xaa, VIDEO_ROM_BYTES / 512);
  a.label("initialise");
  a.retf();
  const rom = new Uint8Array(VIDEO_ROM_BYTES).fill(0xff);
  rom.set(a.finish());
  rom[VIDEO_ROM_BYTES - 1] = 0;
  rom[VIDEO_ROM_BYTES - 1] = -rom.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return rom;
}
