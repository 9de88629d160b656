/**
 * INT 10h AH = 0Eh in text modes, in ROM code: programs print whole screens this way. Characters that would scroll, and graphics
 * modes, go on to the service, which does the same slower.
 */
import type { Assembler } from "../assembler/assembler.ts";
import { AH, AL, AX, BH, BL, BX, DH, DI, DL, DS, DX, ES, m8, m16 } from "../assembler/operands.ts";
import { BDA_SEGMENT, bda } from "../bios-data-area.ts";

/** Falls through, with all registers as they were, to the code behind it when the fast way is not possible. */
export function emitFastTeletype(a: Assembler): void {
  // Conditional jumps stay short: the near forms came with the 386, and an emulator need not know them.
  a.cmp(AH, 0x0e);
  a.j("e", "teletype.begin");
  a.jmp("teletype.other");
  a.label("teletype.begin");
  const saved = [AX, BX, DX, DI] as const;
  for (const register of saved) a.push(register);
  a.push(DS);
  a.push(ES);
  a.mov(BX, BDA_SEGMENT);
  a.mov(DS, BX);
  // ES: the text memory of modes 0–3 and 7.
  a.mov(BX, 0xb800);
  a.mov(AH, m8(bda.videoMode));
  a.and(AH, 0x7f);
  a.cmp(AH, 3);
  a.j("be", "teletype.text");
  a.mov(BX, 0xb000);
  a.cmp(AH, 7);
  a.j("e", "teletype.text");
  a.jmp("teletype.slow");
  a.label("teletype.text");
  a.mov(ES, BX);
  a.mov(BL, m8(bda.videoPage));
  a.and(BX, 0x0007);
  a.shl(BX, 1);
  a.mov(DX, m16(BX, bda.cursorPositions));
  a.cmp(AL, 0x0d);
  a.j("be", "teletype.control");
  a.label("teletype.character");
  a.call("teletype.offset");
  a.shl(DI, 1);
  a.add(DI, m16(bda.videoPageStart));
  a.inc(DL);
  a.cmp(DL, m8(bda.videoColumns));
  a.j("b", "teletype.put");
  a.mov(DL, 0);
  a.inc(DH);
  a.cmp(DH, m8(bda.videoRows));
  a.j("a", "teletype.slow");
  a.label("teletype.put");
  a.mov(m8(ES, DI), AL);

  // The cursor, in the data area and on the screen.
  a.label("teletype.cursor");
  a.mov(m16(BX, bda.cursorPositions), DX);
  a.call("teletype.offset");
  a.mov(AX, m16(bda.videoPageStart));
  a.shr(AX, 1);
  a.add(DI, AX);
  a.mov(DX, m16(bda.crtcPort));
  a.mov(BX, DI);
  a.mov(AL, 0x0e);
  a.out(DX, AL);
  a.inc(DX);
  a.mov(AL, BH);
  a.out(DX, AL);
  a.dec(DX);
  a.mov(AL, 0x0f);
  a.out(DX, AL);
  a.inc(DX);
  a.mov(AL, BL);
  a.out(DX, AL);
  a.label("teletype.done");
  restore(a);
  a.iret();

  a.label("teletype.control");
  a.j("e", "teletype.return");
  a.cmp(AL, 0x0a);
  a.j("e", "teletype.lineFeed");
  a.cmp(AL, 0x08);
  a.j("e", "teletype.backspace");
  a.cmp(AL, 0x07);
  a.j("e", "teletype.done");
  a.jmp("teletype.character");
  a.label("teletype.return");
  a.mov(DL, 0);
  a.jmp("teletype.cursor");
  a.label("teletype.lineFeed");
  a.inc(DH);
  a.cmp(DH, m8(bda.videoRows));
  a.j("a", "teletype.slow");
  a.jmp("teletype.cursor");
  a.label("teletype.backspace");
  a.cmp(DL, 0);
  a.j("e", "teletype.done");
  a.dec(DL);
  a.jmp("teletype.cursor");

  // DI = row × columns + column of DX.
  a.label("teletype.offset");
  a.push(AX);
  a.mov(AL, DH);
  a.mul(m8(bda.videoColumns));
  a.mov(DI, AX);
  a.mov(AL, DL);
  a.mov(AH, 0);
  a.add(DI, AX);
  a.pop(AX);
  a.ret();

  a.label("teletype.slow");
  restore(a);
  a.label("teletype.other");
}

function restore(a: Assembler): void {
  a.pop(ES);
  a.pop(DS);
  for (const register of [DI, DX, BX, AX]) a.pop(register);
}
