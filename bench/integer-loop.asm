; An integer loop as a boot sector: 2 × 10^8 iterations of five instructions. Prints B at the start and
; E at the end on COM1; who measures ends the machine.
bits 16
org 0x7c00
        xor ax, ax
        mov ds, ax
        cli
        lgdt [gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:start
bits 32
start:  mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x7000
        mov al, 'B'
        call put
        mov ecx, 200000000
        mov eax, 1
        mov ebx, 12345
again:  add eax, ebx
        xor ebx, ecx
        rol eax, 3
        dec ecx
        jnz again
        mov al, 'E'
        call put
        jmp $
put:    mov ah, al
.wait:  mov dx, 0x3fd
        in al, dx
        test al, 0x20
        jz .wait
        mov dx, 0x3f8
        mov al, ah
        out dx, al
        ret
gdtr:   dw 23
        dd gdt
gdt:    dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
times 510-($-$$) db 0
        dw 0xaa55
