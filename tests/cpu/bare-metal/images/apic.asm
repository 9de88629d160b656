; Local APIC and I/O APIC as a driver meets them: self-IPIs and the order they come in, task priority, timer, the 8259s behind
; LINT0, edge and level inputs of the I/O APIC (COM1's interrupt line as the source of a level), NMI, switching off. A line
; ends in the vectors that came, in their order.
%include "harness.inc"
%include "timer.inc"

APIC      equ 0xfee00000
IOAPIC    equ 0xfec00000
ID        equ APIC + 0x20
TPR       equ APIC + 0x80
PPR       equ APIC + 0xa0
EOI       equ APIC + 0xb0
LDR       equ APIC + 0xd0
DFR       equ APIC + 0xe0
SVR       equ APIC + 0xf0
ISR       equ APIC + 0x100
TMR       equ APIC + 0x180
IRR       equ APIC + 0x200
ICR       equ APIC + 0x300
ICR_HIGH  equ APIC + 0x310
TIMER     equ APIC + 0x320
LINT0     equ APIC + 0x350
LINT1     equ APIC + 0x360
INITIAL   equ APIC + 0x380
CURRENT   equ APIC + 0x390
DIVIDE    equ APIC + 0x3e0
SELF      equ 0x44000
MASKED    equ 0x10000
LEVEL     equ 0x8000
COM1_PIN  equ 4
TIMER_PIN equ 2

main:
    mov dword [hook], 0
    call set_handlers
    mov dword [SVR], 0x1ff
    mov dword [LINT0], MASKED | 0x700
    mov dword [LINT1], 0x400
    mov dword [TPR], 0
    call identify
    call order
    call priorities
    call timers
    call virtual_wire
    call edges
    call levels
    call nmi
    call switch_off
    ret

; ---- what came -------------------------------------------------------------------------------------------------------

align 4
came_count: dd 0
came: times 64 db 0
; Called by every handler before its EOI, if not 0.
hook: dd 0

%macro HANDLERS 2
  %assign vector %1
  %rep %2 - %1 + 1
handler_ %+ vector:
    push strict dword vector
    jmp strict near handle
    %assign vector vector + 1
  %endrep
%endmacro
    HANDLERS 0x30, 0xff
HANDLER_BYTES equ handler_49 - handler_48

handle:
    pushad
    mov ecx, [came_count]
    cmp ecx, 64
    jae .full
    mov eax, [esp + 32]
    mov [came + ecx], al
    inc dword [came_count]
.full:
    cmp dword [hook], 0
    je .no_hook
    call [hook]
.no_hook:
    cmp dword [esp + 32], IRQ0
    je .pic
    mov dword [EOI], 0
    jmp .done
.pic:
    mov al, 0x20
    out 0x20, al
.done:
    popad
    add esp, 4
    iretd

on_nmi:
    inc dword [nmis]
    iretd
nmis: dd 0

set_handlers:
    mov edi, IDT + 0x30 * 8
    mov eax, handler_48
.next:
    mov [edi], ax
    mov word [edi + 2], CODE0
    mov edx, eax
    mov dx, 0x8e00
    mov [edi + 4], edx
    add eax, HANDLER_BYTES
    add edi, 8
    cmp edi, IDT + 0x800
    jb .next
    GATE IDT + 2 * 8, CODE0, on_nmi, 0x8e, 0
    ret

; Lets interrupts in for a while.
open:
    push ecx
    sti
    mov ecx, 2000
.wait:
    dec ecx
    jnz .wait
    cli
    pop ecx
    ret

; Lets interrupts in until EBX have come, or not for ever.
open_for:
    push ecx
    mov ecx, 2000000
    sti
.wait:
    cmp [came_count], ebx
    jae .done
    dec ecx
    jnz .wait
.done:
    cli
    pop ecx
    ret

; The list of what came, emptied; ends the line.
say_came:
    pushad
    xor ecx, ecx
.next:
    cmp ecx, [came_count]
    jae .done
    SAYS " "
    movzx eax, byte [came + ecx]
    HEX 2, eax
    inc ecx
    jmp .next
.done:
    mov dword [came_count], 0
    inc dword [cases]
    popad
    SAYS 10
    ret

; REGISTER name, address
%macro REGISTER 2
    SAYS " ", %1, "="
    HEX 8, [%2]
%endmacro

; PIN number, low half, destination
%macro PIN 3
    mov dword [IOAPIC], 0x10 + %1 * 2 + 1
    mov dword [IOAPIC + 0x10], (%3) << 24
    mov dword [IOAPIC], 0x10 + %1 * 2
    mov dword [IOAPIC + 0x10], %2
%endmacro
%macro SAY_PIN 1
    mov dword [IOAPIC], 0x10 + %1 * 2
    SAYS " pin="
    HEX 8, [IOAPIC + 0x10]
%endmacro

; ---- cases -----------------------------------------------------------------------------------------------------------

identify:
    SAYS "base:"
    mov ecx, 0x1b
    rdmsr
    HEX 8, edx
    HEX 8, eax
    mov eax, 1
    cpuid
    and edx, 1 << 9
    SAYS " cpuid="
    HEX 4, edx
    REGISTER "id", ID
    REGISTER "dfr", DFR
    mov eax, [APIC + 0x30]
    and eax, 0xff
    SAYS " version="
    HEX 2, eax
    call say_came
    SAYS "logical destination:"
    mov dword [LDR], 0x01ffffff
    REGISTER "ldr", LDR
    mov dword [DFR], 0x0fffffff
    REGISTER "dfr", DFR
    mov dword [DFR], 0xffffffff
    call say_came
    SAYS "i/o apic:"
    mov dword [IOAPIC], 1
    mov eax, [IOAPIC + 0x10]
    shr eax, 16
    SAYS " last="
    HEX 2, eax
    mov dword [IOAPIC], 0x10 + 2 * 10
    mov dword [IOAPIC + 0x10], 0x1ffff
    SAY_PIN 10
    mov dword [IOAPIC + 0x10], MASKED
    SAY_PIN 10
    call say_came
    ret

order:
    SAYS "self-ipi is pending at once:"
    mov dword [ICR], SELF | 0x41
    REGISTER "irr", IRR + 0x20
    REGISTER "isr", ISR + 0x20
    call open
    call say_came
    SAYS "highest first:"
    mov dword [ICR], SELF | 0x41
    mov dword [ICR], SELF | 0x61
    mov dword [ICR], SELF | 0x51
    mov dword [ICR], SELF | 0x62
    mov dword [ICR], SELF | 0x51
    call open
    call say_came
    SAYS "to all, to the others, to id, to nobody, by logical mask:"
    mov dword [ICR], 0x84043
    mov dword [ICR], 0xc4044
    mov dword [ICR_HIGH], 0
    mov dword [ICR], 0x4045
    mov dword [ICR_HIGH], 5 << 24
    mov dword [ICR], 0x4046
    mov dword [ICR_HIGH], 1 << 24
    mov dword [ICR], 0x4847
    mov dword [ICR_HIGH], 2 << 24
    mov dword [ICR], 0x4848
    mov dword [ICR_HIGH], 0
    call open
    call say_came
    SAYS "a handler lets higher ones in:"
    mov dword [hook], .nest
    mov dword [ICR], SELF | 0x51
    call open
    mov dword [hook], 0
    call say_came
    ret
.nest:
    cmp dword [came_count], 1
    jne .no
    mov dword [ICR], SELF | 0x52 ; the same class waits
    mov dword [ICR], SELF | 0x71
    sti
    nop
    nop
    cli
    SAYS " ppr="
    HEX 2, [PPR]
.no:
    ret

priorities:
%macro PRIORITY 3                ; task priority, held off, let through
    SAYS "tpr "
    HEX 2, %1
    SAYS ":"
    mov dword [TPR], %1
    mov dword [ICR], SELF | %2
    mov dword [ICR], SELF | %3
    call open
    REGISTER "ppr", PPR
    SAYS " then"
    mov dword [TPR], 0
    call open
    call say_came
%endmacro
    PRIORITY 0x3d, 0x3f, 0x41
    PRIORITY 0x41, 0x4f, 0x51
    PRIORITY 0x51, 0x51, 0x61
    PRIORITY 0xb1, 0xb1, 0xc1
    PRIORITY 0xd1, 0xdf, 0xe1
    SAYS "tpr ff:"
    mov dword [TPR], 0xff
    mov dword [ICR], SELF | 0xfe
    call open
    mov dword [TPR], 0xe0
    call open
    call say_came
    SAYS "lowered with interrupts open:"
    mov dword [TPR], 0x80
    mov dword [ICR], SELF | 0x71
    sti
    mov dword [TPR], 0
    mov ecx, 2000
.wait:
    dec ecx
    jnz .wait
    cli
    call say_came
    ret

timers:
    mov dword [DIVIDE], 0x0b
    SAYS "one shot:"
    mov dword [TIMER], 0x81
    mov dword [INITIAL], 20000
    mov ebx, 1
    call open_for
    call open
    REGISTER "count", CURRENT
    call say_came
    SAYS "periodic:"
    mov dword [TIMER], 0x20082
    mov dword [INITIAL], 200000
    mov ebx, 10
    call open_for
    mov dword [INITIAL], 0
    REGISTER "count", CURRENT
    call open
    mov dword [came_count], 0
    call say_came
    SAYS "masked:"
    mov dword [TIMER], MASKED | 0x83
    mov dword [INITIAL], 1000
.expire:
    cmp dword [CURRENT], 0
    jne .expire
    call open
    mov dword [TIMER], 0x83
    call open
    call say_came
    SAYS "counts down:"
    mov dword [DIVIDE], 3
    mov dword [TIMER], MASKED | 0x83
    mov dword [INITIAL], 0xffffffff
    mov eax, [CURRENT]
    call open
    cmp [CURRENT], eax
    jb .down
    SAYS " no"
.down:
    mov dword [INITIAL], 0
    call say_came
    ret

virtual_wire:
    call set_pic
    call raise_timer
    SAYS "8259 with LINT0 masked:"
    call open
    call say_came
    SAYS "8259 with LINT0 open:"
    mov dword [LINT0], 0x700
    call open
    REGISTER "isr", ISR + 0x60
    call say_came
    SAYS "8259 and own:"
    call raise_timer
    mov dword [ICR], SELF | 0x91
    mov ebx, 2
    call open_for
    mov al, [came]
    xor al, [came + 1]
    mov dword [came_count], 0
    SAYS " xor="
    HEX 2, eax
    call say_came
    SAYS "8259 does not ask the task priority:"
    mov dword [TPR], 0xff
    call raise_timer
    call open
    mov dword [TPR], 0
    call say_came
    mov dword [LINT0], MASKED | 0x700
    mov al, 0xff
    out 0x21, al
    ret

; The timer again, by its own input.
edges:
    SAYS "edge:"
    PIN TIMER_PIN, 0x51, 0
    call .tick
    call say_came
    SAYS "edge, lowest priority, logical:"
    PIN TIMER_PIN, 0x952, 1
    call .tick
    call say_came
    SAYS "edge to nobody:"
    PIN TIMER_PIN, 0x53, 7
    call .tick
    call say_came
    PIN TIMER_PIN, MASKED, 0
    SAYS "edge while masked:"
    call .tick
    PIN TIMER_PIN, 0x54, 0
    call open
    call say_came
    PIN TIMER_PIN, MASKED, 0
    ret
.tick:
    mov al, 0x30
    out 0x43, al
    mov al, 100
    out 0x40, al
    xor al, al
    out 0x40, al
.wait:
    mov al, 0xe2                 ; status of counter 0
    out 0x43, al
    in al, 0x40
    test al, 0x80
    jz .wait
    mov ecx, 300000              ; a peer's timer may be late
.settle:
    dec ecx
    jnz .settle
    jmp open

levels:
    SAYS "level, three times until its source is quiet:"
    mov dword [hook], .hook
    PIN COM1_PIN, LEVEL | 0x61, 0
    mov dx, COM1 + 4             ; OUT2 lets the interrupt out
    mov al, 0x0b
    out dx, al
    mov dx, COM1 + 1
    mov al, 2                    ; transmitter empty, which it is
    out dx, al
    mov ebx, 3
    call open_for
    call open
    mov dword [hook], 0
    SAYS " tmr="
    HEX 8, [.tmr]
    SAYS " in service pin="
    HEX 8, [.pin]
    SAY_PIN COM1_PIN
    call say_came
    SAYS "level, masked in service, opened with the wire high:"
    mov dword [hook], .mask
    call .on
    mov ebx, 1
    call open_for
    call open
    SAY_PIN COM1_PIN
    call say_came
    mov dword [hook], .quiet
    PIN COM1_PIN, LEVEL | 0x62, 0
    mov ebx, 1
    call open_for
    call open
    mov dword [hook], 0
    SAYS "then:"
    call say_came
    SAYS "level that goes before it is served:"
    PIN COM1_PIN, LEVEL | 0x63, 0
    call .on
    call .off
    mov ebx, 1
    call open_for
    call open
    SAY_PIN COM1_PIN
    call say_came
    PIN COM1_PIN, MASKED, 0
    ret
.pin: dd 0
.tmr: dd 0
.on:
    push eax
    push edx
    mov dx, COM1 + 5             ; nothing on its way
.busy:
    in al, dx
    test al, 0x40
    jz .busy
    mov dx, COM1 + 1
    mov al, 2
    out dx, al
    pop edx
    pop eax
    ret
.off:
    mov dx, COM1 + 1
    xor al, al
    out dx, al
    ret
.hook:
    mov dword [IOAPIC], 0x10 + COM1_PIN * 2
    mov eax, [IOAPIC + 0x10]
    mov [.pin], eax
    mov eax, [TMR + 0x30]
    mov [.tmr], eax
    cmp dword [came_count], 3
    jae .off
    ret
.quiet:
    jmp .off
.mask:
    mov dword [IOAPIC], 0x10 + COM1_PIN * 2
    or dword [IOAPIC + 0x10], MASKED
    ret

nmi:
    SAYS "nmi to itself:"
    mov dword [ICR_HIGH], 0
    mov dword [ICR], 0x4400
    call open
    HEX 2, [nmis]
    call say_came
    SAYS "nmi by an input:"
    PIN TIMER_PIN, 0x400, 0
    call edges.tick
    PIN TIMER_PIN, MASKED, 0
    HEX 2, [nmis]
    call say_came
    ret

switch_off:
    SAYS "off by base:"
    mov ecx, 0x1b
    rdmsr
    and ah, ~8
    wrmsr
    rdmsr
    HEX 8, eax
    mov eax, 1
    cpuid
    and edx, 1 << 9
    SAYS " cpuid="
    HEX 4, edx
    call say_came
    ret

IMAGE_SECTORS equ ($ - $$ + 511) / 512
