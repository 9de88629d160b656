; Real mode: the vector table, 64 KiB limits, "unreal" segments, A20, what does not exist here, flags, single steps,
; external interrupts.
%include "harness.inc"
%include "timer.inc"

V equ 0x40
SEG_IMAGE equ IMAGE >> 4
REAL_STACK equ 0x70000

main:
    call make_vectors
    mov byte [IMAGE + 0xffff], 0x90 ; NOP at the end of the code segment, UD2 behind it
    mov word [IMAGE + 0x10000], 0x0b0f
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP | SHOW_EAX
    call events
    call limits
    call unreal
    call a20
    call absent
    call flags
    call vector_table
    call steps
    call external
    ret

; ---- the way to real mode and back -----------------------------------------------------------------------------------

make_vectors:
    xor edi, edi
    mov eax, SEG_IMAGE << 16
    mov ax, (real_stubs - $$) & 0xffff
.next:
    stosd
    add ax, 10
    cmp edi, 0x400
    jb .next
    ret

; Defaults of a snippet in real mode.
prepare_real:
    xor eax, eax
    call prepare
    mov dword [i_cs], SEG_IMAGE
    mov dword [i_ss], REAL_STACK >> 4
    mov dword [i_esp], 0x7000
    push edi
    mov edi, REAL_STACK
    mov ecx, 0x10000 / 4
    xor eax, eax
    rep stosd
    pop edi
    mov eax, FREE16_AT >> 4
    mov [i_ds], eax
    mov [i_es], eax
    mov [i_fs], eax
    mov [i_gs], eax
    mov dword [is_unreal], 0
    ret

is_unreal: dd 0                  ; DS and ES get flat limits before PE is cleared

; As run_case, in real mode.
run_real:
    pushad
    mov [supervisor_esp], esp
    mov edi, results
    xor eax, eax
    mov ecx, (results_end - results) / 4
    rep stosd
    mov dword [is_running], 1
    mov eax, 0xffff0ff0
    mov dr6, eax
    lidt [real_idtr]
    jmp CODE16:.narrow - IMAGE
bits 16
.narrow:
    mov ax, DATA16
    mov ss, ax
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ax, DATA0
    cmp dword [cs:is_unreal - IMAGE], 0
    je .limited
    mov ds, ax
    mov es, ax
.limited:
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    jmp SEG_IMAGE:.real - IMAGE
.real:
    mov ss, [cs:i_ss - IMAGE]
    mov esp, [cs:i_esp - IMAGE]
    push dword [cs:i_efl - IMAGE]
    push dword [cs:i_cs - IMAGE]
    push dword [cs:i_eip - IMAGE]
    mov es, [cs:i_es - IMAGE]
    mov fs, [cs:i_fs - IMAGE]
    mov gs, [cs:i_gs - IMAGE]
    mov ds, [cs:i_ds - IMAGE]
    mov eax, [cs:i_eax - IMAGE]
    mov ebx, [cs:i_ebx - IMAGE]
    mov ecx, [cs:i_ecx - IMAGE]
    mov edx, [cs:i_edx - IMAGE]
    mov esi, [cs:i_esi - IMAGE]
    mov edi, [cs:i_edi - IMAGE]
    mov ebp, [cs:i_ebp - IMAGE]
    o32 iret

; They need no stack beyond the frame: it may be at its very end.
real_stubs:
%assign vector 0
%rep 256
    db 0x2e, 0xc7, 0x06          ; mov word [cs:r_vec], vector
    dw r_vec - $$, vector
    jmp strict near real_caught
%assign vector vector + 1
%endrep

; Frame: IP, CS, flags.
real_caught:
    mov [cs:r_eax - IMAGE], eax
    mov [cs:r_ebx - IMAGE], ebx
    mov [cs:r_ecx - IMAGE], ecx
    mov [cs:r_edx - IMAGE], edx
    mov [cs:r_esi - IMAGE], esi
    mov [cs:r_edi - IMAGE], edi
    mov [cs:r_ds - IMAGE], ds
    mov [cs:r_es - IMAGE], es
    mov [cs:r_fs - IMAGE], fs
    mov [cs:r_gs - IMAGE], gs
    pop word [cs:r_eip - IMAGE]
    pop word [cs:r_cs - IMAGE]
    pop word [cs:r_efl - IMAGE]
    mov [cs:r_ss - IMAGE], ss
    mov [cs:r_esp - IMAGE], esp
    mov ax, 0
    mov ss, ax
    mov esp, 0x6000
    pushf
    pop word [cs:r_hefl - IMAGE]
    cld
    mov ax, SEG_IMAGE
    mov ds, ax
    mov dword [r_err - IMAGE], -1
    mov eax, dr6
    mov [r_dr6 - IMAGE], eax
    in al, 0x92                  ; A20 on again, whatever the snippet did: the GDT lies behind it
    or al, 2
    and al, 0xfe
    out 0x92, al
    mov eax, cr0
    mov [r_cr0 - IMAGE], eax
    and eax, ~8
    or al, 1
    mov cr0, eax
    jmp dword CODE0:.protected
bits 32
.protected:
    mov ax, DATA0
    mov ds, ax
    mov es, ax
    lidt [idtr]
    jmp back

; REAL name … set-up … BODYR … snippet … ENDCASE16
%macro REAL 1+
    SAYS %1, ":"
    call prepare_real
%endmacro
%macro BODYR 0
    %push case
    mov dword [i_eip], %$code - IMAGE
    mov dword [i_end], %$end - IMAGE
    call run_real
    call print_result
    jmp %$after
bits 16
%$code:
%endmacro
%macro RUN 2+                    ; name, snippet
    REAL %1
    mov dword [i_ebx], 0xffff
    mov dword [i_esi], 0x10000
    BODYR
    %2
    ENDCASE16
%endmacro

; ---- events ----------------------------------------------------------------------------------------------------------

show_handler:
    SAYS " handler fl="
    HEX 6, [r_hefl]
    ret

%macro NOTHING 0
%endmacro
%macro OVERFLOW 0
    mov al, 0x7f
    inc al
    into
%endmacro
%macro OUTSIDE 0
    mov ax, 5
    bound ax, [di]
%endmacro
%macro DIVIDE 0
    xor cx, cx
    div cx
%endmacro
%macro WITH_FLAGS 2+
    REAL %1, ", all flags"
    mov dword [i_efl], 0x247ed7
    BODYR
    %2
    ENDCASE16
%endmacro

events:
    mov dword [more], show_handler
    RUN "int n", int V
    WITH_FLAGS "int n", int V
    RUN "int3", int3
    WITH_FLAGS "int3", int3
    RUN "int1", {db 0xf1}
    RUN "into", OVERFLOW
    RUN "#DE", DIVIDE
    WITH_FLAGS "#DE", DIVIDE
    RUN "#BR", OUTSIDE
    RUN "ud2", NOTHING
    WITH_FLAGS "ud2", NOTHING
    RUN "int 0", int 0
    RUN "int 13", int 13
    mov eax, cr0
    or eax, 8
    mov cr0, eax
    RUN "#NM", fninit
    clts
    mov dword [more], 0
    ret

; ---- limits ----------------------------------------------------------------------------------------------------------

%macro STACK_AT 2
    mov sp, %1
    %2
%endmacro
%macro NEAR_BEYOND 0
    db 0x66, 0xe9
    dd 0x10000 - (%%next - IMAGE)
%%next:
%endmacro
%macro CALL_BEYOND 0
    db 0x66, 0xe8
    dd 0x10000 - (%%next - IMAGE)
%%next:
%endmacro
%macro RET32_BEYOND 0
    push dword 0x10000
    o32 ret
%endmacro
%macro RETF32_BEYOND 0
    push dword SEG_IMAGE
    push dword 0x10000
    o32 retf
%endmacro
%macro IRET32_BEYOND 0
    push dword 2
    push dword SEG_IMAGE
    push dword 0x10000
    o32 iret
%endmacro
%macro TO_THE_END 0
    mov ax, 0xffff
    jmp ax
%endmacro
%macro STRINGS 2
    mov cx, 4
    mov si, %1
    mov di, 0x100
    rep %2
%endmacro

limits:
    RUN "byte at ffff", mov al, [bx]
    RUN "word at ffff", mov ax, [bx]
    RUN "word write at ffff", mov [bx], ax
    RUN "dword at fffd", mov eax, [bx - 2]
    RUN "word at ffff of the stack", mov ax, [ss:bx]
    RUN "bp is the stack", {mov ax, [bp - 1]}
    RUN "a32 byte at ffff", mov al, [ebx]
    RUN "a32 word at ffff", mov ax, [ebx]
    RUN "a32 byte at 10000", mov al, [esi]
    RUN "a32 esp-based", mov al, [esp + esi]
    RUN "lds at fffe", lds ax, [bx - 1]
    RUN "push32 at 2", STACK_AT 2, {push eax}
    RUN "push at 0", STACK_AT 0, {push ax}
    RUN "pop at fffe", STACK_AT 0xfffe, {pop ax}
    RUN "pop32 at fffe", STACK_AT 0xfffe, {pop eax}
    RUN "pusha at 7", STACK_AT 7, pusha
    RUN "pusha at f", STACK_AT 15, pusha
    RUN "pushad at 12", STACK_AT 18, pushad
    RUN "popa at fff8", STACK_AT 0xfff8, popa
    RUN "enter at 2", STACK_AT 2, {enter 0, 0}
    RUN "call far at 2", STACK_AT 2, {call SEG_IMAGE:landed - IMAGE}
    RUN "jmp near 32 beyond", NEAR_BEYOND
    RUN "call near 32 beyond", CALL_BEYOND
    RUN "ret 32 beyond", RET32_BEYOND
    RUN "retf 32 beyond", RETF32_BEYOND
    RUN "iret 32 beyond", IRET32_BEYOND
    RUN "jmp far 32 beyond", {jmp dword SEG_IMAGE:0x10000}
    RUN "over the end of the segment", TO_THE_END
    RUN "movsb wraps", STRINGS 0xfffe, movsb
    RUN "movsw at ffff", STRINGS 0xffff, movsw
    RUN "lodsd at fffe", STRINGS 0xfffa, lodsd
    RUN "write through cs", mov [cs:0xfff0], al
    ret
bits 16
landed:
    ud2
bits 32

; ---- segments that kept 4 GiB limits ---------------------------------------------------------------------------------

%macro UNREAL 2+
    REAL %1
    mov dword [is_unreal], 1
    mov dword [i_esi], 0x12000
    BODYR
    %2
    ENDCASE16
%endmacro
%macro RELOADED 0
    mov ax, 0x1234
    mov ds, ax
    mov eax, [esi]
    xor eax, eax
%endmacro

unreal:
    mov dword [FREE16_AT + 0x12000], 0x11223344
    UNREAL "unreal read", mov eax, [esi]
    UNREAL "unreal write", mov [es:esi], eax
    UNREAL "unreal after a load", RELOADED
    UNREAL "unreal lods", a32 lodsd
    UNREAL "fs is not unreal", mov eax, [fs:esi]
    UNREAL "word at ffff", {mov ax, [0xffff]}
    ret

; ---- A20 -------------------------------------------------------------------------------------------------------------

%macro A20_OFF 0
    in al, 0x92
    and al, 0xfc
    out 0x92, al
%endmacro
%macro READ_HIGH 0
    mov ax, 0xffff
    mov ds, ax
    mov eax, [0x10 + 0x500]
%endmacro
%macro A20_READ 0
    A20_OFF
    READ_HIGH
%endmacro
%macro A20_WRITE 0
    A20_OFF
    mov ax, 0xffff
    mov ds, ax
    mov dword [0x10 + 0x504], 0x77777777
    xor ax, ax
    mov ds, ax
    mov eax, [0x504]
%endmacro

a20:
    mov dword [0x500], 0x55555555
    mov dword [0x504], 0
    push dword [0x100500]
    push dword [0x100504]
    mov dword [0x100500], 0x66666666
    mov dword [0x100504], 0x66666666
    RUN "a20 open", READ_HIGH
    RUN "a20 closed", A20_READ
    RUN "a20 closed, write", A20_WRITE
    RUN "a20 open again", READ_HIGH
    pop dword [0x100504]
    pop dword [0x100500]
    ret

; ---- what is not here ------------------------------------------------------------------------------------------------

absent:
    RUN "arpl", arpl ax, cx
    RUN "lar", lar ax, cx
    RUN "lsl", lsl ax, cx
    RUN "verr", verr ax
    RUN "verw", verw ax
    RUN "sldt", sldt ax
    RUN "str", str ax
    RUN "lldt", lldt ax
    RUN "ltr", ltr ax
    RUN "sysenter", sysenter
    RUN "sysexit", sysexit
    RUN "loadall 286", {db 0x0f, 0x05}
    RUN "loadall 386", {db 0x0f, 0x07}
    RUN "mov cs, ax", {db 0x8e, 0xc8}
    RUN "mov cr1", {db 0x0f, 0x20, 0xc8}
    RUN "smsw", smsw ax
    RUN "smsw 32", smsw eax
    RUN "lmsw without pe", lmsw ax
    RUN "clts", clts
    RUN "mov eax, cr0", mov eax, cr0
    RUN "invlpg", invlpg [bx]
    RUN "wbinvd", wbinvd
    RUN "rdmsr of nothing", {db 0x66, 0xb9, 0x34, 0x12, 0x34, 0x12, 0x0f, 0x32}
    RUN "lock nop", {db 0xf0, 0x90}
    RUN "lgdt register form", {db 0x0f, 0x01, 0xd0}
    ret

; ---- flags -----------------------------------------------------------------------------------------------------------

%macro FLAG_IMAGE 1
    push dword %1
    o32 popf
    o32 pushf
    pop eax
%endmacro
%macro FLAG_IMAGE16 1
    push word %1
    popf
    o32 pushf
    pop eax
%endmacro
%macro IRET32_FLAGS 1
    push dword %1
    push dword SEG_IMAGE
    push dword %%next - IMAGE
    o32 iret
%%next:
    o32 pushf
    pop eax
%endmacro
%macro IRET16_FLAGS 1
    push word %1
    push cs
    push word %%next - IMAGE
    iret
%%next:
    o32 pushf
    pop eax
%endmacro

flags:
    RUN "popfd all", FLAG_IMAGE 0xfffffeff
    RUN "popfd none", FLAG_IMAGE 0
    RUN "popf all", FLAG_IMAGE16 0xfeff
    RUN "popf none", FLAG_IMAGE16 0
    RUN "iretd all", IRET32_FLAGS 0xfffffeff
    RUN "iretd none", IRET32_FLAGS 0
    RUN "iret all", IRET16_FLAGS 0xfeff
    RUN "cli whatever iopl", cli
    ret

; ---- the vector table ------------------------------------------------------------------------------------------------

vector_table:
    mov word [real_idtr], 14 * 4 - 1
    RUN "int beyond the limit", int V
    RUN "int at the limit", int 13
    mov word [real_idtr], 9 * 4 - 1
    RUN "int beyond, #GP beyond: #DF", int V
    mov word [real_idtr], 0x3ff
    ; Elsewhere.
    push dword [V * 4]
    mov dword [real_idtr + 2], FREE16_AT
    mov esi, 0
    mov edi, FREE16_AT
    mov ecx, 0x100
    rep movsd
    mov dword [V * 4], 0
    RUN "the table moved", int V
    mov dword [real_idtr + 2], 0
    pop dword [V * 4]
    ret

; ---- TF --------------------------------------------------------------------------------------------------------------

%macro STEPR 2+
    REAL "step ", %1
    mov dword [i_efl], 0x102
    mov dword [i_ecx], 2
    BODYR
    %2
    ENDCASE16
%endmacro
%macro MOV_SS 0
    mov ss, cx
    nop
%endmacro

steps:
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP | SHOW_DR6
    mov dword [more], show_handler
    STEPR "nop", nop
    STEPR "mov ss", MOV_SS
    STEPR "int", int V
    STEPR "sti", sti
    STEPR "rep stosb", rep stosb
    STEPR "jmp far", jmp SEG_IMAGE:landed - IMAGE
    STEPR "popf", popf
    STEPR "mov cr0", mov cr0, eax
    mov dword [more], 0
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP
    ret

; ---- external interrupts ---------------------------------------------------------------------------------------------

%macro PENDINGR 2
    call raise_timer
    REAL %1
    or dword [i_efl], %2
    BODYR
%endmacro
%macro TAKENR 0
    ENDCASE16
    mov al, 0x20
    out 0x20, al
%endmacro

external:
    call set_pic
    PENDINGR "interrupt, if set", 0x200
    nop
    TAKENR
    PENDINGR "interrupt behind sti", 0
    sti
    nop
    nop
    TAKENR
    PENDINGR "interrupt behind mov ss", 0
    push word 0x202
    popf
    nop
    TAKENR
    PENDINGR "sti, hlt", 0
    sti
    hlt
    nop
    TAKENR
    PENDINGR "interrupt, if clear", 0
    nop
    TAKENR
    mov al, 0xff
    out 0x21, al
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
