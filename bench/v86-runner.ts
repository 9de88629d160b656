/**
 * v86 as a process: `node v86-runner.ts MEMORY-MIB (DISK | KERNEL INITRD COMMAND-LINE)`, the guest's first serial port on
 * standard input and output. Its firmware is Debian's SeaBIOS.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { V86 } from "v86";

const [memoryMiB, ...media] = process.argv.slice(2);
const image = (path: string) => {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  return { buffer: buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer };
};
const build = dirname(createRequire(import.meta.url).resolve("v86"));

const emulator = new V86({
  wasm_path: join(build, "v86.wasm"),
  memory_size: Number(memoryMiB) << 20,
  vga_memory_size: 8 << 20,
  bios: image("/usr/share/seabios/bios.bin"),
  vga_bios: image("/usr/share/seabios/vgabios-stdvga.bin"),
  ...(media.length === 1
    ? { hda: image(media[0]) }
    : { bzimage: image(media[0]), initrd: image(media[1]), cmdline: media[2] }),
  autostart: true,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
});

let pending: number[] = [];
emulator.add_listener("serial0-output-byte", (byte: number) => {
  // One write for what comes at once.
  if (pending.length === 0)
    setImmediate(() => {
      process.stdout.write(Buffer.from(pending));
      pending = [];
    });
  pending.push(byte);
});
process.stdin.on("data", (bytes: Buffer) => emulator.serial0_send(bytes.toString("latin1")));
