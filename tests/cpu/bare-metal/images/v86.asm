; Virtual-8086 mode: IOPL-sensitive and privileged instructions, the I/O permission bitmap, ways in and out, segments.
%include "harness.inc"
%include "timer.inc"

V equ 0x40

main:
    mov byte [IMAGE + 0xffff], 0x90
    mov word [IMAGE + 0x10000], 0x0b0f
    mov dword [show], SHOW_FLAGS | SHOW_SP | SHOW_EAX
    mov byte [IDT + V * 8 + 5], 0xee
    mov byte [IDT + 3 * 8 + 5], 0xee
    mov byte [IDT + 4 * 8 + 5], 0xee
    call sensitive
    call privileged
    call io_bitmap
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP | SHOW_V86
    call ways_out
    call ways_in
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP | SHOW_EAX
    call segments
    call exceptions
    call external
    ret

; ---- what depends on IOPL --------------------------------------------------------------------------------------------

%macro IMAGE_POPF 0
    push word 0x7ed7
    popf
%endmacro
%macro IMAGE_POPFD 0
    push dword 0x3d7ed7
    o32 popf
%endmacro
%macro IMAGE_PUSHF 0
    pushf
    pop ax
%endmacro
%macro IMAGE_PUSHFD 0
    o32 pushf
    pop eax
%endmacro
%macro IMAGE_IRET 0
    push word 0x7ed7
    push cs
    push word %%next - IMAGE
    iret
%%next:
%endmacro
%macro IMAGE_IRETD 0
    push dword 0x3d7ed7
    push dword IMAGE >> 4
    push dword %%next - IMAGE
    o32 iret
%%next:
%endmacro
%macro OVERFLOW 0
    mov al, 0x7f
    inc al
    into
%endmacro

sensitive:
%macro BY_IOPL 2+
  %assign iopl 0
  %rep 4
    V86 iopl, %1, " iopl ", '0' + iopl
    mov dword [i_eax], 0x12345678
    BODY16V
    %2
    ENDCASE16
    %assign iopl iopl + 1
  %endrep
%endmacro
    BY_IOPL "cli", cli
    BY_IOPL "sti", sti
    BY_IOPL "pushf", IMAGE_PUSHF
    BY_IOPL "pushfd", IMAGE_PUSHFD
    BY_IOPL "popf", IMAGE_POPF
    BY_IOPL "popfd", IMAGE_POPFD
    BY_IOPL "iret", IMAGE_IRET
    BY_IOPL "iretd", IMAGE_IRETD
    BY_IOPL "int n", int V
    BY_IOPL "int 3 in two bytes", {db 0xcd, 3}
    BY_IOPL "int3", int3
    BY_IOPL "into", OVERFLOW
    BY_IOPL "int1", {db 0xf1}
    BY_IOPL "in", {in al, 0x80}
    BY_IOPL "hlt", hlt
    ret

; ---- what level 3 may not do, or what does not exist here ------------------------------------------------------------

%macro IN_V86 2+
    V86 3, %1
    mov dword [i_eax], 0x10
    mov dword [i_ecx], 0x174
    BODY16V
    %2
    ENDCASE16
%endmacro

privileged:
    IN_V86 "lgdt", lgdt [0]
    IN_V86 "lidt", lidt [0]
    IN_V86 "lmsw", lmsw ax
    IN_V86 "clts", clts
    IN_V86 "mov eax, cr0", mov eax, cr0
    IN_V86 "mov cr0, eax", mov cr0, eax
    IN_V86 "mov eax, cr1", {db 0x0f, 0x20, 0xc8}
    IN_V86 "mov eax, dr7", mov eax, dr7
    IN_V86 "invlpg", invlpg [0]
    IN_V86 "invd", invd
    IN_V86 "wbinvd", wbinvd
    IN_V86 "rdmsr", rdmsr
    IN_V86 "wrmsr", wrmsr
    IN_V86 "rdpmc", rdpmc
    IN_V86 "sysexit", sysexit
    IN_V86 "sldt", sldt ax
    IN_V86 "str", str ax
    IN_V86 "lldt", lldt ax
    IN_V86 "ltr", ltr ax
    IN_V86 "verr", verr ax
    IN_V86 "verw", verw ax
    IN_V86 "lar", lar ax, ax
    IN_V86 "lsl", lsl ax, ax
    IN_V86 "arpl", arpl ax, cx
    IN_V86 "smsw", smsw ax
    IN_V86 "mov cs, ax", {db 0x8e, 0xc8}
    ; Do not fault; what they answer differs.
    mov dword [show], SHOW_FLAGS | SHOW_SP
    IN_V86 "sgdt", sgdt [0]
    IN_V86 "sidt", sidt [0]
    IN_V86 "rdtsc", rdtsc
    IN_V86 "cpuid", cpuid
    mov eax, 4                   ; TSD
    mov cr4, eax
    IN_V86 "rdtsc with tsd", rdtsc
    xor eax, eax
    mov cr4, eax
    ret

; ---- I/O permission bitmap -------------------------------------------------------------------------------------------

; In V86 mode whatever IOPL, and at level 3 with IOPL 0. The bitmap allows only the ports given.
%macro PORT 3                    ; name, port, instruction
    V86 3, "v86 ", %1
    mov dword [i_edx], %2
    BODY16V
    %3
    ENDCASE16
    CASE 3, "level 3 ", %1
    mov dword [i_edx], %2
    BODY
    %3
    ENDCASE
%endmacro
%macro ALLOW 1
    btr dword [TSS + 0x68], %1
%endmacro

forbid_all:
    pushad
    mov edi, TSS + 0x68
    mov ecx, 0x2000 / 4
    mov eax, -1
    rep stosd
    popad
    ret

io_bitmap:
    mov dword [show], 0
    mov word [TSS + 0x66], 0x68
    call forbid_all
    PORT "in al, nothing allowed", 0x80, {in al, dx}
    mov eax, 0x84
    btr dword [TSS + 0x68], eax
    PORT "in al, allowed", 0x84, {in al, dx}
    PORT "in ax, second byte not", 0x84, {in ax, dx}
    PORT "in ax, first byte not", 0x83, {in ax, dx}
    PORT "in al, neighbour", 0x85, {in al, dx}
    mov eax, 0x85
    btr dword [TSS + 0x68], eax
    PORT "in ax, allowed", 0x84, {in ax, dx}
    PORT "in eax, half", 0x84, {in eax, dx}
    mov eax, 0x86
    btr dword [TSS + 0x68], eax
    PORT "in eax, three", 0x84, {in eax, dx}
    mov eax, 0x87
    btr dword [TSS + 0x68], eax
    PORT "in eax, allowed", 0x84, {in eax, dx}
    PORT "out eax, allowed", 0x84, {out dx, eax}
    PORT "out eax across bytes of the bitmap", 0x86, {out dx, eax}
    mov byte [TSS + 0x68 + 0x11], 0xfc
    PORT "out eax across bytes, allowed", 0x86, {out dx, eax}
    PORT "in al, immediate", 0, {in al, 0x84}
    PORT "in al, immediate not allowed", 0, {in al, 0x8f}
    PORT "outsb not allowed", 0x8f, outsb
    PORT "insb not allowed", 0x8f, insb
    PORT "rep outsb of nothing", 0x8f, {rep outsb}
    mov eax, 0xffff
    btr dword [TSS + 0x68], eax
    PORT "port ffff", 0xffff, {in al, dx}
    mov byte [TSS + 0x68 + 0x2000], 0
    PORT "ax at port ffff", 0xffff, {in ax, dx}
    ; The limit of the TSS cuts the bitmap.
%macro LIMIT 1
    mov word [GDT + SEL_TSS], %1
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
%endmacro
    mov dword [TSS + 0x68 + 0x10], 0
    LIMIT 0x68 + 0x10
    PORT "bitmap ends with the byte", 0x84, {in al, dx}
    LIMIT 0x68 + 0x11
    PORT "bitmap ends one byte later", 0x84, {in al, dx}
    PORT "bitmap ends one byte later, across", 0x86, {in eax, dx}
    LIMIT 0x68 + 0xf
    PORT "bitmap ends before", 0x84, {in al, dx}
    LIMIT 0x2067
    mov word [TSS + 0x66], 0x2067
    PORT "bitmap begins at the limit", 0, {in al, dx}
    mov word [TSS + 0x66], 0xffff
    PORT "bitmap beyond the limit", 0x84, {in al, dx}
    mov word [TSS + 0x66], 0
    mov dword [TSS + 0x10], DATA1
    PORT "bitmap over the tss itself", 0x68, {in al, dx}
    mov word [TSS + 0x66], 0xffff
    ; IOPL at level 3 without bitmap.
%assign iopl 0
%rep 4
    CASE 3, "level 3, iopl ", '0' + iopl
    mov dword [i_efl], 2 | iopl << 12
    mov dword [i_edx], 0x80
    BODY
    in al, dx
    ENDCASE
    CASE 1, "level 1, iopl ", '0' + iopl
    mov dword [i_efl], 2 | iopl << 12
    mov dword [i_edx], 0x80
    BODY
    in al, dx
    ENDCASE
    V86 iopl, "v86, no bitmap, iopl ", '0' + iopl
    mov dword [i_edx], 0x80
    BODY16V
    in al, dx
    ENDCASE16
  %assign iopl iopl + 1
%endrep
    ; A 16-bit TSS has none.
    DESCRIPTOR T0, TSS, 0x2067, 0x81, 0
    mov word [TSS_A + 2], 0x7e00
    DESCRIPTOR T0, TSS_A, 0x2067, 0x81, 0
    mov word [TSS_A + 4], DATA16
    mov word [TSS_A + 0x66], 0x68
    mov ax, T0
    ltr ax
    CASE 3, "16-bit tss"
    mov dword [i_edx], 0x84
    BODY
    in al, dx
    ENDCASE
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    ret

; ---- out of V86 mode -------------------------------------------------------------------------------------------------

landed:
    ud2

%macro OUT 1
    V86 3, %1
    mov dword [i_efl], 0x63ed7 & ~0x4000 | 0x20000 ; everything else set: IF, DF, IOPL 3, AC… no NT, TF
    mov dword [i_ds], 0x1111
    mov dword [i_es], 0x2222
    mov dword [i_fs], 0x3333
    mov dword [i_gs], 0x4444
    mov dword [i_esp], 0x56787000
%endmacro
%macro BY_GATE 2                 ; name, access byte
    mov byte [IDT + V * 8 + 5], %2
    OUT {"int, ", %1}
    BODY16V
    int V
    ENDCASE16
%endmacro
%macro TO_CODE 2                 ; name, selector
    GATE IDT + V * 8, %2, landed, 0xee, 0
    OUT {"int to ", %1}
    BODY16V
    int V
    ENDCASE16
%endmacro

ways_out:
    OUT "ud2"
    BODY16V
    ENDCASE16
    OUT "#GP"
    BODY16V
    hlt
    ENDCASE16
    BY_GATE "interrupt gate", 0xee
    BY_GATE "trap gate", 0xef
    BY_GATE "gate dpl 0", 0x8e
    BY_GATE "gate dpl 2", 0xce
    BY_GATE "gate absent", 0x6e
    BY_GATE "gate bad", 0xe8
    ; Handlers that cannot be reached from here.
    TO_CODE "level 0", CODE0
    TO_CODE "level 1", CODE1
    TO_CODE "level 2", CODE2
    TO_CODE "level 3", CODE3
    TO_CODE "conforming code", CONFORM
    DESCRIPTOR T0, 0, 0xfffff, 0xff, 0xc
    TO_CODE "conforming code of level 3", T0
    TO_CODE "data", DATA0
    TO_CODE "null", 0
    ; 16-bit gate: a frame of words.
    DESCRIPTOR T0 + 8, IMAGE, 0xfffff, 0x9a, 0xc
    GATE IDT + V * 8, T0 + 8, landed - IMAGE, 0xe6, 0
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_STACK | SHOW_DS | SHOW_ES | SHOW_FS | SHOW_GS
    mov dword [stack_dwords], 5
    OUT "16-bit interrupt gate"
    BODY16V
    int V
    ENDCASE16
    GATE IDT + V * 8, T0 + 8, landed - IMAGE, 0xe7, 0
    OUT "16-bit trap gate"
    BODY16V
    int V
    ENDCASE16
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP | SHOW_V86
    ; Room on the stack: 36 bytes, 40 with an error code.
    GATE IDT + V * 8, CODE0, stubs + V * 10, 0xee, 0
    ret

; ---- into V86 mode ---------------------------------------------------------------------------------------------------

; IRET with VM in the image, from a stack made by the snippet.
%macro IN_BY_IRET 3              ; level, name, flags image
    CASE %1, %2
    mov dword [i_ecx], %3
    mov dword [i_ebx], .v86 - IMAGE
    mov dword [i_end], .v86 - IMAGE
    mov dword [i_eip], .iret
    call run_case
    call print_result
%endmacro

ways_in:
    IN_BY_IRET 0, "iret, vm", 0x20002
    IN_BY_IRET 0, "iret, vm and all others", 0x3f7ed7 & ~0x4000
    IN_BY_IRET 0, "iret, vm and nt", 0x24002
    CASE 0, "iret, vm, eip beyond"
    mov dword [i_ecx], 0x20002
    mov dword [i_ebx], 0x10000
    mov dword [i_eip], .iret
    call run_case
    call print_result
    CASE 0, "iret, vm, eip ffff"
    mov dword [i_ecx], 0x20002
    mov dword [i_ebx], 0xffff
    mov dword [i_eip], .iret
    call run_case
    call print_result
    IN_BY_IRET 1, "iret, vm, at level 1", 0x20002
    IN_BY_IRET 3, "iret, vm, at level 3", 0x23002
    CASE 0, "o16 iret has no vm"
    mov dword [i_eip], .iret16
    mov dword [i_end], landed - IMAGE
    call run_case
    call print_result
    CASE 0, "upper halves of the frame"
    mov dword [i_eip], .upper
    mov dword [i_end], .v86 - IMAGE
    call run_case
    call print_result
    ; POPF cannot.
    CASE 0, "popf with vm"
    mov dword [i_ecx], 0x20002
    BODY
    push ecx
    popfd
    ENDCASE
    ret
.iret:
    push dword 0xaaaa
    push dword 0xbbbb
    push dword 0xcccc
    push dword 0xdddd
    push dword 0
    push dword 0x7000
    push ecx
    push dword IMAGE >> 4
    push ebx
    iretd
    ud2
.upper:
    push dword 0x1111aaaa
    push dword 0x2222bbbb
    push dword 0x3333cccc
    push dword 0x4444dddd
    push dword 0x55550000
    push dword 0x66667000
    push dword 0x20002
    push dword 0x77770000 + (IMAGE >> 4)
    push dword .v86 - IMAGE
    iretd
    ud2
.iret16:
    o16 push word DATA16_3
    o16 push word 0x7000
    o16 push word 2
    o16 push word CODE16_3
    mov eax, landed - IMAGE
    o16 push ax
    o16 iret
    ud2
.v86:
    ud2

; ---- segments and limits ---------------------------------------------------------------------------------------------

%macro SEG86 2+
    V86 3, %1
    mov dword [i_ebx], 0xffff
    mov dword [i_esi], 0x10000
    BODY16V
    %2
    ENDCASE16
%endmacro
%macro LOADS 0
    mov ax, 0xffff
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    push ds
    pop es
    mov ax, es
%endmacro
%macro HIGH 0
    mov ax, 0xffff
    mov ds, ax
    mov eax, [0x10]              ; 100000h
%endmacro
%macro STACK_AT 2
    mov sp, %1
    %2
%endmacro
%macro JMP_NEAR_BEYOND 0
    db 0x66, 0xe9
    dd 0x10000 - (%%next - IMAGE)
%%next:
%endmacro
%macro MOV_ESP 0
    mov esp, 0x56780010
    push ax
%endmacro
%macro BOUND_AX 0
    mov ax, 5
    bound ax, [di]
%endmacro
%macro ALIAS 0
    mov word [0x100], 0x1234
    mov ax, (FREE16_AT >> 4) + 0x10
    mov es, ax
    mov ax, [es:0]
%endmacro

segments:
    SEG86 "any selector loads", LOADS
    SEG86 "base is 16 times the selector", ALIAS
    SEG86 "beyond 1 MiB", HIGH
    SEG86 "byte at ffff", mov al, [bx]
    SEG86 "word at ffff", mov ax, [bx]
    SEG86 "word write at ffff", mov [bx], ax
    SEG86 "a32 byte at ffff", mov al, [ebx]
    SEG86 "a32 byte at 10000", mov al, [esi]
    SEG86 "a32 word at ffff", mov ax, [ebx]
    SEG86 "word at ffff of the stack", mov ax, [ss:bx]
    SEG86 "write through cs", mov [cs:0xfff0], al
    SEG86 "lea", lea ax, [bx + si]
    SEG86 "push at 0", STACK_AT 0, {push ax}
    SEG86 "push at 1", STACK_AT 1, {push ax}
    SEG86 "push32 at 2", STACK_AT 2, {push eax}
    SEG86 "pop at fffe", STACK_AT 0xfffe, {pop ax}
    SEG86 "pop at ffff", STACK_AT 0xffff, {pop ax}
    SEG86 "pusha at 7", STACK_AT 7, pusha
    SEG86 "call far", call (IMAGE >> 4):.far - IMAGE
    SEG86 "jmp far 32 beyond", {jmp dword (IMAGE >> 4):0x10000}
    SEG86 "jmp near 32 beyond", JMP_NEAR_BEYOND
    SEG86 "lds", lds ax, [0]
    SEG86 "enter at 4", STACK_AT 4, {enter 0, 0}
    SEG86 "esp's upper half", MOV_ESP
    ret
bits 16
.far:
    ud2
bits 32

; ---- exceptions ------------------------------------------------------------------------------------------------------

%macro STEP86 2+
    V86 3, %1
    or dword [i_efl], 0x100
    BODY16V
    %2
    ENDCASE16
%endmacro

exceptions:
    SEG86 "#DE", {db 0xf7, 0xf3}
    SEG86 "#BR", BOUND_AX
    SEG86 "bound at the end", bound ax, [bx - 1]
    mov eax, cr0
    or eax, 8
    mov cr0, eax
    SEG86 "#NM", fninit
    clts
    STEP86 "step nop", nop
    STEP86 "step sti", sti
    STEP86 "step mov ss", mov ss, ax
    STEP86 "step popf", popf
    STEP86 "step int", int V
    STEP86 "step hlt", hlt
    STEP86 "step pushf", pushf
    STEP86 "step jmp far", jmp (IMAGE >> 4):.far - IMAGE
    STEP86 "step iret", iret
    ret
bits 16
.far:
    ud2
bits 32

; ---- external interrupts ---------------------------------------------------------------------------------------------

external:
    call set_pic
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP | SHOW_V86
%macro PENDING86 3
    call raise_timer
    V86 %1, %2
    or dword [i_efl], %3
    BODY16V
%endmacro
%macro TAKEN86 0
    ENDCASE16
    mov al, 0x20
    out 0x20, al
%endmacro
    PENDING86 0, "interrupt, if set, iopl 0", 0x200
    nop
    TAKEN86
    PENDING86 3, "interrupt, if set, iopl 3", 0x200
    nop
    TAKEN86
    PENDING86 3, "interrupt behind sti", 0
    sti
    nop
    nop
    TAKEN86
    PENDING86 0, "interrupt, if clear", 0
    nop
    TAKEN86
    PENDING86 3, "interrupt behind popf", 0
    push word 0x3202
    popf
    nop
    nop
    TAKEN86
    PENDING86 3, "interrupt behind mov ss", 0
    push word 0x3202
    popf
    mov ss, ax
    nop
    TAKEN86
    mov al, 0xff
    out 0x21, al
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
