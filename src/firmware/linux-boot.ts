/**
 * Boots a Linux kernel without a boot loader (Documentation/arch/x86/boot.rst, protocol 2.02 and later, 32-bit entry
 * point): places the protected-mode kernel at 1 MiB, the initial RAM disk as high as the kernel allows, the command line,
 * the zero page, and a few bytes of real-mode code that switch to flat protected mode and jump. Kernels without the
 * "loaded high" flag (zImage) and 16-bit entries are not supported.
 */
import { AnneauError } from "../base/errors.ts";
import type { LinuxBootSpec } from "../spec/machine-spec.ts";
import { Assembler } from "./assembler/assembler.ts";
import { AL, AX, CS, DS, EAX, EBP, EBX, ECX, EDI, EDX, ES, ESI, ESP, FS, GS, m16, SS } from "./assembler/operands.ts";
import { acpiDataBase, encodeMemoryRange, type MemoryRange } from "./memory-map.ts";

/** Offsets in the setup header and the zero page that share them. */
const SETUP_SECTS = 0x1f1;
const VID_MODE = 0x1fa;
const BOOT_FLAG = 0x1fe;
const HEADER_LENGTH = 0x201;
const HEADER_MAGIC = 0x202;
const VERSION = 0x206;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const CMD_LINE_PTR = 0x228;
const INITRD_ADDR_MAX = 0x22c;
const CMDLINE_SIZE = 0x238;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;
const XLOADFLAGS = 0x236;
/** Offsets in the zero page alone. */
const EXT_MEM_K = 0x002;
const ALT_MEM_K = 0x1e0;
const E820_ENTRIES = 0x1e8;
const E820_TABLE = 0x2d0;

const LOADED_HIGH = 1;
/** XLF_KERNEL_64. */
const KERNEL_64 = 1;
const LOADER_UNDEFINED = 0xff;
const VID_MODE_NORMAL = 0xffff;
const KERNEL_BASE = 0x100000;
const ZERO_PAGE = 0x10000;
const TRAMPOLINE = 0x11000;
const COMMAND_LINE = 0x20000;
const PAGE = 0x1000;

export interface LoadedPiece {
  readonly gpa: number;
  readonly bytes: Uint8Array;
}

export interface LinuxBootPlan {
  readonly pieces: readonly LoadedPiece[];
  /** Real-mode address that starts the kernel. */
  readonly entry: { readonly segment: number; readonly offset: number };
  /** Guest-physical address of the zero page (where the screen's cursor is to be noted). */
  readonly zeroPage: number;
}

export interface LinuxBootMachine {
  readonly ramBytes: number;
  readonly memoryMap: readonly MemoryRange[];
  /** A VGA card in text mode 80×25; without one the kernel is told that there is no console. */
  readonly hasVga: boolean;
}

/** Says where everything goes. Throws AnneauError (one line) if the kernel is not one or does not fit into RAM. */
export function planLinuxBoot(linux: LinuxBootSpec, machine: LinuxBootMachine): LinuxBootPlan {
  const { kernel } = linux;
  if (kernel.length < 0x1000) throw new AnneauError("kernel: the file is too short for a Linux kernel");
  const image = new DataView(kernel.buffer, kernel.byteOffset, kernel.byteLength);
  if (image.getUint16(BOOT_FLAG, true) !== 0xaa55 || image.getUint32(HEADER_MAGIC, true) !== 0x53726448)
    throw new AnneauError("kernel: not a bzImage (no Linux setup header)");
  const version = image.getUint16(VERSION, true);
  if (version < 0x202)
    throw new AnneauError(`kernel: boot protocol ${version >> 8}.${version & 0xff} is too old, 2.02 is needed`);
  if ((kernel[LOADFLAGS] & LOADED_HIGH) === 0) throw new AnneauError("kernel: a zImage; a bzImage is needed");
  if (version >= 0x20c && (image.getUint16(XLOADFLAGS, true) & KERNEL_64) !== 0)
    throw new AnneauError("kernel: for 64-bit processors, which the machine does not have; a 32-bit one is needed");
  const setupBytes = ((kernel[SETUP_SECTS] || 4) + 1) * 512;
  if (setupBytes >= kernel.length) throw new AnneauError("kernel: the file ends inside its setup code");
  const protectedMode = kernel.subarray(setupBytes);

  const zeroPage = new Uint8Array(PAGE);
  const headerEnd = Math.min(HEADER_MAGIC + kernel[HEADER_LENGTH], E820_TABLE - 0x40);
  zeroPage.set(kernel.subarray(SETUP_SECTS, headerEnd), SETUP_SECTS);
  const view = new DataView(zeroPage.buffer);

  const commandLine = encodeCommandLine(linux.commandLine, version >= 0x206 ? view.getUint32(CMDLINE_SIZE, true) : 255);
  const kernelEnd = kernelFootprintEnd(view, version, protectedMode.length);
  const ramTop = acpiDataBase(machine.ramBytes);
  if (kernelEnd > ramTop) throw new AnneauError(`kernel: needs ${mib(kernelEnd)} MiB of RAM, ${mib(ramTop)} there`);

  const pieces: LoadedPiece[] = [{ gpa: KERNEL_BASE, bytes: protectedMode }];
  const initrd = linux.initrd;
  if (initrd && initrd.length > 0) {
    const highest = version >= 0x203 ? view.getUint32(INITRD_ADDR_MAX, true) : 0x37ffffff;
    const gpa = Math.floor((Math.min(ramTop, highest + 1) - initrd.length) / PAGE) * PAGE;
    if (gpa < kernelEnd)
      throw new AnneauError(
        `initrd: kernel and initrd need ${mib(kernelEnd + initrd.length)} MiB of RAM, ${mib(ramTop)} there`,
      );
    view.setUint32(RAMDISK_IMAGE, gpa, true);
    view.setUint32(RAMDISK_SIZE, initrd.length, true);
    pieces.push({ gpa, bytes: initrd });
  }

  view.setUint16(VID_MODE, VID_MODE_NORMAL, true);
  zeroPage[TYPE_OF_LOADER] = LOADER_UNDEFINED;
  view.setUint32(CODE32_START, KERNEL_BASE, true);
  view.setUint32(CMD_LINE_PTR, COMMAND_LINE, true);
  const extendedKib = (ramTop - KERNEL_BASE) / 1024;
  view.setUint16(EXT_MEM_K, Math.min(extendedKib, 0xffff), true);
  view.setUint32(ALT_MEM_K, extendedKib, true);
  zeroPage[E820_ENTRIES] = machine.memoryMap.length;
  machine.memoryMap.forEach((range, i) => {
    zeroPage.set(encodeMemoryRange(range), E820_TABLE + i * 20);
  });
  if (machine.hasVga) describeTextScreen(zeroPage);

  pieces.push({ gpa: ZERO_PAGE, bytes: zeroPage }, { gpa: COMMAND_LINE, bytes: commandLine });
  pieces.push({ gpa: TRAMPOLINE, bytes: assembleTrampoline() });
  return { pieces, entry: { segment: TRAMPOLINE >> 4, offset: 0 }, zeroPage: ZERO_PAGE };
}

function mib(bytes: number): number {
  return Math.ceil(bytes / 0x100000);
}

function encodeCommandLine(text: string, limit: number): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const most = Math.min(limit || 255, 0xffff);
  if (bytes.length > most)
    throw new AnneauError(`kernel command line: ${bytes.length} bytes, this kernel takes at most ${most}`);
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

/** The end of the memory that the kernel needs while it unpacks itself. */
function kernelFootprintEnd(view: DataView, version: number, loadedBytes: number): number {
  const loadedEnd = KERNEL_BASE + loadedBytes;
  if (version < 0x20a) return loadedEnd;
  const preferred = Math.max(view.getUint32(PREF_ADDRESS, true), KERNEL_BASE);
  return Math.max(loadedEnd, preferred + view.getUint32(INIT_SIZE, true));
}

/** struct screen_info: mode 3, 80×25, VGA, 16-line font. The cursor is filled in by POST. */
function describeTextScreen(zeroPage: Uint8Array): void {
  zeroPage[0x06] = 3;
  zeroPage[0x07] = 80;
  zeroPage[0x0a] = 0x03;
  zeroPage[0x0e] = 25;
  zeroPage[0x0f] = 1;
  zeroPage[0x10] = 16;
}

/** Real mode to the 32-bit entry: the selectors 10h and 18h are the protocol's __BOOT_CS and __BOOT_DS. */
function assembleTrampoline(): Uint8Array {
  const a = new Assembler(0);
  a.cli();
  a.lgdt(m16(CS, "gdtPointer"));
  a.movFromCr0(EAX);
  a.or(AL, 1);
  a.movToCr0(EAX);
  a.db(0x66, 0xea);
  a.dd(TRAMPOLINE + 0x40);
  a.dw(0x10);
  a.origin(0x40);
  a.bits(32);
  a.mov(AX, 0x18);
  for (const segment of [DS, ES, FS, GS, SS]) a.mov(segment, AX);
  a.mov(ESP, TRAMPOLINE);
  a.mov(ESI, ZERO_PAGE);
  for (const register of [EBX, ECX, EDX, EBP, EDI]) a.xor(register, register);
  a.mov(EAX, KERNEL_BASE);
  a.jmp(EAX);
  a.align(8);
  a.label("gdt");
  a.dd(0, 0, 0, 0);
  a.dd(0x0000ffff, 0x00cf9b00);
  a.dd(0x0000ffff, 0x00cf9300);
  a.label("gdtPointer");
  a.dw(0x1f);
  a.addressPlus("gdt", TRAMPOLINE);
  return a.finish();
}
