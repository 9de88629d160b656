; Loading segment registers: every type of descriptor, DPL, RPL and CPL; null, absent, beyond the table.
%include "harness.inc"

register:   dd 0                 ; 0 DS, 1 SS
cpl:        dd 0
type:       dd 0                 ; S and type
dpl:        dd 0
rpl:        dd 0
present:    dd 0x80

main:
    call all_types
    mov dword [present], 0
    call all_types
    call other_registers
    call nulls
    call table_limits
    ret

; Every type × CPL × DPL × RPL into DS and SS; the accessed bit afterwards. Absent descriptors with RPL 0 and 3 only.
all_types:
    mov dword [register], 0
.register:
    mov dword [cpl], 0
.cpl:
    mov dword [type], 0
.type:
    mov dword [dpl], 0
.dpl:
    mov dword [rpl], 0
.rpl:
    cmp dword [present], 0
    jne .wanted
    cmp dword [rpl], 0
    je .wanted
    cmp dword [rpl], 3
    jne .skip
.wanted:
    call one_load
.skip:
    inc dword [rpl]
    cmp dword [rpl], 4
    jb .rpl
    inc dword [dpl]
    cmp dword [dpl], 4
    jb .dpl
    inc dword [type]
    cmp dword [type], 32
    jb .type
    inc dword [cpl]
    cmp dword [cpl], 4
    jb .cpl
    inc dword [register]
    cmp dword [register], 2
    jb .register
    ret

one_load:
    DESCRIPTOR T0, 0, 0xfffff, 0, 0xc
    mov eax, [dpl]
    shl eax, 5
    or eax, [type]
    or eax, [present]
    mov [GDT + T0 + 5], al
    push eax
    and al, 0x1c                 ; an expand-down stack lies above its limit
    cmp al, 0x14
    jne .up
    DESCRIPTOR T0, 0, 0, 0, 0xc
    mov eax, [esp]
    mov [GDT + T0 + 5], al
.up:
    cmp dword [register], 0
    jne .ss
    SAYS "ds "
    jmp .named
.ss:
    SAYS "ss "
.named:
    pop eax
    HEX 2, eax
    SAYS " rpl"
    HEX 1, [rpl]
    SAYS " cpl"
    HEX 1, [cpl]
    SAYS ":"
    mov eax, [cpl]
    call prepare
    mov eax, T0
    or eax, [rpl]
    mov [i_eax], eax
    mov dword [show], 0
    cmp dword [register], 0
    jne .run_ss
.run_ds:
    BODY
    mov ds, ax
    ENDCASE
    ret
.run_ss:
    BODY
    mov ss, ax
    ENDCASE
    ret

; ES, FS, GS by MOV, POP and far pointer: a good one, a bad one, an absent one.
%macro OTHER 2
    DESCRIPTOR T0, 0, 0xfffff, 0xf2, 0xc
    CASE 3, %1, " good"
    mov dword [i_eax], T0 | 3
    BODY
    %2
    ENDCASE
    SAYS "  ", %1, ": accessed "
    HEX 2, [GDT + T0 + 5]
    SAYS 10
    DESCRIPTOR T0, 0, 0xfffff, 0xf8, 0xc
    CASE 3, %1, " execute-only"
    mov dword [i_eax], T0 | 3
    BODY
    %2
    ENDCASE
    DESCRIPTOR T0, 0, 0xfffff, 0x72, 0xc
    CASE 3, %1, " absent"
    mov dword [i_eax], T0 | 3
    BODY
    %2
    ENDCASE
    SAYS "  ", %1, ": accessed "
    HEX 2, [GDT + T0 + 5]
    SAYS 10
%endmacro

%macro POPPED 1
    push eax
    pop %1
%endmacro
%macro FARPTR 1
    push eax
    push dword 0x12345678
    %1 ecx, [esp]
%endmacro

other_registers:
    mov dword [show], SHOW_ES | SHOW_FS | SHOW_GS | SHOW_DS | SHOW_SP | SHOW_ECX
    OTHER "mov es", {mov es, ax}
    OTHER "mov fs", {mov fs, ax}
    OTHER "mov gs", {mov gs, ax}
    OTHER "mov ss", {mov ss, ax}
    OTHER "pop ds", {POPPED ds}
    OTHER "pop es", {POPPED es}
    OTHER "pop fs", {POPPED fs}
    OTHER "pop gs", {POPPED gs}
    OTHER "pop ss", {POPPED ss}
    OTHER "lds", {FARPTR lds}
    OTHER "les", {FARPTR les}
    OTHER "lfs", {FARPTR lfs}
    OTHER "lgs", {FARPTR lgs}
    OTHER "lss", {FARPTR lss}
    CASE 0, "mov cs"
    BODY
    db 0x8e, 0xc8
    ENDCASE
    CASE 0, "mov sreg 6"
    BODY
    db 0x8e, 0xf0
    ENDCASE
    CASE 0, "mov sreg 7"
    BODY
    db 0x8e, 0xf8
    ENDCASE
    CASE 0, "mov eax from sreg 6"
    BODY
    db 0x8c, 0xf0
    ENDCASE
    CASE 0, "mov eax, ds"
    mov dword [show], SHOW_EAX
    mov dword [i_eax], -1
    BODY
    mov eax, ds
    ENDCASE
    CASE 0, "mov ax, ds"
    mov dword [i_eax], -1
    BODY
    mov ax, ds
    ENDCASE
    CASE 3, "mov m16, ds"
    mov dword [i_eax], -1
    BODY
    push eax
    mov [esp], ds
    pop eax
    ENDCASE
    CASE 3, "o16 push ds moves two"
    mov dword [show], SHOW_SP
    BODY
    o16 push ds
    ENDCASE
    CASE 3, "push ds moves four"
    BODY
    push ds
    ENDCASE
    ret

nulls:
    mov dword [show], SHOW_DS | SHOW_ES
%assign level 0
%rep 4
  %assign rpl 0
  %rep 4
    CASE level, "null ds ", '0' + rpl, " cpl ", '0' + level
    mov dword [i_eax], rpl
    BODY
    mov ds, ax
    ENDCASE
    CASE level, "null es read ", '0' + rpl, " cpl ", '0' + level
    mov dword [i_eax], rpl
    BODY
    mov es, ax
    mov eax, [es:FREE]
    ENDCASE
    CASE level, "null es write ", '0' + rpl, " cpl ", '0' + level
    mov dword [i_eax], rpl
    BODY
    mov es, ax
    mov [es:FREE], eax
    ENDCASE
    CASE level, "null ss ", '0' + rpl, " cpl ", '0' + level
    mov dword [i_eax], rpl
    BODY
    mov ss, ax
    ENDCASE
  %assign rpl rpl + 1
  %endrep
%assign level level + 1
%endrep
    CASE 3, "lea through null"
    BODY
    mov es, ax
    lea eax, [es:eax]
    ENDCASE
    CASE 3, "invlpg through null is about privilege"
    BODY
    mov es, ax
    invlpg [es:eax]
    ENDCASE
    CASE 0, "invlpg through null"
    BODY
    mov es, ax
    invlpg [es:eax]
    ENDCASE
    CASE 3, "lds of a null pointer"
    BODY
    push eax
    push eax
    lds ecx, [esp]
    ENDCASE
    ret

%macro BEYOND 2
    CASE 0, %1
    mov dword [i_eax], %2
    BODY
    mov fs, ax
    ENDCASE
%endmacro

table_limits:
    mov dword [show], SHOW_FS
    mov dword [GDT + 0x7f8], 0xffff
    mov dword [GDT + 0x7fc], 0x00cf9200
    BEYOND "last of the gdt", 0x7f8
    BEYOND "behind the gdt", 0x800
    BEYOND "far behind the gdt", 0xfff8
    BEYOND "far behind the gdt rpl", 0xfffb
    sub word [gdtr], 1
    lgdt [gdtr]
    BEYOND "last byte outside", 0x7f8
    sub word [gdtr], 7
    lgdt [gdtr]
    BEYOND "first byte outside", 0x7f8
    mov word [gdtr], GDT_LIMIT
    lgdt [gdtr]
    mov dword [LDT + 0xf8], 0xffff
    mov dword [LDT + 0xfc], 0x00cf9200
    BEYOND "last of the ldt", 0xfc
    BEYOND "behind the ldt", 0x104
    BEYOND "ldt index 0", 4
    mov dword [LDT], 0xffff
    mov dword [LDT + 4], 0x00cf9200
    BEYOND "ldt index 0 filled", 4
    mov word [GDT + SEL_LDT], 0xfe
    mov ax, SEL_LDT
    lldt ax
    BEYOND "last byte of the ldt outside", 0xfc
    mov dword [GDT + SEL_LDT], (LDT & 0xffff) << 16
    mov byte [GDT + SEL_LDT + 6], 0x80
    mov ax, SEL_LDT
    lldt ax
    BEYOND "page-granular ldt", 0xfc
    BEYOND "last of a page-granular ldt", 0xffc
    BEYOND "behind a page-granular ldt", 0x1004
    xor eax, eax
    lldt ax
    BEYOND "no ldt", 0xfc
    CASE 0, "gdt at level 3 still works with a null ldt"
    BODY
    mov ax, DATA0
    mov fs, ax
    ENDCASE
    mov word [GDT + SEL_LDT], 0xff
    mov byte [GDT + SEL_LDT + 6], 0
    mov ax, SEL_LDT
    lldt ax
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
