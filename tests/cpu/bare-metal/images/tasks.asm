; Task switches: JMP, CALL, task gates in the GDT and the IDT, IRET; 32- and 16-bit TSS; everything that can be wrong with
; the selector, the gate, the descriptor and the new state.
%include "harness.inc"

V       equ 0x40
SEL_A   equ T0                   ; a TSS at TSS_A, 32 bits unless said
SEL_B   equ T0 + 8               ; a 16-bit TSS at TSS_B
SEL_GATE equ T0 + 16
S       equ T0 + 24              ; free

main:
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_DS | SHOW_ES | SHOW_FS | SHOW_GS | SHOW_TASK | SHOW_EAX | SHOW_EDX
    call switches
    call privilege
    call bad_selectors
    call interrupts
    call bad_interrupts
    call returns
    call new_state
    call narrow
    ret

; ---- set-up and clean-up ---------------------------------------------------------------------------------------------

; Task A at level 3, its exceptions on the usual stack of level 0; B the same with 16 bits; the gate leads to A.
reset_tasks:
    pushad
    mov edi, TSS_A
    mov ecx, 0x800
    xor eax, eax
    rep stosd
    mov dword [TSS_A + 4], STACK0
    mov dword [TSS_A + 8], DATA0
    mov dword [TSS_A + 0x20], task
    mov dword [TSS_A + 0x24], 2
    mov dword [TSS_A + 0x28], 0xaaaaaaaa
    mov dword [TSS_A + 0x30], 0xdddddddd
    mov dword [TSS_A + 0x38], STACK3 - 0x800
    mov dword [TSS_A + 0x48], DATA3
    mov dword [TSS_A + 0x4c], CODE3
    mov dword [TSS_A + 0x50], DATA3
    mov dword [TSS_A + 0x54], DATA3
    mov dword [TSS_A + 0x58], DATA3
    mov dword [TSS_A + 0x5c], DATA3
    mov dword [TSS_A + 0x60], 0
    mov dword [TSS_A + 0x64], 0x680000
    DESCRIPTOR SEL_A, TSS_A, 0x67, 0xe9, 0
    mov word [TSS_B + 2], 0x7e00
    mov word [TSS_B + 4], DATA16
    mov eax, task - IMAGE
    mov [TSS_B + 0x0e], ax
    mov word [TSS_B + 0x10], 2
    mov word [TSS_B + 0x12], 0xaaaa
    mov word [TSS_B + 0x16], 0xdddd
    mov word [TSS_B + 0x1a], 0x7000
    mov word [TSS_B + 0x22], DATA16_3
    mov word [TSS_B + 0x24], CODE16_3
    mov word [TSS_B + 0x26], DATA16_3
    mov word [TSS_B + 0x28], DATA16_3
    mov word [TSS_B + 0x2a], 0
    DESCRIPTOR SEL_B, TSS_B, 0x2b, 0xe1, 0
    mov dword [GDT + SEL_GATE], SEL_A << 16
    mov dword [GDT + SEL_GATE + 4], 0xe500
    mov dword [IDT + V * 8], SEL_A << 16
    mov dword [IDT + V * 8 + 4], 0xe500
    mov dword [TSS], 0
    mov dword [TSS + 0x20], 0
    mov dword [TSS + 0x24], 0
    mov dword [TSS + 0x38], 0
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    mov ax, SEL_LDT
    lldt ax
    clts
    popad
    ret

; In 32- and 16-bit code the same.
task:
    ud2

; What the switch left in the descriptors and both TSS.
print_tasks:
    SAYS "  state: main "
    HEX 2, [GDT + SEL_TSS + 5]
    SAYS " A "
    HEX 2, [GDT + SEL_A + 5]
    SAYS " B "
    HEX 2, [GDT + SEL_B + 5]
    SAYS " links "
    HEX 4, [TSS]
    SAYS " "
    HEX 4, [TSS_A]
    SAYS " "
    HEX 4, [TSS_B]
    SAYS " saved +"
    mov eax, [TSS + 0x20]
    sub eax, [i_eip]
    HEX 2, eax
    SAYS " fl="
    HEX 6, [TSS + 0x24]
    SAYS " cs "
    HEX 4, [TSS + 0x4c]
    SAYS " ss "
    HEX 4, [TSS + 0x50]
    SAYS " sp-"
    mov eax, [i_esp]
    sub eax, [TSS + 0x38]
    HEX 4, eax
    SAYS " ds "
    HEX 4, [TSS + 0x54]
    SAYS " eax "
    HEX 8, [TSS + 0x28]
    SAYS 10
    ret

; Starts from fresh tasks; set-up follows, then SWITCH and the instruction, then ENDSWITCH.
%macro TASK_CASE 2+
    call reset_tasks
    CASE %1, %2
    mov dword [i_eax], 0x11111111
%endmacro
%macro SWITCH 0
    BODY_TO task
%endmacro
%macro ENDSWITCH 0
    ENDCASE
    call print_tasks
%endmacro

%macro JUMP 1
    db 0xea
    dd 0
    dw %1
%endmacro
%macro CALLFAR 1
    db 0x9a
    dd 0
    dw %1
%endmacro

; ---- the good ones ---------------------------------------------------------------------------------------------------

%macro ALL_WAYS 1                ; level
    TASK_CASE %1, "jmp tss, level ", '0' + %1
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    TASK_CASE %1, "call tss, level ", '0' + %1
    SWITCH
    CALLFAR SEL_A
    ENDSWITCH
    TASK_CASE %1, "jmp gate, level ", '0' + %1
    SWITCH
    JUMP SEL_GATE
    ENDSWITCH
    TASK_CASE %1, "call gate, level ", '0' + %1
    SWITCH
    CALLFAR SEL_GATE
    ENDSWITCH
    TASK_CASE %1, "int, level ", '0' + %1
    SWITCH
    int V
    ENDSWITCH
    TASK_CASE %1, "jmp tss, all flags, level ", '0' + %1
    mov dword [i_efl], 0x247ed7
    mov dword [TSS_A + 0x24], 0x246ed7
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    TASK_CASE %1, "int, all flags, level ", '0' + %1
    mov dword [i_efl], 0x247ed7
    SWITCH
    int V
    ENDSWITCH
%endmacro

switches:
    ALL_WAYS 0
    ALL_WAYS 3
    TASK_CASE 0, "jmp to a task at level 0"
    mov dword [TSS_A + 0x4c], CODE0
    mov dword [TSS_A + 0x50], DATA0
    mov dword [TSS_A + 0x38], STACK0T - 0x800
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    TASK_CASE 0, "jmp to a task at level 1"
    mov dword [TSS_A + 0x4c], CODE1
    mov dword [TSS_A + 0x50], DATA1
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    TASK_CASE 0, "jmp to a task in conforming code, rpl 3"
    mov dword [TSS_A + 0x4c], CONFORM | 3
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    TASK_CASE 0, "there and back by iret"
    mov dword [TSS_A + 0x20], .iret
    mov dword [TSS_A + 0x4c], CODE0
    mov dword [TSS_A + 0x50], DATA0
    mov dword [TSS_A + 0x38], STACK0T - 0x800
    BODY
    CALLFAR SEL_A
    nop
    ENDCASE
    call print_tasks
    TASK_CASE 0, "there and back by jmp"
    mov dword [TSS_A + 0x20], .jump
    mov dword [TSS_A + 0x4c], CODE0
    mov dword [TSS_A + 0x50], DATA0
    mov dword [TSS_A + 0x38], STACK0T - 0x800
    BODY
    JUMP SEL_A
    nop
    ENDCASE
    call print_tasks
    TASK_CASE 0, "nt with a jmp"
    mov dword [i_efl], 0x4002
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    TASK_CASE 0, "to itself by call"
    SWITCH
    CALLFAR SEL_TSS
    ENDSWITCH
    TASK_CASE 0, "ldt of the new task"
    mov dword [TSS_A + 0x60], SEL_LDT
    DESCRIPTOR 4, 0, 0xfffff, 0xf3, 0xc
    mov dword [TSS_A + 0x58], 7
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    TASK_CASE 0, "accessed bits are set"
    DESCRIPTOR S, 0, 0xfffff, 0xf2, 0xc
    mov dword [TSS_A + 0x54], S | 3
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    SAYS "  accessed: "
    HEX 2, [GDT + S + 5]
    SAYS 10
    TASK_CASE 0, "null data segments"
    mov dword [TSS_A + 0x48], 0
    mov dword [TSS_A + 0x54], 3
    mov dword [TSS_A + 0x58], 0
    mov dword [TSS_A + 0x5c], 2
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    TASK_CASE 0, "debug trap of the tss"
    mov byte [TSS_A + 0x64], 1
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    SAYS "  dr6: "
    HEX 8, [r_dr6]
    SAYS 10
    TASK_CASE 0, "tf of the old task"
    mov dword [i_efl], 0x102
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    SAYS "  dr6: "
    HEX 8, [r_dr6]
    SAYS 10
    TASK_CASE 0, "tf of the new task"
    mov dword [TSS_A + 0x24], 0x102
    mov dword [TSS_A + 0x20], .nop
    SWITCH
    JUMP SEL_A
    ENDSWITCH
    SAYS "  dr6: "
    HEX 8, [r_dr6]
    SAYS 10
    TASK_CASE 0, "a task in v86 mode"
    mov dword [TSS_A + 0x24], 0x20002
    mov eax, task - IMAGE
    mov [TSS_A + 0x20], eax
    mov dword [TSS_A + 0x4c], IMAGE >> 4
    mov dword [TSS_A + 0x50], 0
    mov dword [TSS_A + 0x38], 0x7000
    mov dword [TSS_A + 0x48], 0x1111
    mov dword [TSS_A + 0x54], 0x2222
    mov dword [TSS_A + 0x58], 0x3333
    mov dword [TSS_A + 0x5c], 0x4444
    BODY_TO task - IMAGE
    JUMP SEL_A
    ENDSWITCH
    SAYS "  pushed: "
    HEX 4, [r_pushed]
    SAYS " "
    HEX 4, [r_pushed + 4]
    SAYS " "
    HEX 4, [r_pushed + 8]
    SAYS " "
    HEX 4, [r_pushed + 12]
    SAYS 10
    ret
.iret:
    iretd
.jump:
    JUMP SEL_TSS
.nop:
    nop
    ud2

; ---- privilege -------------------------------------------------------------------------------------------------------

privilege:
%assign cpl 0
%rep 4
  %assign dpl 0
  %rep 4
    %assign rpl 0
    %rep 4
    TASK_CASE cpl, "jmp tss dpl ", '0' + dpl, " rpl ", '0' + rpl, " cpl ", '0' + cpl
    mov byte [GDT + SEL_A + 5], 0x89 | dpl << 5
    SWITCH
    JUMP SEL_A | rpl
    ENDCASE
    %if (rpl & 1) == 0
    TASK_CASE cpl, "call gate dpl ", '0' + dpl, " rpl ", '0' + rpl, " cpl ", '0' + cpl
    mov byte [GDT + SEL_A + 5], 0x89
    mov byte [GDT + SEL_GATE + 5], 0x85 | dpl << 5
    SWITCH
    CALLFAR SEL_GATE | rpl
    ENDCASE
    %endif
    %assign rpl rpl + 1
    %endrep
    TASK_CASE cpl, "int gate dpl ", '0' + dpl, " cpl ", '0' + cpl
    mov byte [GDT + SEL_A + 5], 0x89
    mov byte [IDT + V * 8 + 5], 0x85 | dpl << 5
    SWITCH
    int V
    ENDCASE
    %assign dpl dpl + 1
  %endrep
  %assign cpl cpl + 1
%endrep
    ret

; ---- selectors and descriptors ---------------------------------------------------------------------------------------

; By JMP to the TSS (selector SEL_A), CALL through the gate, INT through the IDT's gate.
%macro THREE_WAYS 2              ; name, {set-up}
    TASK_CASE 3, "jmp, ", %1
    %2
    SWITCH
    JUMP SEL_A
    ENDCASE
    TASK_CASE 3, "call gate, ", %1
    %2
    SWITCH
    CALLFAR SEL_GATE
    ENDCASE
    TASK_CASE 3, "int, ", %1
    %2
    SWITCH
    int V
    ENDCASE
%endmacro
%macro GATES_TO 1                ; both gates' selector
    mov word [GDT + SEL_GATE + 2], %1
    mov word [IDT + V * 8 + 2], %1
%endmacro
%macro GATES_ARE 1               ; both gates' access byte
    mov byte [GDT + SEL_GATE + 5], %1
    mov byte [IDT + V * 8 + 5], %1
%endmacro
%macro TWO_WAYS 2                ; name, {set-up}
    TASK_CASE 3, "call gate, ", %1
    %2
    SWITCH
    CALLFAR SEL_GATE
    ENDCASE
    TASK_CASE 3, "int, ", %1
    %2
    SWITCH
    int V
    ENDCASE
%endmacro
%macro IN_PAGES 0
    mov word [GDT + SEL_A], 0
    mov byte [GDT + SEL_A + 6], 0x80
%endmacro

%macro EIP_BEYOND 0
    DESCRIPTOR S, 0, 0xfff, 0xfb, 4
    mov dword [TSS_A + 0x4c], S | 3
%endmacro

%macro NOTHING 0
%endmacro
%macro IN_LDT 0
    mov eax, [GDT + SEL_A]
    mov [LDT + 8], eax
    mov eax, [GDT + SEL_A + 4]
    mov [LDT + 12], eax
    GATES_TO 12
%endmacro

bad_selectors:
%assign type 0
%rep 16
  %if type != 1 && type != 4 && type != 12 && type != 5
    THREE_WAYS {"type ", '0' + type / 10, '0' + type % 10}, {mov byte [GDT + SEL_A + 5], 0xe0 | type}
  %endif
  %assign type type + 1
%endrep
    TWO_WAYS "a segment", {mov byte [GDT + SEL_A + 5], 0xf9}
    THREE_WAYS "absent", {mov byte [GDT + SEL_A + 5], 0x69}
    THREE_WAYS "absent and busy", {mov byte [GDT + SEL_A + 5], 0x6b}
    THREE_WAYS "limit 66", {mov byte [GDT + SEL_A], 0x66}
    THREE_WAYS "limit 2b", {mov byte [GDT + SEL_A], 0x2b}
    THREE_WAYS "limit 0", {mov byte [GDT + SEL_A], 0}
    THREE_WAYS "page-granular", IN_PAGES
    TWO_WAYS "gate absent", {GATES_ARE 0x65}
    TWO_WAYS "gate to null", {GATES_TO 0}
    TWO_WAYS "gate to null rpl 3", {GATES_TO 3}
    TWO_WAYS "gate to rpl 3", {GATES_TO SEL_A | 3}
    TWO_WAYS "gate beyond the gdt", {GATES_TO 0xfff8}
    TWO_WAYS "gate into the ldt", IN_LDT
    TWO_WAYS "gate to data", {GATES_TO DATA0}
    TWO_WAYS "gate to code", {GATES_TO CODE0}
    TWO_WAYS "gate to itself", {GATES_TO SEL_GATE}
    TWO_WAYS "gate to the running task", {GATES_TO SEL_TSS}
    TASK_CASE 3, "jmp to a tss in the ldt"
    IN_LDT
    SWITCH
    JUMP 12
    ENDCASE
    TASK_CASE 3, "call to the running task"
    mov byte [GDT + SEL_TSS + 5], 0xeb
    SWITCH
    CALLFAR SEL_TSS
    ENDCASE
    ; The old TSS too short for what is saved.
    TASK_CASE 0, "old tss of 5f bytes"
    mov word [GDT + SEL_TSS], 0x5e
    mov byte [GDT + SEL_TSS + 5], 0x89
    mov ax, SEL_TSS
    ltr ax
    SWITCH
    JUMP SEL_A
    ENDCASE
    mov word [GDT + SEL_TSS], 0x2067
    call reset_tasks
    ret

; ---- interrupts and exceptions ---------------------------------------------------------------------------------------

; The exception's own gate becomes the task gate; error codes go to the new task's stack.
%macro BY_GATE 3                 ; name, vector, {instructions}
    TASK_CASE 3, %1
    mov dword [IDT + %2 * 8], SEL_A << 16
    mov dword [IDT + %2 * 8 + 4], 0x8500
    mov dword [is_software], 0
    BODY_TO task
    %3
    ENDCASE
    SAYS "  stack "
    HEX 4, [r_ss]
    SAYS ":"
    HEX 8, [r_esp]
    SAYS " "
    mov eax, [r_esp]
    HEX 8, [eax]
    SAYS 10
    call print_tasks
    call make_idt
%endmacro
%macro LOAD_BAD 0
    mov ax, 0x8003
    mov ds, ax
%endmacro
%macro DIVIDE 0
    xor ecx, ecx
    div ecx
%endmacro
%macro OUTSIDE 0
    mov eax, 5
    bound eax, [bounds]
%endmacro
bounds: dd 0, 4

interrupts:
    BY_GATE "#DE by a task gate", 0, DIVIDE
    BY_GATE "#BR by a task gate", 5, OUTSIDE
    BY_GATE "#GP by a task gate", 13, LOAD_BAD
    TASK_CASE 3, "#DF by a task gate"
    mov dword [IDT + 8 * 8], SEL_A << 16
    mov dword [IDT + 8 * 8 + 4], 0x8500
    mov byte [IDT + 5], 0x0e
    SWITCH
    DIVIDE
    ENDSWITCH
    SAYS "  pushed: "
    mov eax, [r_esp]
    HEX 8, [eax]
    SAYS 10
    call make_idt
    TASK_CASE 3, "#TS by a task gate"
    mov dword [IDT + 10 * 8], SEL_A << 16
    mov dword [IDT + 10 * 8 + 4], 0x8500
    mov dword [TSS + 8], 0
    SWITCH
    OUTSIDE
    ENDSWITCH
    SAYS "  pushed: "
    mov eax, [r_esp]
    HEX 8, [eax]
    SAYS 10
    mov dword [TSS + 8], DATA0
    call make_idt
    TASK_CASE 3, "error code to a stack without room"
    mov dword [IDT + 13 * 8], SEL_A << 16
    mov dword [IDT + 13 * 8 + 4], 0x8500
    DESCRIPTOR S, 0, 0xfff, 0xf3, 4
    mov dword [TSS_A + 0x50], S | 3
    mov dword [TSS_A + 0x38], 3
    SWITCH
    LOAD_BAD
    ENDSWITCH
    call make_idt
    ; A 16-bit task gets a word; the upper halves of its registers are undefined.
    and dword [show], ~(SHOW_EAX | SHOW_EDX)
    TASK_CASE 3, "#GP by a task gate, 16 bits"
    mov dword [IDT + 13 * 8], SEL_B << 16
    mov dword [IDT + 13 * 8 + 4], 0x8500
    mov dword [i_esp], STACK3
    BODY_TO task - IMAGE
    LOAD_BAD
    ENDSWITCH
    SAYS "  stack "
    HEX 4, [r_ss]
    SAYS ":"
    HEX 4, [r_esp]
    SAYS " "
    movzx eax, word [r_esp]
    HEX 4, [eax]
    SAYS 10
    call make_idt
    ret

bad_interrupts:
    or dword [show], SHOW_EAX | SHOW_EDX
    ; Error codes with EXT.
%macro BOUND_GATE 2
    TASK_CASE 3, "bound, ", %1
    mov dword [IDT + 5 * 8], SEL_A << 16
    mov dword [IDT + 5 * 8 + 4], 0x8500
    %2
    SWITCH
    OUTSIDE
    ENDCASE
%endmacro
    BOUND_GATE "gate absent", {mov byte [IDT + 5 * 8 + 5], 5}
    BOUND_GATE "gate to null", {mov word [IDT + 5 * 8 + 2], 0}
    BOUND_GATE "gate beyond", {mov word [IDT + 5 * 8 + 2], 0xfff8}
    BOUND_GATE "gate into the ldt", {mov word [IDT + 5 * 8 + 2], 12}
    BOUND_GATE "gate to a busy one", {mov byte [GDT + SEL_A + 5], 0xeb}
    BOUND_GATE "tss absent", {mov byte [GDT + SEL_A + 5], 0x69}
    BOUND_GATE "limit 66", {mov byte [GDT + SEL_A], 0x66}
    BOUND_GATE "bad ldt", {mov dword [TSS_A + 0x60], DATA0}
    BOUND_GATE "bad ss", {mov dword [TSS_A + 0x50], DATA0}
    BOUND_GATE "ss null", {mov dword [TSS_A + 0x50], 0}
    BOUND_GATE "bad cs", {mov dword [TSS_A + 0x4c], DATA3}
    BOUND_GATE "bad ds", {mov dword [TSS_A + 0x54], DATA0}
    BOUND_GATE "eip beyond", EIP_BEYOND
    call make_idt
    ret

; ---- IRET with NT ----------------------------------------------------------------------------------------------------

%macro BACK 2                    ; name, {set-up}
    TASK_CASE 0, %1
    mov dword [i_efl], 0x4002
    mov byte [GDT + SEL_A + 5], 0x8b
    mov dword [TSS], SEL_A
    %2
    SWITCH
    iretd
    ENDSWITCH
%endmacro
%macro LINK_LDT 0
    IN_LDT
    mov byte [LDT + 13], 0x8b
    mov dword [TSS], 12
%endmacro
; A processor that loads before it saves would find this in the TSS.
%macro LINK_SELF 0
    mov dword [TSS], SEL_TSS
    mov dword [TSS + 0x20], task
    mov dword [TSS + 0x24], 2
    mov dword [TSS + 0x38], STACK0T - 0x800
    mov dword [TSS + 0x48], DATA0
    mov dword [TSS + 0x4c], CODE0
    mov dword [TSS + 0x50], DATA0
    mov dword [TSS + 0x54], DATA0
    mov dword [TSS + 0x58], DATA0
    mov dword [TSS + 0x5c], DATA0
    mov dword [TSS + 0x60], 0
%endmacro

returns:
    BACK "iret to a busy task", NOTHING
    BACK "iret, link rpl 3", {mov dword [TSS], SEL_A | 3}
    BACK "iret, link's upper half", {mov dword [TSS], 0x12340000 + SEL_A}
    BACK "iret, link null", {mov dword [TSS], 0}
    BACK "iret, link beyond", {mov dword [TSS], 0xfff8}
    BACK "iret, link into the ldt", LINK_LDT
    BACK "iret, link to an available one", {mov byte [GDT + SEL_A + 5], 0x89}
    BACK "iret, link absent", {mov byte [GDT + SEL_A + 5], 0x0b}
    BACK "iret, link to data", {mov dword [TSS], DATA0}
    BACK "iret, link to a gate", {mov dword [TSS], SEL_GATE}
    BACK "iret, link to itself", LINK_SELF
    BACK "iret, limit 66", {mov byte [GDT + SEL_A], 0x66}
    BACK "iret, bad ldt", {mov dword [TSS_A + 0x60], DATA0}
    BACK "iret, bad cs", {mov dword [TSS_A + 0x4c], DATA3}
    BACK "iret, bad ss", {mov dword [TSS_A + 0x50], DATA0}
    TASK_CASE 3, "iret from level 3"
    mov dword [i_efl], 0x4002
    mov byte [GDT + SEL_A + 5], 0x8b
    mov dword [TSS], SEL_A
    SWITCH
    iretd
    ENDSWITCH
    ret

; ---- what can be wrong with the new state ----------------------------------------------------------------------------

%macro STATE 2                   ; name, {set-up}
    TASK_CASE 0, "state, ", %1
    %2
    SWITCH
    JUMP SEL_A
    ENDSWITCH
%endmacro
%macro WITH 3                    ; field, selector, access
    DESCRIPTOR S, 0, 0xfffff, %3, 0xc
    mov dword [TSS_A + %1], %2
%endmacro

new_state:
    STATE "ldt null rpl 3", {mov dword [TSS_A + 0x60], 3}
    STATE "ldt data", {mov dword [TSS_A + 0x60], DATA0}
    STATE "ldt a tss", {mov dword [TSS_A + 0x60], SEL_A}
    STATE "ldt beyond", {mov dword [TSS_A + 0x60], 0xfff8}
    STATE "ldt in the ldt", {mov dword [TSS_A + 0x60], 12}
    STATE "ldt absent", {WITH 0x60, S, 2}
    STATE "cs null rpl 3", {mov dword [TSS_A + 0x4c], 3}
    STATE "cs data", {mov dword [TSS_A + 0x4c], DATA3}
    STATE "cs beyond", {mov dword [TSS_A + 0x4c], 0xfffb}
    STATE "cs absent", {WITH 0x4c, S | 3, 0x7b}
    STATE "cs dpl 0 rpl 3", {mov dword [TSS_A + 0x4c], CODE0 | 3}
    STATE "cs conforming dpl 3 rpl 3", {WITH 0x4c, S | 3, 0xff}
    STATE "cs in a missing ldt", {mov dword [TSS_A + 0x4c], 7}
    STATE "ss null", {mov dword [TSS_A + 0x50], 0}
    STATE "ss null rpl 3", {mov dword [TSS_A + 0x50], 3}
    STATE "ss of level 0", {mov dword [TSS_A + 0x50], DATA0}
    STATE "ss rpl 0", {mov dword [TSS_A + 0x50], DATA3 & ~3}
    STATE "ss dpl 0 rpl 3", {mov dword [TSS_A + 0x50], DATA0 | 3}
    STATE "ss code", {mov dword [TSS_A + 0x50], CODE3}
    STATE "ss read-only", {WITH 0x50, S | 3, 0xf1}
    STATE "ss absent", {WITH 0x50, S | 3, 0x73}
    STATE "ss beyond", {mov dword [TSS_A + 0x50], 0xfffb}
    STATE "ds of level 0", {mov dword [TSS_A + 0x54], DATA0}
    STATE "ds execute-only", {WITH 0x54, S | 3, 0xf9}
    STATE "ds absent", {WITH 0x54, S | 3, 0x73}
    STATE "ds beyond", {mov dword [TSS_A + 0x54], 0xfffb}
    STATE "ds a tss", {mov dword [TSS_A + 0x54], SEL_A}
    STATE "ds readable code", {mov dword [TSS_A + 0x54], CODE3}
    STATE "ds conforming code dpl 0", {mov dword [TSS_A + 0x54], CONFORM | 3}
    STATE "es of level 0", {mov dword [TSS_A + 0x48], DATA0}
    STATE "fs of level 0", {mov dword [TSS_A + 0x58], DATA0}
    STATE "gs of level 0", {mov dword [TSS_A + 0x5c], DATA0}
    STATE "eip beyond", EIP_BEYOND
    STATE "reserved flags", {mov dword [TSS_A + 0x24], 0xffc0802a}
    STATE "iopl, if and nt", {mov dword [TSS_A + 0x24], 0x7202}
    ret

; ---- 16-bit TSS ------------------------------------------------------------------------------------------------------

narrow:
    mov dword [show], SHOW_FLAGS | SHOW_CS | SHOW_DS | SHOW_ES | SHOW_TASK
    TASK_CASE 0, "16-bit, jmp"
    BODY_TO task - IMAGE
    JUMP SEL_B
    ENDSWITCH
    SAYS "  registers: "
    HEX 4, [r_eax]
    SAYS " "
    HEX 4, [r_edx]
    SAYS " "
    HEX 4, [r_ss]
    SAYS ":"
    HEX 4, [r_esp]
    SAYS 10
    TASK_CASE 0, "16-bit, call"
    BODY_TO task - IMAGE
    CALLFAR SEL_B
    ENDSWITCH
    TASK_CASE 0, "16-bit, flags"
    mov word [TSS_B + 0x10], 0x7ed7
    BODY_TO task - IMAGE
    JUMP SEL_B
    ENDSWITCH
    TASK_CASE 0, "16-bit, limit 2a"
    mov byte [GDT + SEL_B], 0x2a
    BODY_TO task - IMAGE
    JUMP SEL_B
    ENDSWITCH
    TASK_CASE 0, "16-bit, busy"
    mov byte [GDT + SEL_B + 5], 0xe3
    BODY_TO task - IMAGE
    JUMP SEL_B
    ENDSWITCH
    TASK_CASE 0, "16-bit, bad ds"
    mov word [TSS_B + 0x28], DATA0
    BODY_TO task - IMAGE
    JUMP SEL_B
    ENDSWITCH
    TASK_CASE 0, "16-bit, iret"
    mov dword [i_efl], 0x4002
    mov dword [TSS], SEL_B
    mov byte [GDT + SEL_B + 5], 0x83
    BODY_TO task - IMAGE
    iretd
    ENDSWITCH
    ; From a 16-bit TSS: what it saves.
    TASK_CASE 0, "from 16 to 32 bits"
    mov word [TSS_B + 0x24], CODE16
    mov word [TSS_B + 0x26], DATA16
    mov eax, .to_a - IMAGE
    mov [TSS_B + 0x0e], ax
    SWITCH
    JUMP SEL_B
    ENDSWITCH
    SAYS "  saved: "
    mov esi, TSS_B + 0x0e
    mov ecx, 15
.word:
    HEX 4, [esi]
    SAYS " "
    add esi, 2
    loop .word
    SAYS 10
    ret
bits 16
.to_a:
    db 0xea
    dw 0
    dw SEL_A
bits 32

IMAGE_SECTORS equ ($ - $$ + 511) / 512
