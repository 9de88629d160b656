/**
 * A guest as an ELF core file (System V ABI, i386 supplement; Linux's elf_prstatus for the registers): guest RAM is one segment
 * at the addresses it has for the guest (physical; A0000h–FFFFFh, which is no RAM, reads as ones), the registers are a note that debuggers read. Memory behind page tables is for the reader to find.
 */
import type { RegisterValues } from "./registers.ts";

const ELF_HEADER_BYTES = 52;
const PROGRAM_HEADER_BYTES = 32;
const PT_LOAD = 1;
const PT_NOTE = 4;
const READ_WRITE_EXECUTE = 7;
const NT_PRSTATUS = 1;
const PRSTATUS_BYTES = 144;
const PRSTATUS_PID = 24;
const PRSTATUS_REGISTERS = 72;
/** Where RAM begins in the file. */
const DATA_OFFSET = 4096;

/** user_regs_struct: ORIG_EAX, in the place of the empty name, is -1 outside of a system call. */
const registerOrder = "ebx ecx edx esi edi ebp eax ds es fs gs  eip cs eflags esp ss".split(" ");

/** Everything before RAM: `ramBytes` bytes of RAM follow it in the file. */
export function coreFileHead(registers: RegisterValues, ramBytes: number): Uint8Array {
  const bytes = new Uint8Array(DATA_OFFSET);
  const view = new DataView(bytes.buffer);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  // 32 bits, little-endian, version 1; ET_CORE, EM_386.
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  u16(16, 4);
  u16(18, 3);
  u32(20, 1);
  u32(28, ELF_HEADER_BYTES);
  u16(40, ELF_HEADER_BYTES);
  u16(42, PROGRAM_HEADER_BYTES);
  u16(44, 2);
  const noteAt = ELF_HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;
  const noteBytes = 12 + 8 + PRSTATUS_BYTES;
  const header = (index: number, type: number, offset: number, sizeBytes: number, flags: number) => {
    const at = ELF_HEADER_BYTES + index * PROGRAM_HEADER_BYTES;
    for (const [i, value] of [type, offset, 0, 0, sizeBytes, type === PT_LOAD ? sizeBytes : 0, flags].entries())
      u32(at + 4 * i, value);
  };
  header(0, PT_NOTE, noteAt, noteBytes, 0);
  header(1, PT_LOAD, DATA_OFFSET, ramBytes, READ_WRITE_EXECUTE);
  for (const [i, value] of [5, PRSTATUS_BYTES, NT_PRSTATUS].entries()) u32(noteAt + 4 * i, value);
  bytes.set([0x43, 0x4f, 0x52, 0x45], noteAt + 12);
  const status = noteAt + 20;
  u32(status + PRSTATUS_PID, 1);
  for (const [i, name] of registerOrder.entries())
    u32(status + PRSTATUS_REGISTERS + 4 * i, name === "" ? 0xffff_ffff : registers[name]);
  return bytes;
}
