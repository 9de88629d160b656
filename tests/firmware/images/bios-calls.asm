; A boot disk that makes BIOS calls and tells COM1 what came of them: an interpreter of a small script (bios-calls.ts writes
; it behind this program). It runs on any PC with any BIOS: the calls' own numbers are all that it takes from the machine.

        bits 16
        org 0

PROGRAM equ 0x1000              ; segment of this program
SCRIPT  equ 0x10400             ; linear address of the script
SECTORS equ 128                 ; of program and script, 64 at a time
BUFFER  equ 0x2000              ; segment of the calls' buffer
BUFFER_BYTES equ 4096
PATTERN equ 0xcc

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
next:   cld
        mov si, [cs:here(pointer)]
        mov ax, PROGRAM
        mov ds, ax
        lodsb
        dec al
        jz call
        dec al
        jz memory
        dec al
        jz vector
        dec al
        jz pointed
        mov al, 'D'             ; the end: DONE, then a triple fault
        call send
        mov al, 10
        call send
        cli
        lidt [here(none)]
        int3

; offset, segment, bytes
memory: lodsw
        mov di, ax
        lodsw
        mov es, ax
show:   lodsw
        mov cx, ax
        mov [here(pointer)], si
        call dump
        call line
        jmp next

; vector, bytes: what an interrupt vector points to
vector: xor ax, ax
        mov es, ax
        lodsb
        mov bx, ax
        shl bx, 2
        les di, [es:bx]
        jmp show

; ES and which register of the last call, bytes
pointed:
        lodsb
        mov bx, ax
        and bx, 0xff
        mov di, [here(registers) + bx]
        mov es, [here(extra)]
        jmp show

; vector, 7 registers, DS, ES, bytes for the buffer, how many of the buffer's bytes to show
call:   lodsb
        mov [here(number)], al
        push cs
        pop es
        mov di, here(registers)
        mov cx, 16
        rep movsw
        mov ax, BUFFER
        mov es, ax
        xor di, di
        mov cx, BUFFER_BYTES
        mov al, PATTERN
        rep stosb
        lodsw
        mov cx, ax
        xor di, di
        rep movsb
        lodsw
        mov [here(shown)], ax
        mov [here(pointer)], si
        mov eax, [here(registers)]
        mov ebx, [here(registers) + 4]
        mov ecx, [here(registers) + 8]
        mov edx, [here(registers) + 12]
        mov esi, [here(registers) + 16]
        mov edi, [here(registers) + 20]
        mov ebp, [here(registers) + 24]
        mov es, [here(extra)]
        mov ds, [here(data)]
        sti
        clc
        jmp short .flush
.flush: db 0xcd
number: db 0
        mov [cs:here(registers)], eax
        pushf
        pop ax
        mov [cs:here(flags)], ax
        mov ax, ds
        mov [cs:here(data)], ax
        mov ax, cs
        mov ds, ax
        mov [here(registers) + 4], ebx
        mov [here(registers) + 8], ecx
        mov [here(registers) + 12], edx
        mov [here(registers) + 16], esi
        mov [here(registers) + 20], edi
        mov [here(registers) + 24], ebp
        mov [here(extra)], es
        sti
        cld
        mov al, 'C'
        call send
        mov ax, cs
        mov es, ax
        mov di, here(registers)
        mov cx, 34
        call dump
        mov cx, [cs:here(shown)]
        jcxz .end
        mov ax, BUFFER
        mov es, ax
        xor di, di
        call dump
.end:   call line
        jmp next

; CX bytes at ES:DI as digits
dump:   jcxz .none
.byte:  mov al, [es:di]
        inc di
        call hex
        loop .byte
.none:  ret

line:   mov al, 10
        jmp send

hex:    push ax
        shr al, 4
        call digit
        pop ax
        and al, 15
digit:  add al, '0'
        cmp al, '9'
        jbe send
        add al, 'a' - '0' - 10
send:   push dx
        push ax
        mov dx, 0x3fd
.wait:  in al, dx
        test al, 0x20
        jz .wait
        pop ax
        mov dx, 0x3f8
        out dx, al
        pop dx
        ret

        align 4
registers: times 7 dd 0
data:   dw 0
extra:  dw 0
flags:  dw 0
shown:  dw 0
pointer: dw SCRIPT - PROGRAM * 16
none:   dw 0
        dd 0

        times 512 + 0x400 - ($ - $$) db 0
