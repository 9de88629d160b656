; Interrupt and trap gates: types, privilege, stacks, error codes with IDT and EXT bits, double faults, INT3, INTO, BOUND,
; single steps, external interrupts behind STI and MOV SS.
%include "harness.inc"

V equ 0x40                       ; the vector of INT n

main:
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_STACK
    mov dword [stack_dwords], 5
    call gates
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP
    call bad_gates
    call bad_stacks
    call double_faults
    call other_instructions
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_STACK
    call error_codes16
    mov dword [show], SHOW_FLAGS | SHOW_DR6
    call single_steps
    mov dword [show], SHOW_FLAGS | SHOW_SP
    call external
    ret

landed:
    ud2

; ---- gate type × DPL × CPL × target ----------------------------------------------------------------------------------

gate_type: dd 0
dpl:    dd 0
cpl:    dd 0
target: dd 0

gates:
    mov esi, .types
.type:
    movzx eax, byte [esi]
    mov [gate_type], eax
    push esi
    mov dword [cpl], 0
.cpl:
    mov dword [dpl], 0
.dpl:
    mov dword [target], 0x9a
.target:
    call .one
    add dword [target], 0x20
    cmp dword [target], 0x100
    jb .target
    mov dword [target], 0x9e
.conforming:
    call .one
    add dword [target], 0x20
    cmp dword [target], 0x100
    jb .conforming
    inc dword [dpl]
    cmp dword [dpl], 4
    jb .dpl
    inc dword [cpl]
    cmp dword [cpl], 4
    jb .cpl
    pop esi
    inc esi
    cmp esi, .types_end
    jb .type
    ret
.types: db 6, 7, 14, 15
.types_end:

; A gate V to the code segment T0; 16-bit gates lead into a segment with base IMAGE.
.one:
    cmp dword [gate_type], 8
    jb .narrow
    DESCRIPTOR T0, 0, 0xfffff, 0, 0xc
    GATE IDT + V * 8, T0, landed, 0, 0
    jmp .fill
.narrow:
    DESCRIPTOR T0, IMAGE, 0xfffff, 0, 0xc
    GATE IDT + V * 8, T0, landed - IMAGE, 0, 0
.fill:
    mov al, [target]
    mov [GDT + T0 + 5], al
    mov al, [dpl]
    shl al, 5
    or al, [gate_type]
    or al, 0x80
    mov [IDT + V * 8 + 5], al
    SAYS "int gate "
    HEX 2, [IDT + V * 8 + 5]
    SAYS " to "
    HEX 2, [target]
    SAYS " cpl"
    HEX 1, [cpl]
    SAYS ":"
    mov eax, [cpl]
    call prepare
    mov dword [i_efl], 0x247ed7  ; everything but TF, RF, VM, VIF, VIP
    mov dword [i_eip], .snippet
    mov dword [i_end], landed
    cmp dword [gate_type], 8
    jae .run
    sub dword [i_end], IMAGE
.run:
    call run_case
    jmp print_result
.snippet:
    int V
    ud2

; ---- what can be wrong with a gate: by INT n, and by an exception (#BR) ----------------------------------------------

; BOTH name: runs INT V, then BOUND with the same gate at vector 5; both at level 3.
%macro BOTH 1+
    CASE 3, "int, ", %1
    BODY_TO landed
    int V
    ENDCASE
    mov eax, [IDT + V * 8]
    mov [IDT + 5 * 8], eax
    mov eax, [IDT + V * 8 + 4]
    mov [IDT + 5 * 8 + 4], eax
    CASE 3, "bound, ", %1
    mov dword [i_eax], 5
    mov dword [i_esi], bounds
    BODY_TO landed
    bound eax, [esi]
    ENDCASE
%endmacro
bounds: dd 0, 4

%macro GOOD 0
    GATE IDT + V * 8, CODE0, landed, 0xee, 0
%endmacro

bad_gates:
    GOOD
    BOTH "good"
%assign type 0
%rep 16
    mov byte [IDT + V * 8 + 5], 0xe0 | type
  %if type != 5 && type != 6 && type != 7
    BOTH "type ", '0' + type / 10, '0' + type % 10
  %endif
%assign type type + 1
%endrep
    mov byte [IDT + V * 8 + 5], 0xfe
    BOTH "S set"
    mov byte [IDT + V * 8 + 5], 0x6e
    BOTH "absent"
    mov byte [IDT + V * 8 + 5], 0x0e
    BOTH "absent and dpl 0"
    mov byte [IDT + V * 8 + 5], 0xce
    BOTH "dpl 2"
    GOOD
    mov word [IDT + V * 8 + 2], 0
    BOTH "null"
    mov word [IDT + V * 8 + 2], 3
    BOTH "null rpl 3"
    mov word [IDT + V * 8 + 2], 0xfff8
    BOTH "beyond the gdt"
    mov word [IDT + V * 8 + 2], 0x104
    BOTH "beyond the ldt"
    mov word [IDT + V * 8 + 2], DATA0
    BOTH "data"
    mov word [IDT + V * 8 + 2], SEL_TSS
    BOTH "a tss"
    mov word [IDT + V * 8 + 2], CODE0 | 3
    BOTH "rpl does not matter"
    DESCRIPTOR T0, 0, 0xfffff, 0x1a, 0xc
    mov word [IDT + V * 8 + 2], T0
    BOTH "code absent"
    DESCRIPTOR T0, 0, 0xfff, 0x9a, 4
    BOTH "offset beyond the limit"
    DESCRIPTOR T0, 0, 0xfff, 0xba, 4
    BOTH "offset beyond the limit, level 1"
    GOOD
    BOTH "good again"
    ; Limits of the IDT: it must still hold the exceptions.
    mov word [idtr], V * 8 + 6
    lidt [idtr]
    CASE 3, "idt ends in the gate"
    BODY_TO landed
    int V
    ENDCASE
    mov word [idtr], V * 8 - 1
    lidt [idtr]
    CASE 3, "idt ends before the gate"
    BODY_TO landed
    int V
    ENDCASE
    CASE 0, "idt ends before the gate, level 0"
    BODY_TO landed
    int 0xff
    ENDCASE
    mov word [idtr], V * 8 + 7
    lidt [idtr]
    CASE 3, "idt ends behind the gate"
    BODY_TO landed
    int V
    ENDCASE
    mov word [idtr], 0x7ff
    lidt [idtr]
    ret

; ---- what can be wrong with the stack of an inner level (level 1; exceptions need that of level 0) -------------------

bad_stacks:
    GATE IDT + V * 8, CODE1, landed, 0xee, 0
    BOTH "to level 1"
    mov dword [TSS + 16], 0
    BOTH "ss1 null"
    mov dword [TSS + 16], DATA1 & ~3
    BOTH "ss1 rpl 0"
    mov dword [TSS + 16], DATA3
    BOTH "ss1 of level 3"
    mov dword [TSS + 16], DATA0 | 1
    BOTH "ss1 dpl 0"
    mov dword [TSS + 16], CODE1
    BOTH "ss1 code"
    mov dword [TSS + 16], 0xfff9
    BOTH "ss1 beyond"
    mov dword [TSS + 16], T0 + 17
    DESCRIPTOR T0 + 16, 0, 0xfffff, 0x33, 0xc
    BOTH "ss1 absent"
    DESCRIPTOR T0 + 16, 0, 0xfffff, 0xb1, 0xc
    BOTH "ss1 read-only"
    DESCRIPTOR T0 + 16, STACK1 - 0x1000, 0xfff, 0xb3, 4
    mov dword [TSS + 12], 19
    BOTH "ss1 one byte short"
    mov dword [TSS + 12], 20
    BOTH "ss1 just enough"
    DESCRIPTOR T0 + 16, STACK1 - 0x1000, 0xffff, 0xb3, 0
    mov dword [TSS + 12], 0x12340ff8
    BOTH "ss1 16-bit"
    mov dword [TSS + 12], STACK1
    mov dword [TSS + 16], DATA1
    mov word [GDT + SEL_TSS], 15
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    BOTH "tss ends before ss1"
    mov word [GDT + SEL_TSS], 0x2067
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    BOTH "to level 1 again"
    call make_idt
    ret

; ---- faults while faults are delivered -------------------------------------------------------------------------------

; The first exception by name and instruction; its gate absent (#NP) or of a bad type (#GP).
%macro NESTED 3                  ; name, vector, instruction
    mov byte [IDT + %2 * 8 + 5], 0x0e
    CASE 3, %1, ", gate absent"
    BODY
    %3
    ENDCASE
    mov byte [IDT + %2 * 8 + 5], 0x80
    CASE 3, %1, ", gate bad"
    BODY
    %3
    ENDCASE
    CASE 0, %1, ", gate bad, level 0"
    BODY
    %3
    ENDCASE
    mov byte [IDT + %2 * 8 + 5], 0x8e
    mov word [IDT + %2 * 8 + 2], 0
    CASE 3, %1, ", gate to null"
    BODY
    %3
    ENDCASE
    mov word [IDT + %2 * 8 + 2], CODE0
%endmacro

%macro DIVIDE 0
    xor ecx, ecx
    div ecx
%endmacro
%macro BAD_LOAD 0
    mov ax, 0x8003
    mov ds, ax
%endmacro
%macro ABSENT_LOAD 0
    mov ax, T0 | 3
    mov ds, ax
%endmacro
%macro ABSENT_STACK 0
    push dword DATA3
    lss esp, [absent_stack]
%endmacro
%macro OVERFLOW 0
    mov al, 0x7f
    inc al
    into
%endmacro
%macro BREAKPOINT 0
    int3
%endmacro
%macro OUTSIDE 0
    mov eax, 5
    bound eax, [bounds]
%endmacro
%macro ALIGNMENT 0
    fwait
%endmacro
align 4
absent_stack: dd 0x1000
    dw T0 | 3

double_faults:
    DESCRIPTOR T0, 0, 0xfffff, 0x72, 0xc
    mov byte [IDT + 3 * 8 + 5], 0xee
    mov byte [IDT + 4 * 8 + 5], 0xee
    NESTED "#DE", 0, DIVIDE
    NESTED "#BR", 5, OUTSIDE
    NESTED "#NP", 11, ABSENT_LOAD
    NESTED "#GP", 13, BAD_LOAD
    ; #SS at level 3 by an absent stack.
    mov byte [IDT + 12 * 8 + 5], 0x0e
    CASE 3, "#SS, gate absent"
    BODY
    ABSENT_STACK
    ENDCASE
    mov byte [IDT + 12 * 8 + 5], 0x8e
    ; #TS by INT to level 1 with a bad stack there.
    GATE IDT + V * 8, CODE1, landed, 0xee, 0
    mov dword [TSS + 16], 0
    mov byte [IDT + 10 * 8 + 5], 0x0e
    CASE 3, "#TS, gate absent"
    BODY
    int V
    ENDCASE
    mov byte [IDT + 10 * 8 + 5], 0x8e
    ; #DE to level 1 with a bad stack there: #TS on top of #DE.
    mov word [IDT + 2], CODE1
    CASE 3, "#DE to a level without stack"
    BODY
    DIVIDE
    ENDCASE
    mov word [IDT + 2], CODE0
    mov word [IDT + 5 * 8 + 2], CODE1
    CASE 3, "#BR to a level without stack"
    BODY
    OUTSIDE
    ENDCASE
    mov word [IDT + 5 * 8 + 2], CODE0
    mov dword [TSS + 16], DATA1
    ; INT n is benign: its own faults are delivered, with errors that name the gate.
    mov byte [IDT + V * 8 + 5], 0x6e
    mov byte [IDT + 11 * 8 + 5], 0x0e
    CASE 3, "INT n #NP, then #NP: gate absent"
    BODY
    int V
    ENDCASE
    mov byte [IDT + 11 * 8 + 5], 0x8e
    mov word [idtr], 15 * 8 - 1
    lidt [idtr]
    CASE 3, "INT n beyond the idt"
    BODY
    int V
    ENDCASE
    mov word [idtr], 0x7ff
    lidt [idtr]
    ; Of #DF itself: error code 0, the faulting instruction.
    call make_idt
    ret

; ---- INT3, INTO, INT1, BOUND, UD2 against gates of every DPL ---------------------------------------------------------

%macro BY_DPL 3                  ; name, vector, instruction
  %assign level 0
  %rep 4
    mov byte [IDT + %2 * 8 + 5], 0x8e | level << 5
    CASE 3, %1, " dpl ", '0' + level
    mov dword [is_software], 1
    cmp byte [IDT + %2 * 8 + 5], 0xee
    je %%reached%[level]
    mov dword [is_software], 0
%%reached%[level]:
    BODY
    %3
    ENDCASE
    %assign level level + 1
  %endrep
    mov byte [IDT + %2 * 8 + 5], 0x8e
%endmacro

other_instructions:
    BY_DPL "int3", 3, int3
    BY_DPL "int 3", 3, {db 0xcd, 3}
    BY_DPL "into", 4, OVERFLOW
    BY_DPL "int1", 1, {db 0xf1}
    BY_DPL "bound", 5, OUTSIDE
    BY_DPL "int 13", 13, {int 13}
    BY_DPL "int 8", 8, {int 8}
    BY_DPL "int 14", 14, {int 14}
    BY_DPL "int 2", 2, {int 2}
    BY_DPL "#DE", 0, DIVIDE
    BY_DPL "ud0", 6, {db 0x0f, 0xff, 0xc0}
    CASE 3, "into, no overflow"
    BODY
    xor eax, eax
    into
    ENDCASE
    CASE 3, "bound, lower"
    mov dword [i_eax], -1
    BODY
    bound eax, [bounds]
    ENDCASE
    CASE 3, "bound, at the lower one"
    mov dword [i_eax], 0
    BODY
    bound eax, [bounds]
    ENDCASE
    CASE 3, "bound, at the upper one"
    mov dword [i_eax], 4
    BODY
    bound eax, [bounds]
    ENDCASE
    CASE 3, "bound, register form"
    BODY
    db 0x62, 0xc0
    ENDCASE
    CASE 3, "bound 16, signed"
    mov dword [i_eax], 0x1fffe
    BODY
    bound ax, [bounds]
    ENDCASE
    CASE 3, "hlt"
    BODY
    hlt
    ENDCASE
    CASE 3, "cli, iopl 0"
    BODY
    cli
    ENDCASE
    CASE 3, "cli, iopl 3"
    mov dword [i_efl], 0x3202
    BODY
    cli
    ENDCASE
    CASE 2, "sti, iopl 2"
    mov dword [i_efl], 0x2002
    BODY
    sti
    ENDCASE
    CASE 2, "sti, iopl 1"
    mov dword [i_efl], 0x1002
    BODY
    sti
    ENDCASE
    CASE 3, "popf at level 3"
    mov dword [i_efl], 0x1002
    BODY
    push dword 0x3f7ed7
    popfd
    ENDCASE
    CASE 3, "popf at level 3, iopl 3"
    mov dword [i_efl], 0x3002
    BODY
    push dword 0x3f4ed7
    popfd
    ENDCASE
    CASE 1, "popf at level 1, iopl 1"
    mov dword [i_efl], 0x1002
    BODY
    push dword 0x3f7ed7
    popfd
    ENDCASE
    CASE 0, "popf at level 0"
    mov dword [i_efl], 2
    BODY
    push dword 0x3f7ed7
    popfd
    ENDCASE
    CASE 0, "popf 16 at level 0"
    mov dword [i_efl], 0x240002
    BODY
    push dword 0x7ed7
    o16 popf
    add esp, 2
    ENDCASE
    mov dword [show], SHOW_EAX
    CASE 0, "pushf after popf"
    BODY
    push dword 0x3f7ed7
    popfd
    pushfd
    pop eax
    ENDCASE
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_SP
    ret

; ---- error codes through 16-bit gates --------------------------------------------------------------------------------

error_codes16:
    DESCRIPTOR T0 + 8, IMAGE, 0xfffff, 0x9a, 0xc
    GATE IDT + 13 * 8, T0 + 8, landed - IMAGE, 0x86, 0
    CASE 3, "16-bit gate, #GP from level 3"
    BODY_TO landed - IMAGE
    mov ax, 0x8003
    mov ds, ax
    ENDCASE
    CASE 0, "16-bit gate, #GP from level 0"
    BODY_TO landed - IMAGE
    mov ax, 0x8003
    mov ds, ax
    ENDCASE
    call make_idt
    ret

; ---- TF --------------------------------------------------------------------------------------------------------------

%macro STEP 2+
    CASE 3, %1
    mov dword [i_efl], 0x3102    ; TF, IOPL 3
    mov dword [i_ecx], 3
    mov dword [i_esi], FREE
    mov dword [i_edi], FREE + 0x100
    mov dword [i_edx], 0x80
    mov dword [i_eax], DATA3
    BODY
    %2
    ENDCASE
%endmacro
%macro THEN 2
    %1
    %2
%endmacro
%macro MOV_SS_TWICE 0
    mov ss, ax
    mov ss, ax
    nop
%endmacro
%macro NOTHING 0
%endmacro
%macro POPF_TF 0
    push dword 0x3102
    popfd
    nop
%endmacro
%macro POPF_NO_TF 0
    push dword 0x3002
    popfd
    nop
%endmacro
%macro POP_SS 0
    push eax
    pop ss
    nop
%endmacro
%macro IRET_TF 0
    push dword 0x3102
    push cs
    push dword %%next
    iretd
    ud2
%%next:
    nop
    nop
%endmacro
%macro IRET_NO_TF 0
    push dword 0x3002
    push cs
    push dword %%next
    iretd
    ud2
%%next:
    nop
%endmacro
%macro CALL_NEXT 0
    call %%next
    nop
%%next:
    nop
%endmacro

single_steps:
    mov byte [IDT + V * 8 + 5], 0xee
    mov byte [IDT + 3 * 8 + 5], 0xee
    STEP "nop", nop
    STEP "mov ds", mov ds, ax
    STEP "mov ss, nop", THEN {mov ss, ax}, nop
    STEP "mov ss, mov ss, nop", MOV_SS_TWICE
    STEP "pop ss", POP_SS
    STEP "lss", lss esp, [single_steps.stack]
    STEP "mov ss, int3", THEN {mov ss, ax}, int3
    STEP "mov ss, int n", THEN {mov ss, ax}, int V
    STEP "mov ss, ud2", mov ss, ax
    STEP "sti", sti
    STEP "cli", cli
    STEP "ud2 at once", NOTHING
    STEP "int n", int V
    STEP "int3", int3
    STEP "into, not taken", into
    STEP "pushf", pushfd
    STEP "rep movsb", rep movsb
    STEP "rep stosd", rep stosd
    STEP "repe cmpsb", repe cmpsb
    STEP "rep movsb, nothing to do", THEN {xor ecx, ecx}, rep movsb
    STEP "jmp", jmp short $ + 2
    STEP "jz not taken", jz $ + 2
    STEP "call", CALL_NEXT
    STEP "cpuid", cpuid
    STEP "rdtsc", rdtsc
    STEP "in", in al, dx
    STEP "out", out dx, al
    STEP "fninit", fninit
    STEP "a faulting load", mov ds, [absent_stack]
    STEP "jmp far", jmp CODE3:$ + 7
    CASE 3, "popf sets tf"
    mov dword [i_efl], 0x3002
    BODY
    POPF_TF
    ENDCASE
    CASE 3, "popf clears tf"
    mov dword [i_efl], 0x3102
    BODY
    nop
    POPF_NO_TF
    ENDCASE
    CASE 3, "popf clears tf, at once"
    mov dword [i_efl], 0x3002
    BODY
    push dword 0x3102
    push dword 0x3002
    pop eax
    popfd
    push eax
    popfd
    nop
    ENDCASE
    CASE 3, "iret sets tf"
    mov dword [i_efl], 0x3002
    BODY
    IRET_TF
    ENDCASE
    CASE 3, "iret keeps tf clear"
    mov dword [i_efl], 0x3002
    BODY
    IRET_NO_TF
    ENDCASE
    CASE 0, "level 0 too"
    mov dword [i_efl], 0x102
    BODY
    nop
    ENDCASE
    CASE 0, "mov cr3"
    mov dword [i_efl], 0x102
    BODY
    mov cr3, eax
    ENDCASE
    CASE 0, "mov to dr7"
    mov dword [i_efl], 0x102
    BODY
    mov dr7, eax
    ENDCASE
    CASE 0, "lidt"
    mov dword [i_efl], 0x102
    BODY
    lidt [idtr]
    ENDCASE
    ; Far returns with TF: the trap is the outer level's.
    CASE 0, "retf to level 3"
    mov dword [i_efl], 0x102
    mov dword [i_esp], retf_frame
    BODY
    retf
    ENDCASE
    CASE 0, "iret to level 3, tf in the image"
    mov dword [i_efl], 0x102
    mov dword [i_esp], iret_frame
    BODY
    iretd
    ENDCASE
    CASE 0, "iret to level 3, no tf in the image"
    mov dword [i_efl], 0x102
    mov dword [i_esp], iret_frame2
    BODY
    iretd
    ENDCASE
    ret
align 4
.stack: dd STACK3 - 8
    dw DATA3
    times 64 db 0
retf_frame: dd nops, CODE3, STACK3, DATA3
    times 64 db 0
iret_frame: dd nops, CODE3, 0x102, STACK3, DATA3
    times 64 db 0
iret_frame2: dd nops, CODE3, 2, STACK3, DATA3
nops:
    nop
    nop
    ud2

; ---- external interrupts ---------------------------------------------------------------------------------------------

; The timer's interrupt waits at the PIC (vector 60h) when the snippet begins; IF is clear unless said.
%include "timer.inc"

%macro PENDING 3                 ; level, name, flags
    call raise_timer
    CASE %1, %2
    mov dword [i_efl], %3
    mov dword [i_eax], DATA0 + %1 * 17
    BODY
%endmacro
%macro TAKEN 0
    ENDCASE
    mov al, 0x20                 ; end of interrupt, if it came
    out 0x20, al
%endmacro

external:
    call set_pic
    PENDING 0, "if set", 0x202
    nop
    nop
    TAKEN
    PENDING 3, "if set, level 3", 0x202
    nop
    nop
    TAKEN
    PENDING 0, "if clear", 2
    nop
    TAKEN
    PENDING 0, "sti, nop, nop", 2
    sti
    nop
    nop
    TAKEN
    PENDING 3, "sti, nop, nop at level 3", 0x3002
    sti
    nop
    nop
    TAKEN
    PENDING 0, "sti, cli", 2
    sti
    cli
    nop
    TAKEN
    PENDING 0, "sti, sti, nop", 2
    sti
    sti
    nop
    nop
    TAKEN
    PENDING 0, "sti, mov ss, nop", 2
    sti
    mov ss, ax
    nop
    nop
    TAKEN
    PENDING 0, "sti, pushf, popf", 2
    sti
    pushfd
    popfd
    nop
    TAKEN
    PENDING 0, "popf sets if", 2
    push dword 0x202
    popfd
    nop
    nop
    TAKEN
    PENDING 0, "iret sets if", 2
    push dword 0x202
    push cs
    push dword .if_set
    iretd
.if_set:
    nop
    nop
    TAKEN
    PENDING 0, "sti, hlt", 2
    sti
    hlt
    nop
    TAKEN
    PENDING 0, "sti, jmp", 2
    sti
    jmp short .jumped
    nop
.jumped:
    nop
    TAKEN
    PENDING 0, "sti, call", 2
    sti
    call .called
.called:
    nop
    TAKEN
    PENDING 0, "sti, rep movsb of nothing", 2
    sti
    rep movsb
    nop
    TAKEN
    PENDING 0, "sti, ud2", 2
    sti
    TAKEN
    PENDING 0, "sti, fault", 2
    sti
    mov ds, [gdtr]
    TAKEN
    PENDING 0, "sti, int n", 2
    sti
    int V
    TAKEN
    PENDING 0, "cli does not let it through", 2
    cli
    nop
    TAKEN
    mov al, 0xff
    out 0x21, al
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
