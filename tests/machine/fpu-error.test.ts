/** An x87 error the way DOS programs meet it: CR0.NE clear, FERR# as IRQ 13, taken back by a write to port F0h. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MemoryMedium, TestPc } from "../../src/machine/testing.ts";

const source = `bits 16
org 0x7c00
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        cli
        mov word [0x75 * 4], handler
        mov word [0x75 * 4 + 2], 0
        in al, 0xa1
        and al, ~0x20           ; IRQ 13
        out 0xa1, al
        in al, 0x21
        and al, ~4              ; cascade
        out 0x21, al
        sti
        fninit
        fldcw [control]
        fld1
        fldz
        fdivp st1, st0
        fwait
wait_:  cmp byte [seen], 1
        jne wait_
        mov si, text
next:   lodsb
        test al, al
        jz end_
        mov bl, al
ready:  mov dx, 0x3fd
        in al, dx
        test al, 0x20
        jz ready
        mov dx, 0x3f8
        mov al, bl
        out dx, al
        jmp next
end_:   cli
        hlt
handler:
        push ax
        xor al, al
        out 0xf0, al
        fnclex
        mov byte [seen], 1
        mov al, 0x20
        out 0xa0, al
        out 0x20, al
        pop ax
        iret
control: dw 0x37b               ; division by zero unmasked
seen:   db 0
text:   db "IRQ 13 came", 13, 10, 0
times 510-($-$$) db 0
        dw 0xaa55
`;

test("a division by zero arrives as IRQ 13", async () => {
  const folder = mkdtempSync(join(tmpdir(), "anneau-fpu-"));
  try {
    writeFileSync(join(folder, "boot.asm"), source);
    execFileSync("nasm", ["-f", "bin", "-o", join(folder, "boot.bin"), join(folder, "boot.asm")]);
    const disk = new Uint8Array(1 << 20);
    disk.set(readFileSync(join(folder, "boot.bin")));
    const pc = await TestPc.start({ disks: { "0.0": new MemoryMedium(disk) } });
    expect(pc.runUntilSerial("IRQ 13 came", 200_000_000), pc.describe()).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
