; A boot disk that draws pictures: an interpreter of a small drawing language (scenario.ts writes it behind this program).
; It sets modes through INT 10h and VBE or by registers, fills memory by the processor's own accesses, and after each
; picture says R on COM1 and waits for a byte, so that whoever watches can look at the screen.

        bits 16
        org 0

PROGRAM equ 0x1000              ; segment of this program
SCRIPT  equ 0x10800             ; linear address of the script
SECTORS equ 896                 ; of program and script, 64 at a time
SCRATCH equ 0x0800              ; segment of the VBE blocks

boot:   cli
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        mov bp, SECTORS
        mov word [0x500], 0x10
        mov word [0x502], 64
        mov word [0x504], 0
        mov word [0x506], PROGRAM
        mov dword [0x508], 1
        mov dword [0x50c], 0
.read:  mov si, 0x500
        mov ah, 0x42
        push bp
        push dx
        int 0x13
        pop dx
        pop bp
        jc $
        add word [0x506], 64 * 32
        add dword [0x508], 64
        sub bp, 64
        ja .read
        jmp PROGRAM:start - 512
        times 510 - ($ - $$) db 0
        dw 0xaa55

%define here(label) (label - 512)

start:  cli
        mov ax, 0x900           ; stack at 09000h-09FFFh, where no one else is
        mov ss, ax
        mov sp, 0xffe
        sti
        mov dx, 0x3f9           ; COM1: 115200 8N1, no interrupts
        xor al, al
        out dx, al
        mov dx, 0x3fb
        mov al, 0x83
        out dx, al
        mov dx, 0x3f8
        mov al, 1
        out dx, al
        mov dx, 0x3f9
        xor al, al
        out dx, al
        mov dx, 0x3fb
        mov al, 3
        out dx, al
        mov esi, SCRIPT
next:   call flat
        a32 lodsb
        movzx bx, al
        add bx, bx
        jmp [cs:bx + here(table)]

table:  dw here(op_picture), here(op_int10), here(op_out), here(op_out16), here(op_in), here(op_load)
        dw here(op_fill), here(op_copy), here(op_vbe), here(op_end), here(op_bank)

; DS and ES: base 0, limit 4 GiB; the code segment stays as it is.
flat:   push eax
        cli
        push ds
        push cs
        pop ds
        lgdt [here(gdtr)]
        pop ds
        mov eax, cr0
        or al, 1
        mov cr0, eax
        mov bx, 8
        mov ds, bx
        mov es, bx
        and al, 0xfe
        mov cr0, eax
        xor bx, bx
        mov ds, bx
        mov es, bx
        sti
        pop eax
        cld
        ret
        align 8
gdt:    dq 0, 0x00cf92000000ffff
gdtr:   dw 15
        dd PROGRAM * 16 + here(gdt)

send:   push ax
        mov dx, 0x3fd
.wait:  in al, dx
        test al, 0x20
        jz .wait
        pop ax
        mov dx, 0x3f8
        out dx, al
        ret

op_picture:
        mov al, 'R'
        call send
.wait:  mov dx, 0x3fd
        in al, dx
        test al, 1
        jz .wait
        mov dx, 0x3f8
        in al, dx
        jmp next

op_int10:                       ; ax bx cx dx es bp
        a32 lodsw
        mov di, ax
        a32 lodsw
        mov bx, ax
        a32 lodsw
        mov cx, ax
        a32 lodsw
        mov dx, ax
        a32 lodsw
        mov es, ax
        a32 lodsw
        mov bp, ax
        mov ax, di
        push esi
        xor si, si
        int 0x10
        pop esi
        jmp next

op_out: a32 lodsw
        mov dx, ax
        a32 lodsb
        out dx, al
        jmp next
op_out16:
        a32 lodsw
        mov dx, ax
        a32 lodsw
        out dx, ax
        jmp next
op_in:  a32 lodsw
        mov dx, ax
        in al, dx
        jmp next

op_load:                        ; address, count, bytes
        a32 lodsd
        mov edi, eax
        a32 lodsd
        mov ecx, eax
        a32 rep movsb
        jmp next

op_copy:                        ; target, source, count: bytes
        a32 lodsd
        mov edi, eax
        a32 lodsd
        mov ebx, eax
        a32 lodsd
        mov ecx, eax
        push esi
        mov esi, ebx
        a32 rep movsb
        pop esi
        jmp next

op_fill:                        ; element bytes, kind, address, count, seed, factor
        call pattern
        a32 lodsd
        mov edi, eax
        a32 lodsd
        mov ecx, eax
        call fill
        jmp next

; Kind and pattern of a fill: kind bit 0: add a constant instead of random numbers; bit 7: read before each write.
pattern:
        a32 lodsb
        mov [cs:here(width)], al
        a32 lodsb
        mov [cs:here(kind)], al
        a32 lodsd
        mov [cs:here(seed)], eax
        a32 lodsd
        mov [cs:here(factor)], eax
        ret
width:  db 0
kind:   db 0
seed:   dd 0
factor: dd 0

; ECX elements from EDI on; the pattern goes on where it stopped.
fill:   mov ebx, [cs:here(seed)]
        mov ebp, [cs:here(factor)]
        jecxz .done
.next:  test byte [cs:here(kind)], 1
        jnz .ramp
        imul ebx, ebx, 1664525
        add ebx, 1013904223
        jmp .have
.ramp:  add ebx, ebp
.have:  mov eax, ebx
        ror eax, 16
        test byte [cs:here(kind)], 0x80
        jz .write
        mov dl, [edi]
.write: cmp byte [cs:here(width)], 2
        je .word
        ja .dword
        mov [edi], al
        inc edi
        jmp .step
.word:  mov [edi], ax
        add edi, 2
        jmp .step
.dword: mov [edi], eax
        add edi, 4
.step:  dec ecx
        jnz .next
.done:  mov [cs:here(seed)], ebx
        ret

op_bank:                        ; bank
        a32 lodsw
        mov dx, ax
        xor bx, bx
        mov ax, 0x4f05
        int 0x10
        jmp next

; Width, height, bits, how (1 linear, 0 banked, 2 linear and never through the BIOS's list), then a pattern: sets the
; mode and fills the screen. Says V and the way it was set: b by the BIOS, r by registers.
op_vbe: a32 lodsw
        mov [cs:here(want_x)], ax
        a32 lodsw
        mov [cs:here(want_y)], ax
        a32 lodsb
        mov [cs:here(want_bits)], al
        a32 lodsb
        mov [cs:here(how)], al
        call pattern
        push esi
        mov ax, SCRATCH
        mov es, ax
        mov ds, ax
        xor di, di
        mov dword [0], 'VBE2'
        mov ax, 0x4f00
        int 0x10
        lds si, [14]
        ; The frame buffer's address, from a mode that every BIOS has.
        mov ax, 0x4f01
        mov cx, 0x101
        mov di, 0x200
        int 0x10
        mov eax, [es:0x228]
        mov [cs:here(frame)], eax
        test byte [cs:here(how)], 2
        jnz .registers
.mode:  lodsw
        mov cx, ax
        cmp ax, -1
        je .registers
        cmp ax, 0x100
        jb .mode
        mov di, 0x200
        mov ax, 0x4f01
        int 0x10
        cmp ax, 0x4f
        jne .mode
        test byte [es:0x200], 1
        jz .mode
        mov ax, [es:0x212]
        cmp ax, [cs:here(want_x)]
        jne .mode
        mov ax, [es:0x214]
        cmp ax, [cs:here(want_y)]
        jne .mode
        mov al, [es:0x219]
        cmp al, [cs:here(want_bits)]
        jne .mode
        mov bx, cx
        test byte [cs:here(how)], 1
        jz .set
        or bh, 0x40
.set:   mov ax, 0x4f02
        int 0x10
        cmp ax, 0x4f
        jne .mode
        mov ax, [es:0x210]
        mov [cs:here(pitch)], ax
        mov ah, 'b'
        jmp .fill
.registers:
        mov ax, 4
        xor bx, bx
        call dispi
        mov ax, 1
        mov bx, [cs:here(want_x)]
        call dispi
        mov ax, 2
        mov bx, [cs:here(want_y)]
        call dispi
        mov ax, 3
        movzx bx, byte [cs:here(want_bits)]
        push bx
        call dispi
        mov ax, 4
        mov bx, 0x41
        call dispi
        pop ax
        add ax, 7
        shr ax, 3
        mul word [cs:here(want_x)]
        mov [cs:here(pitch)], ax
        mov ah, 'r'
.fill:  mov al, 'V'
        call send
        mov al, ah
        call send
        call flat
        movzx ecx, word [cs:here(pitch)]
        movzx eax, word [cs:here(want_y)]
        cmp byte [cs:here(want_bits)], 4
        je .planes
        imul ecx, eax
        shr ecx, 2
        mov edi, [cs:here(frame)]
        test byte [cs:here(how)], 3
        jz .banks
        call fill
        jmp .done
.banks: xor dx, dx
.bank:  call bank
        push ecx
        mov edi, 0xa0000
        cmp ecx, 0x4000
        jbe .last
        mov ecx, 0x4000
.last:  push dx
        call fill
        pop dx
        pop ecx
        inc dx
        sub ecx, 0x4000
        ja .bank
.done:  pop esi
        jmp next

.planes:                        ; each of four maps, 64 KiB at a time; BIOSes disagree on what a line's bytes are
        movzx ecx, word [cs:here(want_x)]
        shr ecx, 3
        imul ecx, eax
        xor dx, dx
.next:  call bank
        push ecx
        push dx
        cmp ecx, 0x10000
        jbe .part
        mov ecx, 0x10000
.part:  mov al, 1
.map:   push ax
        push ecx
        mov dx, 0x3c4
        mov ah, al
        mov al, 2
        out dx, ax
        mov edi, 0xa0000
        call fill
        pop ecx
        pop ax
        add al, al
        cmp al, 16
        jb .map
        pop dx
        pop ecx
        inc dx
        sub ecx, 0x10000
        ja .next
        jmp .done

bank:   push ecx
        push dx
        mov ax, 0x4f05
        xor bx, bx
        int 0x10
        pop dx
        pop ecx
        push dx
        call flat
        pop dx
        ret

dispi:  mov dx, 0x1ce
        out dx, ax
        inc dx
        mov ax, bx
        out dx, ax
        ret

want_x: dw 0
want_y: dw 0
want_bits: db 0
how:    db 0
pitch:  dw 0
frame:  dd 0

op_end: mov al, 'E'
        call send
.halt:  cli
        hlt
        jmp .halt

        times 512 + 0x800 - ($ - $$) db 0
