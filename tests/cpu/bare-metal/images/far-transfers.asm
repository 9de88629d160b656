; Far JMP, CALL, RETF, IRET and call gates: every privilege relation, error codes, stacks, parameters, flags.
%include "harness.inc"

op:    dd 0                      ; 0 jmp, 1 call, 2 retf, 3 iret
cpl:   dd 0
type:  dd 0
dpl:   dd 0
rpl:   dd 0
pointer: dd 0
    dw 0
    dw 0

main:
    call direct
    mov dword [show], SHOW_CS | SHOW_STACK
    mov dword [stack_dwords], 6
    call gates
    call gate_faults
    call parameters
    call returns
    call iret_flags
    ret

; Where transfers land, at whatever level and size: UD2 in both.
landed:
    ud2

; ---- direct transfers: kind of descriptor × DPL × RPL × CPL ----------------------------------------------------------

; Access bytes without DPL.
code_types: db 0x9a, 0x98, 0x9e, 0x9c, 0x1a, 0x1e
code_types_end:
other_types: db 0x92, 0x96, 0x80, 0x82, 0x86, 0x87, 0x88, 0x8a, 0x8d, 0x8e, 0x8f, 0x02, 0x12
other_types_end:
align 4

direct:
    mov dword [show], SHOW_CS | SHOW_DS
    mov dword [op], 0
.op:
    mov dword [cpl], 0
.cpl:
    mov dword [dpl], 0
.dpl:
    mov dword [rpl], 0
.rpl:
    mov dword [type], code_types
.code:
    call .one
    inc dword [type]
    cmp dword [type], code_types_end
    jb .code
    mov eax, [dpl]               ; the rest at the corners
    cmp eax, [rpl]
    jne .next
    mov dword [type], other_types
.other:
    call .one
    inc dword [type]
    cmp dword [type], other_types_end
    jb .other
.next:
    inc dword [rpl]
    cmp dword [rpl], 4
    jb .rpl
    inc dword [dpl]
    cmp dword [dpl], 4
    jb .dpl
    inc dword [cpl]
    cmp dword [cpl], 4
    jb .cpl
    inc dword [op]
    cmp dword [op], 4
    jb .op
    ret

.one:
    DESCRIPTOR T0, 0, 0xfffff, 0, 0xc
    mov esi, [type]
    mov al, [esi]
    mov ah, [dpl]
    shl ah, 5
    or al, ah
    mov [GDT + T0 + 5], al
    push eax
    mov esi, [op]
    mov esi, [.names + esi * 4]
.name:
    lodsb
    test al, al
    jz .named
    call say_char
    jmp .name
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
    mov [pointer + 4], ax
    mov [i_eax], eax
    mov dword [pointer], landed
    mov dword [i_esi], pointer
    ; The stack of the outer level, if it is one.
    mov ecx, [rpl]
    imul ecx, 17
    add ecx, DATA0
    mov [i_ecx], ecx
    mov dword [i_edx], STACK3 - 0x1000
    mov dword [i_ebx], landed
    mov dword [i_end], landed
    mov ecx, [op]
    mov ecx, [.bodies + ecx * 4]
    mov [i_eip], ecx
    call run_case
    jmp print_result
.bodies: dd .jump, .call, .retf, .iret
.names: dd .name0, .name1, .name2, .name3
.name0: db "jmp ", 0
.name1: db "call ", 0
.name2: db "retf ", 0
.name3: db "iret ", 0
.jump:
    jmp far [esi]
    ud2
.call:
    call far [esi]
    ud2
.retf:
    push ecx
    push edx
    push eax
    push ebx
    retf
    ud2
.iret:
    push ecx
    push edx
    push dword 2
    push eax
    push ebx
    iretd
    ud2

; ---- call gates: JMP, CALL × type × DPL × RPL × CPL × target ---------------------------------------------------------

gate_type: dd 0
target: dd 0                     ; DPL and kind: access byte of the target

gates:
    mov dword [op], 0
.op:
    mov dword [gate_type], 4
.type:
    mov dword [cpl], 0
.cpl:
    mov dword [dpl], 0
.dpl:
    mov dword [rpl], 0
.rpl:
    mov dword [target], 0x9a
.target:
    call .one
    add dword [target], 0x20
    cmp dword [target], 0x100
    jb .target
    mov dword [target], 0x9e     ; conforming
.conforming:
    call .one
    add dword [target], 0x20
    cmp dword [target], 0x100
    jb .conforming
    add dword [rpl], 3
    cmp dword [rpl], 4
    jb .rpl
    inc dword [dpl]
    cmp dword [dpl], 4
    jb .dpl
    inc dword [cpl]
    cmp dword [cpl], 4
    jb .cpl
    add dword [gate_type], 8
    cmp dword [gate_type], 13
    jb .type
    inc dword [op]
    cmp dword [op], 2
    jb .op
    ret

; A gate in T0 to the code segment T0 + 8; 16-bit gates lead into a segment with base IMAGE.
.one:
    cmp dword [gate_type], 4
    je .narrow
    DESCRIPTOR T0 + 8, 0, 0xfffff, 0, 0xc
    GATE GDT + T0, T0 + 8, landed, 0, 0
    jmp .fill
.narrow:
    DESCRIPTOR T0 + 8, IMAGE, 0xfffff, 0, 0xc
    GATE GDT + T0, T0 + 8, landed - IMAGE, 0, 0
.fill:
    mov al, [target]
    mov [GDT + T0 + 8 + 5], al
    mov al, [dpl]
    shl al, 5
    or al, [gate_type]
    or al, 0x80
    mov [GDT + T0 + 5], al
    cmp dword [op], 0
    jne .call
    SAYS "jmp gate "
    jmp .named
.call:
    SAYS "call gate "
.named:
    HEX 2, [GDT + T0 + 5]
    SAYS " rpl"
    HEX 1, [rpl]
    SAYS " to "
    HEX 2, [target]
    SAYS " cpl"
    HEX 1, [cpl]
    SAYS ":"
    mov eax, [cpl]
    call prepare
    mov eax, T0
    or eax, [rpl]
    mov [pointer + 4], ax
    mov dword [pointer], 0x12345678
    mov dword [i_esi], pointer
    mov dword [i_eip], direct.jump
    cmp dword [op], 0
    je .go
    mov dword [i_eip], direct.call
.go:
    mov dword [i_end], landed
    cmp dword [gate_type], 4
    jne .run
    sub dword [i_end], IMAGE
.run:
    call run_case
    jmp print_result

; ---- everything that can be wrong with a gate and the stack it leads to: level 1, as exceptions need that of level 0 ----

%macro GATE_CASE 1+
    CASE 3, %1
    mov dword [pointer], 0
    mov word [pointer + 4], T0 | 3
    mov dword [i_esi], pointer
    mov dword [i_eip], direct.call
    mov dword [i_end], landed
    call run_case
    call print_result
%endmacro

%macro GOOD_GATE 0
    GATE GDT + T0, CODE1, landed, 0xec, 0
    mov dword [TSS + 12], STACK1
    mov dword [TSS + 16], DATA1
%endmacro

gate_faults:
    GOOD_GATE
    GATE_CASE "gate good"
    mov byte [GDT + T0 + 5], 0x6c
    GATE_CASE "gate absent"
    mov byte [GDT + T0 + 5], 0xcc
    GATE_CASE "gate dpl 2"
    GOOD_GATE
    mov word [GDT + T0 + 2], 0
    GATE_CASE "gate to null"
    mov word [GDT + T0 + 2], 3
    GATE_CASE "gate to null rpl 3"
    mov word [GDT + T0 + 2], 0xfff8
    GATE_CASE "gate beyond the gdt"
    mov word [GDT + T0 + 2], 0x104
    GATE_CASE "gate beyond the ldt"
    mov word [GDT + T0 + 2], DATA0
    GATE_CASE "gate to data"
    mov word [GDT + T0 + 2], SEL_TSS
    GATE_CASE "gate to a tss"
    mov word [GDT + T0 + 2], T0
    GATE_CASE "gate to itself"
    mov word [GDT + T0 + 2], CODE1 | 3
    GATE_CASE "gate selector's rpl does not matter"
    DESCRIPTOR T0 + 8, 0, 0xfffff, 0x3a, 0xc
    mov word [GDT + T0 + 2], T0 + 8
    GATE_CASE "target absent"
    mov word [GDT + T0 + 2], T0 + 11
    GATE_CASE "target absent, rpl 3"
    DESCRIPTOR T0 + 8, 0, 0xfff, 0xba, 4
    GATE_CASE "offset beyond the target"
    DESCRIPTOR T0 + 8, 0, 0xfffff, 0xbb, 0xc
    ; Stacks.
    GOOD_GATE
    mov dword [TSS + 16], 0
    GATE_CASE "ss1 null"
    mov dword [TSS + 16], 1
    GATE_CASE "ss1 null rpl 1"
    mov dword [TSS + 16], DATA3
    GATE_CASE "ss1 of level 3"
    mov dword [TSS + 16], DATA1 | 3
    GATE_CASE "ss1 rpl 3"
    mov dword [TSS + 16], DATA3 & ~3 | 1
    GATE_CASE "ss1 dpl 3 rpl 1"
    mov dword [TSS + 16], DATA1 & ~3
    GATE_CASE "ss1 dpl 1 rpl 0"
    mov dword [TSS + 16], DATA0
    GATE_CASE "ss1 of level 0"
    mov dword [TSS + 16], CODE1
    GATE_CASE "ss1 code"
    mov dword [TSS + 16], 0xfff9
    GATE_CASE "ss1 beyond the gdt"
    mov dword [TSS + 16], 0x105
    GATE_CASE "ss1 beyond the ldt"
    mov dword [TSS + 16], SEL_TSS + 1
    GATE_CASE "ss1 a tss"
    mov dword [TSS + 16], T0 + 17
    DESCRIPTOR T0 + 16, 0, 0xfffff, 0xb1, 0xc
    GATE_CASE "ss1 read-only"
    DESCRIPTOR T0 + 16, 0, 0xfffff, 0x33, 0xc
    GATE_CASE "ss1 absent"
    DESCRIPTOR T0 + 16, 0, 0xfffff, 0x32, 0xc
    GATE_CASE "ss1 absent, not accessed"
    DESCRIPTOR T0 + 16, 0, 0xfff, 0xb3, 4
    GATE_CASE "ss1 too small"
    DESCRIPTOR T0 + 16, STACK1 - 0x1000, 0xfff, 0xb3, 4
    mov dword [TSS + 12], 12
    GATE_CASE "ss1 four bytes short"
    DESCRIPTOR T0 + 16, STACK1 - 0x1000, 0xffff, 0xb3, 0
    mov dword [TSS + 12], 0x12340ff8
    mov dword [show], SHOW_CS | SHOW_SP
    GATE_CASE "ss1 16-bit: esp's upper half"
    mov dword [show], SHOW_CS | SHOW_STACK
    GOOD_GATE
    ; A TSS that ends before SS0.
    mov word [GDT + SEL_TSS], 15
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    GATE_CASE "tss ends before ss1"
    mov word [GDT + SEL_TSS], 17
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    GATE_CASE "tss ends behind ss1's selector"
    mov word [GDT + SEL_TSS], 19
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    GATE_CASE "tss ends behind ss1"
    mov word [GDT + SEL_TSS], 0x2067
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    ; Accessed bits.
    DESCRIPTOR T0 + 8, 0, 0xfffff, 0xba, 0xc
    DESCRIPTOR T0 + 16, 0, 0xfffff, 0xb2, 0xc
    mov word [GDT + T0 + 2], T0 + 8
    mov dword [TSS + 16], T0 + 17
    GATE_CASE "accessed bits"
    SAYS "  accessed bits: accessed: "
    HEX 2, [GDT + T0 + 8 + 5]
    SAYS " "
    HEX 2, [GDT + T0 + 16 + 5]
    SAYS 10
    GOOD_GATE
    ; The far pointer itself.
    CASE 3, "jmp far null"
    BODY
    db 0xea
    dd 0
    dw 0
    ENDCASE
    CASE 3, "call far null rpl 3"
    BODY
    db 0x9a
    dd 0
    dw 3
    ENDCASE
    CASE 3, "call far beyond the gdt"
    BODY
    db 0x9a
    dd 0
    dw 0x8003
    ENDCASE
    CASE 3, "jmp far beyond the ldt"
    BODY
    db 0xea
    dd 0
    dw 0x107
    ENDCASE
    CASE 3, "jmp far o16"
    BODY
    db 0x66, 0xea
    dw 0xffff
    dw CODE16_3
    ENDCASE
    CASE 3, "call far register form"
    BODY
    db 0xff, 0xd8
    ENDCASE
    CASE 3, "jmp far register form"
    BODY
    db 0xff, 0xe8
    ENDCASE
    ret

; ---- parameters ------------------------------------------------------------------------------------------------------

%macro PARAMETERS 3              ; name, access, count
    PARAMETERS_TO CODE0, %1, %2, %3
%endmacro

%macro PARAMETERS_TO 4           ; target, name, access, count
    %if (%3) & 8
    GATE GDT + T0, %1, landed, %3, %4
    %else
    DESCRIPTOR T0 + 8, IMAGE, 0xfffff, 0x9a, 0xc
    GATE GDT + T0, T0 + 8, landed - IMAGE, %3, %4
    %endif
    CASE 3, %2
    mov dword [pointer], 0
    mov word [pointer + 4], T0 | 3
    mov dword [i_esi], pointer
    sub dword [i_esp], 0x100
    push edi
    mov edi, [i_esp]
    mov eax, 0x11111110
%%fill:
    mov [edi], eax
    add edi, 4
    inc eax
    cmp edi, STACK3
    jb %%fill
    pop edi
    mov dword [i_eip], direct.call
    mov dword [i_end], (%3) & 8 ? landed : landed - IMAGE
    call run_case
    call print_result
%endmacro

parameters:
    mov dword [stack_dwords], 8
    PARAMETERS "0 dwords", 0xec, 0
    PARAMETERS "1 dword", 0xec, 1
    PARAMETERS "3 dwords", 0xec, 3
    mov dword [stack_dwords], 35
    PARAMETERS "31 dwords", 0xec, 31
    PARAMETERS "count's upper bits do not count", 0xec, 0xe2
    mov dword [stack_dwords], 8
    PARAMETERS "0 words", 0xe4, 0
    PARAMETERS "1 word", 0xe4, 1
    PARAMETERS "2 words", 0xe4, 2
    mov dword [stack_dwords], 20
    PARAMETERS "31 words", 0xe4, 31
    mov dword [stack_dwords], 6
    ; Room on the inner stack: 16 bytes and the parameters.
    DESCRIPTOR T0 + 16, STACK1 - 0x1000, 0xfff, 0xb3, 4
    mov dword [TSS + 16], T0 + 17
    mov dword [show], SHOW_CS | SHOW_SP
    mov dword [TSS + 12], 28
    PARAMETERS_TO CODE1, "room for 3", 0xec, 3
    mov dword [TSS + 12], 27
    PARAMETERS_TO CODE1, "one byte short for 3", 0xec, 3
    mov dword [TSS + 12], STACK1
    mov dword [TSS + 16], DATA1
    ; Parameters that cannot be read.
    DESCRIPTOR T0 + 16, STACK3 - 0x1000, 0xfff, 0xf3, 4
    GATE GDT + T0, CODE0, landed, 0xec, 3
    CASE 3, "parameters beyond the outer stack"
    mov dword [pointer], 0
    mov word [pointer + 4], T0 | 3
    mov dword [i_esi], pointer
    mov dword [i_ss], T0 + 19
    mov dword [i_esp], 0xff8
    mov dword [i_eip], direct.call
    mov dword [i_end], landed
    call run_case
    call print_result
    CASE 3, "parameters at the end of the outer stack"
    mov dword [pointer], 0
    mov word [pointer + 4], T0 | 3
    mov dword [i_esi], pointer
    mov dword [i_ss], T0 + 19
    mov dword [i_esp], 0xff4
    mov dword [i_eip], direct.call
    mov dword [i_end], landed
    call run_case
    call print_result
    ret

; ---- returns ---------------------------------------------------------------------------------------------------------

; A frame on the stack of the level it starts at; IRET_FRAME says whether it has flags.
%macro RET_CASE 7                ; name, level, instruction, EIP, CS, ESP, SS
    CASE %2, %1
    mov dword [i_end], landed
    mov dword [i_eip], %%code
    mov dword [i_es], DATA3
    mov dword [i_fs], CONFORM
    mov dword [i_gs], 0
    call run_case
    call print_result
    jmp %%after
%%code:
    push dword %7
    push dword %6
    %if IRET_FRAME
    push dword 2
    %endif
    push dword %5
    push dword %4
    %3
    ud2
%%after:
%endmacro

%macro RETURN_CASES 2            ; name, instruction
    RET_CASE {%1, " to 3"}, 0, %2, landed, CODE3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " to 1"}, 0, %2, landed, CODE1, STACK3 - 0x100, DATA1
    RET_CASE {%1, " to 0"}, 0, %2, landed, CODE0, STACK3 - 0x100, DATA3
    RET_CASE {%1, " from 1 to 0"}, 1, %2, landed, CODE0, STACK3 - 0x100, DATA0
    RET_CASE {%1, " from 3 to 0"}, 3, %2, landed, CODE0, STACK3 - 0x100, DATA0
    RET_CASE {%1, " from 1 to 2"}, 1, %2, landed, CODE2, STACK3 - 0x100, DATA2
    RET_CASE {%1, " from 1 to 3"}, 1, %2, landed, CODE3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " null cs"}, 0, %2, landed, 0, STACK3 - 0x100, DATA3
    RET_CASE {%1, " null cs rpl 3"}, 0, %2, landed, 3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " cs beyond"}, 0, %2, landed, 0x8003, STACK3 - 0x100, DATA3
    RET_CASE {%1, " cs data"}, 0, %2, landed, DATA3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " cs dpl 0 rpl 3"}, 0, %2, landed, CODE0 | 3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " cs dpl 3 rpl 0"}, 0, %2, landed, CODE3 & ~3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " cs conforming rpl 3"}, 0, %2, landed, CONFORM | 3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " cs conforming rpl 0"}, 0, %2, landed, CONFORM, STACK3 - 0x100, DATA3
    RET_CASE {%1, " cs absent"}, 0, %2, landed, T0 | 3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " cs a call gate"}, 0, %2, landed, T0 + 8 | 3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " ss null"}, 0, %2, landed, CODE3, STACK3 - 0x100, 0
    RET_CASE {%1, " ss null rpl 3"}, 0, %2, landed, CODE3, STACK3 - 0x100, 3
    RET_CASE {%1, " ss rpl 0"}, 0, %2, landed, CODE3, STACK3 - 0x100, DATA3 & ~3
    RET_CASE {%1, " ss dpl 0"}, 0, %2, landed, CODE3, STACK3 - 0x100, DATA0 | 3
    RET_CASE {%1, " ss level 0"}, 0, %2, landed, CODE3, STACK3 - 0x100, DATA0
    RET_CASE {%1, " ss code"}, 0, %2, landed, CODE3, STACK3 - 0x100, CODE3
    RET_CASE {%1, " ss beyond"}, 0, %2, landed, CODE3, STACK3 - 0x100, 0x8003
    RET_CASE {%1, " ss absent"}, 0, %2, landed, CODE3, STACK3 - 0x100, T0 + 16 | 3
    RET_CASE {%1, " ss read-only"}, 0, %2, landed, CODE3, STACK3 - 0x100, T0 + 24 | 3
    RET_CASE {%1, " eip beyond, outer"}, 0, %2, 0x1000, T0 + 32 | 3, STACK3 - 0x100, DATA3
    RET_CASE {%1, " eip beyond, same"}, 0, %2, 0x1000, T0 + 40, STACK3 - 0x100, DATA3
    RET_CASE {%1, " 16-bit stack"}, 0, %2, landed, CODE3, 0x56781234, DATA16_3
    RET_CASE {%1, " upper halves of selectors"}, 0, %2, landed, 0x12340000 + CODE3, STACK3 - 0x100, 0x56780000 + DATA3
%endmacro

returns:
    mov dword [show], SHOW_CS | SHOW_DS | SHOW_ES | SHOW_FS | SHOW_GS | SHOW_STACK
    mov dword [stack_dwords], 0
    DESCRIPTOR T0, 0, 0xfffff, 0x7b, 0xc
    GATE GDT + T0 + 8, CODE0, landed, 0xec, 0
    DESCRIPTOR T0 + 16, 0, 0xfffff, 0x73, 0xc
    DESCRIPTOR T0 + 24, 0, 0xfffff, 0xf1, 0xc
    DESCRIPTOR T0 + 32, 0, 0xfff, 0xfb, 4
    DESCRIPTOR T0 + 40, 0, 0xfff, 0x9b, 4
%define IRET_FRAME 0
    RETURN_CASES "retf", retf
%define IRET_FRAME 1
    RETURN_CASES "iret", iretd
%define IRET_FRAME 0
    ; RETF n releases on both stacks.
    RET_CASE "retf 8, same level", 0, retf 8, landed, CODE0, 0x11, 0x22
    RET_CASE "retf 3, same level", 0, retf 3, landed, CODE0, 0x11, 0x22
    CASE 0, "retf 8, outer level"
    mov dword [i_end], landed
    mov dword [i_eip], .retf8
    call run_case
    call print_result
    ; 16-bit frames.
    CASE 0, "o16 retf to 3"
    mov dword [i_end], landed - IMAGE
    mov dword [i_eip], .retf16
    call run_case
    call print_result
    CASE 0, "o16 iret to 3"
    mov dword [i_end], landed - IMAGE
    mov dword [i_eip], .iret16
    call run_case
    call print_result
    CASE 0, "o16 retf to 3, 32-bit stack"
    mov dword [i_end], landed - IMAGE
    mov dword [i_eip], .retf16_32
    call run_case
    call print_result
    ret
.retf8:
    push dword DATA3
    push dword STACK3 - 0x100
    push dword 0x11
    push dword 0x22
    push dword CODE3
    push dword landed
    retf 8
    ud2
.retf16:
    o16 push word DATA16_3
    o16 push word 0x7000
    o16 push word CODE16_3
    mov eax, landed - IMAGE
    o16 push ax
    o16 retf
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
.retf16_32:
    o16 push word DATA3
    o16 push word 0x7000
    o16 push word CODE16_3
    mov eax, landed - IMAGE
    o16 push ax
    o16 retf
    ud2

; ---- what IRET does with every flag ----------------------------------------------------------------------------------

; Bits of EFLAGS that exist (no VM: that is another image's).
ALL_FLAGS equ 0x3d5fd5
iopl: dd 0
to_level: dd 0
image: dd 0

iret_flags:
    mov dword [show], SHOW_FLAGS | SHOW_CS
    mov dword [cpl], 0
.cpl:
    mov eax, [cpl]
    mov [to_level], eax
.to_level:
    mov dword [iopl], 0
.iopl:
    mov dword [image], 2         ; from all set to none
    mov dword [i_efl], 0x244ed7  ; all but TF, IOPL, NT, RF, VM, VIF, VIP
    call .one
    mov dword [image], 0x3c7fd7 & ~0x20000 & ~0x4000
    mov dword [i_efl], 2
    call .one
    mov dword [image], 0x4002    ; NT alone
    mov dword [i_efl], 2
    call .one
    inc dword [iopl]
    cmp dword [iopl], 4
    jb .iopl
    inc dword [to_level]
    cmp dword [to_level], 4
    jb .to_level
    inc dword [cpl]
    cmp dword [cpl], 4
    jb .cpl
    ret

.one:
    push dword [i_efl]
    mov dword [op], 0
.size:
    SAYS "iret flags "
    HEX 6, [image]
    SAYS " size "
    HEX 1, [op]
    SAYS " iopl"
    HEX 1, [iopl]
    SAYS " cpl"
    HEX 1, [cpl]
    SAYS " to "
    HEX 1, [to_level]
    SAYS ":"
    mov eax, [cpl]
    call prepare
    mov eax, [esp]
    mov ecx, [iopl]
    shl ecx, 12
    or eax, ecx
    mov [i_efl], eax
    mov eax, [image]
    mov [i_edx], eax
    mov eax, [to_level]
    imul eax, 17
    add eax, CODE0
    mov [i_eax], eax
    add eax, DATA0 - CODE0
    mov [i_ecx], eax
    mov dword [i_ebx], landed
    mov dword [i_end], landed
    mov dword [i_eip], .body32
    cmp dword [op], 0
    je .run
    mov eax, [to_level]                ; 16-bit frames need a 16-bit offset
    DESCRIPTOR T0, IMAGE, 0xfffff, 0x9a, 0xc
    mov ah, al
    shl ah, 5
    or [GDT + T0 + 5], ah
    or al, T0
    movzx eax, al
    mov [i_eax], eax
    sub dword [i_ebx], IMAGE
    sub dword [i_end], IMAGE
    mov dword [i_eip], .body16
.run:
    call run_case
    call print_result
    inc dword [op]
    cmp dword [op], 2
    jb .size
    add esp, 4
    ret
.body32:
    push ecx
    push dword STACK3 - 0x100
    push edx
    push eax
    push ebx
    iretd
    ud2
.body16:
    o16 push cx
    o16 push word 0x7000
    o16 push dx
    o16 push ax
    o16 push bx
    o16 iret
    ud2

IMAGE_SECTORS equ ($ - $$ + 511) / 512
