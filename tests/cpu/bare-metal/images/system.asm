; Everything else of the system level: LAR, LSL, VERR, VERW, ARPL over all descriptors; control registers, LMSW, MSRs,
; SYSENTER and SYSEXIT; undefined opcodes, LOCK, over-long instructions; alignment checks; debug registers.
%include "harness.inc"
%include "timer.inc"

main:
    call verify
    call arpls
    call control
    call machine_status
    call msrs
    call fast_calls
    call undefined
    call locks
    call lengths
    call alignment
    call debugging
    ret

%macro IN 3+                     ; level, name, snippet
    CASE %1, %2
    BODY
    %3
    ENDCASE
%endmacro

; ---- LAR, LSL, VERR, VERW: every access byte × RPL × CPL -------------------------------------------------------------

access: dd 0
rpl: dd 0
cpl: dd 0

verify:
    mov dword [show], SHOW_EBX | SHOW_ECX | SHOW_EDX
    mov dword [cpl], 0
.cpl:
    mov dword [rpl], 0
.rpl:
    mov dword [access], 0
.access:
    DESCRIPTOR T0, 0x123456, 0x0bcde, 0, 4
    mov al, [access]
    mov [GDT + T0 + 5], al
    SAYS "verify "
    HEX 2, [access]
    SAYS " rpl"
    HEX 1, [rpl]
    SAYS " cpl"
    HEX 1, [cpl]
    SAYS ":"
    mov eax, [cpl]
    call prepare
    mov eax, [rpl]
    add eax, T0
    mov [i_eax], eax
    call .run
    inc dword [access]
    cmp dword [access], 0x100
    jb .access
    add dword [rpl], 3
    cmp dword [rpl], 4
    jb .rpl
    add dword [cpl], 3
    cmp dword [cpl], 4
    jb .cpl
    ; Others: null, beyond the table, no LDT, page granularity, 16-bit operands, memory.
%macro ASK 2+
    CASE 3, "verify ", %1
    mov dword [i_eax], %2
    call verify.run
%endmacro
    ASK "null", 0
    ASK "null rpl 3", 3
    ASK "beyond the gdt", 0x803
    ASK "beyond the ldt", 0x107
    DESCRIPTOR T0, 0, 0xffff, 0xf3, 0xd
    ASK "256 MiB, AVL", T0 | 3
    DESCRIPTOR T0, 0, 1, 0xf3, 0x8
    ASK "8 KiB by pages", T0 | 3
    DESCRIPTOR T0, 0, 0xffff, 0xf3, 0x2
    ASK "L bit", T0 | 3
    ASK "upper half of the register", 0xffff0000 + T0 + 3
    mov dword [show], SHOW_ECX | SHOW_EDX
    DESCRIPTOR T0, 0, 0x2345, 0xf3, 0xc
    CASE 3, "lar 16, lsl 16"
    mov dword [i_eax], T0 | 3
    mov dword [i_ecx], -1
    mov dword [i_edx], -1
    BODY
    lar cx, ax
    lsl dx, ax
    ENDCASE
    CASE 3, "lar m16, lsl m16"
    BODY
    push dword 0xffff0000 + T0 + 3
    lar ecx, [esp]
    lsl edx, [esp]
    ENDCASE
    mov dword [show], 0
    ret
.run:
    mov dword [i_ebx], 0
    mov dword [i_ecx], 0x11111111
    mov dword [i_edx], 0x22222222
    BODY
    lar ecx, eax
    setz bl
    lsl edx, eax
    setz bh
    shl ebx, 16
    verr ax
    setz bl
    verw ax
    setz bh
    ENDCASE
    ret

arpls:
    mov dword [show], SHOW_FLAGS | SHOW_EAX
%macro RAISE 2
    CASE 3, "arpl ", %1
    mov eax, %2
    mov [i_eax], eax
    shr eax, 16
    mov [i_ecx], eax
    BODY
    arpl ax, cx
    ENDCASE
%endmacro
    RAISE "0 to 3", 0x00131230
    RAISE "3 to 3", 0x00131233
    RAISE "3 to 0", 0x00101233
    RAISE "1 to 2", 0x00021231
    CASE 3, "arpl memory"
    mov dword [i_ecx], 3
    BODY
    push dword 0x12345670
    arpl [esp], cx
    pop eax
    ENDCASE
    CASE 0, "arpl at level 0"
    mov dword [i_ecx], 3
    BODY
    arpl ax, cx
    ENDCASE
    mov dword [show], 0
    ret

; ---- control registers -----------------------------------------------------------------------------------------------

%macro CONTROL 2                 ; name, value for CR0
    CASE 0, "cr0 ", %1
    mov dword [i_eax], %2
    BODY
    mov ecx, cr0
    mov cr0, eax
    mov eax, cr0
    mov cr0, ecx
    ENDCASE
%endmacro

control:
    mov dword [show], SHOW_EAX
    CONTROL "ts", 0x39
    CONTROL "all that may be set but pg and am", 0x6001003f
    CONTROL "am", 0x40031
    CONTROL "nw without cd", 0x20000031
    CONTROL "cd without nw", 0x40000031
    CONTROL "et cleared", 0x21
    CONTROL "ne cleared", 0x11
    CONTROL "reserved bits", 0x1ffaffc0 | 0x31
    CASE 0, "cr2 keeps all bits"
    BODY
    mov eax, 0x12345678
    mov cr2, eax
    xor eax, eax
    mov eax, cr2
    ENDCASE
    CASE 0, "cr3 without paging"
    BODY
    mov eax, 0xfffff01b
    mov cr3, eax
    mov eax, cr3
    xor ecx, ecx
    mov cr3, ecx
    ENDCASE
    ; Every bit of CR4.
    mov ecx, 0
.bit:
    SAYS "cr4 bit "
    HEX 2, ecx
    SAYS ":"
    xor eax, eax
    call prepare
    xor eax, eax
    bts eax, ecx
    mov [i_eax], eax
    push ecx
    call .cr4
    pop ecx
    inc ecx
    cmp ecx, 11                  ; bits that came later are not the subject
    jb .bit
    ; Which registers there are.
    IN 0, "mov eax, cr1", {db 0x0f, 0x20, 0xc8}
    IN 0, "mov cr1, eax", {db 0x0f, 0x22, 0xc8}
    IN 0, "mov eax, cr5", {db 0x0f, 0x20, 0xe8}
    IN 0, "mov eax, cr7", {db 0x0f, 0x20, 0xf8}
    IN 3, "mov eax, cr1 at level 3", {db 0x0f, 0x20, 0xc8}
    IN 3, "mov eax, cr0 at level 3", mov eax, cr0
    IN 3, "mov cr0, eax at level 3", mov cr0, eax
    IN 3, "mov eax, cr3 at level 3", mov eax, cr3
    IN 3, "mov cr4, eax at level 3", mov cr4, eax
    IN 1, "mov eax, cr0 at level 1", mov eax, cr0
    CASE 0, "mod does not matter"
    mov dword [i_ecx], 0x31
    BODY
    db 0x0f, 0x20, 0x00          ; mov eax, cr0
    ENDCASE
    IN 0, "test registers", {db 0x0f, 0x24, 0xf0}
    IN 0, "test registers, write", {db 0x0f, 0x26, 0xf0}
    mov dword [show], 0
    ret
.cr4:
    BODY
    mov cr4, eax
    mov eax, cr4
    xor ecx, ecx
    mov cr4, ecx
    ENDCASE
    ret

%macro LMSW_OF 2
    CASE 0, "lmsw ", %1
    mov dword [i_ecx], %2
    BODY
    lmsw cx
    mov eax, cr0
    mov ecx, 0x31
    mov cr0, ecx
    ENDCASE
%endmacro

machine_status:
    mov dword [show], SHOW_EAX
    LMSW_OF "0 keeps pe", 0
    LMSW_OF "ts", 9
    LMSW_OF "all", 0xffff
    CASE 0, "lmsw memory"
    BODY
    push dword 0xf
    lmsw [esp]
    mov eax, cr0
    mov ecx, 0x31
    mov cr0, ecx
    ENDCASE
    CASE 3, "smsw 16"
    mov dword [i_eax], -1
    BODY
    smsw ax
    ENDCASE
    CASE 3, "smsw memory"
    BODY
    push dword -1
    smsw [esp]
    pop eax
    ENDCASE
    CASE 3, "sldt 16"
    mov dword [i_eax], -1
    BODY
    sldt ax
    ENDCASE
    CASE 3, "str 16"
    mov dword [i_eax], -1
    BODY
    str ax
    ENDCASE
    IN 3, "lmsw at level 3", lmsw ax
    IN 3, "clts at level 3", clts
    IN 3, "lgdt at level 3", lgdt [gdtr]
    IN 3, "lidt at level 3", lidt [idtr]
    IN 3, "lldt at level 3", lldt ax
    IN 3, "ltr at level 3", ltr ax
    IN 3, "invd at level 3", invd
    IN 3, "wbinvd at level 3", wbinvd
    IN 3, "hlt at level 3", hlt
    IN 3, "invlpg at level 3", invlpg [eax]
    ; LLDT and LTR.
%macro LOAD_SYSTEM 3             ; name, instruction, selector
    CASE 0, %1
    mov dword [i_ecx], %3
    BODY
    %2 cx
    mov eax, 0
    sldt ax
    ENDCASE
    mov ax, SEL_LDT
    lldt ax
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
%endmacro
    DESCRIPTOR T0, LDT, 0xff, 0x02, 0
    DESCRIPTOR T0 + 8, TSS, 0x2067, 0x09, 0
    DESCRIPTOR T0 + 16, TSS, 0x2067, 0x89, 0
    DESCRIPTOR T0 + 24, TSS, 0x2067, 0x8b, 0
    DESCRIPTOR T0 + 32, TSS, 0x2067, 0x81, 0
    DESCRIPTOR T0 + 40, TSS, 0x10, 0x89, 0
    DESCRIPTOR 12, LDT, 0xff, 0x82, 0
    LOAD_SYSTEM "lldt null", lldt, 0
    LOAD_SYSTEM "lldt null rpl 3", lldt, 3
    LOAD_SYSTEM "lldt rpl 3", lldt, SEL_LDT | 3
    LOAD_SYSTEM "lldt absent", lldt, T0
    LOAD_SYSTEM "lldt a tss", lldt, SEL_TSS
    LOAD_SYSTEM "lldt data", lldt, DATA0
    LOAD_SYSTEM "lldt in the ldt", lldt, 12
    LOAD_SYSTEM "lldt beyond", lldt, 0xfff8
    LOAD_SYSTEM "ltr null", ltr, 0
    LOAD_SYSTEM "ltr absent", ltr, T0 + 8
    LOAD_SYSTEM "ltr rpl 3", ltr, T0 + 19
    LOAD_SYSTEM "ltr busy", ltr, T0 + 24
    LOAD_SYSTEM "ltr 16-bit", ltr, T0 + 32
    LOAD_SYSTEM "ltr tiny", ltr, T0 + 40
    LOAD_SYSTEM "ltr an ldt", ltr, SEL_LDT
    LOAD_SYSTEM "ltr in the ldt", ltr, 12
    LOAD_SYSTEM "ltr beyond", ltr, 0xfff8
    SAYS "  types: "
    HEX 2, [GDT + T0 + 16 + 5]
    SAYS " "
    HEX 2, [GDT + T0 + 32 + 5]
    SAYS 10
    ; Which registers keep 24 bits of base with a 16-bit operand.
    CASE 0, "o16 lgdt"
    BODY
    o16 lgdt [.table]
    sgdt [esp - 8]
    mov eax, [esp - 6]
    lgdt [gdtr]
    ENDCASE
    mov dword [show], 0
    ret
align 4
.table: dw GDT_LIMIT
    dd 0xff000000 | GDT

; ---- MSRs ------------------------------------------------------------------------------------------------------------

%macro WRITTEN 4                 ; name, register, EDX, EAX: written and read back
    CASE 0, "msr ", %1
    mov dword [i_ecx], %2
    mov dword [i_edx], %3
    mov dword [i_eax], %4
    BODY
    wrmsr
    xor eax, eax
    xor edx, edx
    rdmsr
    ENDCASE
%endmacro

msrs:
    mov dword [show], SHOW_EAX | SHOW_EDX
    IN 3, "rdmsr at level 3", rdmsr
    IN 3, "wrmsr at level 3", wrmsr
    IN 1, "rdmsr at level 1", rdmsr
    CASE 0, "rdmsr of nothing"
    mov dword [i_ecx], 0x12345678
    BODY
    rdmsr
    ENDCASE
    CASE 0, "wrmsr of nothing"
    mov dword [i_ecx], 0x12345678
    BODY
    wrmsr
    ENDCASE
    WRITTEN "sysenter cs", 0x174, 0, 0x12345678
    WRITTEN "sysenter esp", 0x175, 0, 0x87654321
    WRITTEN "sysenter eip", 0x176, 0, 0xabcdef01
    WRITTEN "pat", 0x277, 0x00070106, 0x05040100
    WRITTEN "pat, type 2", 0x277, 0, 2
    WRITTEN "pat, type 3", 0x277, 0x03000000, 0
    WRITTEN "pat, type 8", 0x277, 0, 0x800
    WRITTEN "efer, nxe", 0xc0000080, 0, 0x800
    WRITTEN "efer, a reserved bit", 0xc0000080, 0, 0x2
    WRITTEN "efer, upper half", 0xc0000080, 1, 0
    WRITTEN "efer, nothing", 0xc0000080, 0, 0
    WRITTEN "mtrrcap is read-only", 0xfe, 0, 0
    WRITTEN "mtrr base", 0x200, 0, 0x12345006
    WRITTEN "mtrr base, type 2", 0x200, 0, 0x12345002
    WRITTEN "mtrr base, reserved", 0x200, 0, 0x12345106
    WRITTEN "mtrr mask", 0x201, 0xf, 0xfff00800
    WRITTEN "mtrr mask, reserved", 0x201, 0, 0x400
    WRITTEN "mtrr default", 0x2ff, 0, 0xc06
    WRITTEN "mtrr default, reserved", 0x2ff, 0, 0x1006
    WRITTEN "mtrr fixed", 0x250, 0x06060606, 0x01040506
    WRITTEN "mtrr fixed, type 7", 0x250, 0, 7
    ; The defaults again.
    mov ecx, 0x200
    xor eax, eax
    xor edx, edx
    wrmsr
    inc ecx
    wrmsr
    mov ecx, 0x2ff
    wrmsr
    mov ecx, 0x277
    mov eax, 0x00070406
    mov edx, eax
    wrmsr
    mov dword [show], SHOW_EAX
    CASE 3, "features of cpuid that all have"
    BODY
    mov eax, 1
    cpuid
    and edx, 0x0788a93d | 0x40   ; FPU DE PSE TSC MSR PAE CX8 SEP PGE CMOV PAT CLFSH MMX FXSR SSE SSE2
    mov eax, edx
    ENDCASE
    CASE 3, "rdtsc goes up"
    BODY
    rdtsc
    mov ecx, eax
    rdtsc
    sub eax, ecx
    setg al
    movzx eax, al
    ENDCASE
    mov eax, 4
    mov cr4, eax
    IN 3, "rdtsc with tsd at level 3", rdtsc
    mov dword [show], 0
    IN 0, "rdtsc with tsd at level 0", rdtsc
    xor eax, eax
    mov cr4, eax
    IN 3, "rdpmc at level 3", rdpmc
    ret

; ---- SYSENTER, SYSEXIT -----------------------------------------------------------------------------------------------

FAST equ 0x100                   ; code 0, data 0, code 3, data 3

landed:
    ud2
two_nops:
    nop
    nop
    ud2

set_fast:
    pushad
    mov ecx, 0x174
    mov eax, FAST
    xor edx, edx
    wrmsr
    inc ecx
    mov eax, STACK0T - 0x100
    wrmsr
    inc ecx
    mov eax, landed
    wrmsr
    popad
    ret

fast_calls:
    DESCRIPTOR FAST, 0, 0xfffff, 0x9b, 0xc
    DESCRIPTOR FAST + 8, 0, 0xfffff, 0x93, 0xc
    DESCRIPTOR FAST + 16, 0, 0xfffff, 0xfb, 0xc
    DESCRIPTOR FAST + 24, 0, 0xfffff, 0xf3, 0xc
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_STACK | SHOW_DS
    mov dword [stack_dwords], 0
    call set_fast
    CASE 3, "sysenter"
    BODY_TO landed
    sysenter
    ENDCASE
    CASE 3, "sysenter, all flags"
    mov dword [i_efl], 0x247ed7
    BODY_TO landed
    sysenter
    ENDCASE
    CASE 0, "sysenter at level 0"
    BODY_TO landed
    sysenter
    ENDCASE
    CASE 3, "sysenter, single step"
    mov dword [i_efl], 0x102
    BODY_TO landed
    sysenter
    ENDCASE
    V86 3, "sysenter in v86 mode"
    BODY16V
    sysenter
    ENDCASE16
    ; Descriptors do not matter.
    DESCRIPTOR FAST, 0, 0xfff, 0x13, 0
    DESCRIPTOR FAST + 8, 0, 0xfff, 0x10, 0
    CASE 3, "sysenter, bad descriptors"
    BODY_TO landed
    sysenter
    ENDCASE
    DESCRIPTOR FAST, 0, 0xfffff, 0x9b, 0xc
    DESCRIPTOR FAST + 8, 0, 0xfffff, 0x93, 0xc
    mov ecx, 0x174
    mov eax, FAST | 3
    xor edx, edx
    wrmsr
    CASE 3, "sysenter, rpl in the msr"
    BODY_TO landed
    sysenter
    ENDCASE
    mov eax, 0
    wrmsr
    CASE 3, "sysenter, cs 0"
    BODY
    sysenter
    ENDCASE
    CASE 0, "sysexit, cs 0"
    BODY
    sysexit
    ENDCASE
    mov ecx, 0x174
    mov eax, 3
    wrmsr
    CASE 3, "sysenter, cs 3"
    BODY
    sysenter
    ENDCASE
    call set_fast
%macro EXIT 2
    CASE %1, %2
    mov dword [i_edx], landed
    mov dword [i_ecx], STACK3 - 0x200
    mov dword [i_ds], DATA3
    mov dword [i_es], DATA0 + %1 * 17
%endmacro
    EXIT 0, "sysexit"
    BODY_TO landed
    sysexit
    ENDCASE
    EXIT 0, "sysexit, all flags"
    mov dword [i_efl], 0x247ed7
    BODY_TO landed
    sysexit
    ENDCASE
    EXIT 1, "sysexit at level 1"
    BODY
    sysexit
    ENDCASE
    EXIT 3, "sysexit at level 3"
    BODY
    sysexit
    ENDCASE
    EXIT 0, "sysexit, single step"
    mov dword [i_efl], 0x102
    mov dword [i_edx], two_nops
    BODY_TO two_nops
    sysexit
    ENDCASE
    ; STI; SYSEXIT with an interrupt that waits: it comes at level 3.
    call set_pic
    call raise_timer
    EXIT 0, "sti, sysexit, interrupt waiting"
    mov dword [i_edx], two_nops
    BODY_TO two_nops
    sti
    sysexit
    ENDCASE
    SAYS "  eip: +"
    mov eax, [r_eip]
    sub eax, two_nops
    HEX 2, eax
    SAYS 10
    mov al, 0x20
    out 0x20, al
    mov al, 0xff
    out 0x21, al
    mov dword [show], 0
    ret

; ---- undefined opcodes -----------------------------------------------------------------------------------------------

; Bytes at level 3, EAX, EBX, ECX, EDX, ESI, EDI pointing at scratch memory.
%macro BYTES 1+
    CASE 3, "bytes ", %1
    mov eax, FREE + 0x1000
    mov [i_eax], eax
    mov [i_ebx], eax
    mov [i_ecx], eax
    mov [i_edx], eax
    mov [i_esi], eax
    mov [i_edi], eax
    BODY
%endmacro
%macro UD 2+                     ; name, bytes
    BYTES %1
    db %2
    ENDCASE
%endmacro

undefined:
    UD "0f 04", 0x0f, 0x04
    UD "0f 0a", 0x0f, 0x0a
    UD "0f 0b", 0x0f, 0x0b
    UD "0f 0c", 0x0f, 0x0c
    UD "0f 25", 0x0f, 0x25, 0xc0
    UD "0f 27", 0x0f, 0x27, 0xc0
    UD "0f 36", 0x0f, 0x36
    UD "0f 39", 0x0f, 0x39, 0xc0
    UD "0f a6", 0x0f, 0xa6, 0xc0
    UD "0f a7", 0x0f, 0xa7, 0xc0
    UD "0f aa (rsm)", 0x0f, 0xaa
    UD "0f b9", 0x0f, 0xb9, 0xc0
    UD "0f b9 m", 0x0f, 0xb9, 0x00
    UD "0f ff", 0x0f, 0xff, 0xc0
    UD "0f 00 /6", 0x0f, 0x00, 0xf0
    UD "0f 00 /7", 0x0f, 0x00, 0xf8
    UD "0f 01 /5", 0x0f, 0x01, 0xe8
    UD "0f 01 /0 r", 0x0f, 0x01, 0xc0
    UD "0f 01 /1 r vmx-like", 0x0f, 0x01, 0xcf
    UD "0f 01 /2 r", 0x0f, 0x01, 0xd0
    UD "0f 01 /3 r", 0x0f, 0x01, 0xd8
    UD "0f 01 /7 r", 0x0f, 0x01, 0xf8
    UD "0f ba /0", 0x0f, 0xba, 0xc0, 0
    UD "0f ba /3", 0x0f, 0xba, 0xd8, 0
    UD "0f ba /4", 0x0f, 0xba, 0xe0, 0
    UD "0f c7 /0", 0x0f, 0xc7, 0x00
    UD "0f c7 /1 r", 0x0f, 0xc7, 0xc8
    UD "0f c7 /2", 0x0f, 0xc7, 0x10
    UD "0f c7 /6", 0x0f, 0xc7, 0x30
    UD "0f c7 /7", 0x0f, 0xc7, 0x38
    UD "0f b2 r", 0x0f, 0xb2, 0xc0
    UD "0f b4 r", 0x0f, 0xb4, 0xc0
    UD "c4 r", 0xc4, 0xc0
    UD "c5 r", 0xc5, 0xc0
    UD "62 r", 0x62, 0xc0
    UD "8d r", 0x8d, 0xc0
    UD "8c sreg 7", 0x8c, 0xf8
    UD "8e sreg 1", 0x8e, 0xc8
    UD "8f /1", 0x8f, 0xc8
    UD "8f /7", 0x8f, 0x38
    UD "c6 /1", 0xc6, 0xc8, 0
    UD "c7 /1", 0xc7, 0x08, 0, 0, 0, 0
    UD "fe /2", 0xfe, 0xd0
    UD "fe /7", 0xfe, 0x38
    UD "ff /7", 0xff, 0xf8
    UD "ff /3 r", 0xff, 0xd8
    UD "ff /5 r", 0xff, 0xe8
    ; Defined, though not everywhere documented.
    UD "d6 (salc)", 0xd6
    UD "82 /0", 0x82, 0xc0, 1
    UD "f6 /1", 0xf6, 0xc8, 1
    UD "f7 /1", 0xf7, 0xc8, 1, 0, 0, 0
    UD "c0 /6", 0xc0, 0xf0, 1
    UD "d1 /6", 0xd1, 0xf0
    UD "0f 1f /0", 0x0f, 0x1f, 0xc0
    UD "0f 18 /0", 0x0f, 0x18, 0x00
    UD "0f 0d", 0x0f, 0x0d, 0x00
    UD "0f 19", 0x0f, 0x19, 0x00
    UD "f3 90 (pause)", 0xf3, 0x90
    UD "f2 nop", 0xf2, 0x90
    UD "rep add", 0xf3, 0x01, 0xc0
    UD "two segment prefixes", 0x26, 0x3e, 0x8b, 0x00
    UD "0f 38 in the way", 0x0f, 0x38, 0xff, 0xc0
    UD "0f 3a in the way", 0x0f, 0x3a, 0xff, 0xc0, 0
    ; With CR0.EM or TS.
%macro FPU_CASES 2
    mov eax, %2
    mov cr0, eax
    UD {%1, " fninit"}, 0xdb, 0xe3
    UD {%1, " fwait"}, 0x9b
    UD {%1, " fld1"}, 0xd9, 0xe8
    UD {%1, " movd mm0, eax"}, 0x0f, 0x6e, 0xc0
    UD {%1, " emms"}, 0x0f, 0x77
    UD {%1, " fxsave"}, 0x0f, 0xae, 0x00
    UD {%1, " movaps"}, 0x0f, 0x28, 0xc1
    UD {%1, " ldmxcsr"}, 0x0f, 0xae, 0x10
    UD {%1, " sfence"}, 0x0f, 0xae, 0xf8
    UD {%1, " lfence"}, 0x0f, 0xae, 0xe8
    UD {%1, " movnti"}, 0x0f, 0xc3, 0x00
    UD {%1, " prefetchnta"}, 0x0f, 0x18, 0x00
%endmacro
    mov dword [FREE + 0x1000], 0x1f80
    FPU_CASES "em", 0x35
    mov dword [FREE + 0x1000], 0x1f80
    FPU_CASES "ts", 0x39
    mov dword [FREE + 0x1000], 0x1f80
    FPU_CASES "ts and mp", 0x3b
    mov dword [FREE + 0x1000], 0x1f80
    FPU_CASES "plain, no osfxsr", 0x31
    mov eax, 0x200
    mov cr4, eax
    mov dword [FREE + 0x1000], 0x1f80
    FPU_CASES "osfxsr", 0x31
    mov dword [FREE + 0x1000], 0x1f80
    FPU_CASES "osfxsr and ts", 0x39
    xor eax, eax
    mov cr4, eax
    mov eax, 0x31
    mov cr0, eax
    fninit
    ret

; ---- LOCK ------------------------------------------------------------------------------------------------------------

locks:
    UD "lock nop", 0xf0, 0x90
    UD "lock mov m, r", 0xf0, 0x89, 0x03
    UD "lock mov r, m", 0xf0, 0x8b, 0x03
    UD "lock add m, r", 0xf0, 0x01, 0x03
    UD "lock add r, m", 0xf0, 0x03, 0x03
    UD "lock add r, r", 0xf0, 0x01, 0xc3
    UD "lock add m, imm", 0xf0, 0x83, 0x03, 1
    UD "lock cmp m, r", 0xf0, 0x39, 0x03
    UD "lock cmp m, imm", 0xf0, 0x83, 0x3b, 1
    UD "lock test m, r", 0xf0, 0x85, 0x03
    UD "lock xchg m, r", 0xf0, 0x87, 0x03
    UD "lock xchg r, r", 0xf0, 0x87, 0xc3
    UD "lock inc m", 0xf0, 0xff, 0x03
    UD "lock inc r", 0xf0, 0x40
    UD "lock dec m8", 0xf0, 0xfe, 0x0b
    UD "lock not m", 0xf0, 0xf7, 0x13
    UD "lock neg m", 0xf0, 0xf7, 0x1b
    UD "lock mul m", 0xf0, 0xf7, 0x23
    UD "lock push", 0xf0, 0x50
    UD "lock push m", 0xf0, 0xff, 0x33
    UD "lock shl m", 0xf0, 0xd1, 0x23
    UD "lock shld m", 0xf0, 0x0f, 0xa4, 0x03, 1
    UD "lock bt m", 0xf0, 0x0f, 0xba, 0x23, 1
    UD "lock bts m, imm", 0xf0, 0x0f, 0xba, 0x2b, 1
    UD "lock bts m, r", 0xf0, 0x0f, 0xab, 0x0b
    UD "lock xadd m", 0xf0, 0x0f, 0xc1, 0x03
    UD "lock cmpxchg m", 0xf0, 0x0f, 0xb1, 0x03
    UD "lock cmpxchg8b", 0xf0, 0x0f, 0xc7, 0x0b
    UD "lock movsb", 0xf0, 0xa4
    UD "lock stosb", 0xf0, 0xaa
    UD "lock lea", 0xf0, 0x8d, 0x03
    UD "lock jmp", 0xf0, 0xeb, 0
    UD "lock int3", 0xf0, 0xcc
    UD "lock hlt", 0xf0, 0xf4
    UD "lock cli", 0xf0, 0xfa
    UD "lock lgdt", 0xf0, 0x0f, 0x01, 0x13
    UD "lock setz m", 0xf0, 0x0f, 0x94, 0x03
    UD "lock pop m", 0xf0, 0x8f, 0x03
    UD "lock fninit", 0xf0, 0xdb, 0xe3
    UD "lock fld m", 0xf0, 0xd9, 0x03
    UD "lock movaps", 0xf0, 0x0f, 0x28, 0xc1
    UD "lock cpuid", 0xf0, 0x0f, 0xa2
    UD "lock undefined", 0xf0, 0x0f, 0xff, 0xc0
    ret

; ---- length ----------------------------------------------------------------------------------------------------------

lengths:
    UD "15 bytes", 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x90
    UD "16 bytes", 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x90
    UD "15 with an immediate", 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0xb8, 1, 0, 0, 0
    UD "16 with an immediate", 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0xb8, 1, 0, 0, 0
    UD "16 with a displacement", 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x8b, 0x80, 1, 0, 0, 0
    UD "lock too late", 0xf0, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x90
    UD "a long nop of 15", 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
    ret

; ---- alignment -------------------------------------------------------------------------------------------------------

%macro ALIGNED 3+                ; name, EBX's low bits, instruction
    CASE 3, "ac ", %1
    mov dword [STACK3 - 0xfe], landed ; for a processor that lets RET go on
    mov dword [i_efl], 0x40002
    mov dword [i_ebx], FREE + 0x1000 + %2
    mov dword [i_esi], FREE + 0x1000 + %2
    mov dword [i_edi], FREE + 0x2000
    mov dword [i_ecx], 2
    BODY
    %3
    ENDCASE
%endmacro
%macro AT_ESP 2
    mov esp, STACK3 - 0x100 + %1
    %2
%endmacro

alignment:
    mov eax, 0x40031
    mov cr0, eax
    mov dword [show], SHOW_SP | SHOW_ECX
    ALIGNED "byte", 1, mov al, [ebx]
    ALIGNED "word at 0", 0, mov ax, [ebx]
    ALIGNED "word at 1", 1, mov ax, [ebx]
    ALIGNED "word at 2", 2, mov ax, [ebx]
    ALIGNED "word write at 1", 1, mov [ebx], ax
    ALIGNED "dword at 1", 1, mov eax, [ebx]
    ALIGNED "dword at 2", 2, mov eax, [ebx]
    ALIGNED "dword at 4", 4, mov eax, [ebx]
    ALIGNED "dword write at 3", 3, mov [ebx], eax
    ALIGNED "add at 2", 2, add [ebx], eax
    ALIGNED "xchg at 2", 2, xchg [ebx], eax
    ALIGNED "cmpxchg8b at 4", 4, cmpxchg8b [ebx]
    ALIGNED "cmpxchg8b at 8", 8, cmpxchg8b [ebx]
    ALIGNED "push at 2", 0, AT_ESP 2, {push eax}
    ALIGNED "push word at 2", 0, AT_ESP 2, {push ax}
    ALIGNED "pop at 1", 0, AT_ESP 1, {pop eax}
    ALIGNED "pusha at 2", 0, AT_ESP 2, pushad
    ALIGNED "call at 2", 0, AT_ESP 2, {call $ + 5}
    ALIGNED "ret at 2", 0, AT_ESP 2, ret
    ALIGNED "enter at 2", 0, AT_ESP 2, {enter 0, 0}
    ALIGNED "pushfd at 2", 0, AT_ESP 2, pushfd
    ALIGNED "iret at 2", 0, AT_ESP 2, iretd
    ALIGNED "movsd at 2", 2, rep movsd
    ALIGNED "lodsw at 1", 1, lodsw
    ALIGNED "lds at 2", 2, les eax, [ebx]
    ALIGNED "bound at 4", 4, bound eax, [ebx]
    ALIGNED "sgdt at 2", 2, sgdt [ebx]
    ALIGNED "sgdt at 0", 0, sgdt [ebx]
    ALIGNED "sgdt at 1", 1, sgdt [ebx]
    ALIGNED "bt at 2", 2, bt dword [ebx], 1
    ALIGNED "sldt at 1", 1, sldt [ebx]
    ALIGNED "fld dword at 2", 2, fld dword [ebx]
    ALIGNED "fld qword at 4", 4, fld qword [ebx]
    ALIGNED "fld tword at 4", 4, fld tword [ebx]
    ALIGNED "fld tword at 8", 8, fld tword [ebx]
    ALIGNED "fild word at 1", 1, fild word [ebx]
    ALIGNED "fldcw at 1", 1, fldcw [ebx]
    ALIGNED "fnstenv at 2", 2, fnstenv [ebx]
    ALIGNED "fninit", 0, fninit
    ALIGNED "xlat", 1, xlatb
    ALIGNED "lea", 1, lea eax, [ebx]
    CASE 0, "ac at level 0"
    mov dword [i_efl], 0x40002
    mov dword [i_ebx], FREE + 0x1001
    BODY
    mov eax, [ebx]
    ENDCASE
    CASE 2, "ac at level 2"
    mov dword [i_efl], 0x40002
    mov dword [i_ebx], FREE + 0x1001
    BODY
    mov eax, [ebx]
    ENDCASE
    CASE 3, "ac flag clear"
    mov dword [i_ebx], FREE + 0x1001
    BODY
    mov eax, [ebx]
    ENDCASE
    mov dword [FREE + 0x1000], 0
    mov dword [FREE + 0x1004], 0
    CASE 3, "ac flag set by popf"
    mov dword [i_ebx], FREE + 0x1001
    BODY
    mov ecx, [ebx]
    push dword 0x40002
    popfd
    mov ecx, [ebx]
    ENDCASE
    CASE 3, "ac flag cleared by popf"
    mov dword [i_efl], 0x40002
    mov dword [i_ebx], FREE + 0x1001
    BODY
    push dword 2
    popfd
    mov ecx, [ebx]
    ENDCASE
    ; Frames on a misaligned inner stack are the supervisor's.
    mov dword [TSS + 4], STACK0 - 2
    ALIGNED "misaligned inner stack", 1, mov eax, [ebx]
    mov dword [TSS + 4], STACK0
    mov eax, 0x31
    mov cr0, eax
    CASE 3, "am clear"
    mov dword [i_efl], 0x40002
    mov dword [i_ebx], FREE + 0x1001
    BODY
    mov eax, [ebx]
    ENDCASE
    mov dword [show], 0
    ret

; ---- debug registers -------------------------------------------------------------------------------------------------

; BREAK level, name, DR7, address of DR0; then the snippet.
%macro BREAK 4
    CASE %1, "break ", %2
    mov eax, %4
    mov dr0, eax
    mov dword [i_edx], 0x80
    mov dword [i_ebx], FREE + 0x1000
    mov dword [i_esi], FREE + 0xff8
    mov dword [i_edi], FREE + 0xffe
    mov dword [i_ecx], 4
    mov dword [i_eax], 0x12345678
    mov eax, %3
    mov dr7, eax
    BODY
%endmacro
%macro BROKEN 0
    ENDCASE
    call no_breaks
%endmacro
; RW and LEN of breakpoint 0, locally enabled.
%define DR7_OF(rw, len) (0x401 | (rw) << 16 | ((len) - 1) << 18)
%define DATA_AT FREE + 0x1000
%macro PLAIN 5                   ; name, DR7, DR0, instruction
    BREAK 3, %1, %2, %3
    %4 %5
    BROKEN
%endmacro

no_breaks:
    push eax
    xor eax, eax
    mov dr7, eax
    pop eax
    ret

debugging:
    mov dword [show], SHOW_FLAGS | SHOW_DR6 | SHOW_ECX
    ; Registers.
    mov dword [show], SHOW_EAX
    CASE 0, "dr7 of all ones"
    BODY
    mov eax, 0xffffdfff
    mov dr7, eax
    mov eax, dr7
    xor ecx, ecx
    mov dr7, ecx
    ENDCASE
    CASE 0, "dr7 of all zeros"
    BODY
    xor eax, eax
    mov dr7, eax
    mov eax, dr7
    ENDCASE
    CASE 0, "dr6 of all ones"
    BODY
    mov eax, -1
    mov dr6, eax
    mov eax, dr6
    ENDCASE
    CASE 0, "dr6 of all zeros"
    BODY
    xor eax, eax
    mov dr6, eax
    mov eax, dr6
    ENDCASE
    CASE 0, "dr4 is dr6"
    BODY
    mov eax, 0xffff0ff1
    mov dr6, eax
    xor eax, eax
    db 0x0f, 0x21, 0xe0          ; mov eax, dr4
    ENDCASE
    CASE 0, "dr5 is dr7"
    BODY
    db 0x0f, 0x21, 0xe8          ; mov eax, dr5
    ENDCASE
    mov eax, 8
    mov cr4, eax
    IN 0, "dr4 with de", {db 0x0f, 0x21, 0xe0}
    IN 0, "dr5 write with de", {db 0x0f, 0x23, 0xe8}
    xor eax, eax
    mov cr4, eax
    IN 3, "dr0 at level 3", mov eax, dr0
    IN 3, "dr7 write at level 3", mov dr7, eax
    mov dword [show], SHOW_FLAGS | SHOW_DR6 | SHOW_EAX
    CASE 0, "general detect, read"
    mov eax, 0x2400
    mov dr7, eax
    BODY
    mov eax, dr0
    ENDCASE
    CASE 0, "gd is clear in the handler"
    BODY
    mov eax, dr7
    ENDCASE
    CASE 0, "general detect, write"
    mov eax, 0x2400
    mov dr7, eax
    BODY
    mov dr3, eax
    ENDCASE
    call no_breaks
    ; Instructions.
    mov dword [show], SHOW_FLAGS | SHOW_DR6 | SHOW_ECX
    BREAK 3, "instruction", 0x401, .nop_at
    nop
.nop_at:
    nop
    nop
    BROKEN
    BREAK 3, "instruction, global", 0x402, .nop_at2
    nop
.nop_at2:
    nop
    BROKEN
    BREAK 3, "instruction, not enabled", 0x400, .nop_at3
    nop
.nop_at3:
    nop
    BROKEN
    CASE 3, "break instruction, rf"
    mov eax, .nop_at4
    mov dr0, eax
    mov eax, 0x401
    mov dr7, eax
    mov dword [i_efl], 0x10002
    BODY
.nop_at4:
    nop
    BROKEN
    CASE 3, "break instruction, rf lasts for one"
    mov eax, .nop_at5
    mov dr0, eax
    mov eax, 0x401
    mov dr7, eax
    mov dword [i_efl], 0x10002
    BODY
    nop
.nop_at5:
    nop
    BROKEN
    BREAK 3, "instruction behind mov ss", 0x401, .nop_at6
    mov ax, ss
    mov ss, ax
.nop_at6:
    nop
    nop
    BROKEN
    BREAK 3, "second byte of an instruction", 0x401, .second + 1
.second:
    mov eax, ecx
    BROKEN
    BREAK 3, "instruction at ud2", 0x401, .ud2
    nop
.ud2:
    BROKEN
    BREAK 3, "jump to it", 0x401, .jumped
    jmp short .jumped
    nop
.jumped:
    nop
    BROKEN
    ; Data.
    PLAIN "write, written", DR7_OF(1, 4), DATA_AT, mov, {[ebx], eax}
    PLAIN "write, read", DR7_OF(1, 4), DATA_AT, mov, {eax, [ebx]}
    PLAIN "read/write, read", DR7_OF(3, 4), DATA_AT, mov, {eax, [ebx]}
    PLAIN "read/write, written", DR7_OF(3, 4), DATA_AT, mov, {[ebx], eax}
    PLAIN "byte in a dword", DR7_OF(3, 4), DATA_AT, mov, {al, [ebx + 3]}
    PLAIN "byte behind a dword", DR7_OF(3, 4), DATA_AT, mov, {al, [ebx + 4]}
    PLAIN "byte before a dword", DR7_OF(3, 4), DATA_AT, mov, {al, [ebx - 1]}
    PLAIN "dword over a byte", DR7_OF(3, 1), DATA_AT + 2, mov, {eax, [ebx]}
    PLAIN "dword beside a byte", DR7_OF(3, 1), DATA_AT + 4, mov, {eax, [ebx]}
    PLAIN "word", DR7_OF(3, 2), DATA_AT + 2, mov, {al, [ebx + 3]}
    PLAIN "word, beside", DR7_OF(3, 2), DATA_AT + 2, mov, {al, [ebx + 1]}
    PLAIN "misaligned address is rounded", DR7_OF(3, 4), DATA_AT + 2, mov, {al, [ebx]}
    PLAIN "across", DR7_OF(3, 4), DATA_AT + 4, mov, {eax, [ebx + 2]}
    PLAIN "add", DR7_OF(1, 4), DATA_AT, add, {[ebx], eax}
    PLAIN "cmp", DR7_OF(1, 4), DATA_AT, cmp, {[ebx], eax}
    PLAIN "lea", DR7_OF(3, 4), DATA_AT, lea, {eax, [ebx]}
    BREAK 3, "push", DR7_OF(1, 4), STACK3 - 4
    push eax
    BROKEN
    BREAK 3, "pop", DR7_OF(3, 4), STACK3 - 4
    push eax
    pop eax
    BROKEN
    BREAK 3, "call", DR7_OF(1, 4), STACK3 - 4
    call .called
.called:
    nop
    BROKEN
    BREAK 3, "movsb meets it", DR7_OF(1, 1), DATA_AT
    rep movsb
    BROKEN
    BREAK 3, "movsb reads it", DR7_OF(3, 1), FREE + 0xff9
    rep movsb
    BROKEN
    mov dword [DATA_AT], DATA3
    BREAK 3, "mov ss from it", DR7_OF(3, 4), DATA_AT
    mov ss, [ebx]
    nop
    nop
    BROKEN
    BREAK 3, "not enabled", 0x400 | 0xf0000, DATA_AT
    mov [ebx], eax
    BROKEN
    BREAK 3, "faulting access", DR7_OF(3, 4), DATA_AT
    mov ds, [ebx]
    BROKEN
    BREAK 3, "cmpxchg8b", DR7_OF(3, 4), DATA_AT + 4
    cmpxchg8b [ebx]
    BROKEN
    BREAK 3, "fld qword", DR7_OF(3, 4), DATA_AT + 4
    fld qword [ebx]
    BROKEN
    BREAK 3, "with tf", DR7_OF(1, 4), DATA_AT
    mov [ebx], eax
    BROKEN
    ; Two at once.
    CASE 3, "break two"
    mov eax, DATA_AT
    mov dr1, eax
    add eax, 2
    mov dr2, eax
    mov eax, 0x400 | 0x4 | 0x10 | 0x3 << 20 | 0x3 << 24
    mov dr7, eax
    mov dword [i_ebx], DATA_AT
    BODY
    mov eax, [ebx]
    BROKEN
    ; Single step and data in one instruction.
    CASE 3, "break and step"
    mov eax, DATA_AT
    mov dr0, eax
    mov eax, DR7_OF(1, 4)
    mov dr7, eax
    mov dword [i_efl], 0x102
    mov dword [i_ebx], DATA_AT
    BODY
    mov [ebx], eax
    BROKEN
    ; I/O, with DE.
    mov eax, 8
    mov cr4, eax
    CASE 0, "break on a port"
    mov eax, 0x80
    mov dr0, eax
    mov eax, DR7_OF(2, 1)
    mov dr7, eax
    mov dword [i_edx], 0x80
    BODY
    out dx, al
    BROKEN
    CASE 0, "break on another port"
    mov eax, 0x80
    mov dr0, eax
    mov eax, DR7_OF(2, 1)
    mov dr7, eax
    mov dword [i_edx], 0x84
    BODY
    out dx, al
    BROKEN
    CASE 0, "break on a port read"
    mov eax, 0x81
    mov dr0, eax
    mov eax, DR7_OF(2, 1)
    mov dr7, eax
    BODY
    in al, 0x81
    BROKEN
    xor eax, eax
    mov cr4, eax
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
